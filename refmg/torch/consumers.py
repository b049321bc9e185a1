"""Who uses the results of a model's layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode


class Consumers(TorchFunctionMode):
    """Notes which of some tensors go into a function, while it is the context.

    Parameters
    ----------
    made : dict of int to object
        By ``id`` of a tensor that is kept alive, whatever shall be told of its use.

    Attributes
    ----------
    used : list
        What was told. Questions after shape or type are no use: what has no tensor for an answer is none.
    silent : bool
        Whether to overlook what happens just now.

    Examples
    --------
    >>> import torch
    >>> x, y = torch.ones(2), torch.ones(2)
    >>> consumers = Consumers({id(x): "x", id(y): "y"})
    >>> with consumers:
    ...     _ = x.shape, y + 1
    >>> consumers.used
    ['y']
    """

    def __init__(self, made: dict[int, Any]) -> None:
        super().__init__()
        self.made, self.used, self.silent = made, list[Any](), False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, and note what of its arguments was waited for."""
        given = [id(x) for x in tensors_in((args, kwargs))]
        result = func(*args, **(kwargs or {}))
        if not self.silent and next(tensors_in(result), None) is not None:
            self.used += [self.made[key] for key in given if key in self.made]
        return result


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples, lists and dictionaries.

    Examples
    --------
    >>> import torch
    >>> len(list(tensors_in({"a": [torch.ones(1)], "b": (torch.ones(2), 3)})))
    2
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors_in(part)
