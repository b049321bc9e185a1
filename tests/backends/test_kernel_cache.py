"""Compiled kernels are kept by their sources: after a change of any of them new code runs."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="the cache is that of Numba: pip install 'refmg[numba]'")

KERNELS = Path(import_module("refmg_backends").__file__).parent / "numba_kernels"
# A compiled function of one file around instructions of another: 3 by relu.
_USE = """
import numpy as np
import refmg_backends.numba_kernels.convolve as c
import refmg_backends.numba_kernels.codes as codes
import numba.core.config as config
x = np.full(16, 3.0)
c.activate(x, x, x, 0, 1, 0.0, codes.constants("float64"), 1.0, False, False, codes.RELU)
print(c.__file__, x[0], config.CACHE_DIR or "-", sum(c.activate.stats.cache_hits.values()))
"""
GIVEN = "return value, b.select(b.fcmp_ordered"


@pytest.fixture
def copy(tmp_path):
    """The backends' package somewhere else, with nothing compiled."""
    leave = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(KERNELS.parent, tmp_path / "site" / "refmg_backends", ignore=leave)


def run(copy, cache):
    """Value of the kernel, and whether it came from the cache."""
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | cache
    command, path = [sys.executable, "-c", _USE], {"PYTHONPATH": str(copy.parent)}
    done = subprocess.run(command, env=environment | path, capture_output=True, text=True, check=True)
    file, value, folder, hits = done.stdout.split()
    assert Path(file).is_relative_to(copy)
    # What others compile in this process is kept where they asked for.
    assert folder == cache.get("NUMBA_CACHE_DIR", "-")
    return float(value), int(hits)


@pytest.mark.parametrize("chosen", [True, False])
def test_an_edited_file_reaches_the_compiled_code_of_another(copy, tmp_path, chosen):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")} if chosen else {}
    folder = tmp_path / "cache" if chosen else copy / "numba_kernels" / "__pycache__"
    assert [run(copy, cache) for _ in range(2)] == [(3, 0), (3, 1)]
    source = copy / "numba_kernels" / "activate.py"
    assert GIVEN in source.read_text()
    source.write_text(source.read_text().replace(GIVEN, GIVEN.replace("value", "b.fadd(value, value)")))
    assert [run(copy, cache) for _ in range(2)] == [(6, 0), (6, 1)]
    assert len(list(folder.glob("refmg-*"))) == 2
    # Sources as they were find the code that was compiled from them.
    source.write_text((KERNELS / "activate.py").read_text())
    assert run(copy, cache) == (3, 1)


def test_without_the_key_the_old_code_would_run(copy, tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    keyed = copy / "numba_kernels" / "cache.py"
    keyed.write_text(keyed.read_text().replace("digest.update(", "len("))
    assert run(copy, cache) == (3, 0)
    source = copy / "numba_kernels" / "activate.py"
    source.write_text(source.read_text().replace(GIVEN, GIVEN.replace("value", "b.fadd(value, value)")))
    assert run(copy, cache) == (3, 1)


def test_a_folder_that_cannot_be_written_is_passed_over(tmp_path, monkeypatch):
    cache = import_module("refmg_backends.numba_kernels.cache")
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__pycache__").write_text("a file where the folder should be")
    for name in cache.CONSTANTS:
        (tmp_path / name).write_text("")
    monkeypatch.setattr(cache, "HERE", tmp_path / "kernels")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert Path(cache.cache_folder("")).is_relative_to(tmp_path / "home")
    (tmp_path / "nowhere").write_text("")
    assert cache.cache_folder(str(tmp_path / "nowhere")) == str(tmp_path / "nowhere")


# --- nothing is left out --------------------------------------------------------------------------


def outside_imports(source):
    """Files of the package around the kernels that a kernel's source imports from."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    parts = [(node.module or "").split(".") for node in found]
    names = {part[1] for part in parts if part[0] == "refmg_backends" and len(part) == 2}
    return {f"{name}.py" for name in names - {KERNELS.name}}


def test_every_file_that_may_be_compiled_in_is_part_of_the_key():
    cache = import_module("refmg_backends.numba_kernels.cache")
    # Functions that compiled code does not call.
    harmless = {"byte_cache.py", "processors.py"}
    for path in KERNELS.glob("*.py"):
        assert outside_imports(path.read_text()) <= {*cache.CONSTANTS, *harmless}, path.name


def test_a_new_import_would_be_noticed():
    assert outside_imports("from refmg_backends.errors import one_of") == {"errors.py"}
    assert outside_imports("from refmg_backends.numba_kernels.codes import TANH\nimport numpy") == set()


def test_all_kernels_are_imported_where_the_key_holds():
    imported = (KERNELS / "__init__.py").read_text()
    for path in KERNELS.glob("*.py"):
        assert path.stem in ("__init__", "cache", "shared_cache") or f"        {path.stem},\n" in imported
