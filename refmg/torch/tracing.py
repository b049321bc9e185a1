"""What a model does, in which order, seen through forward hooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from refmg_backends import RefmgError

TRACED = (_ConvNd, _BatchNorm, nn.Linear)


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
        Whether its output goes straight into batch norm.
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
    """Return convolutions, batch norms and linear layers in the order of their first call.

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
    steps = dict[str, Step]()
    handles = [
        module.register_forward_hook(_note(name, steps), with_kwargs=True)
        for name, module in model.named_modules()
        if isinstance(module, TRACED)
    ]
    try:
        with torch.no_grad():
            model(images)
    except (RuntimeError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RefmgError(
            f"the model does not run on images of shape {tuple(images.shape)} ({first}); expected one for "
            "any grid, with pooling before its linear layers"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return _finished(list(steps.values()))


def _note(name: str, steps: dict[str, Step]) -> Any:
    def hook(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        step, x = steps.setdefault(name, Step(name, module)), _input(given, named)
        step.calls += 1
        step.vectors = x.ndim == 2
        step.outputs.append(output)
        if isinstance(module, _BatchNorm):
            for other in steps.values():
                other.normalized |= any(x is made for made in other.outputs)

    return hook


def _input(given: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    x = given[0] if given else named["input"]
    assert isinstance(x, Tensor)
    return x


def _finished(steps: list[Step]) -> list[Step]:
    for step in steps:
        step.outputs.clear()
    return steps


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
