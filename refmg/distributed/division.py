"""Which examples belong to which rank."""

from __future__ import annotations

from dataclasses import dataclass

BLOCKS = 16  # at least, where examples are as many: so many ranks have work in fixed blocks


@dataclass(frozen=True)
class Division:
    """Examples in blocks, and for each rank some blocks that follow each other.

    Parameters
    ----------
    examples : int
        How many there are.
    block : int
        Examples in a block; the last one may have fewer.
    ranks : int
        Among how many the blocks are divided, as evenly as they go; the last ranks get none if there are too
        few.

    Examples
    --------
    >>> division = Division(10, 1, 3)
    >>> [division.part(rank) for rank in range(3)]
    [slice(0, 4, None), slice(4, 7, None), slice(7, 10, None)]
    """

    examples: int
    block: int
    ranks: int

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return -(-self.examples // self.block)

    @property
    def idle(self) -> bool:
        """Whether there are ranks without an example."""
        return self.count < self.ranks

    def blocks(self, rank: int) -> range:
        """Return the numbers of a rank's blocks."""
        first, last = (-(-r * self.count // self.ranks) for r in (rank, rank + 1))
        return range(first, last)

    def part(self, rank: int) -> slice:
        """Return a rank's examples."""
        own = self.blocks(rank)
        return slice(*(min(number * self.block, self.examples) for number in (own.start, own.stop)))


def fixed_block(examples: int, size: int, lanes: int = 1, most: int = 0) -> int:
    """Return the size of blocks that no number of ranks changes.

    Parameters
    ----------
    examples : int
        How many there are.
    size : int
        Of a batch: no block is larger.
    lanes, most : int
        Of the backend, see :class:`refmg_backends.Backend`: larger blocks are multiples of the one, and no
        larger than the other.

    Examples
    --------
    >>> fixed_block(50_000, 128), fixed_block(1000, 128), fixed_block(1000, 128, lanes=16)
    (128, 63, 48)
    """
    wanted = max(1, min(size, most or size, -(-examples // BLOCKS)))
    return wanted - wanted % lanes if wanted > lanes else wanted
