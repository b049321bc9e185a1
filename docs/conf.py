"""Sphinx configuration."""

import sys
from importlib.util import find_spec
from pathlib import Path

from refmg import __version__

project = "refmg"
author = project_copyright = "the refmg authors"
release = version = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc", "myst_parser"]
myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
autosummary_generate = True
# The pages of refmg.torch are the same whether PyTorch is installed or not.
autodoc_mock_imports = [] if find_spec("torch") else ["torch"]
numpydoc_show_class_members = False
html_theme = "furo"
html_title = f"refmg {version}"
html_static_path = ["_static"]
# Formulas need no network where the package of MathJax is installed (extra docs), else a server.
found = find_spec("mathjax")
script = Path(found.origin or "").parent / "static" / "mathjax" / "es5" / "tex-svg.js" if found else None
if script is not None and script.is_file():
    html_static_path.append(str(script))
    mathjax_path = script.name
html_css_files = ["refmg.css"]
exclude_patterns = ["_build"]


def setup(app: object) -> None:
    """Write what is made from code, so that the two cannot differ: conformance cases and gallery."""
    sys.path.insert(0, str(Path(__file__).parent))
    import gallery_pages

    from refmg_validation.conformance.page import cases_page

    def write(_: object) -> None:
        (Path(__file__).parent / "conformance-cases.md").write_text(cases_page())
        gallery_pages.write()

    app.connect("builder-inited", write)  # type: ignore[attr-defined]
