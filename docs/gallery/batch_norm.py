"""Statistics of batch norm

A PyTorch network with ReLU, strides and batch norm is trained for some epochs on 1,000 digits of 28 x 28
cells, and used on 14 x 14 ones with its stencils unchanged. A batch norm subtracts the mean and divides
by the deviation of what it saw in training; on another grid the features have others.
`refmg.torch.reestimate_batch_norm` takes them anew from images without labels. This is the baseline that
any other transfer has to beat, and `transfer_model` calibrates the stencils as well.

Accuracy on 500 other digits, and, for each of the channels, the deviation that the last batch norm keeps
from training against the one that it now sees. The number is the gain in accuracy by re-estimated
statistics, as a fraction.
"""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from refmg.data import load_digits, split_images
from refmg.torch import reestimate_batch_norm, transfer_model

MEASURES = "gain in accuracy by re-estimated statistics"


def trained(x: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    """Return a small network after twenty epochs of Adam."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
    )
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    for batch in [b for _ in range(20) for b in torch.randperm(len(x)).split(50)]:
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), labels[batch]).backward()
        optimiser.step()
    return model.eval()


def compute() -> dict:
    """Train on fine images and ask on coarse ones."""
    parts = split_images(load_digits(), (1000, 500), seed=0)
    x, x_test = (torch.tensor(part.features("float32")).permute(3, 0, 1, 2) for part in parts)
    labels, answers = (torch.tensor(part.labels) for part in parts)
    coarse, coarse_test = (nn.functional.avg_pool2d(images, 2) for images in (x, x_test))

    def accuracy(model: nn.Module, images: torch.Tensor) -> float:
        with torch.no_grad():
            return float((model(images).argmax(1) == answers).float().mean())

    model = trained(x, labels)
    found = {"28 x 28": accuracy(model, x_test), "unchanged": accuracy(model, coarse_test)}
    calibrated = transfer_model(model, x[:300], factor=2, direction="coarse")[0]
    before = model[7].running_var.sqrt().numpy().copy()
    reestimate_batch_norm(model, coarse[:300])
    found["re-estimated"] = accuracy(model, coarse_test)
    found["calibrated"] = accuracy(calibrated, coarse_test)
    return {"accuracies": found, "before": before, "after": model[7].running_var.sqrt().numpy()}


def number(found: dict) -> float:
    """Return what re-estimated statistics gain."""
    return found["accuracies"]["re-estimated"] - found["accuracies"]["unchanged"]


def draw(figure: Figure, found: dict) -> None:
    """Draw accuracies, and deviations before and after."""
    figure.set_size_inches(9, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    bars = left.bar(list(found["accuracies"]), [100 * a for a in found["accuracies"].values()])
    left.bar_label(bars, fmt="%.1f")
    left.set(ylim=(0, 100), ylabel="accuracy on 500 digits, in %")
    limit = 1.1 * float(np.max([found["before"], found["after"]]))
    right.plot([0, limit], [0, limit], color="gray", linewidth=0.8)
    right.plot(found["before"], found["after"], "o")
    right.set(xlabel="deviation kept from 28 x 28", ylabel="deviation on 14 x 14")
