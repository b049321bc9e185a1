"""What the tests of moved models share."""

import pytest

torch = pytest.importorskip("torch", reason="refmg.torch needs the extra 'torch'")
from torch import nn  # noqa: E402


def images(*shape, seed=3):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Residual(nn.Module):
    """Everything at once: strides, groups, batch norm, a shortcut, activations in place, a classifier."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.depthwise = nn.Conv2d(4, 4, 3, 1, 1, groups=4)
        self.beside = nn.Conv2d(4, 4, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(4, 5)

    def forward(self, x):
        y = self.relu(self.norm(self.stem(x)))
        y = self.relu(self.depthwise(y) + self.beside(y))
        return self.classifier(self.pool(y).flatten(1))


@pytest.fixture(name="residual")
def residual_network():
    torch.manual_seed(4)
    return Residual().double().train()
