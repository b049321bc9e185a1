"""Processes that fill one cache of compiled code never get that of another function."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="the cache is that of Numba: pip install 'refmg[numba]'")

from numba.core import caching
from numba.core.bytecode import FunctionIdentity

import refmg_backends.numba_kernels as kernels
from refmg_backends.numba_kernels.shared_cache import KeyedCacheFile, share_safely

# Two functions by one name. A process that compiles both, or finds none in the cache, takes no harm.
_TOY = """
from numba import njit
def make(v):
    @njit(cache=True)
    def add(x):
        for i in range(x.size):
            x[i] += v
        return x[0] * v
    return add
one, hundred = make(1.0), make(100.0)
@njit(cache=True)
def both(x):
    return one(x), hundred(x)
"""
_USE = """
import sys, toy, numpy as np
print(getattr(toy, sys.argv[1])(np.zeros(3)))
"""
# The sums of 11 rows of one or two vectors, of whole numbers: as a matrix, in any order of summation.
_PRODUCTS = """
import numpy as np
from numba import njit
from refmg_backends.numba_kernels.readout import products, _products
from refmg_backends.numba_kernels.vectors import VECTORS, lanes
@njit
def wide(z, count, X, x_at, channels, taps, taps_at, stride, zero, each):
    products(z, count, X, x_at, channels, taps, taps_at, stride, zero, each, VECTORS)
@njit
def narrow(z, count, X, x_at, channels, taps, taps_at, stride, zero, each):
    products(z, count, X, x_at, channels, taps, taps_at, stride, zero, each, 1)
def run(vectors, function):
    each = vectors * lanes(8)
    W, X = (np.arange(77.0) % 7).reshape(7, 11), (np.arange(7.0 * each) % 5).reshape(7, each)
    z = np.zeros(11 * each)
    shared = (z, 11, X.reshape(-1), 0, 7, W.reshape(-1), 0, 11)
    if function is _products:
        function(*shared, each, vectors > 1)
    else:
        function(*shared, np.zeros(1, np.int64), each)
    return np.array_equal(z.reshape(11, each), W.T @ X)
"""
# Every process counts from 1, as with Numba alone.
_ALIKE = """
import itertools, refmg_backends.numba_kernels
from numba.core.bytecode import FunctionIdentity
FunctionIdentity._unique_ids = itertools.count(1)
"""
_FORKED = """
import os, refmg_backends.numba_kernels
from numba.core.bytecode import FunctionIdentity
reading, writing = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        os.write(writing, b"%d " % next(FunctionIdentity._unique_ids))
        os._exit(0)
os.wait(), os.wait()
print(os.read(reading, 99).decode(), next(FunctionIdentity._unique_ids))
"""


def printed(code, folder, *arguments):
    """What a process with its own compiler and the cache of `folder` prints."""
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": path}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def found_by_both(folder, before):
    """What a third process finds, where two had one variant compiled each."""
    (folder / "toy.py").write_text(_TOY)
    alone = [printed(before + _USE, folder, name) for name in ("one", "hundred")]
    assert alone == ["1.0", "10000.0"]
    return printed(before + _USE, folder, "both")


def test_variants_that_two_processes_compiled_stay_apart(tmp_path):
    assert found_by_both(tmp_path, "import refmg_backends.numba_kernels\n") == "(1.0, 10100.0)"


def test_by_the_numbers_of_numba_one_would_be_taken_for_the_other(tmp_path):
    if found_by_both(tmp_path, _ALIKE) == "(1.0, 10100.0)":
        pytest.skip("this Numba tells the functions of two processes apart by itself")


def test_our_kernels_stay_apart_even_by_the_numbers_of_numba(tmp_path):
    (tmp_path / "sums.py").write_text(_PRODUCTS)
    use = _ALIKE + "import sums\n"
    assert printed(use + "print(sums.run(sums.VECTORS, sums.wide))", tmp_path) == "True"
    assert printed(use + "print(sums.run(1, sums.narrow))", tmp_path) == "True"
    both = printed(use + "print([sums.run(v, sums._products) for v in (sums.VECTORS, 1)])", tmp_path)
    assert both == "[True, True]"


def test_children_of_a_process_count_apart(tmp_path):
    numbers = printed(_FORKED, tmp_path).split()
    assert len(numbers) == len(set(numbers)) == 3


# --- two processes name their files alike --------------------------------------------------------


def raced(kind, folder):
    """What is found for two keys after two processes saved their code, both as file number 1."""
    first, second = (kind(str(folder), "kernel", "stamp") for _ in range(2))
    first._load_index = dict  # it looked before the other one wrote
    second.save("float64", "code for float64")
    first.save("float32", "code for float32")
    second._save_data(
        "kernel.1.nbc", ("float64", "code for float64") if kind is KeyedCacheFile else "code for float64"
    )
    return [kind(str(folder), "kernel", "stamp").load(key) for key in ("float64", "float32")]


def test_code_of_another_key_is_not_taken(tmp_path):
    assert raced(KeyedCacheFile, tmp_path) == [None, None]
    # Both are compiled and saved once more, and then found.
    for key in ("float64", "float32"):
        KeyedCacheFile(str(tmp_path), "kernel", "stamp").save(key, f"code for {key}")
    again = [KeyedCacheFile(str(tmp_path), "kernel", "stamp").load(key) for key in ("float64", "float32")]
    assert again == ["code for float64", "code for float32"]


def test_the_files_of_numba_would_be_mixed_up(tmp_path):
    if raced(caching.IndexDataCacheFile, tmp_path) != [None, "code for float64"]:
        pytest.skip("this Numba does not mix up the files of two processes")


def test_the_kernels_keep_their_code_in_such_files_and_others_as_numba_does():
    assert isinstance(kernels.convolve.activate._cache._cache_file, KeyedCacheFile)
    assert isinstance(kernels.network.propagate._cache._cache_file, KeyedCacheFile)
    assert caching.IndexDataCacheFile is not KeyedCacheFile


# --- no function is made by another one ----------------------------------------------------------


def made_by_functions(source):
    """Names of compiled functions that others define: their constants are no part of their symbols."""
    outer = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    inner = [node for found in outer for node in ast.walk(found) if node is not found]
    return [
        f.name for f in inner if isinstance(f, ast.FunctionDef) and "njit" in map(_name, f.decorator_list)
    ]


def _name(decorator):
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(called, "id", getattr(called, "attr", None))


def test_no_kernel_is_made_by_a_function():
    for path in Path(kernels.__file__).parent.glob("*.py"):
        assert made_by_functions(path.read_text()) == [], path.name


def test_one_would_be_noticed():
    assert made_by_functions(_TOY) == ["add"]


def test_systems_without_a_fork_are_served_too(monkeypatch):
    monkeypatch.delattr("os.register_at_fork", raising=False)
    before = next(FunctionIdentity._unique_ids)
    share_safely()
    assert next(FunctionIdentity._unique_ids) != before + 1
