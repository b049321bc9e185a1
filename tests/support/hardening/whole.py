"""Whether files are whole: every one that a command left is looked into."""

import io
import json
import warnings

from refmg import RefmgError, load_network
from refmg.atomic import PART
from refmg.model_file import read_model
from refmg_validation.conformance.vectors import read_npy


def picture(path):
    """Decode a picture to its last row."""
    from PIL import Image

    Image.open(io.BytesIO(path.read_bytes())).load()


def page(path):
    """See that a page has its end."""
    assert path.read_text().rstrip().endswith("</html>")


def network(path):
    """Read a network, its checksum compared, or anyone's model."""
    if path.name.startswith("m."):
        return read_model(path)
    return load_network(path, "numpy")


LOOK = {
    ".json": lambda path: json.loads(path.read_bytes()),
    ".png": picture,
    ".html": page,
    ".safetensors": network,
    ".npy": lambda path: read_npy(path.read_bytes()),
}


def files_below(folder):
    """Return the content of every file by its path, but for locks and parts."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path: path.read_bytes() for path in paths if path.name != ".lock" and not path.name.endswith(PART)
    }


def parts_below(folder):
    """Return what processes that were killed while they wrote have left."""
    return sorted(folder.rglob(f"*{PART}"))


def faults(folder, before, dropped=("checkpoint-",)):
    """Return what is lost or half written, against the files that were there before.

    Old checkpoints are dropped on purpose, once newer ones are there.
    """
    now, found = files_below(folder), []
    for path, content in now.items():
        if before.get(path) != content:
            found += _not_whole(path)
    for path in before.keys() - now.keys():
        if not path.name.startswith(dropped):
            found.append(f"{path.name} is lost")
    return found


def _not_whole(path):
    if path.suffix not in LOOK:
        return [f"{path.name} is of no kind that a command writes"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            LOOK[path.suffix](path)
    except (RefmgError, AssertionError, ValueError, OSError, SyntaxError) as error:
        return [f"{path.name} is half written: {error}"]
    return []
