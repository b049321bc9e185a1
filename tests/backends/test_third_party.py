"""The example of the docs, installed as its readers would install it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "fourier-backend"
_USE = """
import numpy as np
from refmg import Architecture, Convolution, convolution_matrix, get_backend, random_network
from refmg.batches import Batches
from refmg.objective import NetworkObjective
backend = get_backend()
rng = np.random.default_rng(0)
s, y = rng.normal(size=(3, 2, 3, 5)), rng.normal(size=(2, 4, 5, 6))
for boundary in ("periodic", "zero"):
    found = Convolution(s, (4, 5), boundary).apply(y).reshape(-1, 6)
    print(np.abs(found - convolution_matrix(s, (4, 5), boundary) @ y.reshape(-1, 6)).max() < 1e-13)
values = []
for name in ("fourier", "numpy"):
    network = random_network(Architecture((6, 6), channels=3, classes=2), 0, name, "float64")
    x, labels = np.random.default_rng(1).normal(size=(1, 6, 6, 4)), np.array([0, 1, 0, 1])
    batches = Batches(x, labels, 2, 4, network.backend, "float64")
    objective = NetworkObjective(network, list(batches))
    values.append(objective.value_and_gradient(objective.vector(network))[1])
print(np.abs(values[0] - values[1]).max() < 1e-13)
print(backend.name)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the example installed in it, from a copy: building writes beside the sources."""
    import shutil

    folder = tmp_path_factory.mktemp("third-party")
    shutil.copytree(EXAMPLE, folder / "source")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(folder / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(folder / "source")], check=True)
    return folder / "site"


def test_the_example_is_found_by_its_entry_point_and_computes_the_same(installed):
    path = os.pathsep.join([str(installed), *(p for p in sys.path if p)])
    environment = os.environ | {"PYTHONPATH": path, "REFMG_BACKEND": "fourier"}
    found = subprocess.run(
        [sys.executable, "-c", _USE], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["True", "True", "True", "fourier"]
