"""Stencils found among the tensors of any model."""

import numpy as np
import pytest

from refmg import ClosureError, RefmgError, StencilMap, TransferPair, named_pair
from refmg.model_transfer import ResolutionChange, TensorSelection, growth, keep_reason, transfer_tensors

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("shape", [(4, 3, 3), (4, 3, 5, 5), (2, 1, 3, 3), (2, 2, 3, 3, 3)])
@pytest.mark.parametrize("direction", ["coarse", "fine"])
def test_a_stencil_is_moved_by_the_explicit_map(shape, direction):
    s, d = RNG.standard_normal(shape), len(shape) - 2
    T = StencilMap(shape[2], d).matrix
    columns = s.reshape(-1, T.shape[0]).T
    expected = (T @ columns if direction == "coarse" else np.linalg.solve(T, columns)).T.reshape(shape)
    # One product or solve of the map's size, and its condition number.
    tolerance = 10 * T.shape[0] * np.finfo(float).eps * np.linalg.cond(T) * np.abs(expected).max()
    assert np.abs(ResolutionChange(2, direction).stencil(s) - expected).max() <= tolerance


def test_axes_of_width_or_factor_one_stay():
    s = RNG.standard_normal((3, 2, 3, 5, 1))
    moved = ResolutionChange((2, 1, 2), "coarse").stencil(s)
    T = StencilMap(3, 1).matrix
    # A sum of three products.
    assert np.allclose(moved, np.einsum("ij,abjkl->abikl", T, s), rtol=0, atol=1e-14)
    assert ResolutionChange((1, 1, 2), "coarse").stencil(s) is s


def test_prolonging_undoes_restricting():
    s = RNG.standard_normal((3, 1, 5, 3))
    back = ResolutionChange((2, 3), "fine").stencil(ResolutionChange((2, 3), "coarse").stencil(s))
    # eps times the condition number of both maps together, which is below 1e5.
    assert np.abs(back - s).max() < 1e5 * np.finfo(float).eps * np.abs(s).max()


@pytest.mark.parametrize(
    ("shape", "factor", "reason"),
    [
        ((8, 3, 3, 3), 2, None),
        ((8, 3, 1, 3), 2, None),
        ((8, 3, 3, 3), (1, 2), None),
        ((8, 3, 1, 3), (2, 1), "pointwise"),
        ((8, 3, 1, 1), 2, "pointwise"),
        ((8, 3, 2, 2), 2, "even width 2 x 2"),
        ((8, 3, 3, 4), 2, "even width 3 x 4"),
        ((8, 3), 2, "vector or matrix"),
        ((1, 2, 3, 3, 3, 3), 2, "6 axes"),
        ((0, 3, 3, 3), 2, "empty"),
        ((4, 0, 3), 2, "empty"),
    ],
)
def test_shapes_decide(shape, factor, reason):
    assert keep_reason(shape, factor) == reason


def test_names_decide():
    assert TensorSelection().why_not("a.weight") is None
    assert TensorSelection().why_not("conv/kernel") == "not called weight or kernel"
    assert TensorSelection().why_not("position") == "not called weight or kernel"
    assert TensorSelection(include=["pos*"]).why_not("position") is None
    assert TensorSelection(include=["pos*"]).why_not("a.weight") == "not included"
    assert TensorSelection(include=["pos*"], exclude=["*"]).why_not("position") == "excluded"


def test_only_stencils_move_and_the_order_is_kept():
    state = {
        "b.weight": RNG.standard_normal((4, 2, 3, 3)).astype(np.float32),
        "a.weight": np.ones((4, 4)),
        "count": np.array(3),
        "c.weight": np.ones((4, 1, 3, 3), np.float16),
    }
    moved, records = transfer_tensors(state, ResolutionChange(2, "coarse"))
    assert [r.name for r in records] == list(state)
    assert list(moved) == ["b.weight", "c.weight"]
    assert np.array_equal(
        moved["b.weight"], ResolutionChange(2, "coarse").stencil(state["b.weight"].astype(float))
    )
    assert records[0].growth == growth(state["b.weight"], moved["b.weight"])
    assert records[2].reason == "type int64"
    assert moved["c.weight"].dtype == np.float64


