"""Example 1: a stencil on the coarse grid

The paper's Example 1 and Figure 1: a digit on 28 x 28 cells, filtered by the stencil $s_h$, and the same
digit on 14 x 14 cells, filtered by the stencil of $K_H = R K_h P$ (equation 9). With `"linear"`,
averaging for R and cell-centred interpolation for P, the coarse stencil is the printed one up to its two
decimals. The fine stencil, left as it is, makes another image of the coarse digit (right).

The number is the largest difference between our coarse stencil and the printed one. Before it is
returned, the explicit product of the sparse matrices is compared with the convolution by the small
coarse stencil.
"""

import numpy as np
from matplotlib.figure import Figure

from refmg import convolution_matrix, prolongation_matrix, restrict_stencil, restriction_matrix
from refmg.data import load_digits

MEASURES = "largest difference from the printed coarse stencil"
S_FINE = [[-0.89, -2.03, 4.30], [-2.07, 0.00, -2.07], [4.39, -2.03, 1.28]]
S_COARSE_PRINTED = [[-0.48, -0.17, 0.82], [-0.15, -0.80, 0.37], [0.84, 0.40, 0.07]]
FINE, COARSE = (28, 28), (14, 14)


def compute() -> dict:
    """Filter a seven on both grids."""
    s_coarse = restrict_stencil(S_FINE, "linear")
    R, P = restriction_matrix(FINE), prolongation_matrix(FINE)
    K_h = convolution_matrix(S_FINE, FINE)
    K_H = R @ K_h @ P
    np.testing.assert_allclose(K_H.toarray(), convolution_matrix(s_coarse, COARSE).toarray(), atol=1e-14)

    fine = load_digits().features()[0, ..., 3502].ravel()
    coarse = R @ fine
    return {
        "s_coarse": s_coarse,
        "panels": {
            "$y_h$": fine.reshape(FINE),
            r"$K_h\,y_h$": (K_h @ fine).reshape(FINE),
            r"$y_H = R\,y_h$": coarse.reshape(COARSE),
            r"$K_H\,y_H$": (K_H @ coarse).reshape(COARSE),
            "fine stencil on $y_H$": (convolution_matrix(S_FINE, COARSE) @ coarse).reshape(COARSE),
        },
    }


def number(found: dict) -> float:
    """Return the largest difference from the printed stencil."""
    return float(abs(found["s_coarse"] - S_COARSE_PRINTED).max())


def draw(figure: Figure, found: dict) -> None:
    """Draw images in grey, and filtered ones on one scale."""
    figure.set_size_inches(10, 2.6)
    limit = max(abs(panel).max() for title, panel in found["panels"].items() if "K" in title)
    axes = figure.subplots(1, len(found["panels"]))
    for one, (title, panel) in zip(axes, found["panels"].items(), strict=True):
        image = "K" not in title and "stencil" not in title
        low, high = (0, 1) if image else (-limit, limit)
        one.imshow(panel, cmap="gray" if image else "RdBu_r", vmin=low, vmax=high)
        one.set_title(title)
        one.set_axis_off()
