"""What a model does, in which order, seen through forward hooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.utils.hooks import RemovableHandle

from refmg.torch.consumers import Consumers, tensors_in
from refmg_backends import RefmgError

TRACED = (_ConvNd, _BatchNorm, nn.Linear)
NORMS = (nn.LayerNorm, nn.GroupNorm, _InstanceNorm)


@dataclass(eq=False)
class Step:
    """A module that was called.

    Parameters
    ----------
    name : str
    module : Module
    calls : int
        In one forward pass: more than one where a module is shared.
    vectors : bool
        Whether its input has no grid.
    normalized : bool
        Whether its output goes straight into batch norm, and nowhere else.
    """

    name: str
    module: nn.Module
    calls: int = 0
    vectors: bool = False
    normalized: bool = False
    outputs: list[Tensor] = field(default_factory=list, repr=False)


class _Enough(BaseException):  # not an Exception, so that no model's own handling swallows it
    """Everything that was asked for has been seen."""


def trace(model: nn.Module, images: Tensor) -> list[Step]:
    """Return the layers that have parameters, running statistics or a norm, in the order of their first call.

    Parameters
    ----------
    model : Module
        In evaluation mode.
    images : Tensor

    Returns
    -------
    list of Step

    Raises
    ------
    RefmgError
        If the model does not run on images of this size.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval()
    >>> [(step.name, step.normalized) for step in trace(model, torch.zeros(1, 1, 4, 4))]
    [('0', True), ('1', False)]
    """
    watch = _Watch()
    handles = [handle for name, module in layers_of(model).items() for handle in watch.hooks(name, module)]
    try:
        with torch.no_grad(), watch.consumers:
            watch.returned(model(images))
    except Exception as error:  # whatever a model of someone else's raises
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RefmgError(
            f"the model does not run on images of shape {tuple(images.shape)} ({first}); expected images "
            "such as it was trained on, and a model for any grid, with pooling before its linear layers"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return watch.finished()


def layers_of(model: nn.Module) -> dict[str, nn.Module]:
    """Return by name the modules that a resolution may matter to, in the order of their definition.

    Examples
    --------
    >>> list(layers_of(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.GroupNorm(1, 2, affine=False))))
    ['0', '2']
    """
    return {
        name: module
        for name, module in model.named_modules()
        # What computes the weights of a layer belongs to that layer.
        if "parametrizations" not in name.split(".") and _is_layer(module)
    }


def _is_layer(module: nn.Module) -> bool:
    own = [*module._parameters.values(), *module._buffers.values()]
    return isinstance(module, (*TRACED, *NORMS)) or any(tensor is not None for tensor in own)


class _Watch:
    """What hooks see of one forward pass."""

    def __init__(self) -> None:
        self.steps = dict[str, Step]()
        self.consumers = Consumers({})

    def hooks(self, name: str, module: nn.Module) -> list[RemovableHandle]:
        """Set the hooks of one module."""
        handles = [module.register_forward_hook(self._note(name), with_kwargs=True)]
        if isinstance(module, _BatchNorm):
            # What batch norm does with its input is no use by others.
            handles.append(module.register_forward_pre_hook(lambda *given: self._silence(True)))
        return handles

    def _silence(self, silent: bool) -> None:
        self.consumers.silent = silent

    def _note(self, name: str) -> Any:
        def hook(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            step = self.steps.setdefault(name, Step(name, module))
            step.calls += 1
            x = _input(given, named) if isinstance(module, TRACED) else None
            step.vectors = x is not None and x.ndim == 2
            if isinstance(module, _ConvNd):
                step.outputs.append(output)
                self.consumers.made[id(output)] = step
            if isinstance(module, _BatchNorm):
                self._silence(False)
                for other in self.steps.values():
                    other.normalized |= any(x is made for made in other.outputs)

        return hook

    def returned(self, output: Any) -> None:
        """See what the model returns, which is a use as well."""
        made = self.consumers.made
        self.consumers.used += [made[id(x)] for x in tensors_in(output) if id(x) in made]

    def finished(self) -> list[Step]:
        """Return the steps, without the features."""
        for step in self.consumers.used:
            step.normalized = False
        for step in self.steps.values():
            step.outputs.clear()
        return list(self.steps.values())


def _input(given: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    x = given[0] if given else named["input"]
    assert isinstance(x, Tensor)
    return x


def seen(model: nn.Module, step: Step, images: Tensor, *, inputs: bool) -> list[Tensor]:
    """Run a model until a module has been called for the last time.

    Parameters
    ----------
    model : Module
    step : Step
        Of this model, or of a copy.
    images : Tensor
    inputs : bool
        Whether to return what goes in, else what comes out.

    Returns
    -------
    list of Tensor
        One a call.
    """
    found = list[Tensor]()

    def hook(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Tensor) -> None:
        # A copy, because activations may work in place.
        found.append((_input(given, named) if inputs else output).clone())
        if len(found) == step.calls:
            raise _Enough

    handle = model.get_submodule(step.name).register_forward_hook(hook, with_kwargs=True)
    try:
        with torch.no_grad():
            model(images)
    except _Enough:
        pass
    finally:
        handle.remove()
    return found
