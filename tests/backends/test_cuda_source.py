"""The CUDA source: exact arithmetic, registers and shared memory, every activation."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest

from refmg_backends.activation import ACTIVATIONS
from refmg_backends.cuda_kernels import direct, launch, pointwise, tiles
from refmg_backends.cuda_kernels.launch import Variant, source


def test_the_source_asks_for_exact_arithmetic():
    for file in ("convolve.cu", "gradient.cu", "normalize.cu", "pointwise.cu"):
        text = source(file)
        assert not re.search(r"\b(__\w+f|atomic\w*|tanh\.approx|use_fast_math)\b", text.replace("fmaf", ""))
        options = Variant(file, "float32", 4).options
        assert not any("fast" in option or "ftz" in option for option in options)


def variants():
    for dtype, vectors in (("float32", (4, 1)), ("float64", (2, 1))):
        itemsize = np.dtype(dtype).itemsize
        for vector in vectors:
            yield Variant("pointwise.cu", dtype, vector, activation=1)
            yield Variant("normalize.cu", dtype, vector)
            for channels in (8, 16, 32, 64):
                for activation in (0, 1):
                    tile = tiles.convolution_tile(channels, itemsize, vector)
                    yield Variant("convolve.cu", dtype, vector, tile, activation)
                yield Variant("gradient.cu", dtype, vector, tiles.gradient_tile(channels))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="compiles for sm_90: needs nvcc")
@pytest.mark.parametrize(
    "variant", list(variants()), ids=lambda v: f"{v.file}-{v.dtype}-{v.vector}-{v.tile.rows}-{v.activation}"
)
def test_it_compiles_for_a_gpu_without_spills(tmp_path, variant):
    unit = tmp_path / "kernel.cu"
    unit.write_text(source(variant.file))
    command = [
        "nvcc",
        "-arch=sm_90",
        "-cubin",
        "-Xptxas",
        "-v",
        *variant.options,
        unit,
        "-o",
        tmp_path / "k.cubin",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "warning" not in found.stderr
    frames = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores", found.stderr)
    assert frames
    assert set(frames) == {("0", "0")}


def test_shared_memory_stays_below_what_needs_no_permission():
    for v in variants():
        itemsize = np.dtype(v.dtype).itemsize
        assert tiles.convolution_memory(v.tile, itemsize) <= 48 * 1024
        assert tiles.gradient_memory(tiles.gradient_tile(64), itemsize) <= 48 * 1024


def test_every_activation_of_the_backends_has_a_number_in_the_source():
    text = source("convolve.cu")
    names = re.search(r"enum \{ (.*) \}", text).group(1).lower().replace("_", "-").split(", ")
    assert names == ["none", *launch.ACTIVATION_CODES]
    assert set(launch.ACTIVATION_CODES) == set(ACTIVATIONS)
    found = {int(re.search(r"THREADS = (\d+)", source(f))[1]) for f in ("pointwise.cu", "normalize.cu")}
    assert found == {direct.THREADS} == {pointwise.THREADS}
