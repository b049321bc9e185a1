"""Whether there are images enough for a calibration: equations against unknowns, layer by layer."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


class FewImagesWarning(UserWarning):
    """Images too few to decide a fit: it is the prior, or the ridge, that chooses among many."""


@dataclass(frozen=True)
class FitSize:
    """The least squares problem of one convolution, which is that of each of its outputs (of each group).

    Parameters
    ----------
    layer : str
    equations : int
        Cells of the coarser grid, over all images.
    unknowns : int
        Taps times inputs.
    """

    layer: str
    equations: int
    unknowns: int


def warn_of_few_images(images: int, fits: Sequence[FitSize], classifier: bool, stacklevel: int = 2) -> None:
    """Warn where :func:`few_images` has something to say.

    Parameters
    ----------
    images, fits, classifier
        As there.
    stacklevel : int
        As for :func:`warnings.warn`, seen from the caller.
    """
    said = few_images(images, fits, classifier)
    if said:
        warnings.warn(said, FewImagesWarning, stacklevel=stacklevel + 1)


def few_images(images: int, fits: Sequence[FitSize], classifier: bool) -> str:
    """Say that images are too few for more than half of the convolutions, or for any weight of a classifier.

    Parameters
    ----------
    images : int
    fits : sequence of FitSize
        Of all convolutions that are fitted.
    classifier : bool
        Whether a classifier is fitted as well.

    Returns
    -------
    str
        Empty if there are enough.

    Notes
    -----
    The ridge makes every problem solvable: what the images leave open is the prior's. So a few convolutions
    with more unknowns than equations, such as the last ones of a ResNet on few cells, are no reason to warn.
    The classifier always has fewer images than weights; but its biases are free, and with one image nothing
    is left for the weights. Enough in this sense says only that much depends on the images, and not that
    they are like the others.

    Examples
    --------
    >>> few_images(1, [FitSize("opening", 16, 9), FitSize("control 0", 16, 72)], classifier=False)
    ''
    >>> few_images(1, [FitSize("control 0", 16, 72)], classifier=False)[:60]
    'found 1 image to calibrate by: 1 of 1 convolutions have fewe'
    """
    short = [fit for fit in fits if fit.equations < fit.unknowns]
    reasons = list[str]()
    needed = 1
    if 2 * len(short) > len(fits):
        # Of each the number of images that would do; with the middle one of these, half of them are served.
        enough = sorted(ceil(images * fit.unknowns / fit.equations) for fit in fits)
        needed = enough[(len(fits) - 1) // 2]
        worst = max(short, key=lambda fit: fit.unknowns / fit.equations)
        reasons.append(
            f"{len(short)} of {len(fits)} convolutions have fewer equations than unknowns ({worst.layer}: "
            f"{worst.equations} for {worst.unknowns})"
        )
    if classifier and images < 2:
        needed = max(needed, 2)
        reasons.append("one image fits the classifier's biases and none of its weights")
    if not reasons:
        return ""
    return (
        f"found {images} image{'s' * (images != 1)} to calibrate by: {', and '.join(reasons)}; expected "
        f"{needed} or more, and some hundred to be good: what they leave open stays as the prior has it"
    )
