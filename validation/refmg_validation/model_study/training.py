"""Training of the study's network, saved after every epoch and resumed to the same result."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from refmg.atomic import write_atomically
from refmg_backends import RefmgError
from refmg_validation.damage import told_as_damage

MODEL, MOMENTUM = "model.", "momentum."  # before the names of parameters


@dataclass(frozen=True)
class TrainingPlan:
    """Settings of the training: stochastic gradients with momentum, one cycle of the rate."""

    seed: int
    epochs: int = 16
    batch: int = 64
    rate: float = 0.1
    decay: float = 5e-4
    width: int = 24
    warmup: float = 0.2
    margin: int = 4

    def rate_at(self, progress: float) -> float:
        """Return the rate after a part of the training: a linear rise, then half a cosine to zero."""
        if progress < self.warmup:
            return self.rate * progress / self.warmup
        return self.rate * (1 + cos(pi * (progress - self.warmup) / (1 - self.warmup))) / 2


Report = Callable[[int, float], None]
Model = TypeVar("Model", bound=nn.Module)


def train(
    plan: TrainingPlan,
    build: Callable[[], Model],
    images: Tensor,
    labels: Tensor,
    path: Path,
    report: Report,
) -> Model:
    """Train, or go on with, or load, the network of `path`.

    Parameters
    ----------
    plan : TrainingPlan
    build : callable
        Makes the network with random weights, from PyTorch's global generator.
    images : Tensor, shape (m, 3, n, n)
    labels : Tensor of int, shape (m,)
    path : path
        Saved after every epoch; a file of other settings is refused.
    report : callable
        Called with each finished epoch and its mean loss.
    """
    torch.manual_seed(plan.seed)
    model = build()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=plan.rate, momentum=0.9, nesterov=True, weight_decay=plan.decay
    )
    for epoch in range(_resume(path, plan, model, optimizer), plan.epochs):
        loss = _epoch(plan, epoch, model, optimizer, images, labels)
        _save(path, plan, epoch + 1, model, optimizer)
        report(epoch + 1, loss)
    model.eval()
    return model


def _epoch(
    plan: TrainingPlan,
    epoch: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
) -> float:
    # Seeded by epoch: a resumed training sees the images of an uninterrupted one.
    generator = torch.Generator().manual_seed(1000 * plan.seed + epoch)
    batches = torch.randperm(len(images), generator=generator).split(plan.batch)
    total = 0.0
    model.train()
    for number, chosen in enumerate(batches):
        rate = plan.rate_at((epoch + number / len(batches)) / plan.epochs)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(model(_varied(images[chosen], plan.margin, generator)), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) * len(chosen)
    return total / len(images)


def _varied(images: Tensor, margin: int, generator: torch.Generator) -> Tensor:
    """Return each image mirrored with probability 1/2 and shifted by up to `margin` cells."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    size = images.shape[-1]
    padded = F.pad(images, (margin,) * 4, mode="reflect")
    corners = torch.randint(0, 2 * margin + 1, (len(images), 2), generator=generator).tolist()
    return torch.stack([p[:, a : a + size, b : b + size] for p, (a, b) in zip(padded, corners, strict=True)])


def _resume(path: Path, plan: TrainingPlan, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    if not path.exists():
        return 0
    with told_as_damage(f"{path} is no training of this study", "delete it to train again"):
        about, tensors = _read(path)
        if json.loads(about["plan"]) != asdict(plan):
            raise RefmgError(f"{path}: found a network trained with other settings; expected {asdict(plan)}")
        model.load_state_dict({name: tensors[MODEL + name] for name in model.state_dict()})
        for name, parameter in model.named_parameters():
            if MOMENTUM + name in tensors:
                optimizer.state[parameter]["momentum_buffer"] = tensors[MOMENTUM + name]
        return int(about["epoch"])


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise RefmgError(f"cannot read {path}: {error}; delete it to train again") from error


def _save(
    path: Path, plan: TrainingPlan, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    tensors = {MODEL + name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        momentum = optimizer.state[parameter].get("momentum_buffer")
        if momentum is not None:
            tensors[MOMENTUM + name] = momentum.contiguous()
    metadata = {"plan": json.dumps(asdict(plan)), "epoch": str(epoch)}
    write_atomically(path, save(tensors, metadata=metadata))
