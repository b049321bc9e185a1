"""Convolutions of complex stencils and other types, and what is no convolution."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from convolution_cases import on

from refmg.activation import named_activation
from refmg.convolution import Convolution, convolution_matrix
from refmg_backends import RefmgError, UnknownBackendError


def test_the_adjoint_of_a_complex_stencil_is_conjugated(backend):
    A = Convolution(np.array([1j, 2, 3 - 1j]), (4,), backend=backend).linear_operator()
    matrix = convolution_matrix(np.array([1j, 2, 3 - 1j]), (4,)).toarray()
    assert np.array_equal(A.rmatvec(np.eye(4)[1]), matrix.conj().T[:, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_linear_operator_has_the_type_of_the_stencil(dtype):
    assert Convolution(np.ones(3, dtype), (5,), backend="numpy").linear_operator().dtype == dtype


@pytest.mark.parametrize(
    ("stencil", "arguments", "said"),
    [
        (np.ones(4), ((8,),), ["found a stencil of width (4,)", "expected odd widths", "pad the stencil"]),
        (np.ones((3, 2)), ((8, 8),), ["found a stencil of width (3, 2)", "expected odd widths"]),
        (
            np.ones((3, 3, 3)),
            ((8, 8),),
            ["found a stencil of shape (3, 3, 3)", "expected 2 axes", "or 4 axes"],
        ),
        (np.ones((3, 3)), ((8,),), ["found a stencil of shape (3, 3)", "expected 1 axes", "or 3 axes"]),
        ([1, np.nan, 1], ((8,),), ["found nan", "index (0, 0, 1)", "expected finite"]),
        ([1, 1, np.inf], ((8,),), ["found inf", "index (0, 0, 2)", "expected finite"]),
        (np.ones(3), ((8,), "reflekt"), ["unknown boundary 'reflekt'", "mean 'reflect'", "expected one of"]),
        (np.ones(3), ((8,), "wrap"), ["unknown boundary 'wrap'", "expected one of: periodic, reflect, zero"]),
        (np.ones(3), ((8,), "zero", 0), ["found stride 0", "expected a positive integer"]),
        (np.ones(3), ((8,), "zero", -1), ["found stride -1", "expected a positive integer"]),
        (np.ones(3), ((8,), "zero", 1.5), ["found stride 1.5", "expected a positive integer"]),
        (np.ones(3), ((8,), "zero", (1, 2)), ["found stride (1, 2)", "1 of them, one per axis"]),
        (np.ones(3), ((0,),), ["found grid (0,)", "expected a positive integer"]),
        (np.ones(3), ((8.0,),), ["found grid (8.0,)", "expected a positive integer"]),
    ],
)
@pytest.mark.parametrize("make", [convolution_matrix, Convolution])
def test_what_is_not_a_convolution_is_refused(make, stencil, arguments, said):
    with pytest.raises(RefmgError) as caught:
        make(stencil, *arguments, **({"backend": "numpy"} if make is Convolution else {}))
    assert [part for part in said if part not in str(caught.value)] == []


@pytest.mark.parametrize("shape", [(3, 4, 5, 1), (2, 5, 4, 1), (2, 4, 5), (2, 20, 1), (40,), (2, 4, 5, 1, 1)])
@pytest.mark.parametrize("name", ["apply", "apply_transpose"])
def test_features_of_another_shape_are_refused(name, shape):
    K = Convolution(np.ones((2, 2, 3, 3)), (4, 5), backend="numpy")
    with pytest.raises(RefmgError) as caught:
        getattr(K, name)(np.zeros(shape))
    assert f"found features of shape {shape}; expected (2, 4, 5, examples)" in str(caught.value)


@pytest.mark.parametrize("wrong", ["left", "right"])
def test_the_gradient_refuses_features_of_another_shape(wrong):
    K = Convolution(np.ones((3, 2, 3, 3)), (4, 4), stride=2, backend="numpy")
    Y, Z = np.zeros((2, 4, 4, 1)), np.zeros((3, 2, 2, 1))
    found = np.zeros((5, 4, 4, 1))
    with pytest.raises(RefmgError, match=r"found features of shape \(5, 4, 4, 1\); expected"):
        K.stencil_gradient(found if wrong == "left" else Y, found if wrong == "right" else Z)


@pytest.mark.parametrize("examples", [(2, 1), (1, 5), (6, 3)])
def test_the_gradient_refuses_different_numbers_of_examples(examples, backend):
    K = Convolution(np.ones(3), (5,), backend=backend)
    Y, Z = (on(K, np.zeros((1, 5, m))) for m in examples)
    with pytest.raises(RefmgError, match=r"found .*expected"):
        K.stencil_gradient(Y, Z)


def test_an_unknown_backend_is_refused():
    with pytest.raises(UnknownBackendError, match="unknown backend 'nunpy'"):
        Convolution(np.ones(3), (5,), backend="nunpy")


def test_nothing_warns_in_the_common_case():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        K = Convolution(np.ones((2, 2, 3, 3)), (4, 4), backend="numpy")
        K.apply_transpose(K.apply(np.ones((2, 4, 4, 2))))


@pytest.mark.parametrize("what", ["add_to", "transpose", "base", "bias"])
def test_what_is_added_must_fit(what, backend):
    K = Convolution(np.ones((3, 2, 3, 3)), (4, 5), backend=backend)
    Y, Z, fewer = (K.backend.asarray(np.ones(n)) for n in ((2, 4, 5, 6), (3, 4, 5, 6), (3, 4, 5, 1)))
    bias, wrong = K.backend.asarray(np.ones(3)), K.backend.asarray(np.ones(4))
    tanh = named_activation("tanh")
    calls = {
        "add_to": lambda: K.apply(Y, add_to=fewer),
        "transpose": lambda: K.apply_transpose(Z, add_to=Y[..., :1]),
        "base": lambda: K.activated(Y, bias, tanh, base=fewer),
        "bias": lambda: K.activated(Y, wrong, tanh),
    }
    with pytest.raises(RefmgError, match="expected"):
        calls[what]()


def test_a_list_of_taps_is_a_stencil(backend):
    K = Convolution([1.0, -2.0, 1.0], (5,), backend=backend)
    assert np.array_equal(K.matrix().toarray(), convolution_matrix([1.0, -2.0, 1.0], (5,)).toarray())
