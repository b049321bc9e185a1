"""What is to be reached, what was, and every miss."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import geometric_mean
from typing import Any

Row = dict[str, Any]
DTYPES = ("float32", "float64")
KERNELS = ("convolve", "transpose", "stencil gradient")
# Times of refmg / times of PyTorch: each kernel, their geometric mean, gradient, Gauss-Newton product.
RATIOS = {"float32": (1.0, 0.9, 0.9, 0.7), "float64": (0.4, 0.4, 0.4, 0.3)}
LINEAR, EXPONENT = ("pixels", "layers", "examples"), (0.95, 1.05)
MEMORY, ASSEMBLY, IMPORT = 1.1, 1.0, 0.5


def judged(dtype: str, what: str, found: float, most: float, least: float = 0.0) -> Row:
    """Return a row of the summary: what was found, what is to be reached, and whether it was."""
    aim: Any = [least, most] if least else most
    return {"dtype": dtype, "what": what, "ratio": found, "to reach": aim, "reached": least <= found <= most}


def kernel_rows(result: Row, dtype: str) -> list[Row]:
    """Return one row for each kernel that was timed beside a peer, the slowest first."""
    rows = [
        judged(dtype, f"{r['operation']}, {r['channels']} channels, {r['grid']}^2", ratio, RATIOS[dtype][0])
        for r in result["kernels"]
        if r["dtype"] == dtype and r["operation"] in KERNELS and (ratio := r.get("refmg / torch"))
    ]
    return sorted(rows, key=lambda row: -row["ratio"])


def summary(result: Row) -> list[Row]:
    """Return what was found beside what is to be reached; ratios only where there was a peer."""
    return [row for dtype in DTYPES for row in _ratios(result, dtype)] + list(_surroundings(result))


def _ratios(result: Row, dtype: str) -> Iterator[Row]:
    kernels, (_, mean, gradient, product) = kernel_rows(result, dtype), RATIOS[dtype]
    if kernels:
        missed = sum(not row["reached"] for row in kernels)
        words = f"slowest of {len(kernels)} kernels ({kernels[0]['what']}); {missed} above"
        yield kernels[0] | {"what": words}
        ratios = round(geometric_mean([row["ratio"] for row in kernels]), 3)
        yield judged(dtype, "kernels, geometric mean", ratios, mean)
    for name, bound in (("gradient", gradient), ("Gauss-Newton product", product)):
        for r in result["networks"]:
            known = (r["dtype"], r["operation"], r["layers"]) == (dtype, name, 16)
            if known and "refmg / torch" in r:
                yield judged(dtype, f"{name}, 16 layers, 16 channels", r["refmg / torch"], bound)


def _surroundings(result: Row) -> Iterator[Row]:
    for r in result.get("scaling", []):
        if r["against"] in LINEAR:
            yield judged("float32", f"exponent in {r['against']}", r["exponent"], EXPONENT[1], EXPONENT[0])
    for r in result.get("memory", []):
        words = f"peak / stored memory, {r['layers']} layers, {r['channels']} channels, {r['grid']}^2"
        yield judged(r["dtype"], words, r["peak / stored"], MEMORY)
    for name, words in (("refmg / pyamg", "a new grid"), ("refmg again / pyamg", "the same grid again")):
        if name in (result.get("assembly") or {}):
            yield judged("float64", f"assembly / PyAMG's, {words}", result["assembly"][name], ASSEMBLY)
    if "startup" in result:
        yield judged("-", "import refmg, s", result["startup"]["import refmg, s"], IMPORT)


def misses(result: Row) -> list[Row]:
    """Return a row for everything that was not reached: each kernel by itself, and the rest of the summary.

    Examples
    --------
    >>> timed = {"operation": "convolve", "dtype": "float32", "grid": 14}
    >>> ratios = {8: 1.2, 16: 0.3, 32: 1.1}
    >>> kernels = [timed | {"channels": c, "refmg / torch": r} for c, r in ratios.items()]
    >>> [row["what"] for row in misses({"kernels": kernels, "networks": []})]
    ['convolve, 8 channels, 14^2', 'convolve, 32 channels, 14^2']
    """
    kernels = [row for dtype in DTYPES for row in kernel_rows(result, dtype)]
    others = [row for row in summary(result) if not row["what"].startswith("slowest of")]
    return [row for row in kernels + others if not row["reached"]]


def miss_lines(result: Row) -> list[str]:
    """Return in words how many aims were missed, and a line for each."""
    found = result["misses"]
    lines = [f"{len(found)} missed" if found else "nothing missed"]
    return lines + [
        f"  missed: {row['dtype']} {row['what']}: {row['ratio']:.3f}, to reach {aim(row)}" for row in found
    ]


def aim(row: Row) -> str:
    """Return what is to be reached, in words.

    Examples
    --------
    >>> aim({"to reach": 0.9}), aim({"to reach": [0.95, 1.05]})
    ('0.9', '0.95 to 1.05')
    """
    found = row["to reach"]
    return " to ".join(str(number) for number in found) if isinstance(found, list) else str(found)
