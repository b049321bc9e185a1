"""A third register-blocked loop: rows of features times a small matrix, while the next rows are fetched."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from refmg_backends.numba_kernels.memory import LINE
from refmg_backends.numba_kernels.vectors import INDEX, WIDE, Emitter, feed

# Sums in registers, of 32 (AVX-512) or 16.
SUMS = 16 if WIDE else 8


def _fetch(e: Emitter, address: Any) -> None:
    """Ask for the cache line at an address: for reading, into the second-level cache."""
    word, byte = ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
    name = "llvm.prefetch.p0i8"
    function = e.b.module.globals.get(name) or ir.Function(e.b.module, kind, name)
    e.b.call(function, [e.b.bitcast(address, byte), word(0), word(2), word(1)])


@intrinsic(prefer_literal=True)
def row_sum(
    typing_context, out, at, out_stride, Y, y_at, y_stride, G, g_at, g_stride, count, ahead, rows, vectors
):
    """Add to `rows` rows of `vectors` vectors rows of features times a matrix.

    ``out[at + r*out_stride + v] += sum_l Y[y_at + r*y_stride + l] * G[g_at + l*g_stride + v]`` over `count`
    examples, which must be positive. Meanwhile the lines `ahead` numbers behind these rows of `Y` are
    fetched; that may be memory of no array, as nothing is read there. `rows` and `vectors` are literals.
    """
    signature = types.void(
        out, at, out_stride, Y, y_at, y_stride, G, g_at, g_stride, count, ahead, rows, vectors
    )
    R, V = rows.literal_value, vectors.literal_value

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        e = Emitter(context, b, signature, arguments)
        corners = e.steps(b.gep(e.address(0), [e.number(1)]), e.number(2), R)
        ys = e.steps(b.gep(e.address(3), [e.number(4)]), e.number(5), R)
        g0, g_stride, count = b.gep(e.address(6), [e.number(7)]), e.number(8), e.number(9)
        for y in ys:
            for first in range(0, e.lanes, LINE // e.size):
                _fetch(e, b.gep(y, [b.add(e.number(10), INDEX(first))]))
        start = [[e.load(corner, v) for v in range(V)] for corner in corners]
        before = b.block
        loop, done = b.append_basic_block("loop"), b.append_basic_block("done")
        b.branch(loop)

        b.position_at_end(loop)
        l, g, sums = b.phi(INDEX), b.phi(g0.type), e.block(R, V)
        row_of_g = [e.load(g, v) for v in range(V)]
        new = []
        for y, row in zip(ys, sums, strict=True):
            coefficient = e.spread(b.load(b.gep(y, [l])))
            new.append([e.fma(coefficient, x, s) for x, s in zip(row_of_g, row, strict=True)])
        following = b.add(l, INDEX(1))
        for phi, first, later in ((l, INDEX(0), following), (g, g0, b.gep(g, [g_stride]))):
            phi.add_incoming(first, before)
            phi.add_incoming(later, loop)
        feed(sums, start, before)
        feed(sums, new, loop)
        b.cbranch(b.icmp_signed("<", following, count), loop, done)

        b.position_at_end(done)
        for corner, values in zip(corners, new, strict=True):
            for v, value in enumerate(values):
                e.store(value, corner, v)
        return context.get_dummy_value()

    return signature, codegen
