"""Adjoint test and Taylor test

Training is optimal control: the gradient of the loss is found by the adjoint of the discrete time steps
(equation 6). Two tests say whether a gradient is one. The **adjoint test**: $\\langle w, J v \\rangle =
\\langle J^T w, v \\rangle$ to rounding. The **Taylor test**: $|f(x + t v) - f(x)|$ falls like $t$, and
$|f(x + t v) - f(x) - t \\nabla f^T v|$ like $t^2$. A gradient that is wrong by one part in a hundred
looks right at large steps and gives itself away at small ones.

The network has four Hamiltonian layers integrated by Verlet. The number is the observed order of the
remainder.
"""

import numpy as np
from matplotlib.figure import Figure

from refmg import Architecture, Batches, NetworkObjective, Regularization, jacobian, random_network
from refmg.checks import dot_test_operator, taylor_test

MEASURES = "observed order of the Taylor remainder with the gradient"
STEPS = 8


def compute() -> dict:
    """Test the gradient of a network, and one that is wrong by a hundredth."""
    rng = np.random.default_rng(5)
    a = Architecture((8, 8), channels=4, layers=4, classes=3, layer="hamiltonian", integrator="verlet")
    network = random_network(a, 0, "numpy", "float64")
    x, labels = rng.normal(size=(1, 8, 8, 12)), np.arange(12) % 3
    adjoint = dot_test_operator(jacobian(network, x), rng, trials=1)
    assert adjoint.passed, adjoint

    batches = Batches(x, labels, 3, 12, network.backend, "float64")
    objective = NetworkObjective(network, batches, Regularization())
    point = rng.normal(size=objective.vector(network).size) / 10
    gradient = objective.gradient(point)
    right = taylor_test(objective.value, point, np.random.default_rng(6), gradient, steps=STEPS)
    wrong = taylor_test(objective.value, point, np.random.default_rng(6), 1.01 * gradient, steps=STEPS)
    assert right.passed
    assert not wrong.passed
    return {"right": right, "wrong": wrong}


def number(found: dict) -> float:
    """Return the order of the second remainder; 2 for a gradient."""
    return float(found["right"].orders[1])


def draw(figure: Figure, found: dict) -> None:
    """Draw the remainders over the step."""
    figure.set_size_inches(7, 4)
    axes = figure.subplots()
    right, wrong = found["right"], found["wrong"]
    lines = {
        "value: order 1": right.remainders[0],
        "value and gradient: order 2": right.remainders[1],
        "gradient wrong by 1 %: order 1 in the end": wrong.remainders[1],
    }
    for (label, remainder), style in zip(lines.items(), ("o-", "s-", "^--"), strict=True):
        axes.loglog(right.steps, remainder, style, markersize=4, label=label)
    axes.set_xlabel("step t")
    axes.set_ylabel("remainder")
    axes.legend()
