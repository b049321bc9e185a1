"""Index arithmetic: which cell each tap reads, against ``numpy.pad``."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from refmg_backends import BOUNDARIES, Geometry, RefmgError, fold
from refmg_backends.geometry import OUTSIDE

NUMPY_PAD = {"periodic": "wrap", "zero": "constant", "reflect": "symmetric"}
GRIDS = [
    ((6,), (3,)),
    ((1,), (5,)),
    ((4, 5), (3, 1)),
    ((2, 1), (3, 5)),
    ((3, 2, 4), (3, 3, 1)),
    ((1, 2, 2), (3, 5, 3)),
]
every_grid = pytest.mark.parametrize(("shape", "width"), GRIDS)
every_boundary = pytest.mark.parametrize("boundary", BOUNDARIES)
every_stride = pytest.mark.parametrize("stride", [1, 2, 3])


def padded(cells, reach, boundary):
    """`cells` continued by `reach` on every side; ``OUTSIDE`` where there is nothing."""
    constant = {"constant_values": OUTSIDE} if boundary == "zero" else {}
    return np.pad(cells, [(r, r) for r in reach], mode=NUMPY_PAD[boundary], **constant)


def table_by_padding(geometry):
    numbers = np.arange(geometry.cells).reshape(geometry.shape)
    around = padded(numbers, [k // 2 for k in geometry.width], geometry.boundary)
    windows = np.lib.stride_tricks.sliding_window_view(around, geometry.width)
    strided = windows[tuple(slice(None, None, s) for s in geometry.stride)]
    return strided.reshape(geometry.out_cells, geometry.taps).T


def make(shape, width, boundary="periodic", stride=1):
    return Geometry(shape, width, boundary, (stride,) * len(shape))


def test_there_are_three_boundaries():
    assert set(BOUNDARIES) == {"periodic", "zero", "reflect"}


@every_boundary
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_fold_continues_the_line_as_padding_does(n, boundary):
    reach = 3 * n + 1  # several periods
    assert np.array_equal(
        fold(np.arange(-reach, n + reach), n, boundary), padded(np.arange(n), [reach], boundary)
    )


def test_reflection_repeats_the_edge_cell():
    assert fold(np.arange(-3, 6), 3, "reflect").tolist() == [2, 1, 0, 0, 1, 2, 2, 1, 0]


def test_fold_keeps_the_shape_and_the_input():
    index = np.arange(-4, 4).reshape(2, 4)
    kept = index.copy()
    assert fold(index, 3, "reflect").shape == (2, 4)
    assert np.array_equal(index, kept)


def test_fold_refuses_an_unknown_boundary():
    with pytest.raises(
        RefmgError, match=r"unknown boundary 'periodik' \(did you mean 'periodic'\?\); expected"
    ):
        fold(np.arange(3), 3, "periodik")


@every_grid
@every_boundary
@every_stride
def test_the_table_is_that_of_padding(shape, width, boundary, stride):
    geometry = make(shape, width, boundary, stride)
    assert np.array_equal(geometry.table, table_by_padding(geometry))


@every_grid
@every_boundary
@every_stride
def test_the_transposed_table_holds_each_reading_once(shape, width, boundary, stride):
    geometry = make(shape, width, boundary, stride)
    read = {(t, o, c) for (t, o), c in np.ndenumerate(geometry.table) if c != OUTSIDE}
    scattered = [(t, o, c) for t, row in geometry.transpose_table for c, o in enumerate(row) if o != OUTSIDE]
    assert len(scattered) == len(read)
    assert set(scattered) == read


@pytest.mark.parametrize("boundary", ["periodic", "zero"])
def test_without_reflection_each_tap_is_transposed_in_one_row(boundary):
    geometry = make((5, 6), (3, 3), boundary)
    assert [tap for tap, _ in geometry.transpose_table] == list(range(9))


def test_with_reflection_an_edge_is_read_twice_through_one_tap():
    taps = [tap for tap, _ in make((4,), (3,), "reflect").transpose_table]
    assert taps == [0, 0, 1, 2, 2]


@pytest.mark.parametrize(("n", "stride"), list(product([1, 4, 5], [1, 2, 3, 7])))
def test_the_output_has_a_cell_for_each_started_stride(n, stride):
    geometry = make((n,), (3,), stride=stride)
    assert geometry.out_shape == (len(range(0, n, stride)),)
    assert geometry.table.shape == (3, geometry.out_cells)


def test_counts_of_cells_and_taps():
    geometry = Geometry((4, 5, 6), (3, 1, 5), stride=(2, 2, 4))
    assert (geometry.cells, geometry.taps, geometry.out_cells) == (120, 15, 2 * 3 * 2)


def test_the_defaults_are_periodic_and_every_cell():
    assert Geometry((4, 5), (3, 3)) == Geometry((4, 5), (3, 3), "periodic", (1, 1))


@pytest.mark.parametrize(
    "other",
    [
        Geometry((5,), (3,)),
        Geometry((4,), (5,)),
        Geometry((4,), (3,), "zero"),
        Geometry((4,), (3,), stride=(2,)),
    ],
)
def test_geometries_are_told_apart(other):
    assert other != Geometry((4,), (3,))
    assert not np.array_equal(other.table, Geometry((4,), (3,)).table)


def test_shared_tables_cannot_be_written():
    geometry = make((4,), (3,), "reflect")
    for table in (geometry.table, *(row for _, row in geometry.transpose_table)):
        with pytest.raises(ValueError, match="read-only"):
            table[...] = 0


def test_a_geometry_cannot_be_changed():
    with pytest.raises(AttributeError):
        make((4,), (3,)).boundary = "zero"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (((4, 4), (3,)), "have different numbers of axes; give one entry per axis"),
        (((4,), (3,), "zero", (1, 1)), "have different numbers of axes; give one entry per axis"),
        (((), ()), "expected at least one axis and positive sizes"),
        (((0,), (3,)), "found grid (0,), width (3,)"),
        (((4,), (3,), "zero", (0,)), "stride (0,); expected at least one axis and positive sizes"),
        (((4,), (-1,)), "expected at least one axis and positive sizes"),
        (((4, 4), (3, 2)), "found a stencil of width (3, 2); expected odd widths"),
        (((4,), (3,), "wrap"), "unknown boundary 'wrap'; expected one of: periodic, reflect, zero"),
    ],
)
def test_what_is_not_a_geometry_is_refused(arguments, said):
    with pytest.raises(RefmgError) as caught:
        Geometry(*arguments)
    assert said in str(caught.value)
