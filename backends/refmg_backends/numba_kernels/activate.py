r"""The end of a residual step on the vectors of one channel: bias, activation, slope, residual.

Numba's vectoriser gives up on these loops, so they are written in LLVM's vector types.

``tanh`` is Lambert's continued fraction at ``x/4`` (float32) or ``x/32``, as a quotient of polynomials, then
doubled twice or five times by :math:`\tanh 2u = 2 p q / (p^2 + q^2)` for :math:`\tanh u = p / q`: no branch,
one division. Doubling damps relative errors; what remains is below 8 units in the last place (tested).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from refmg_backends.numba_kernels import codes
from refmg_backends.numba_kernels.vectors import INDEX, Emitter


class _Activations:
    """Each activation as instructions: from a vector to its value and slope."""

    def __init__(self, emitter: Emitter, constants: Any) -> None:
        self.e, self.b, self.constants = emitter, emitter.b, constants
        self.one = ir.Constant(emitter.vector, [1.0] * emitter.lanes)

    def constant(self, k: int) -> Any:
        """Constant k, in every lane."""
        return self.e.spread(self.b.load(self.b.gep(self.constants, [INDEX(k)])))

    def polynomial(self, z: Any, first: int, count: int) -> Any:
        """Return the polynomial whose coefficients begin at constant `first`, by Horner's rule."""
        value = self.constant(first + count - 1)
        for k in reversed(range(first, first + count - 1)):
            value = self.e.fma(value, z, self.constant(k))
        return value

    def limited(self, x: Any, low: Any, high: Any) -> Any:
        """Return `x` moved into an interval; NaN stays NaN."""
        b = self.b
        x = b.select(b.fcmp_ordered(">", x, high), high, x)
        return b.select(b.fcmp_ordered("<", x, low), low, x)

    def tanh(self, x: Any) -> tuple[Any, Any]:
        """Return tanh and its slope."""
        b, limit = self.b, self.constant(codes.LIMIT)
        u = b.fmul(self.limited(x, b.fsub(self.e.zero, limit), limit), self.constant(codes.SHRINK))
        z = b.fmul(u, u)
        p = b.fmul(u, self.polynomial(z, codes.P, codes.Q - codes.P))
        q = self.polynomial(z, codes.Q, codes.CORNER_AT - codes.Q)
        for _ in range(codes.DOUBLINGS[f"float{8 * self.e.size}"]):
            half = b.fmul(p, q)
            p, q = b.fadd(half, half), self.e.fma(p, p, b.fmul(q, q))
        value = b.fdiv(p, q)
        return value, b.fsub(self.one, b.fmul(value, value))

    def relu(self, x: Any) -> tuple[Any, Any]:
        """Return relu and its slope."""
        b, zero = self.b, self.e.zero
        value = b.select(b.fcmp_ordered("<=", x, zero), zero, x)
        return value, b.select(b.fcmp_ordered(">", x, zero), self.one, zero)

    def smooth_relu(self, x: Any) -> tuple[Any, Any]:
        """Return relu with a rounded corner, and its slope."""
        b, zero, corner = self.b, self.e.zero, self.constant(codes.CORNER_AT)
        shifted = b.fadd(x, corner)
        parabola = b.fmul(b.fmul(shifted, shifted), self.constant(codes.PARABOLA))
        value = b.select(b.fcmp_ordered(">=", x, corner), x, parabola)
        value = b.select(b.fcmp_ordered("<=", x, b.fsub(zero, corner)), zero, value)
        ramp = b.fmul(shifted, self.constant(codes.RAMP))
        return value, self.limited(ramp, zero, self.one)

    def identity(self, x: Any) -> tuple[Any, Any]:
        """Return the vector itself, and ones."""
        return x, self.one


_BY_CODE = {
    codes.TANH: _Activations.tanh,
    codes.RELU: _Activations.relu,
    codes.SMOOTH_RELU: _Activations.smooth_relu,
    codes.IDENTITY: _Activations.identity,
}


@intrinsic(prefer_literal=True)
def finish(typing_context, x, slope, base, at, vectors, bias, k, scale, use_base, use_slope, code):
    """Overwrite vectors of `x` by ``base + scale * sigma(x + bias)``, those of `slope` by ``sigma'``.

    `at` is where the vectors begin in the three flat arrays; `code` is a literal.
    """
    signature = types.void(x, slope, base, at, vectors, bias, k, scale, use_base, use_slope, code)
    sigma = _BY_CODE[code.literal_value]

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        e = Emitter(context, b, signature, arguments)
        x0, slope0, base0 = (b.gep(e.address(k), [e.number(3)]) for k in range(3))
        bias, scale = (e.spread(context.cast(b, arguments[k], signature.args[k], signature.args[0].dtype))
                       for k in (5, 7))  # fmt: skip
        use_base, use_slope = (b.icmp_signed("!=", e.number(k), INDEX(0)) for k in (8, 9))
        activations, before = _Activations(e, e.address(6)), b.block
        loop, done = b.append_basic_block("vectors"), b.append_basic_block("finished")
        b.branch(loop)

        b.position_at_end(loop)
        t = b.phi(INDEX)
        moved = [b.gep(p, [b.mul(t, INDEX(e.lanes))]) for p in (x0, slope0, base0)]
        value, rate = sigma(activations, b.fadd(e.load(moved[0], 0), bias))
        # Where there is no base, what is loaded is some other array, and not used.
        start = b.select(use_base, e.load(moved[2], 0), e.zero)
        with b.if_then(use_slope):
            e.store(rate, moved[1], 0)
        e.store(e.fma(scale, value, start), moved[0], 0)
        following = b.add(t, INDEX(1))
        t.add_incoming(INDEX(0), before)
        t.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", following, e.number(4)), loop, done)
        b.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen
