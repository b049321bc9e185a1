"""A stencil through three levels

A stencil on 56 x 56 cells, moved to 28 x 28, 14 x 14 and 7 x 7 by `"linear"` and back again. The
Laplacian is a second derivative: in pixel units each level quarters it, exactly, and prolongation takes
it back. The stencil of Example 1 is mostly rough: what it has of fourth derivatives is divided by 16 a
level, and the way back multiplies by as much, together with whatever was added on the coarse grid. That
is why a coarse network cannot simply be prolonged over many levels.

The dashed lines are the way back after 1 % of noise was added on 7 x 7 cells; without noise it is exact.
The number is the factor by which the noise has grown on 56 x 56 cells.
"""

import numpy as np
from matplotlib.figure import Figure

from refmg import StencilMap

MEASURES = "growth of noise over three prolongations"
LAPLACIAN = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
EXAMPLE_1 = np.array([[-0.89, -2.03, 4.30], [-2.07, 0.00, -2.07], [4.39, -2.03, 1.28]])
GRIDS = (56, 28, 14, 7)


def compute() -> dict:
    """Return stencils on every grid, on the way down and back up."""
    map_of_stencils = StencilMap(width=3, ndim=2, transfer="linear")
    ways = {}
    for name, s in (("Laplacian", LAPLACIAN), ("Example 1", EXAMPLE_1)):
        down = [s]
        for _ in GRIDS[1:]:
            down.append(map_of_stencils.restrict(down[-1]))
        noise = np.random.default_rng(3).normal(size=(3, 3))
        noise *= 0.01 * np.linalg.norm(down[-1]) / np.linalg.norm(noise)
        up, clean = [down[-1] + noise], down[-1]
        for _ in GRIDS[1:]:
            up.append(map_of_stencils.prolong(up[-1]))
            clean = map_of_stencils.prolong(clean)
        np.testing.assert_allclose(clean, s, atol=1e-10)  # a round trip without noise is exact
        growth = np.linalg.norm(up[-1] - s) / np.linalg.norm(noise)
        ways[name] = {"down": down, "up": up[::-1], "growth": float(growth)}
    return ways


def number(found: dict) -> float:
    """Return how much larger the noise is after three prolongations."""
    return found["Laplacian"]["growth"]


def draw(figure: Figure, found: dict) -> None:
    """Draw norms over grids, and the stencils of Example 1."""
    figure.set_size_inches(9, 3.6)
    left, *panels = figure.subplots(1, 5, width_ratios=[3, 1, 1, 1, 1])
    for color, (name, way) in zip(("C0", "C1"), found.items(), strict=True):
        for direction, style in (("down", "o-"), ("up", "s--")):
            norms = [np.linalg.norm(s) for s in way[direction]]
            left.semilogy(norms, style, color=color, label=f"{name}, {direction}")
    left.set_xticks(range(4), [f"{n} x {n}" for n in GRIDS])
    left.set_ylabel("norm of the stencil")
    left.legend(fontsize="small")
    for axes, n, s in zip(panels, GRIDS, found["Example 1"]["down"], strict=True):
        axes.imshow(s, cmap="RdBu_r", vmin=-abs(s).max(), vmax=abs(s).max())
        axes.set_title(f"{n} x {n}\n$\\|s\\|$ = {np.linalg.norm(s):.2g}", fontsize="small")
        axes.set_axis_off()
