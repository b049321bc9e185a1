"""Transforms of tiles by small matrices of 0, 1 and -1, written in LLVM's vector types.

Numba's vectoriser gives up on sixteen arrays at a time.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from refmg_backends.numba_kernels.vectors import INDEX, Emitter

INPUT, OUTPUT, OUTPUT_ADJOINT = range(3)
_BT = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_AT = ((1, 1, 1, 0), (0, 1, -1, -1))
# What each kind multiplies tiles by, from the left, and its transpose from the right.
MATRICES = {INPUT: _BT, OUTPUT: _AT, OUTPUT_ADJOINT: tuple(zip(*_AT, strict=True))}


def _signed_sum(e: Emitter, weights: tuple[int, ...], values: list[Any]) -> Any:
    total = None
    # Additions first, so that nothing is negated.
    for weight, value in sorted(zip(weights, values, strict=True), key=lambda pair: -pair[0]):
        if weight == 1:
            total = value if total is None else e.b.fadd(total, value)
        elif weight == -1:
            total = e.b.fsub(e.zero if total is None else total, value)
    return total


def _both_sides(e: Emitter, T: tuple[tuple[int, ...], ...], tile: list[list[Any]]) -> list[list[Any]]:
    """Return ``T tile T^T``."""
    left = [[_signed_sum(e, row, list(column)) for column in zip(*tile, strict=True)] for row in T]
    return [[_signed_sum(e, row, line) for row in T] for line in left]


@intrinsic(prefer_literal=True)
def transform_tile(typing_context, source, reads, zeros, target, writes, spare, vectors, kind):
    """Write ``T x T^T`` for a tile x of vectors of examples.

    Entry j of the tile begins at ``source[reads[j]]``, and is zero where ``reads[j]`` is negative;
    entry k of the result goes to ``target[writes[k]]``, or nowhere where that is negative. `zeros` and
    `spare` hold `vectors` vectors; `kind` is a literal.
    """
    signature = types.void(source, reads, zeros, target, writes, spare, vectors, kind)
    T = MATRICES[kind.literal_value]

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        e = Emitter(context, b, signature, arguments)

        def place(array: int, table: int, instead: int, k: int) -> Any:
            at = b.load(b.gep(e.address(table), [INDEX(k)]))
            inside = b.icmp_signed(">=", at, INDEX(0))
            return b.select(inside, b.gep(e.address(array), [at]), e.address(instead))

        p, q = len(T[0]), len(T)
        sources = [[place(0, 1, 2, i * p + j) for j in range(p)] for i in range(p)]
        targets = [[place(3, 4, 5, i * q + j) for j in range(q)] for i in range(q)]
        count, before = e.number(6), b.block
        loop, done = b.append_basic_block("tile"), b.append_basic_block("done")
        b.branch(loop)

        b.position_at_end(loop)
        v = b.phi(INDEX)
        ahead = b.mul(v, INDEX(e.lanes))
        tile = [[e.load(b.gep(at, [ahead]), 0) for at in row] for row in sources]
        for row, values in zip(targets, _both_sides(e, T, tile), strict=True):
            for at, value in zip(row, values, strict=True):
                e.store(value, b.gep(at, [ahead]), 0)
        following = b.add(v, INDEX(1))
        v.add_incoming(INDEX(0), before)
        v.add_incoming(following, loop)
        b.cbranch(b.icmp_signed("<", following, count), loop, done)
        b.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen
