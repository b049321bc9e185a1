"""``reproduce depth`` as a real process, killed: it goes on and ends in the same numbers."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import tiny_resolution

from refmg import load_network

MEASURED = ("elapsed",)


def start(images, output, *arguments):
    command = [sys.executable, tiny_resolution.__file__, "reproduce", "depth"]
    command += ["--data", str(images), "--output", str(output), *arguments]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = os.environ | threads | {"REFMG_BACKEND": "numpy", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def finish(*given):
    process = start(*given)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return printed


def series(output):
    """Every recorded number but those that were measured with a clock."""
    found = {}
    for line in json.loads((output / "run.json").read_text())["series"]:
        columns = [i for i, name in enumerate(line["columns"]) if name not in MEASURED]
        found[line["group"], line["name"]] = [[row[i] for i in columns] for row in line["rows"]]
    return found


def test_depth_killed_on_every_path_ends_in_the_same_numbers(tmp_path):
    tiny_resolution.write_stripes(tmp_path / "images")
    finish(tmp_path / "images", tmp_path / "whole")
    for told in ("2 layers", "random 2"):
        process = start(tmp_path / "images", tmp_path / "parts")
        for line in process.stdout:
            if told in line:
                break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    finish(tmp_path / "images", tmp_path / "parts", "--resume")
    assert series(tmp_path / "whole") == series(tmp_path / "parts")
    assert len(series(tmp_path / "whole")) == 3
    for name in ("prolonged", "random-2"):
        files = (tmp_path / folder / "seed-0" / f"{name}.safetensors" for folder in ("whole", "parts"))
        whole, parts = (load_network(file, "numpy")[0] for file in files)
        assert np.array_equal(whole.controls.stencils, parts.controls.stencils)
        assert np.array_equal(whole.classifier.W, parts.classifier.W)
