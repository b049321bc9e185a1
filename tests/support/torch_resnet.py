"""The ResNet of :class:`refmg.resnet.ResNetArchitecture` in PyTorch's own modules, by torchvision's names."""

from __future__ import annotations

import torch
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        if stride > 1 or c_in != c_out:
            shortcut = nn.Conv2d(c_in, c_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(c_out))

    def forward(self, x):
        base = self.downsample(x) if hasattr(self, "downsample") else x
        inside = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(inside)) + base)


class TorchResNet(nn.Module):
    def __init__(self, a):
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

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(x.mean(dim=(2, 3)))


def torch_twin(net, dtype=torch.float64):
    """The PyTorch network with the numbers of a ResNet."""
    from refmg.resnet import to_state_dict

    model = TorchResNet(net.architecture).to(dtype)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in to_state_dict(net).items()})
    return model


def for_torch(x):
    """Images (channels, n_1, n_2, m) as PyTorch's (m, channels, n_1, n_2)."""
    import numpy as np

    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 0)))
