"""Gradients as telescoping sums over resolutions (Ahamed, Zakariaei, Haber and Eliasof, TMLR 2026)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from refmg.architecture import Architecture
from refmg.batches import Batches
from refmg.data.pyramid import restrict_images
from refmg.distributed.share import Terms
from refmg.distributed.shared_examples import mapped_examples
from refmg.grid_change import GridChange
from refmg.network import Network
from refmg.network_move import pair_of
from refmg.objective import NetworkObjective
from refmg.optimization.allocation import level_costs, term_costs
from refmg.optimization.scaling import usual_scale
from refmg.parameter_move import ParameterMove, coarsening, stencil_matrix
from refmg.stencil_maps import AnyTransfer
from refmg.transfer import Shape
from refmg_backends import RefmgError
from refmg_backends.backend import Array


@dataclass(frozen=True)
class Term:
    """One term of an estimate.

    Attributes
    ----------
    shape : tuple of int
        The finer grid of the difference; the coarsest term has this grid alone.
    examples : int
        In its batch.
    cost : float
        Of the batch, in gradients of one example on the finest grid.
    norm : float
        Euclidean norm of the term, in the fine parameters.
    """

    shape: Shape
    examples: int
    cost: float
    norm: float


@dataclass(frozen=True)
class GradientEstimate:
    """An estimate of the fine gradient of the mean loss, and its terms, finest first."""

    gradient: Array
    terms: tuple[Term, ...]

    @property
    def cost(self) -> float:
        """In gradients of one example on the finest grid."""
        return sum(term.cost for term in self.terms)


class MultiscaleGradient:
    r"""An unbiased estimate of the fine gradient with most of its examples on coarse grids.

    Parameters
    ----------
    network : Network
        On the finest grid; gives shapes, backend and precision.
    batches : Batches
        All training examples on the finest grid.
    coarser : sequence of tuple of int
        The coarser grids, each dividing the one before; none for the plain stochastic gradient.
    transfer : str, callable or Covariance
        How the parameters are moved, see :class:`refmg.ParameterMove`. Images are restricted by its R.
    loss, storage : str
        As for :class:`refmg.NetworkObjective`.

    Attributes
    ----------
    costs : tuple of float
        Of one example in each term, see :func:`refmg.optimization.term_costs`.
    own_costs : tuple of float
        Of one example on each grid.

    Raises
    ------
    RefmgError
        If a grid does not divide the one before, or the transfer is unknown or not linear.

    Notes
    -----
    With :math:`g_l(\theta) = A_l^T \nabla f_l(A_l \theta)`, the gradient in the *fine* parameters of the
    loss on level l (0 is the finest),

    .. math:: g_0 = g_L + \sum_{l<L} (g_l - g_{l+1}),

    and each term is the mean over a batch of its own, drawn without replacement; both gradients of a
    difference see the same examples. So the mean of the estimate is the full gradient, whatever the
    transfer; the transfer decides the variance. The regularisers are no part of it.

    Examples
    --------
    >>> from refmg import Architecture, random_network
    >>> network = random_network(Architecture((8, 8), channels=2, classes=2), 0, "numpy", "float64")
    >>> x, labels = np.random.default_rng(0).normal(size=(1, 8, 8, 20)), np.arange(20) % 2
    >>> batches = Batches(x, labels, 2, 20, network.backend, "float64")
    >>> found = MultiscaleGradient(network, batches, [(4, 4)])
    >>> estimate = found.estimate(network, np.random.default_rng(0), [4, 12])
    >>> [(term.shape, term.examples, term.cost) for term in estimate.terms]
    [((8, 8), 4, 5.0), ((4, 4), 12, 3.0)]
    """

    def __init__(
        self,
        network: Network,
        batches: Batches,
        coarser: Sequence[Shape],
        transfer: AnyTransfer = "linear",
        loss: str = "softmax",
        storage: str = "all",
    ) -> None:
        self.loss, self.storage, self.backend = loss, storage, network.backend
        self.moves, self.levels, level = list[ParameterMove](), [batches], network
        for shape in coarser:
            move = ParameterMove(level, tuple(shape), transfer)
            self.levels.append(_restricted(self.levels[-1], move.change, transfer, network))
            level = move.coarse_network(
                self.backend.xp.zeros(move.coarse_size, dtype=level.controls.opening.dtype)
            )
            self.moves.append(move)
        architectures = [network.architecture, *(move.architecture for move in self.moves)]
        self.costs, self.own_costs = term_costs(architectures), level_costs(architectures)
        self.shapes = [a.shape for a in architectures]
        self.examples = batches.examples

    def estimate(
        self, network: Network, rng: np.random.Generator, examples: Sequence[int]
    ) -> GradientEstimate:
        """Return an estimate with batches of these sizes, finest difference first.

        Raises
        ------
        RefmgError
            If there are not as many sizes as terms, or one is no size of a batch.
        """
        if len(examples) != len(self.shapes) or not all(1 <= n <= self.examples for n in examples):
            raise RefmgError(
                f"found batches of {list(examples)} examples; expected {len(self.shapes)} sizes, one a "
                f"term, each from 1 to {self.examples}"
            )
        return self.on(network, [np.sort(rng.choice(self.examples, n, replace=False)) for n in examples])

    def on(self, network: Network, chosen: Sequence[np.ndarray]) -> GradientEstimate:
        """Return the estimate with given examples in each term."""
        vectors, total, terms = self._vectors(network), None, list[Term]()
        for level, indices in enumerate(chosen):
            part = self._term(network, vectors, level, indices)
            norm = float(self.backend.xp.sum(part * part)) ** 0.5
            cost = len(indices) * self.costs[level]
            terms.append(Term(self.shapes[level], len(indices), cost, norm))
            total = part if total is None else total + part
        return GradientEstimate(total, tuple(terms))

    def variances(self, network: Network, chosen: np.ndarray) -> tuple[tuple[float, ...], float]:
        r"""Return the variance of one example in each term, and that on the finest grid alone.

        Parameters
        ----------
        network : Network
            At which parameters.
        chosen : ndarray of int, shape (m,)
            The examples that stand for all, 2 or more.

        Returns
        -------
        tuple of tuple of float and float
            Traces of covariance matrices, with divisor ``m - 1``, in the variables of a usual network
            (:func:`refmg.optimization.scaling.usual_scale`), in which steps are taken.

        Notes
        -----
        A batch of n of N examples, drawn without replacement, has the variance ``(1/n - 1/N) V`` with the
        V of all N examples.
        """
        if self.levels[0].share is not None:
            return self._shared_variances(network, chosen)
        spreads = [_Spread() for _ in range(len(self.shapes) + 1)]
        for gradients in self._of_each(network, chosen):
            for spread, gradient in zip(spreads, gradients, strict=True):
                spread.add(gradient)
        *terms, single = (spread.variance(self.backend.xp) for spread in spreads)
        return tuple(terms), single

    def _of_each(self, network: Network, chosen: np.ndarray) -> Iterator[Terms]:
        """Yield for each example its gradients in all terms, and on the finest grid alone."""
        vectors, scale = self._vectors(network), usual_scale(network)
        for example in chosen:
            one = np.array([example])
            parts = [levels.alone(one) for levels in self.levels]
            own = [self._level(network, vectors, k, part) / scale for k, part in enumerate(parts)]
            yield (*(a - b for a, b in pairwise(own)), own[-1], own[0])

    def _shared_variances(self, network: Network, chosen: np.ndarray) -> tuple[tuple[float, ...], float]:
        """Return the same where each rank has some of the examples: means first, then squares about them."""
        share, count = self.levels[0].share, len(chosen)
        assert share is not None
        check_count(count)
        division = share.division(count, 1)
        found = list(self._of_each(network, chosen[share.part(division)]))
        means = [total / count for total in share.total(self.backend, found, division)]
        squares = (tuple((g - mean) ** 2 for g, mean in zip(each, means, strict=True)) for each in found)
        sums = share.total(self.backend, squares, division)
        *terms, single = (float(self.backend.xp.sum(total)) / (count - 1) for total in sums)
        return tuple(terms), single

    def _vectors(self, network: Network) -> list[Array]:
        """Return the parameters on all grids."""
        objective = NetworkObjective(network, self.levels[0])
        vectors = [objective.vector(network)]
        for move in self.moves:
            vectors.append(move.restrict(vectors[-1]))
        return vectors

    def _term(self, network: Network, vectors: list[Array], level: int, chosen: np.ndarray) -> Array:
        own = self._level(network, vectors, level, self.levels[level].take(chosen))
        if level == len(self.moves):
            return own
        return own - self._level(network, vectors, level + 1, self.levels[level + 1].take(chosen))

    def _level(self, network: Network, vectors: list[Array], level: int, batches: Batches) -> Array:
        """Return the gradient on one grid, pulled back to the fine parameters."""
        net = self.moves[level - 1].coarse_network(vectors[level]) if level else network
        objective = NetworkObjective(net, batches, None, self.loss, self.storage)
        _, gradient = objective.value_and_gradient(vectors[level])
        for move in reversed(self.moves[:level]):
            gradient = move.adjoint(gradient)
        return gradient


def check_grids(a: Architecture, coarser: Sequence[Shape], transfer: AnyTransfer) -> None:
    """Refuse grids and transfers of which :class:`MultiscaleGradient` could not be made.

    Raises
    ------
    RefmgError
        If a grid does not divide the one before or is narrower than a stencil, or the transfer is unknown
        or not linear.

    Examples
    --------
    >>> check_grids(Architecture((8, 8)), [(4, 4)], "linear")
    """
    for grid in coarser:
        change = coarsening(a.shape, grid)
        for width in {a.opening_width, a.width}:
            stencil_matrix(change, width, transfer)
        a = a.on(change.new)


class _Spread:
    """Mean and sum of squares of vectors that come one by one (Welford 1962), without cancellation."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, None, None

    def add(self, x: Array) -> None:
        self.count += 1
        if self.mean is None:
            self.mean, self.squares = x, 0.0 * x
            return
        before = x - self.mean
        self.mean = self.mean + before / self.count
        self.squares = self.squares + before * (x - self.mean)

    def variance(self, xp: object) -> float:
        check_count(self.count)
        return float(xp.sum(self.squares)) / (self.count - 1)  # type: ignore[attr-defined]


def check_count(count: int) -> None:
    """Refuse a single example, which has no variance."""
    if count < 2:
        raise RefmgError(f"found {count} examples to measure a variance; expected 2 or more")


def _restricted(batches: Batches, change: GridChange, transfer: AnyTransfer, network: Network) -> Batches:
    """Return the examples on the coarser grid, by the transfer's R."""
    a = network.architecture
    x = mapped_examples(
        batches.given[0],
        lambda x: restrict_images(np.asarray(x), 0.0, pair_of(transfer), change.factor, a.boundary),
    )
    size = batches.batch_size * prod(change.factor)  # as many numbers in memory
    return Batches(x, batches.given[1], a.classes, size, network.backend, batches.dtype)
