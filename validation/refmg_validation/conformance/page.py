"""The page of all cases, made from the cases themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refmg_backends import RefmgError, one_of
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.catalogue import GROUPS, cases
from refmg_validation.conformance.functions import CHOICES, FUNCTIONS

TITLES = {
    "convolution": "Convolutions",
    "transfer": "Restriction, prolongation, Galerkin operator",
    "stencil-maps": "Stencils between resolutions",
    "image-maps": "Stencil maps that know images",
    "layers": "Layers",
    "integrators": "Time stepping",
    "classifier": "Classifier and losses",
    "regularization": "Regularisers",
    "optimization": "Gradients, Gauss-Newton, block coordinate descent",
    "levels": "Time prolongation and switches of level",
    "blocks": "The basic block of a residual network",
}


def cases_page() -> str:
    """Return the page in Markdown: the functions, then the cases of each group.

    Examples
    --------
    >>> cases_page().splitlines()[0]
    '# Conformance cases'
    """
    return "\n".join(_lines()) + "\n"


def function_lines(names: Sequence[str] = ()) -> list[str]:
    r"""Return the functions that an implementation may have as plain lines.

    Parameters
    ----------
    names : sequence of str
        Of the functions; all if there are none.

    Raises
    ------
    RefmgError
        For an unknown name.

    Examples
    --------
    >>> print("\n".join(function_lines(["restrict_features"])))
    restrict_features(features, transfer, factor, boundary) -> features
        `R y`, on every channel.
    transfer: 'average', 'full-weighting', 'linear'
    boundary: 'periodic', 'reflect', 'zero'
    factor: a number, or an array of one an axis
    """
    lines: list[str] = []
    for name in names or FUNCTIONS:
        if name not in FUNCTIONS:
            raise RefmgError(one_of("function", name, FUNCTIONS))
        about = FUNCTIONS[name]
        lines.append(f"{name}({', '.join(about.arguments)}) -> {', '.join(about.returns)}")
        lines.append(f"    {about.meaning}")
    taken = {argument for name in names or FUNCTIONS for argument in FUNCTIONS[name].arguments}
    return lines + [f"{argument}: {values}" for argument, values in _choices().items() if argument in taken]


def _choices() -> dict[str, str]:
    return {k: v if isinstance(v, str) else ", ".join(map(repr, v)) for k, v in CHOICES.items()}


def _lines() -> Iterator[str]:
    found, core = cases(), cases("core")
    yield "# Conformance cases"
    yield ""
    yield (
        f"{len(found)} cases, {len(core)} of them of the level `core`. [Test your own implementation]"
        "(conformance.md) tells how to use them. This page is made from their code."
    )
    yield from _functions()
    for group in GROUPS:
        yield from ["", f"## {TITLES[group]}"]
        for case in found:
            if case.group == group:
                yield from _case(case)


def _functions() -> Iterator[str]:
    yield from ["", "## Functions", ""]
    yield (
        "An adapter has plain functions of these names, called with keyword arguments; one that returns "
        "several arrays returns them as a tuple in this order, or as a dictionary."
    )
    yield from ["", *(f"- `{argument}`: {values}" for argument, values in _choices().items())]
    for name, about in FUNCTIONS.items():
        yield from ["", f"**`{name}({', '.join(about.arguments)})`** returns `{', '.join(about.returns)}`."]
        yield from [about.meaning]


def _case(case: Case) -> Iterator[str]:
    yield from ["", f"### {case.name}", ""]
    yield case.paragraph
    yield ""
    arrays = ", ".join(f"`{name}` {value.shape}" for name, value in case.expected.items())
    tolerance = "exact" if case.exact else f"{case.tolerance['float64']:.1e}, {case.tolerance['float32']:.1e}"
    yield f"`{case.function}`, level `{case.level}`, gives {arrays}. Tolerance {tolerance}: {case.reason}"
