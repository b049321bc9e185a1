"""``tiny_resolution`` for several ranks, one of which tests can let fail or kill: a script."""

import os
import sys
from dataclasses import replace
from importlib import import_module

FAIL = "TINY_FAIL"  # rank:kind, it fails in the second iteration by an error of this kind


def let_fail(rank: int, kind: str) -> None:
    """Let this process fail if it has this rank, in the second drawing of a subsample."""
    from refmg_backends import RefmgError
    from refmg_validation.ranks import ranks

    # By its name: the package has a function of the same one.
    module = import_module("refmg.optimization.block_coordinate_descent")
    draw = module._subsample

    def failing(batches, settings, number):
        if ranks().rank == rank and number == 2:
            raise {"input": RefmgError, "mistake": ZeroDivisionError}[kind]("found a comet; expected none")
        return draw(batches, settings, number)

    module._subsample = failing


if __name__ == "__main__":
    import own_process
    import tiny_resolution

    from refmg_validation import presets
    from refmg_validation.cli import main

    tiny_resolution.shrink()
    own_process.tell_pid()
    if FAIL in os.environ:
        rank, kind = os.environ[FAIL].split(":")
        let_fail(int(rank), kind)
    small = presets.PRESETS["small"]
    presets.PRESETS["small"] = replace(small, training=replace(small.training, iterations=4))
    sys.exit(main())
