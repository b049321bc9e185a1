"""Small made-up photographs: folders and tars, good, damaged and hostile."""

import tarfile
from io import BytesIO

import numpy as np
from PIL import Image


def encoded(array, kind="JPEG"):
    content = BytesIO()
    Image.fromarray(array).save(content, kind)
    return content.getvalue()


def noise(rng, size=20):
    return rng.integers(0, 256, (size, size, 3), dtype=np.uint8)


def add(archive, name, content, kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(content), kind, link
    archive.addfile(member, BytesIO(content))


def write_tar(path, entries, mode="w"):
    """Write a tar of (name, content) pairs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for entry in entries:
            add(archive, *entry)


def striped(rng, label, size):
    """A picture that a small network can learn: stripes along one axis, of a width that the class has."""
    phase = rng.integers(0, size)
    wave = np.sin(2 * np.pi * (np.arange(size) + phase) * (1 + label // 2) / size * 2)
    rows = np.broadcast_to(wave[:, None], (size, size))
    image = 127 + 80 * (rows if label % 2 else rows.T)[..., None] + rng.normal(0, 20, (size, size, 3))
    return image.clip(0, 255).astype(np.uint8)


def write_stripes(folder, classes=3, each=12, size=16, seed=0):
    """Write tars with pictures of stripes, one a class."""
    rng = np.random.default_rng(seed)
    for label in range(classes):
        name = f"n{label:02d}"
        entries = [(f"{name}/{i}.png", encoded(striped(rng, label, size), "PNG")) for i in range(each)]
        write_tar(folder / f"{name}-1.tar", entries)
    return folder
