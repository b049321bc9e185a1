"""Power law against linear, on digits

`"linear"` answers as the fine operator does on *interpolated* images, that is on images without detail.
`"power-law"` takes the best prediction over images with the power spectrum $|f|^{-2}$, which have some.
Which is nearer on real images? Here 100 random 3 x 3 stencils $s_h$ are moved by each map and asked on
500 digits: how much of the energy of $R K_h y$ does $K_H R y$ miss?

No network is trained and no digit was seen by any map. Means over stencils; less is better, and 100 % is
what the answer zero would miss. Unchanged stencils, in pixel units, are derivatives of twice the size.
What is missed by the best map is what nine taps on 14 x 14 cells cannot know.

The number is the mean share that `"power-law"` misses, by that of `"linear"`: below 1, it is better.
"""

import numpy as np
from matplotlib.figure import Figure

from refmg import Convolution, named_map
from refmg.data import load_digits, restrict_images

MEASURES = "energy missed by 'power-law', by that missed by 'linear'"
NAMES = ("unchanged", "linear", "average", "power-law")


def compute() -> dict:
    """Return the share of energy that each map misses, for every stencil."""
    fine = load_digits().features()[..., ::10]
    coarse = restrict_images(fine, sigma=0.0)
    stencils = np.random.default_rng(1).normal(size=(100, 1, 3, 3))  # 100 channels out of one
    wanted = restrict_images(Convolution(stencils, (28, 28), backend="numpy").apply(fine), sigma=0.0)
    shares = {}
    for name in NAMES:
        moved = named_map(name).restrict(stencils)
        missed = Convolution(moved, (14, 14), backend="numpy").apply(coarse) - wanted
        shares[name] = np.sum(missed**2, axis=(1, 2, 3)) / np.sum(wanted**2, axis=(1, 2, 3))
    return shares


def number(found: dict) -> float:
    """Return the mean of the power law by that of the linear map."""
    return float(found["power-law"].mean() / found["linear"].mean())


def draw(figure: Figure, found: dict) -> None:
    """Draw all stencils as points, and their mean."""
    figure.set_size_inches(7, 3.6)
    axes = figure.subplots()
    jitter = np.random.default_rng(2).uniform(-0.25, 0.25, 100)
    for place, shares in enumerate(found.values()):
        axes.semilogy(place + jitter, 100 * shares, ".", alpha=0.6)
        axes.plot([place - 0.35, place + 0.35], [100 * shares.mean()] * 2, color="gray", linewidth=2)
        axes.text(place, 400, f"mean {100 * shares.mean():.1f} %", ha="center")
    axes.set_xticks(range(len(found)), found)
    axes.set_ylim(0.3, 800)
    axes.axhline(100, color="gray", linewidth=0.6)
    axes.set_ylabel(r"energy of $R K_h y$ missed, in %")
