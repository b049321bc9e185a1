"""The complex step: a derivative without cancellation, to compare with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends import RefmgError

Vector = NDArray[Any]


@dataclass(frozen=True)
class ComplexStepTest:
    """What :func:`complex_step_test` found: the relative difference, and what rounding explains."""

    error: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether rounding explains the difference."""
        return bool(self.error <= self.bound)

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED: this is not the derivative"
        return f"complex step: relative difference {self.error:.1e}, bound {self.bound:.1e}: {verdict}"


def complex_step_test(
    value: Callable[[Vector], Any],
    x: Vector,
    rng: np.random.Generator,
    gradient: Callable[[Vector], Any] | Vector,
    bound: float | None = None,
) -> ComplexStepTest:
    r"""Compare a derivative with :math:`\mathrm{Im} f(x + i \epsilon v)/\epsilon`, ``epsilon = 1e-30``.

    Parameters
    ----------
    value : callable
        An analytic function, from a complex vector to a number or to an array: no absolute values,
        maxima or complex conjugates on the way.
    x : ndarray, shape (n,)
        Where, in double precision.
    rng : numpy.random.Generator
        Draws the direction v.
    gradient : callable or ndarray
        From a direction v to the derivative along v, or the gradient of a number.
    bound : float, optional
        On the relative difference; ``64 sqrt(n) eps`` by default, as no digit cancels.

    Returns
    -------
    ComplexStepTest

    Raises
    ------
    RefmgError
        If the function returns real numbers for complex arguments.

    Notes
    -----
    Squire and Trapp, SIAM Review 40 (1998). The truncation error ``epsilon^2`` is far below rounding.

    Examples
    --------
    >>> x = np.array([0.5, 2.0])
    >>> rng = np.random.default_rng(4)
    >>> complex_step_test(lambda x: np.sum(np.tanh(x)), x, rng, 1 - np.tanh(x) ** 2).passed
    True
    """
    v = rng.normal(size=x.shape)
    step = 1e-30
    moved = np.asarray(value(x + 1j * step * v))
    if not np.iscomplexobj(moved):
        raise RefmgError(
            "found real values for complex arguments; expected an analytic function: without the "
            "imaginary part there is no complex step, use taylor_test"
        )
    right = np.ravel(moved.imag / step)
    ours = np.ravel(np.asarray(gradient(v) if callable(gradient) else np.vdot(gradient, v)))
    scale = float(np.linalg.norm(right)) or 1.0
    if not callable(gradient):
        # <g, v> may cancel: it is known to eps |g| |v|.
        scale = max(scale, float(np.linalg.norm(gradient) * np.linalg.norm(v)))
    error = float(np.linalg.norm(ours - right)) / scale
    default = 64 * float(np.sqrt(x.size) * np.finfo(float).eps)
    return ComplexStepTest(error, default if bound is None else bound)
