"""Valid files, small, that the changes start from."""

import gzip
import io
import json
import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import safetensors.numpy
from safetensors import safe_open

import refmg_validation
from refmg import Architecture, random_network, save_network
from refmg.checkpoint import TENSORS
from refmg_validation.conformance.catalogue import cases
from refmg_validation.conformance.manifest import as_bytes, content_of
from refmg_validation.imagenet10.state_file import write_state
from refmg_validation.runs.checkpoint import Checkpoint, checkpoint_path, write_checkpoint

RESULTS = Path(refmg_validation.__file__).parents[1] / "results"
FINGERPRINT = {"experiment": "fuzz", "levels": [{"layers": 2}, {"layers": 4}], "seed": 0}
NET = random_network(Architecture((4, 4), channels=2, layers=2, classes=3), 0, "numpy", "float32")


def idx(array):
    """Return an array of bytes as an IDX file."""
    array = np.asarray(array, np.uint8)
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@cache
def idx_files():
    """Images and labels, plain and packed."""
    plain = [idx(np.arange(5 * 8 * 8).reshape(5, 8, 8) % 256), idx([3, 1, 0, 2, 1])]
    return [*plain, *map(gzip.compress, plain)]


def npy(array):
    """Return an array as a ``.npy`` file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@cache
def npy_files():
    """Arrays of several types and layouts."""
    arrays = (
        np.arange(6.0).reshape(2, 3),
        np.float32(1.5),
        np.zeros((0, 3)),
        np.asfortranarray(np.eye(3)),
        np.arange(4),
    )
    return [npy(array) for array in arrays]


@cache
def networks():
    """Saved networks: the current format, and the first, which has no checksum."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "net")
        save_network(
            path, NET, {"fingerprint": trained_by(), "history": [{"loss": 1.5}]}, {"momentum": np.ones(2)}
        )
        content = path.read_bytes()
    with TemporaryDirectory() as folder:
        path = Path(folder, "net")
        path.write_bytes(content)
        with safe_open(path, framework="numpy") as file:
            about, tensors = (
                file.metadata(),
                {name: file.get_tensor(name) for name in TENSORS},
            )
    about = {name: about[name] for name in ("architecture", "notes")} | {"format": "refmg-network-1"}
    return [content, safetensors.numpy.save(tensors, metadata=about)]


def trained_by():
    """What a network of ``refmg reproduce resolution`` says of its training."""
    training = {
        "seed": 0,
        "iterations": 2,
        "regularization": {"alpha_W": 1e-6, "alpha_t": 1e-5, "alpha_0": 1e-4},
    }
    data = {"name": "stripes", "train": 4, "validation": 2}
    return {"training": training, "data": data, "sigma": 1.0, "dtype": "float32"}


@cache
def checkpoints():
    """The checkpoint of step 3 of a run."""
    with TemporaryDirectory() as folder:
        notes = {"position": {"level": 0, "done": 1}, "records": []}
        write_checkpoint(Path(folder), Checkpoint(3, NET, notes, {"m": np.ones(2)}), FINGERPRINT)
        return [checkpoint_path(Path(folder), 3).read_bytes()]


@cache
def models():
    """A model of several types with stencils, vectors and metadata."""
    rng = np.random.default_rng(0)
    tensors = {
        "layer1.conv.weight": rng.normal(size=(2, 1, 3, 3)).astype(np.float32),
        "layer1.bn.running_mean": np.zeros(2, np.float16),
        "steps": np.array([3]),
        "line.weight": rng.normal(size=(2, 2, 5)),
    }
    return [
        safetensors.numpy.save(tensors, metadata={"format": "pt"}),
        safetensors.numpy.save({"a.weight": np.ones((1, 1, 3, 3))}),
    ]


@cache
def pictures():
    """A picture in every format that a folder may hold, in several modes."""
    from PIL import Image

    found, pixels = [], np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    for kind in ("PNG", "JPEG", "BMP", "WEBP"):
        for mode in ("RGB", "L", "P"):
            stream = io.BytesIO()
            if (kind, mode) not in (("JPEG", "P"), ("WEBP", "P")):
                Image.fromarray(pixels).convert(mode).save(stream, kind)
                found.append(stream.getvalue())
    return found


@cache
def export():
    """The manifest and the files of some cases."""
    manifest, files = content_of([case for case in cases("core") if "1d" in case.name][:5], "core")
    return as_bytes(manifest), files


def expected():
    """Name and content of the files that outputs are compared with."""
    return ((name, content) for name, content in export()[1].items() if name.startswith("expected/"))


@cache
def recorded(*names, rows=3):
    """Records of real runs, their long lists shortened."""
    return [json.dumps(_short(json.loads((RESULTS / name).read_text()), rows)).encode() for name in names]


def _short(value, rows):
    if isinstance(value, dict):
        return {name: _short(part, rows) for name, part in value.items()}
    return [_short(part, rows) for part in value[:rows]] if isinstance(value, list) else value


@cache
def states():
    """A state of an ImageNet-10 stage."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "state")
        write_state(
            path, {"net.fc.bias": np.ones(3)}, {"epochs": [{"loss": 1.5}], "seconds": 3.0}, FINGERPRINT
        )
        return [path.read_bytes()]
