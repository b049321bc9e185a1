"""A small residual network with ReLU, batch norm and strides."""

from __future__ import annotations

from torch import Tensor, nn


class Block(nn.Module):
    """Two 3 x 3 convolutions beside an identity or a strided 1 x 1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.beside: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.beside = nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    def forward(self, y: Tensor) -> Tensor:
        """Return the next features."""
        inner = self.relu(self.norm1(self.conv1(y)))
        return self.relu(self.norm2(self.conv2(inner)) + self.beside(y))


class SmallResNet(nn.Module):
    """A stem of stride 2, three stages of two blocks, the mean over the grid, a linear classifier.

    Parameters
    ----------
    classes : int
    width : int
        Channels of the first stage; each next one has twice as many.
    """

    def __init__(self, classes: int = 10, width: int = 24) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        sizes = [(width, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2)]
        self.stages = nn.Sequential(
            *[nn.Sequential(Block(a, b, stride), Block(b, b, 1)) for a, b, stride in sizes]
        )
        self.classifier = nn.Linear(4 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        return self.classifier(self.stages(self.stem(images)).mean((2, 3)))
