"""Cases of stencil maps that know what images look like."""

from __future__ import annotations

from collections.abc import Iterator

from refmg_validation.conformance.build import Draw, Rounding, make
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.reference import image_maps, transfers


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    yield from _power_laws()
    yield from _spectra()
    yield from _calibrations()


def _normal(condition: float, n: int) -> Rounding:
    reason = f"8 n eps cond: normal equations of {n} unknowns with condition number {condition:g}."
    return Rounding(8.0 * n * condition, reason)


def _power_laws() -> Iterator[Case]:
    for exponent, width in ((2.0, (3,)), (1.0, (3,)), (2.0, (3, 3)), (1.5, (3, 3))):
        for down in (True, False):
            way = "restrict" if down else "prolong"
            name = f"power-law-{way}-{len(width)}d-{exponent:g}".replace(".", "-")
            s = Draw(name).whole((2, 1, *width))
            matrix, condition = image_maps.power_law_map(width, exponent, 2, down)
            text = f"""Best linear prediction over images with power `|f|^-{exponent:g}`, width {width},
                from {"fine to coarse" if down else "coarse to fine"}. The sum of the taps is kept
                exactly, as constants have infinite power. The two directions are not inverses."""
            level = "core" if exponent == 2 else "full"
            inputs = {"stencil": s, "exponent": exponent, "factor": 2}
            yield make(
                name, level, f"power_law_{way}", text, inputs, transfers.on_taps(matrix, s),
                _normal(condition, len(matrix)),
            )  # fmt: skip


def _spectra() -> Iterator[Case]:
    for shape, width in (((16,), (3,)), ((8, 8), (3, 3))):
        for down in (True, False):
            way = "restrict" if down else "prolong"
            name = f"spectrum-{way}-{len(width)}d"
            draw = Draw(name)
            s, images = draw.whole((1, 2, *width)), draw.dyadic((1, *shape, 3))
            matrix, condition = image_maps.spectrum_map(images, width, 2, down)
            text = f"""Best linear prediction over three given images of {shape} cells and all their
                periodic shifts, {"fine to coarse" if down else "coarse to fine"}. The mean of the images
                is not removed."""
            inputs = {"stencil": s, "images": images, "factor": 2}
            yield make(
                name, "full", f"spectrum_{way}", text, inputs, transfers.on_taps(matrix, s),
                _normal(condition, len(matrix)),
            )  # fmt: skip


def _calibrations() -> Iterator[Case]:
    for name, level, ridge, boundary in (
        ("calibrated-1d", "full", 0.0, "periodic"),
        ("calibrated-2d", "full", 0.125, "zero"),
    ):
        draw, d = Draw(name), 1 if name.endswith("1d") else 2
        shape = (16,) * d if d == 1 else (8, 6)
        s, fine = draw.dyadic((2, 2, *(3,) * d)), draw.dyadic((2, *shape, 6))
        coarse = transfers.restrict(fine, "linear", 2)
        expected, condition = image_maps.calibrated(s, fine, coarse, ridge, boundary)
        text = f"""The stencil whose responses on the coarse grid are nearest to those of the fine one,
            restricted; ridge {ridge:g} towards the fine stencil, boundary `{boundary}`."""
        inputs = {
            "stencil": s, "fine_features": fine, "coarse_features": coarse, "ridge": ridge,
            "boundary": boundary,
        }  # fmt: skip
        yield make(name, level, "calibrated_stencil", text, inputs, expected, _normal(condition, 2 * 3**d))
