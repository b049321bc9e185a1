"""The ResNet of :class:`refmg.resnet.ResNetArchitecture` in PyTorch's own modules, by torchvision's names."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from refmg.resnet import ResNet, ResNetArchitecture, to_state_dict


class BasicBlock(nn.Module):
    """Two convolutions with batch norms, and what goes round them."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        if stride > 1 or c_in != c_out:
            shortcut = nn.Conv2d(c_in, c_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features."""
        base = self.downsample(x) if hasattr(self, "downsample") else x
        inside = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(inside)) + base)


class TorchResNet(nn.Module):
    """The same network as that of an architecture with the zero boundary.

    Parameters
    ----------
    a : ResNetArchitecture
    """

    def __init__(self, a: ResNetArchitecture) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(a.in_channels, a.widths[0], 3, a.opening_stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(a.widths[0])
        self.pool = nn.MaxPool2d(3, 2, padding=1) if a.opening_pool == "max" else nn.Identity()
        channels = a.widths[0]
        for i, (count, width) in enumerate(zip(a.blocks, a.widths, strict=True)):
            blocks = [
                BasicBlock(width if j else channels, width, 2 if i and not j else 1) for j in range(count)
            ]
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
            channels = width
        self.stages = len(a.blocks)
        self.fc = nn.Linear(channels, a.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images ``(m, C, n_1, n_2)``."""
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


def torch_twin(net: ResNet, dtype: torch.dtype = torch.float64) -> TorchResNet:
    """Return the PyTorch network with the numbers of a ResNet."""
    model = TorchResNet(net.architecture).to(dtype)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in to_state_dict(net).items()})
    return model


def for_torch(x: np.ndarray[Any, Any]) -> Tensor:
    """Return images ``(channels, n_1, n_2, m)`` as PyTorch's ``(m, channels, n_1, n_2)``."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 0)))
