"""A path of two levels, trained by Adam and then by multiscale gradients: a script that tests can kill."""

import sys
from pathlib import Path

import numpy as np

EPOCHS = 4

if __name__ == "__main__":
    from refmg import Architecture
    from refmg.multilevel import ImagePyramid, Level
    from refmg.optimization import MultiscaleSettings, StochasticSettings
    from refmg_validation.multilevel.paths import TrainingPath
    from refmg_validation.multilevel.saved_path import SavedPath

    rng = np.random.default_rng(0)
    images = ImagePyramid(rng.normal(size=(1, 8, 8, 40)), np.arange(40) % 2)
    adam = StochasticSettings("adam", 0.01, epochs=EPOCHS, examples=8)
    levels = (
        Level((4, 4), 2, settings=adam),
        Level((8, 8), 4, settings=MultiscaleSettings(((4, 4),), pilot=4, stochastic=adam)),
    )
    path = TrainingPath("tiny", Architecture((4, 4), channels=2, classes=2), levels)

    def told(record):
        if record["kind"] == "iteration":
            print(record["level"], record["iteration"], "again" if "saved" in record else "new", flush=True)

    pyramids = dict.fromkeys(("train", "validation", "test"), images)
    SavedPath(Path(sys.argv[1], "tiny"), path, 0, "float64", {"seed": 0}).go(pyramids, told)
