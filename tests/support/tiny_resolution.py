"""``refmg`` with a preset so small that tests can kill its processes: a script, and the images for it."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

ITERATIONS = 6
LEVEL_ITERATIONS = 3  # of the multilevel experiments, on every level
HOLD = "TINY_HOLD"  # in the environment: wait after the training, so that a signal always finds the process
TRAIN, VALIDATION, TEST = 60, 20, 20


def write_stripes(folder: Path) -> None:
    """Write vertical and horizontal stripes with noise as MNIST's four files, 8 x 8 cells."""
    rng = np.random.default_rng(0)
    wave = 90 * np.sin(np.pi * np.arange(8) / 4) + 110
    folder.mkdir()
    for split, count in (("train", TRAIN + VALIDATION), ("t10k", TEST)):
        labels = np.arange(count, dtype=np.uint8) % 2
        plain = np.stack([np.tile(wave, (8, 1)) if c else np.tile(wave[:, None], (1, 8)) for c in labels])
        pixels = np.clip(plain + rng.normal(scale=40, size=plain.shape), 0, 255).astype(np.uint8)
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
            (folder / f"{split}-{kind}-ubyte").write_bytes(header + array.tobytes())


def shrink() -> None:
    """Make the presets of this process small."""
    from few_blocks import let_few

    from refmg_validation import presets, resolution_command
    from refmg_validation.multilevel import command
    from refmg_validation.multilevel import presets as multilevel

    let_few()
    small = presets.PRESETS["small"]
    training = replace(small.training, iterations=ITERATIONS, hessian_examples=20, newton_steps=2)
    presets.PRESETS["small"] = replace(
        small, train=TRAIN, validation=VALIDATION, channels=2, training=training
    )
    short = replace(presets.PRESETS["small"], training=replace(training, iterations=LEVEL_ITERATIONS))
    multilevel.DEPTH["small"] = multilevel.LevelsPreset(short, (2,), (1, 2))
    multilevel.PYRAMID["small"] = multilevel.LevelsPreset(short, (2, 1), (1, 2), transfers=("calibrated",))
    if HOLD in os.environ:
        resolution_command.draw_accuracies = lambda *arguments: time.sleep(600)
        for name in ("DEPTH_KIND", "PYRAMID_KIND"):
            held = replace(getattr(command, name), draw=lambda *arguments: time.sleep(600))
            setattr(command, name, held)


if __name__ == "__main__":
    from refmg_validation.cli import main

    shrink()
    sys.exit(main())
