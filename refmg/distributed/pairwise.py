"""Sums in an order that nobody's share of the terms changes: a binary tree over their numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PairwiseSum(Generic[T]):
    """A sum of numbered terms, made in pairs: 0 with 1, 2 with 3, then these sums in pairs, and so on.

    Each process pushes the terms of its own part, a run of numbers. What it cannot pair goes, as it is, to
    the one that finishes the sum; the additions are the same ones, in the same pairs, whatever the parts are.

    Parameters
    ----------
    add : callable
        Of two values.
    first, last : int
        The part: numbers from `first` to `last` - 1.

    Examples
    --------
    >>> whole = PairwiseSum(lambda a, b: f"({a}{b})", 0, 5)
    >>> for number, name in enumerate("abcde"):
    ...     whole.push(number, 1, name)
    >>> whole.total()
    '(((ab)(cd))e)'

    The same from two parts:

    >>> left, right = (PairwiseSum(whole.add, *part) for part in ((0, 3), (3, 5)))
    >>> for number, name in enumerate("abcde"):
    ...     (left if number < 3 else right).push(number, 1, name)
    >>> left.nodes, right.nodes
    ([(0, 2, '(ab)'), (2, 1, 'c')], [(3, 1, 'd'), (4, 1, 'e')])
    >>> for node in right.nodes:
    ...     left.push(*node)
    >>> left.total()
    '(((ab)(cd))e)'
    """

    def __init__(self, add: Callable[[T, T], T], first: int, last: int) -> None:
        self.add, self.first, self.last = add, first, last
        self.nodes: list[tuple[int, int, T]] = []

    def push(self, start: int, width: int, value: T) -> None:
        """Take the sum of the terms from `start` to ``start + width - 1``, which come next."""
        self.nodes.append((start, width, value))
        while len(self.nodes) > 1:
            (start, left, a), (after, right, b) = self.nodes[-2:]
            if left != right or start % (2 * left) or after != start + left:
                return
            self.nodes[-2:] = [(start, 2 * left, self.add(a, b))]

    def final(self) -> int:
        """Return how many of the nodes, from the first, no later term of this part will change."""
        count = 0
        for start, width, _ in self.nodes:
            parent = start - start % (2 * width)
            if self.first <= parent and parent + 2 * width <= self.last:
                break
            count += 1
        return count

    def total(self) -> T:
        """Return the sum of all terms; what has no partner is added from the last to the first.

        Raises
        ------
        ValueError
            If there is none, or terms are missing.
        """
        ends = [(start, start + width) for start, width, _ in self.nodes]
        chain = [0, *(end for _, end in ends)]
        if not ends or [start for start, _ in ends] != chain[:-1]:
            raise ValueError(f"found sums of the terms {ends}; expected all terms, from 0 on")
        value = self.nodes[-1][2]
        for _, _, before in reversed(self.nodes[:-1]):
            value = self.add(before, value)
        return value


def aligned_nodes(first: int, last: int) -> list[tuple[int, int]]:
    """Return starts and widths of the nodes that a part leaves to others.

    Examples
    --------
    >>> aligned_nodes(3, 10)
    [(3, 1), (4, 4), (8, 2)]
    """
    found = PairwiseSum[None](lambda a, b: None, first, last)
    for number in range(first, last):
        found.push(number, 1, None)
    return [(start, width) for start, width, _ in found.nodes]
