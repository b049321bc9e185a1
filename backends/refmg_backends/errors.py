"""Exceptions shared by the three packages, so that one ``except`` catches every bad input."""

from __future__ import annotations

from typing import Any


class RefmgError(ValueError):
    """Bad input: the message says what was found, what was expected and what to do.

    Every exception that refmg raises on purpose derives from this class, and this class from
    :class:`ValueError`. The command line prints its message in one line and exits with status 2.
    """


class UnknownBackendError(RefmgError):
    """No backend of this name is known."""


class BackendUnavailableError(RefmgError):
    """The backend is known, but its library or its device is missing."""


def check_shape(what: str, found: object, expected: object) -> None:
    """Refuse an array of another shape; compiled kernels would read and write beyond it.

    Raises
    ------
    RefmgError
        If the shapes differ.

    Examples
    --------
    >>> check_shape("bias", (3,), (2,))
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: found bias of shape (3,); expected (2,)
    """
    if tuple(found) != tuple(expected):  # type: ignore[arg-type]
        raise RefmgError(f"found {what} of shape {tuple(found)}; expected {tuple(expected)}")  # type: ignore[arg-type]


def check_operands(X: Any, add_to: Any, into: tuple[int, int], out: tuple[int, int]) -> None:
    """Refuse what a convolution cannot be applied to; libraries would broadcast some of it.

    Parameters
    ----------
    X, add_to : array
        Features ``(*into, m)``, and what is added to, ``(*out, m)``, or nothing.
    into, out : tuple of int
        Channels and cells of both sides.

    Raises
    ------
    RefmgError
        If the shapes differ.
    """
    m = X.shape[-1] if X.shape else 0
    check_shape("features", X.shape, (*into, m))
    if add_to is not None:
        check_shape("add_to", add_to.shape, (*out, m))


def check_pair(Y: Any, Z: Any, cells: int, out_cells: int) -> None:
    """Refuse features ``(C_in, cells, m)`` and ``(C_out, out_cells, m)`` that have no stencil gradient.

    Raises
    ------
    RefmgError
        If the shapes differ.
    """
    m = Y.shape[-1] if Y.shape else 0
    check_shape("features Y", Y.shape, (*Y.shape[:1], cells, m))
    check_shape("features Z", Z.shape, (*Z.shape[:1], out_cells, m))


def check_step(shape: tuple[int, ...], bias: Any, base: Any, slope: Any = None) -> None:
    """Refuse a bias, a base or a slope that do not fit features of this shape.

    Raises
    ------
    RefmgError
        If the shapes differ.
    """
    wanted = {"slope": (slope, shape), "bias": (bias, shape[:1]), "base": (base, shape)}
    for what, (array, expected) in wanted.items():
        if array is not None:
            check_shape(what, array.shape, expected)


def one_of(kind: str, found: object, expected: object) -> str:
    """Return "unknown <kind> ..." with the closest match and the whole list.

    Parameters
    ----------
    kind : str
        What the name stands for, such as ``"transfer"``.
    found : object
        The name that was given.
    expected : iterable of str
        The names that exist.

    Returns
    -------
    str
        One line, ready for an exception.

    Examples
    --------
    >>> one_of("transfer", "liner", ["linear", "average"])
    "unknown transfer 'liner' (did you mean 'linear'?); expected one of: average, linear"
    """
    from difflib import get_close_matches

    names = sorted(str(name) for name in expected)  # type: ignore[attr-defined]
    close = get_close_matches(str(found), names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown {kind} {found!r}{hint}; expected one of: {', '.join(names)}"
