"""The same in PyTorch, right."""

import numpy as np
import torch
from torch.nn import functional as F

MODES = {"periodic": "circular", "zero": "constant"}
CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def padded(x, width, boundary):
    margins = [k // 2 for k in width]
    if boundary != "reflect":
        return F.pad(x, [m for m in reversed(margins) for _ in range(2)], mode=MODES[boundary])
    for axis, m in enumerate(margins, start=2):  # the edge cell is repeated
        n = x.shape[axis]
        x = torch.cat([x.narrow(axis, 0, m).flip(axis), x, x.narrow(axis, n - m, m).flip(axis)], axis)
    return x


def convolve(features, stencil, boundary, stride):
    x = torch.from_numpy(features).movedim(-1, 0)  # (m, C, n_1, ..), as PyTorch wants it
    x = padded(x, stencil.shape[2:], boundary)
    steps = np.broadcast_to(stride, x.ndim - 2).tolist()  # one number, or one an axis
    return CONVOLUTIONS[x.ndim - 2](x, torch.from_numpy(stencil), stride=steps).movedim(0, -1)


def classifier_loss(loss, features, W, mu, labels):
    if loss != "softmax":
        raise NotImplementedError
    y, W, mu = (torch.tensor(a, requires_grad=True) for a in (features, W, mu))
    volume = W.shape[-1] / W[0].numel()  # h^d: one by the number of cells
    logits = volume * W.flatten(0, -2).T @ y.flatten(0, -2) + mu[:, None]
    value = F.cross_entropy(logits.T, torch.from_numpy(labels))
    value.backward()
    return logits.detach(), value.detach(), y.grad, W.grad, mu.grad
