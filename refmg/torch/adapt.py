"""One layer of a model adapted to another resolution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.instancenorm import _InstanceNorm

from refmg.model_transfer import ResolutionChange, growth, keep_reason
from refmg.stencil_maps import UNCHANGED
from refmg.torch.batch_norm import has_statistics, make_unbiased, set_statistics
from refmg.torch.normal_equations import Solution
from refmg.torch.options import TransferOptions
from refmg.torch.report import LayerRecord
from refmg.torch.side_by_side import SideBySide
from refmg.torch.tracing import NORMS, Step, layers_of
from refmg_backends import RefmgError

CALIBRATED = "calibrated"


@dataclass(frozen=True, eq=False)
class Adaptation:
    """Adapts the layers of ``models.target``, to be called in the order in which they run.

    Parameters
    ----------
    models : SideBySide
    change : ResolutionChange
        Stencil by stencil; for calibration it gives the prior.
    transfer : str
    options : TransferOptions
    classifier : Step, optional
        The last linear layer, if it shall be adapted.
    """

    models: SideBySide
    change: ResolutionChange
    transfer: str
    options: TransferOptions
    classifier: Step | None

    def __call__(self, step: Step) -> LayerRecord:
        """Adapt one layer and say what was done."""
        kind = _kind(step.module)
        try:
            if isinstance(step.module, _ConvNd):
                return self._convolution(step, step.module, kind)
            if step is self.classifier:
                return self._linear(step, kind)
        except RefmgError as error:
            raise type(error)(f"{step.name}: {error}") from error
        if self.options.batch_norm and has_statistics(step.module):
            # Unbiased at once: later layers are adapted to what the new model will compute.
            models = self.models
            found = set_statistics(models.target, step, models.target_batches(), models.images.sums)
            make_unbiased([found])
            return LayerRecord(step.name, kind, "statistics re-estimated")
        return LayerRecord(step.name, kind, f"kept: {self._no_rule(step.module)}")

    def _no_rule(self, module: nn.Module) -> str:
        """Return why a layer that is no convolution is not adapted."""
        if isinstance(module, nn.Linear):
            return "not the last linear layer on vectors" if self.options.classifier else "classifier=False"
        if has_statistics(module):
            return "batch_norm=False"
        if isinstance(module, _BatchNorm):
            return "takes statistics of each batch"
        if isinstance(module, _InstanceNorm) and module.running_mean is not None:
            return "running statistics of the old resolution"
        return "normalises each image by itself" if isinstance(module, NORMS) else "no rule"

    def unreached(self, steps: Iterable[Step]) -> list[LayerRecord]:
        """Return records of the layers that were not called, such as heads for training alone."""
        called = {step.name for step in steps}
        return [
            LayerRecord(name, _kind(module), "kept: not called in evaluation mode")
            for name, module in layers_of(self.models.target).items()
            if name not in called
        ]

    def _convolution(self, step: Step, layer: _ConvNd, kind: str) -> LayerRecord:
        if reason := _kept(layer):
            return LayerRecord(step.name, kind, f"kept: {reason}")
        if self.transfer == UNCHANGED:
            return LayerRecord(step.name, kind, f"kept: {UNCHANGED}")
        moved = self._moved(layer)
        if self.transfer == CALIBRATED:
            prior = layer.weight.detach() if moved is None else moved
            intercept = layer.bias is not None or (step.normalized and self.options.batch_norm)
            solution = self.models.convolution(
                step, prior, self.options.ridge, intercept, self.options.smoothness
            )
            return _install(step, layer, kind, solution)
        if moved is None:
            width = tuple(layer.kernel_size)
            return LayerRecord(step.name, kind, f"kept: {keep_reason((1, 1, *width), self.change.factor)}")
        grown = growth(_array(layer.weight), _array(moved))
        with torch.no_grad():
            layer.weight.copy_(moved)
        return LayerRecord(step.name, kind, f"moved by {self.transfer!r}", growth=grown)

    def _moved(self, layer: _ConvNd) -> Tensor | None:
        """Return the stencils moved one by one; None where that does not change them."""
        if keep_reason(tuple(layer.weight.shape), self.change.factor):
            return None
        stencil = self.change.stencil(_array(layer.weight), tuple(layer.stride))
        return torch.from_numpy(np.ascontiguousarray(stencil)).to(layer.weight.device)

    def _linear(self, step: Step, kind: str) -> LayerRecord:
        layer = step.module
        assert isinstance(layer, nn.Linear)
        ridge, intercept = self.options.classifier_ridge, layer.bias is not None
        return _install(step, layer, kind, self.models.linear(step, layer.weight.detach(), ridge, intercept))


def _install(step: Step, layer: nn.Linear | _ConvNd, kind: str, solution: Solution) -> LayerRecord:
    grown = growth(_array(layer.weight), _array(solution.weights))
    with torch.no_grad():
        layer.weight.copy_(solution.weights.reshape(layer.weight.shape))
        if layer.bias is not None:
            layer.bias.copy_(solution.intercept.flatten())
    size = solution.equations, solution.weights.shape[-1]
    return LayerRecord(step.name, kind, CALIBRATED, solution.before, solution.after, grown, *size)


def _kept(layer: _ConvNd) -> str | None:
    if isinstance(layer, _ConvTransposeNd):
        return "transposed"
    if any(d > 1 for d in layer.dilation):
        return f"dilation {' x '.join(map(str, layer.dilation))}"
    return None if "weight" in layer._parameters else "its weights are computed from other parameters"


def _kind(module: nn.Module) -> str:
    name = type(module).__name__
    return f"{name} {' x '.join(map(str, module.kernel_size))}" if isinstance(module, _ConvNd) else name


def _array(weights: Tensor) -> np.ndarray:
    return weights.detach().double().cpu().numpy()
