"""``refmg`` with a preset of the ImageNet experiment that takes seconds; runs as a program too."""

import sys
from dataclasses import replace

import own_process

from refmg.resnet import ResNetArchitecture
from refmg_validation.imagenet10 import presets

ARCHITECTURE = ResNetArchitecture(
    (16, 16), classes=3, blocks=(1, 1), widths=(4, 8), opening_stride=1, opening_pool="none"
)
MICRO = replace(
    presets.PRESETS["tiny"],
    name="micro",
    sizes=(8, 16),
    architecture=ARCHITECTURE,
    training=replace(presets.PRESETS["tiny"].training, epochs=3, patience=2),
    batch_size=8,
    test=0.15,
    validation=0.15,
    stopping=0.1,
    train=24,
    unlabelled=16,
    ways=(presets.Way("unchanged", batch_norm=False), presets.Way("calibrated")),
)
# Curves of any number of ranks are the same up to rounding, of which doubles leave little.
DOUBLE = replace(MICRO, name="micro-double", dtype="float64")
TWO = replace(MICRO, name="micro-two", batch_size=2)  # fewer images a batch than some ranks
# Two epochs of two batches, each of three fixed blocks of eight images.
BLOCKS = replace(
    MICRO,
    name="micro-blocks",
    training=replace(MICRO.training, epochs=2),
    batch_size=24,
    train=48,
    ways=(presets.Way("calibrated"),),
)
presets.PRESETS |= {preset.name: preset for preset in (MICRO, DOUBLE, TWO, BLOCKS)}

if __name__ == "__main__":
    from refmg_validation.cli import main
    from refmg_validation.imagenet10 import saved_stage

    own_process.tell_pid()
    own_process.die_while_writing(saved_stage)
    raise SystemExit(main(sys.argv[1:]))
