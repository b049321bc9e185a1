"""How work is cut into blocks: decided by shapes and type alone, so that sums are repeatable."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

WIDE = 16  # bytes that one load takes at best
DEPTH, STAGES = 8, 4  # of convolve.cu
GRADIENT_STAGES = 3  # of gradient.cu
# Blocks that a stencil gradient is cut into at least: some on each of a large GPU's 132 multiprocessors.
BLOCKS = 512
MOST_EXAMPLES = 32  # of a tile, so that the others of its columns are cells that share taps


@dataclass(frozen=True)
class Tile:
    """Threads of a block, and sums of each thread, down the channels and across the columns.

    Examples
    --------
    >>> tile = convolution_tile(channels=64, itemsize=4, vector=4)
    >>> tile.rows, tile.columns, tile.threads
    (64, 128, 128)
    """

    row_threads: int
    column_threads: int
    thread_rows: int
    thread_columns: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.row_threads * self.column_threads

    @property
    def rows(self) -> int:
        """Channels of a tile."""
        return self.row_threads * self.thread_rows

    @property
    def columns(self) -> int:
        """Columns of a tile."""
        return self.column_threads * self.thread_columns

    @property
    def defines(self) -> tuple[tuple[str, int], ...]:
        """What the source is told."""
        names = ("ROW_THREADS", "COLUMN_THREADS", "THREAD_ROWS", "THREAD_COLUMNS")
        sizes = (self.row_threads, self.column_threads, self.thread_rows, self.thread_columns)
        return tuple(zip(names, sizes, strict=True))


def tile_rows(channels: int) -> int:
    """Return how many channels a tile has: the fewest of 8, 16, 32, 64 that leave little of it empty.

    Examples
    --------
    >>> [tile_rows(c) for c in (1, 8, 10, 16, 32, 64, 96, 100, 512)]
    [8, 8, 16, 16, 32, 64, 32, 64, 64]
    """
    for rows in (8, 16, 32):
        if channels <= rows:
            return rows
    return 32 if 0 < channels % 64 <= 32 else 64


def convolution_tile(channels: int, itemsize: int, vector: int) -> Tile:
    """Return the tile of a convolution to this many channels.

    Parameters
    ----------
    channels : int
        Of the result.
    itemsize : int
        Bytes a number.
    vector : int
        Numbers a load; 1 where examples do not come in whole vectors.
    """
    tiles = {
        # Two columns a thread in float64 would need more shared memory than a block has without asking.
        8: Tile(1, 128, 8, 2 if vector > 1 and itemsize == 4 else 1),
        16: Tile(4, 32, 4, 4),
        32: Tile(4, 32, 8, 4),
        # 64 sums a thread in float32; as many registers hold 32 in float64.
        64: Tile(8, 16, 8, 8 if itemsize == 4 else 4),
    }
    return tiles[tile_rows(channels)]


def gradient_tile(channels: int) -> Tile:
    """Return the tile of a stencil gradient: 96 columns, which divide nine taps of 32 channels evenly."""
    return Tile(8, 16, tile_rows(channels) // 8, 6)


def convolution_memory(tile: Tile, itemsize: int) -> int:
    """Return the bytes of shared memory of a block of ``convolve``."""
    return STAGES * DEPTH * (tile.rows + tile.columns) * itemsize


def gradient_depth(itemsize: int) -> int:
    """Return how many positions a step of the stencil gradient sums up."""
    return 4 * WIDE // itemsize


def gradient_memory(tile: Tile, itemsize: int) -> int:
    """Return the bytes of shared memory of a block of ``gradient``: each row is padded by 16 bytes."""
    return GRADIENT_STAGES * (tile.rows + tile.columns) * (gradient_depth(itemsize) * itemsize + WIDE)


def log2_examples(m: int) -> int:
    """Return the logarithm of how many of `m` examples are side by side in a tile of a convolution.

    Examples
    --------
    >>> [log2_examples(m) for m in (1, 2, 3, 32, 100)]
    [0, 1, 2, 5, 5]
    """
    return min(m - 1, MOST_EXAMPLES - 1).bit_length()


def convolution_blocks(tile: Tile, channels: int, outputs: int, m: int) -> int:
    """Return the number of blocks of ``convolve``."""
    examples = 1 << log2_examples(m)
    across = ceil(m / examples) * ceil(outputs / (tile.columns // examples))
    return ceil(channels / tile.rows) * across


def gradient_parts(tile: Tile, channels: int, width: int, steps: int) -> tuple[int, int]:
    """Return into how many parts the steps of a stencil gradient are cut, and the steps a part.

    Parameters
    ----------
    tile : Tile
        From :func:`gradient_tile`.
    channels, width : int
        Rows and columns of the result.
    steps : int
        How often ``gradient_depth`` positions are summed up.

    Examples
    --------
    >>> gradient_parts(gradient_tile(64), 64, 576, 6272)
    (86, 73)
    >>> gradient_parts(gradient_tile(64), 64, 576, 3)
    (1, 3)
    """
    tiles = ceil(channels / tile.rows) * ceil(width / tile.columns)
    # A part of fewer than 8 steps costs more to add than to make.
    wanted = max(1, min(ceil(BLOCKS / tiles), steps // 8))
    steps_a_part = ceil(steps / wanted)
    return ceil(steps / steps_a_part), steps_a_part