def reasons(shapes, **selection):
    tensors = {name: np.ones(shape) for name, shape in shapes.items()}
    chosen = TensorSelection(**selection)
    _, records = transfer_tensors(tensors, ResolutionChange(2, "coarse"), chosen)
    return {record.name: None if record.moved else record.reason for record in records}


def test_what_looks_like_a_stencil_and_is_none_is_kept():
    # LayerNorm([8, 7, 7]) with and without bias, and Bilinear(4, 5, 3), beside a convolution of a plane.
    plane = {"conv.weight": (4, 3, 3, 3), "conv.bias": (4,)}
    norm = {"norm.weight": (8, 7, 7), "norm.bias": (8, 7, 7)}
    others = {"plain.weight": (8, 7, 7), "bilinear.weight": (3, 4, 5), "bilinear.bias": (3,)}
    found = reasons(plane | norm | others)
    assert found["conv.weight"] is None
    assert found["norm.weight"] == "bias of the same shape"
    assert (
        found["plain.weight"]
        == found["bilinear.weight"]
        == "3 axes, other kernels have more: only by include"
    )
    # Asked for by name they are taken for stencils, but never what has a bias of its own shape.
    found = reasons(plane | norm | others, include=["*.weight"])
    assert [name for name, reason in found.items() if reason is None] == [
        "conv.weight",
        "plain.weight",
        "bilinear.weight",
    ]
    volume = {"conv.weight": (4, 3, 3, 3, 3), "norm.weight": (2, 3, 3, 3), "norm.bias": (2, 3, 3, 3)}
    assert reasons(volume)["norm.weight"] == "bias of the same shape"


def test_convolutions_of_a_line_move_where_there_are_no_others():
    line = {"a.weight": (4, 3, 3), "a.bias": (4,), "weight": (4, 4, 5), "norm.weight": (4, 5)}
    assert reasons(line)["a.weight"] is None
    assert reasons(line)["weight"] is None
    assert reasons({**line, "norm.weight": (4, 5, 7), "norm.bias": (4, 5, 7)})["a.weight"] is None


def test_growth_of_zeros_is_one():
    assert growth(np.zeros(3), np.zeros(3)) == 1
    assert growth(np.ones(4), 2 * np.ones(4)) == 2
    assert growth(np.zeros(3), np.ones(3)) == np.inf


def too_wide(factor):
    hat = named_pair("linear", factor).prolongation
    return TransferPair(factor, hat, hat)


@pytest.mark.parametrize(
    ("state", "arguments", "error", "said"),
    [
        ({"a.weight": (2, 2, 3, 3)}, {"direction": "up"}, RefmgError, "unknown direction 'up'"),
        (
            {"a.weight": (2, 2, 3, 3)},
            {"factor": (2, 2, 1)},
            RefmgError,
            r"a\.weight: found factor \(2, 2, 1\)",
        ),
        ({"a.weight": (2, 2, 3, 3)}, {"transfer": "liner"}, RefmgError, "unknown transfer"),
        ({"a.weight": (2, 2)}, {}, RefmgError, "no convolution stencil"),
        ({}, {}, RefmgError, "none at all"),
        (
            {"a.weight": (2, 2, 3, 3)},
            {"selection": TensorSelection(["b*"])},
            RefmgError,
            "no tensor that fits 'b",
        ),
        (
            {"a.weight": (2, 2, 3, 3)},
            {"selection": TensorSelection([], ["b*"])},
            RefmgError,
            "such as 'a.weight'",
        ),
        ({"a.weight": (2, 2, 3, 3)}, {"transfer": too_wide}, ClosureError, r"a\.weight: .* does not close"),
    ],
)
def test_what_cannot_be_moved_is_named(state, arguments, error, said):
    tensors = {name: np.ones(shape) for name, shape in state.items()}
    selection = arguments.pop("selection", None)
    settings = {"factor": 2, "direction": "coarse"} | arguments
    with pytest.raises(error, match=said):
        transfer_tensors(tensors, ResolutionChange(**settings), selection)


def test_a_tap_that_is_not_finite_is_named():
    s = np.ones((1, 1, 3, 3))
    s[0, 0, 1, 1] = np.nan
    with pytest.raises(RefmgError, match=r"a\.weight: found nan in the stencil"):
        transfer_tensors({"a.weight": s}, ResolutionChange(2, "fine"))
