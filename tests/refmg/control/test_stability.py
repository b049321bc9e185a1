"""Symbols against explicit matrices, and step limits against what propagation really does."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from refmg import Architecture, Convolution, LayerStability, RefmgError, StabilityReport, random_network
from refmg.stability import StabilityWarning, stability, symbols_checked
from refmg.step_limits import euler_limit, oscillator_limit, rk4_limit
from refmg.symbol import largest_eigenvalue, spectrum

EPS = np.finfo(float).eps


@pytest.mark.parametrize("shape", [(7,), (4, 6), (3, 4, 3)])
def test_the_symbol_has_the_eigenvalues_of_the_matrix(shape):
    rng = np.random.default_rng(3)
    K = Convolution(rng.normal(size=(2, 2, *(3,) * len(shape))), shape, backend="numpy")
    ours, theirs = spectrum(K), np.linalg.eigvals(K.matrix().toarray())
    # Nearest neighbours both ways; the eigenvalues of a random block are well conditioned.
    distances = np.abs(ours[:, None] - theirs[None])
    assert distances.min(axis=0).max() <= 1e4 * EPS * np.abs(theirs).max()
    assert distances.min(axis=1).max() <= 1e4 * EPS * np.abs(theirs).max()
    assert abs(largest_eigenvalue(K)) == pytest.approx(np.abs(ours).max(), rel=1e4 * EPS)


def network(layer, integrator, layers, stencil, final_time=1.0, channels=1):
    a = Architecture(
        (8,),
        channels=channels,
        layers=layers,
        final_time=final_time,
        layer=layer,
        integrator=integrator,
        control_nodes=1,
        activation="identity",
        classes=2,
    )
    net = random_network(a, 0, "numpy", "float64")
    taps = np.broadcast_to(np.array(stencil), net.controls.stencils.shape).copy()
    return net.with_controls(replace(net.controls, stencils=taps))


@pytest.mark.parametrize(
    ("layer", "integrator", "channels"),
    [
        ("symmetric", "euler", 1),
        ("symmetric", "rk4", 1),
        ("symmetric", "leapfrog", 1),
        ("hamiltonian", "verlet", 2),
    ],
)
def test_steps_below_the_limit_stay_bounded_and_beyond_it_grow(layer, integrator, channels):
    net = network(layer, integrator, 1, [0.0, -1.0, 1.0], channels=channels)
    report = stability(net, warn=False)
    limit = report.limit(report.layers[0])
    for factor, bounded in ((0.98, True), (1.02, False)):
        N = 200
        moved = network(layer, integrator, N, [0.0, -1.0, 1.0], factor * limit * N, channels)
        x = np.cos(np.pi * np.arange(8))[None, :, None] + 0.1
        Y = moved.propagation.apply(x)
        assert (np.abs(Y).max() < 100) == bounded


def test_a_step_beyond_the_limit_warns_with_the_number():
    net = network("symmetric", "euler", 1, [0.0, -1.0, 1.0])
    with pytest.warns(StabilityWarning, match=r"control 0: the step dt = 1 is beyond euler's limit 0.5"):
        stability(net)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not stability(network("symmetric", "euler", 4, [0.0, -1.0, 1.0])).unstable


def test_a_residual_layer_with_growing_modes_has_no_stable_step():
    report = stability(network("residual", "euler", 4, [0.0, 1.0, 0.0]), warn=False)
    assert report.layers[0].euler == 0
    assert "1 of 1 beyond euler's limit" in str(report)


def test_limits_of_known_spectra():
    assert euler_limit(np.array([-2.0, -10.0])) == pytest.approx(0.2)
    assert euler_limit(np.zeros(3)) == rk4_limit(np.zeros(3)) == np.inf
    assert rk4_limit(np.array([1e-3])) == 0
    assert rk4_limit(np.array([2j])) == pytest.approx(np.sqrt(2), rel=1e-6)
    assert oscillator_limit(np.array([-4.0 + 1.0j]), "leapfrog") == 0


@pytest.mark.parametrize("layer", ["residual", "symmetric", "hamiltonian"])
def test_the_report_checks_its_symbols(layer):
    a = Architecture((4, 5), channels=4, layers=3, layer=layer, classes=2)
    for ours, theirs in symbols_checked(random_network(a, 0, "numpy", "float64")):
        assert ours == pytest.approx(theirs, rel=1e4 * EPS)


def test_without_periodic_boundary_there_is_no_symbol():
    a = Architecture((8,), channels=1, boundary="zero", classes=2)
    with pytest.raises(RefmgError, match="found a convolution with boundary 'zero'"):
        stability(random_network(a, 0, "numpy", "float64"))


def test_a_report_knows_the_limit_of_its_integrator():
    spectra = np.array([-4.0 + 0j]), np.array([-4.0 + 0j])
    layer = LayerStability(0, *spectra, dt=0.6, euler=0.5, rk4=0.7)
    assert StabilityReport([layer], "euler").unstable == [layer]
    assert StabilityReport([layer], "rk4").unstable == []
    assert StabilityReport([layer], "rk4").limit(layer) == 0.7
    assert "1 of 1 beyond euler's limit" in str(StabilityReport([layer], "euler"))
