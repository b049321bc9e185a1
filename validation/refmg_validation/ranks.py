"""The ranks of this run: who writes, what one does for all, and groups of them side by side."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np

from refmg import Classifier, Controls, Network, get_backend
from refmg.distributed import Communicator, HostRoute, Route, SerialCommunicator, Share, from_first
from refmg_backends import RefmgError
from refmg_backends.processors import one_blas_thread

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """The ranks that run a command together, and how they sum; `choose` finds a route for a group of them."""

    communicator: Communicator = field(default_factory=SerialCommunicator)
    deterministic: bool = False
    route: Route | None = None
    choose: Callable[[Any], Route] = HostRoute


_RANKS: ContextVar[Ranks] = ContextVar("refmg_ranks", default=Ranks())  # noqa: B039


def ranks() -> Communicator:
    """Return the ranks that run this together; one alone, unless ``mpiexec`` started several.

    Examples
    --------
    >>> ranks().size
    1
    """
    return _RANKS.get().communicator


@contextmanager
def using(found: Ranks) -> Iterator[None]:
    """Let these be the ranks of what runs inside."""
    token = _RANKS.set(found)
    try:
        yield
    finally:
        _RANKS.reset(token)


@contextmanager
def summing(deterministic: bool) -> Iterator[None]:
    """Let sums over examples inside have the same bits for every number of ranks, where that is asked for."""
    if not deterministic:
        yield
        return
    # Products of matrices may depend on the number of threads, which depends on the number of ranks.
    with using(replace(_RANKS.get(), deterministic=True)), one_blas_thread():
        yield


@contextmanager
def preset_sums(preset: str, asked: bool | None) -> Iterator[None]:
    """Let sums inside be as was asked for, or else as suits the preset.

    Presets that compute for minutes sum in fixed blocks: a table that everybody can compare is worth some of
    them. Where the backend does not repeat its bits, blocks would cost time and keep no promise.

    Raises
    ------
    RefmgError
        If blocks are asked for and the backend does not repeat its bits.

    Examples
    --------
    >>> with preset_sums("small", None):
    ...     decisive()
    {'deterministic': True}
    >>> with preset_sums("paper", None):
    ...     decisive()
    {}
    """
    backend = get_backend()
    if asked and not backend.deterministic:
        raise RefmgError(
            f"found --deterministic and the backend {backend.name!r}, which does not repeat its own bits; "
            "expected a backend that refmg info calls repeatable to the last bit, or no --deterministic"
        )
    with summing(preset == "small" and backend.deterministic if asked is None else asked):
        yield


def decisive() -> dict[str, Any]:
    """Return what of this decides a result to the last bit, for fingerprints.

    Examples
    --------
    >>> with summing(True):
    ...     decisive()
    {'deterministic': True}
    """
    return {"deterministic": True} if _RANKS.get().deterministic else {}


def ranks_in_words() -> str:
    """Return how many ranks there are and how their sums travel, for ``refmg info``.

    Examples
    --------
    >>> ranks_in_words()
    'one'
    """
    found = _RANKS.get()
    if found.communicator.size == 1:
        return "one"
    route = found.route or HostRoute(found.communicator)
    return f"{found.communicator.size}, sums travel by {route.name}"


def share() -> Share | None:
    """Return how examples are shared out; None for one process whose sums are as ever."""
    found = _RANKS.get()
    if found.communicator.size == 1 and not found.deterministic:
        return None
    return Share(found.communicator, found.deterministic, found.route)


def once(function: Callable[[], T]) -> T:
    """Return on every rank what a function returns on the first, which alone calls it, such as to write.

    Examples
    --------
    >>> once(lambda: 3)
    3
    """
    communicator = ranks()
    if communicator.size == 1:
        return function()

    def alone() -> T:
        # What is asked for once inside is done here: the others wait for the end of this.
        with using(replace(_RANKS.get(), communicator=SerialCommunicator())):
            return function()

    found: T = from_first(communicator, alone)
    return found


def first_before_others(function: Callable[[], T]) -> T:
    """Return what a function returns on each rank; others call it after the first one, to find its cache.

    Examples
    --------
    >>> first_before_others(lambda: 3)
    3
    """
    kept = list[T]()
    once(lambda: kept.append(function()))
    return kept[0] if kept else function()


def check_agreement(network: Network) -> None:
    """Refuse to go on when ranks that should have the same parameters do not.

    Raises
    ------
    RefmgError
        On every rank.

    Examples
    --------
    >>> from refmg import Architecture, random_network
    >>> check_agreement(random_network(Architecture((4, 4)), 0))
    """
    if ranks().size > 1:
        check_same(_arrays(network))


def check_same(arrays: Iterable[Any]) -> None:
    """Refuse to go on when arrays on the host are not the same to the last bit on all ranks.

    Raises
    ------
    RefmgError
        On every rank.

    Examples
    --------
    >>> check_same([np.ones(2)])
    """
    communicator = ranks()
    digest = sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    found = communicator.gather(digest.hexdigest())
    others = [rank for rank, other in enumerate(found) if other != found[0]]
    if others:
        raise RefmgError(
            f"found other parameters on the ranks {others} than on rank 0 after the same step; expected the "
            "same: take machines of one kind, with the same libraries"
        )


def divided(items: Sequence[Any], work: Callable[[Any], T]) -> list[T]:
    """Return the work on every item, in order: groups of ranks do some items each, side by side.

    Parameters
    ----------
    items : sequence
        Such as seeds; a group for each, or as many as there are ranks.
    work : callable
        Run by all ranks of a group together. Its result can be pickled.

    Examples
    --------
    >>> divided([1, 2, 3], lambda seed: 10 * seed)
    [10, 20, 30]
    """
    here = _RANKS.get()
    communicator = here.communicator
    groups = min(len(items), communicator.size)
    if groups <= 1:
        return [work(item) for item in items]
    group = communicator.rank * groups // communicator.size
    own = communicator.split(group)
    # A route belongs to its ranks: a group's is chosen anew, by what the group's own ranks have.
    route = here.choose(own) if own.size > 1 else None
    with using(replace(here, communicator=own, route=route)):
        done = {number: work(items[number]) for number in range(group, len(items), groups)}
    found = dict[int, T]()
    for part in communicator.gather(done if own.rank == 0 else {}):
        found |= part
    return [found[number] for number in range(len(items))]


def _arrays(network: Network) -> list[Any]:
    c = network.controls
    own = (c.opening, c.stencils, c.biases, network.classifier.W, network.classifier.mu)
    return [np.array(network.backend.to_numpy(array)) for array in own]


def _reduced(network: Network) -> tuple[Any, ...]:
    return _rebuilt, (network.architecture, _arrays(network), network.backend.name)


def _rebuilt(architecture: Any, arrays: list[Any], backend: str) -> Network:
    place = get_backend(backend)
    own = [place.asarray(array) for array in arrays]
    return Network(architecture, Controls(*own[:3]), Classifier(*own[3:]), place)


# Backends hold locks and libraries: a network travels as arrays and the name of its backend.
copyreg.pickle(Network, _reduced)  # type: ignore[arg-type]
