"""Tiny runs: sums in a few blocks, for in sixteen of four images each most of a run's time is Python's."""

from refmg.distributed import division

FEW = 4  # more than the ranks of any test, so that each has work


def let_few(patch=None):
    """Make all sums of this process in a few blocks, as long as the patch of a test lasts."""
    set_attribute = setattr if patch is None else patch.setattr
    set_attribute(division, "BLOCKS", FEW)
