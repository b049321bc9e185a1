"""The spectrum of the map of stencils

$s_H = T s_h$ is a 9 x 9 matrix for 3 x 3 stencils. In pixel units a p-th derivative shrinks by $2^{-p}$
when the cells double, so the eigenvalues of T ought to be powers of 1/2. For `"linear"` and
`"full-weighting"` they are: 1, twice 1/2, three times 1/4, twice 1/8, once 1/16. `"average"` knows first
derivatives only: its second differences shrink by 1/2 as well, which makes it better conditioned and
less true. `"power-law"` has no powers of 1/2, as it is made for images with detail.

Prolongation is the inverse map: it multiplies the last eigenvector by 16. The number is the condition
number of the 9 x 9 map of `"linear"`.
"""

import numpy as np
from matplotlib.figure import Figure

from refmg import PowerLaw, PredictiveMap, StencilMap, transfer_report

MEASURES = "condition number of the 9 x 9 map of 'linear'"
NAMES = ("linear", "full-weighting", "average")


def compute() -> dict:
    """Return the eigenvalues of each map, largest first."""
    maps = {name: StencilMap(width=3, ndim=2, transfer=name).matrix for name in NAMES}
    maps["power-law"] = PredictiveMap(PowerLaw(2.0), width=3, ndim=2).restriction
    return {
        "eigenvalues": {name: np.sort(np.linalg.eigvals(T).real)[::-1] for name, T in maps.items()},
        "condition": transfer_report("linear").condition_number,
    }


def number(found: dict) -> float:
    """Return the condition number of the paper's map."""
    return float(found["condition"])


def draw(figure: Figure, found: dict) -> None:
    """Draw eigenvalues over powers of 1/2."""
    figure.set_size_inches(7, 4)
    axes = figure.subplots()
    for p in range(5):
        axes.axhline(0.5**p, color="gray", linewidth=0.6)
        axes.text(8.35, 0.5**p, f"$2^{{-{p}}}$", va="center")
    markers = {"linear": "o-", "full-weighting": "x:", "average": "s--", "power-law": "^-."}
    for name, values in found["eigenvalues"].items():
        axes.semilogy(values, markers[name], base=2, label=name, markersize=5)
    axes.set_xlim(-0.3, 8.9)
    axes.set_xlabel("number of the eigenvalue")
    axes.set_ylabel("eigenvalue of T")
    axes.set_yticks([], [])
    axes.legend(loc="lower left")
