"""Sphinx configuration."""

from importlib.util import find_spec
from pathlib import Path

from refmg import __version__

project = "refmg"
author = "the refmg authors"
release = version = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc", "myst_parser"]
myst_enable_extensions = ["dollarmath"]
autosummary_generate = True
# The pages of refmg.torch are the same whether PyTorch is installed or not.
autodoc_mock_imports = [] if find_spec("torch") else ["torch"]
numpydoc_show_class_members = False
html_theme = "furo"
exclude_patterns = ["_build"]


def setup(app: object) -> None:
    """Write the page of the conformance cases from their code, so that the two cannot differ."""
    from refmg_validation.conformance.page import cases_page

    def write(_: object) -> None:
        (Path(__file__).parent / "conformance-cases.md").write_text(cases_page())

    app.connect("builder-inited", write)  # type: ignore[attr-defined]
