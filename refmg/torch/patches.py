"""What a convolution multiplies by its weights, laid out as a matrix."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd


def patches(x: Tensor, convolution: _ConvNd) -> Tensor:
    """Return the inputs of each tap, channels after another within each group.

    Parameters
    ----------
    x : Tensor, shape (m, C_in, n_1, .., n_d)
    convolution : Conv1d, Conv2d or Conv3d
        Any padding, stride and number of groups; dilation 1.

    Returns
    -------
    Tensor, shape (m, C_in * k_1 * .. * k_d, o_1, .., o_d)
        Ordered as ``weight.flatten(1)`` is within a group.

    Examples
    --------
    >>> convolution = torch.nn.Conv1d(1, 1, 3, padding=1)
    >>> patches(torch.tensor([[[1.0, 2.0, 3.0]]]), convolution)[0]
    tensor([[0., 1., 2.],
            [1., 2., 3.],
            [2., 3., 0.]])
    """
    d = x.ndim - 2
    mode = convolution.padding_mode
    widths = [width for axis in reversed(_padding(convolution)) for width in axis]
    if any(widths):
        x = F.pad(x, widths, mode="constant" if mode == "zeros" else mode)
    for axis in range(d):
        x = x.unfold(2 + axis, convolution.kernel_size[axis], convolution.stride[axis])
    grid, taps = tuple(x.shape[2 : 2 + d]), tuple(x.shape[2 + d :])
    x = x.permute(0, 1, *range(2 + d, 2 + 2 * d), *range(2, 2 + d))
    return x.reshape(x.shape[0], x.shape[1] * prod(taps), *grid)


def _padding(convolution: _ConvNd) -> list[tuple[int, int]]:
    if convolution.padding == "valid":
        return [(0, 0)] * len(convolution.kernel_size)
    if convolution.padding == "same":
        # PyTorch's rule: of an odd total, the larger part goes to the end.
        return [((k - 1) // 2, k - 1 - (k - 1) // 2) for k in convolution.kernel_size]
    return [(p, p) for p in convolution.padding]  # type: ignore[misc]


def as_rows(x: Tensor, groups: int) -> Tensor:
    """Return features ``(m, groups * c, o_1, .., o_d)`` as ``(groups, c, m * o_1 * .. * o_d)``.

    Examples
    --------
    >>> as_rows(torch.arange(8.0).reshape(2, 2, 2), groups=2).shape
    torch.Size([2, 1, 4])
    """
    rows = x.reshape(x.shape[0], groups, x.shape[1] // groups, -1).permute(1, 2, 0, 3).flatten(2)
    return rows if rows.dtype == torch.float64 else rows.float()
