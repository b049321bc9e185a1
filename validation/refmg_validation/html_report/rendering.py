"""Templates filled in, everything escaped."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment() -> Environment:
    loader = PackageLoader("refmg_validation.html_report")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def rendered(template: str, **content: Any) -> str:
    """Return a page.

    Parameters
    ----------
    template : str
        A file in ``templates``.
    **content
        What it shows. Texts are escaped: no name can become markup.
    """
    return _environment().get_template(template).render(**content)
