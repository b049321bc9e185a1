"""Two register-blocked inner loops, written in LLVM's vector types.

Numba's own vectoriser works on the innermost loop only and keeps sums in memory. Here a block of sums
stays in vector registers over all taps and channels: each vector of examples that is loaded meets
several coefficients, each coefficient several vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

INDEX = ir.IntType(64)
_FEATURES = binding.get_host_cpu_features()
WIDE = bool(_FEATURES.get("avx512f"))
REGISTER_BYTES = 64 if WIDE else 32 if _FEATURES.get("avx2") else 16
# Sums in registers: of 32 (AVX-512) or 16, some must stay free for loads and a coefficient.
OUTPUTS, VECTORS = (8, 2) if WIDE else (4, 2)
# Output and input channels whose inner products are: eight or more, as a product with its sum takes some four
# cycles, and two begin in each.
PAIRS, INPUTS, RUN = (4, 4, 4) if WIDE else (4, 2, 4)
# Features times classes whose inner products are summed up together; five divides ten classes.
FEATURES, CLASSES = (4, 5) if WIDE else (2, 5)
# For a function of ours: Numba compiles it once more for each number that is written out in a call.
NONE, ONE = np.int64(0), np.int64(1)


def lanes(itemsize: int) -> int:
    """Return how many numbers of this size a vector register holds."""
    return REGISTER_BYTES // itemsize


class Emitter:
    """What both loops need of LLVM: typed addresses, vector loads, stores and fused products."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.context, self.b, self.signature, self.arguments = context, builder, signature, arguments
        self.real = context.get_value_type(signature.args[0].dtype)
        self.size = context.get_abi_sizeof(self.real)
        self.lanes = lanes(self.size)
        self.vector = ir.VectorType(self.real, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)

    def number(self, k: int) -> Any:
        """Argument k as an index."""
        return self.context.cast(self.b, self.arguments[k], self.signature.args[k], types.intp)

    def address(self, k: int) -> Any:
        """Address of the first entry of the array that is argument k."""
        kind = self.signature.args[k]
        return self.context.make_array(kind)(self.context, self.b, self.arguments[k]).data

    def ahead(self, address: Any, k: int) -> Any:
        """Address k vectors further on, as that of a vector."""
        moved = self.b.gep(address, [INDEX(k * self.lanes)])
        return self.b.bitcast(moved, self.vector.as_pointer())

    def load(self, address: Any, k: int) -> Any:
        """Load vector k from an address that is aligned as a number is."""
        return self.b.load(self.ahead(address, k), align=self.size)

    def store(self, value: Any, address: Any, k: int) -> None:
        """Store vector k."""
        self.b.store(value, self.ahead(address, k), align=self.size)

    def spread(self, scalar: Any) -> Any:
        """Return a vector of copies of a number."""
        none, word = ir.Constant(self.vector, ir.Undefined), ir.IntType(32)
        first = self.b.insert_element(none, scalar, word(0))
        mask = ir.Constant(ir.VectorType(word, self.lanes), [0] * self.lanes)
        return self.b.shuffle_vector(first, none, mask)

    def function(self, name: str, returned: Any, takes: list[Any]) -> Any:
        """Declare an intrinsic of LLVM for this vector type."""
        kind = ir.FunctionType(returned, takes)
        return cgutils.get_or_insert_function(self.b.module, kind, f"{name}.v{self.lanes}f{8 * self.size}")

    def fma(self, a: Any, x: Any, y: Any) -> Any:
        """Return ``a x + y``, rounded once."""
        return self.b.call(self.function("llvm.fma", self.vector, [self.vector] * 3), [a, x, y])

    def pick(self, x: Any, y: Any, lanes: list[int]) -> Any:
        """Return a vector of lanes of `x`, and of `y`, whose lanes are counted on from those of `x`."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
        return self.b.shuffle_vector(x, y, mask)

    def lane_sums(self, values: list[Any]) -> list[Any]:
        """Return vectors whose lanes are the sums of the lanes of each of `values`, in their order.

        Pairs of vectors are folded into one until each lane belongs to another value: half the work of
        adding up the lanes of one vector after the other.
        """
        size, none = self.lanes, ir.Constant(self.vector, ir.Undefined)
        while size > 1:
            values = [*values, none] if len(values) % 2 else values
            firsts = [start + j for start in range(0, 2 * self.lanes, size) for j in range(size // 2)]
            seconds = [lane + size // 2 for lane in firsts]
            values = [
                self.b.fadd(self.pick(x, y, firsts), self.pick(x, y, seconds))
                for x, y in zip(values[::2], values[1::2], strict=True)
            ]
            size //= 2
        return values

    def add_lanes(self, values: list[Any], lanes: range, address: Any) -> None:
        """Add some lanes of vectors, counted through all of them, to the numbers at an address."""
        parts: dict[int, list[int]] = {}
        for lane in lanes:
            parts.setdefault(lane // self.lanes, []).append(lane % self.lanes)
        for k, inside in parts.items():
            added = self.pick(values[k], values[k], inside)
            place = self.b.bitcast(address, added.type.as_pointer())
            whole = self.b.load(place, align=self.size)
            self.b.store(self.b.fadd(whole, added), place, align=self.size)
            address = self.b.gep(address, [INDEX(len(inside))])

    def steps(self, address: Any, stride: Any, count: int) -> list[Any]:
        """Return `count` addresses, `stride` numbers apart."""
        found = [address]
        for _ in range(1, count):
            found.append(self.b.gep(found[-1], [stride]))
        return found

    def block(self, rows: int, columns: int) -> list[list[Any]]:
        """Return a block of sums that a loop carries."""
        return [[self.b.phi(self.vector) for _ in range(columns)] for _ in range(rows)]


def feed(phis: list[list[Any]], values: list[list[Any]], source: Any) -> None:
    """Say what a block of sums is when the loop is entered from `source`."""
    for phi_row, row in zip(phis, values, strict=True):
        for phi, value in zip(phi_row, row, strict=True):
            phi.add_incoming(value, source)


@intrinsic(prefer_literal=True)
def tap_sum(
    typing_context,
    out, at, out_stride, start, use_start, X, x_at, x_stride,
    taps, taps_at, taps_stride, offsets, jumps, count, channels, outputs, vectors, unrolled,
):  # fmt: skip
    """Add to a block of `outputs` channels times `vectors` vectors its taps times channels.

    ``out[at + o*out_stride + v] = start[..] + sum_t sum_c taps[taps_at + jumps[t] + c*taps_stride + o] *
    X[x_at + offsets[t] + c*x_stride + v]``; `start` counts as zero unless `use_start`. `count`, the
    number of `offsets`, must be positive. `outputs`, `vectors` and `unrolled` are literals; `channels` is a
    multiple of `unrolled`: short loops over channels cost a wrong guess of the processor a tap.
    """
    signature = types.void(
        out, at, out_stride, start, use_start, X, x_at, x_stride,
        taps, taps_at, taps_stride, offsets, jumps, count, channels, outputs, vectors, unrolled,
    )  # fmt: skip
    O, V, U = outputs.literal_value, vectors.literal_value, unrolled.literal_value

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        e = Emitter(context, b, signature, arguments)
        rows = e.steps(b.gep(e.address(0), [e.number(1)]), e.number(2), O)
        starts = e.steps(b.gep(e.address(3), [e.number(1)]), e.number(2), O)
        x0, x_stride = b.gep(e.address(5), [e.number(6)]), e.number(7)
        taps0, taps_stride = b.gep(e.address(8), [e.number(9)]), e.number(10)
        offsets, jumps, count, channels = e.address(11), e.address(12), e.number(13), e.number(14)
        before = b.block
        loading, outer, inner, after, done = (
            b.append_basic_block(name) for name in ("loading", "outer", "inner", "after", "done")
        )
        b.cbranch(b.icmp_signed("!=", e.number(4), INDEX(0)), loading, outer)
        b.position_at_end(loading)
        loaded = [[e.load(row, v) for v in range(V)] for row in starts]
        b.branch(outer)

        b.position_at_end(outer)
        t, sums = b.phi(INDEX), e.block(O, V)
        x1, taps1 = (b.gep(p, [b.load(b.gep(q, [t]))]) for p, q in ((x0, offsets), (taps0, jumps)))
        b.branch(inner)

        b.position_at_end(inner)
        c, x, tap, inside = b.phi(INDEX), b.phi(x1.type), b.phi(taps1.type), e.block(O, V)
        new, next_x, next_tap = inside, x, tap
        for _ in range(U):
            vectors_of_x = [e.load(next_x, v) for v in range(V)]
            coefficients = [e.spread(b.load(b.gep(next_tap, [INDEX(o)]))) for o in range(O)]
            new = [
                [e.fma(coefficient, y, s) for y, s in zip(vectors_of_x, row, strict=True)]
                for coefficient, row in zip(coefficients, new, strict=True)
            ]
            next_x, next_tap = b.gep(next_x, [x_stride]), b.gep(next_tap, [taps_stride])
        following = b.add(c, INDEX(U))
        for phi, first, later in ((c, INDEX(0), following), (x, x1, next_x), (tap, taps1, next_tap)):
            phi.add_incoming(first, outer)
            phi.add_incoming(later, inner)
        feed(inside, sums, outer)
        feed(inside, new, inner)
        b.cbranch(b.icmp_signed("<", following, channels), inner, after)

        b.position_at_end(after)
        following = b.add(t, INDEX(1))
        for value, source in ((INDEX(0), before), (INDEX(0), loading), (following, after)):
            t.add_incoming(value, source)
        feed(sums, [[e.zero] * V] * O, before)
        feed(sums, loaded, loading)
        feed(sums, new, after)
        b.cbranch(b.icmp_signed("<", following, count), outer, done)

        b.position_at_end(done)
        for row, values in zip(rows, new, strict=True):
            for v, value in enumerate(values):
                e.store(value, row, v)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def pair_sum(
    typing_context,
    G, at, o_stride, Z, z_at, z_stride, z_cells,
    Y, y_at, y_stride, y_cells, count, outputs, inputs, vectors,
):  # fmt: skip
    """Add to a block of `outputs` times `inputs` numbers the inner products of channels.

    ``G[at + o*o_stride + c] += sum_t sum_v Z[z_at + o*z_stride + z_cells[t] + v] *
    Y[y_at + c*y_stride + y_cells[t] + v]`` over `count` pairs of cells and `vectors` vectors in each.
    `count` must be positive; `outputs`, `inputs` and `vectors` are literals.
    """
    signature = types.void(
        G, at, o_stride, Z, z_at, z_stride, z_cells,
        Y, y_at, y_stride, y_cells, count, outputs, inputs, vectors,
    )  # fmt: skip
    O, T, V = outputs.literal_value, inputs.literal_value, vectors.literal_value

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        e = Emitter(context, b, signature, arguments)
        corner, o_stride = b.gep(e.address(0), [e.number(1)]), e.number(2)
        z0, z_stride, z_cells = b.gep(e.address(3), [e.number(4)]), e.number(5), e.address(6)
        y0, y_stride, y_cells = b.gep(e.address(7), [e.number(8)]), e.number(9), e.address(10)
        count, before = e.number(11), b.block
        loop, done = b.append_basic_block("loop"), b.append_basic_block("done")
        b.branch(loop)

        b.position_at_end(loop)
        t, sums = b.phi(INDEX), e.block(O, T)
        zs = e.steps(b.gep(z0, [b.load(b.gep(z_cells, [t]))]), z_stride, O)
        ys = e.steps(b.gep(y0, [b.load(b.gep(y_cells, [t]))]), y_stride, T)
        new = [list(row) for row in sums]
        for v in range(V):
            right = [e.load(y, v) for y in ys]
            for o, z in enumerate(zs):
                left = e.load(z, v)
                new[o] = [e.fma(left, y, s) for y, s in zip(right, new[o], strict=True)]
        following = b.add(t, INDEX(1))
        t.add_incoming(INDEX(0), before)
        t.add_incoming(following, loop)
        feed(sums, [[e.zero] * T] * O, before)
        feed(sums, new, loop)
        b.cbranch(b.icmp_signed("<", following, count), loop, done)

        b.position_at_end(done)
        sums = e.lane_sums([value for row in new for value in row])
        for o, row in enumerate(e.steps(corner, o_stride, O)):
            e.add_lanes(sums, range(o * T, (o + 1) * T), row)
        return context.get_dummy_value()

    return signature, codegen
