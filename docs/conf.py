"""Sphinx configuration."""

from importlib.util import find_spec

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
