"""The same computations in PyTorch, as a user of PyTorch would write them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from refmg import Network
from refmg_backends import RefmgError

Calls = dict[str, Callable[[], Any]]


class TorchPeer:
    """PyTorch on the device and the number of threads of a backend.

    Parameters
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``.
    threads : int
        Threads of the CPU.
    tf32 : bool
        Whether PyTorch may use TF32 on a GPU: as the backend it is compared with.

    Raises
    ------
    RefmgError
        If PyTorch is not installed.
    """

    def __init__(self, device: str, threads: int, tf32: bool = False) -> None:
        try:
            import torch
        except ImportError as error:
            raise RefmgError(
                "found no PyTorch to compare with; pip install 'refmg[torch]', or leave out --against"
            ) from error
        self.torch, self.device, self.name = torch, device, f"torch {torch.__version__}"
        torch.set_num_threads(threads)
        if device == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            torch.backends.cudnn.benchmark = True

    def tensor(self, host: np.ndarray[Any, Any]) -> Any:
        """Return a contiguous tensor."""
        return self.torch.from_numpy(np.ascontiguousarray(host)).to(self.device)

    def images(self, host: np.ndarray[Any, Any]) -> Any:
        """Return features ``(C, n.., m)`` as a tensor ``(m, C, n..)``."""
        return self.tensor(np.moveaxis(host, -1, 0))

    def wait(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def convolve(self, x: Any, stencil: Any, bias: Any = None, joined: bool = False) -> Any:
        """Return the periodic convolution, as ``Conv2d(padding_mode="circular")`` computes it.

        With `joined` the edges are joined by ``torch.cat``: what ``torch.func.linearize`` makes of circular
        padding, which writes into an empty tensor, holds NaN (PyTorch 2.13).
        """
        functional, reach = self.torch.nn.functional, stencil.shape[-1] // 2
        if joined:
            for axis in (2, 3):
                ends = x.narrow(axis, x.shape[axis] - reach, reach), x, x.narrow(axis, 0, reach)
                x = self.torch.cat(ends, dim=axis)
            return functional.conv2d(x, stencil, bias)
        return functional.conv2d(functional.pad(x, (reach,) * 4, mode="circular"), stencil, bias)

    def kernels(self, stencil: np.ndarray, Y: np.ndarray, Z: np.ndarray) -> Calls:
        """Return convolution, transpose and stencil gradient; the latter two are autograd's."""
        x, z, s = self.images(Y), self.images(Z), self.tensor(stencil)
        x_free, s_free = x.clone().requires_grad_(), s.clone().requires_grad_()
        by_x, by_s = self.convolve(x_free, s), self.convolve(x, s_free)

        def forward() -> Any:
            with self.torch.no_grad():
                return self.convolve(x, s)

        def grad(out: Any, free: Any) -> Any:
            return self.torch.autograd.grad(out, free, z, retain_graph=True)[0]

        return {
            "convolve": forward,
            "transpose": lambda: grad(by_x, x_free),
            "stencil gradient": lambda: grad(by_s, s_free),
        }

    def layer(self, stencil: np.ndarray, Y: np.ndarray, Z: np.ndarray, dt: float) -> Callable[[], Any]:
        """Return forward and adjoint of one residual step with tanh."""
        torch, z = self.torch, self.images(Z)
        x, s = self.images(Y).requires_grad_(), self.tensor(stencil).requires_grad_()
        b = torch.zeros(len(stencil), dtype=x.dtype, device=self.device, requires_grad=True)
        return lambda: torch.autograd.grad(x + dt * torch.tanh(self.convolve(x, s, b)), (x, s, b), z)

    def network(self, network: Network, x: np.ndarray, labels: np.ndarray, curved: bool = True) -> Calls:
        """Return loss gradient and, if `curved`, Gauss-Newton product of a residual Euler network."""
        torch, a, host = self.torch, network.architecture, network.backend.to_numpy
        images, targets, N = self.images(x), torch.from_numpy(labels).to(self.device), a.layers
        c, W = network.controls, network.classifier
        flat = host(W.W).reshape(-1, a.classes).T
        arrays = [host(c.opening), *host(c.stencils), *host(c.biases), flat, host(W.mu)]
        free = [self.tensor(array).requires_grad_() for array in arrays]
        fixed = tuple(p.detach() for p in free)

        def logits(*p: Any, joined: bool = False) -> Any:
            y = self.convolve(images, p[0], joined=joined)
            for k in range(N):
                y = y + a.dt * torch.tanh(self.convolve(y, p[1 + k], p[1 + N + k], joined))
            return a.grid.cell_volume * y.flatten(1) @ p[-2].T + p[-1]

        def gradient() -> Any:
            loss = torch.nn.functional.cross_entropy(logits(*free), targets)
            return torch.autograd.grad(loss, free)

        if not curved:
            return {"gradient": gradient}
        product = self._gauss_newton(partial(logits, joined=True), fixed, len(labels))
        return {"gradient": gradient, "Gauss-Newton product": product}

    def _gauss_newton(
        self, logits: Callable[..., Any], at: tuple[Any, ...], examples: int
    ) -> Callable[[], Any]:
        """Return a Gauss-Newton product that is linearised before: a call repeats no forward pass."""
        torch = self.torch
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of names in a graph that it makes for itself
            out, tangent = torch.func.linearize(logits, *at)
        adjoint, p = torch.func.vjp(logits, *at)[1], torch.softmax(out, 1)

        def product() -> Any:
            moved = tangent(*at)
            return adjoint((p * moved - p * (p * moved).sum(1, keepdim=True)) / examples)

        return product
