"""Changes that know a format and mend its checksums, so that they get beyond the first check."""

import gzip
import hashlib
import io
import json
import struct
import tarfile
import zlib

import numpy as np
from safetensors.numpy import load

from fuzzing.byte_mutations import any_bytes, mutated_bytes
from fuzzing.json_mutations import Raw, as_text, changed, mutated_json
from refmg.checksum import content_sha256

HUGE = ((2**40,), (2**20, 2**20), (2**31, 3), (0,), (-1,), (2**62, 4), (10**20,), ())
DTYPES = (
    "<f8",
    "|O",
    "<M8[ns]",
    ">i4",
    "|S5",
    "|V3000000000",
    "<c16",
    "<U2000000000",
    "<f2",
    "[('a', '<f8')]",
    "<f7",
    "?",
)


def idx_bytes(rng, seeds):
    """Return an IDX file, now and then packed; the header too, or a bomb that packs well."""
    content = rng.choice(seeds)
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    kind = rng.random()
    if kind < 0.03:
        content = b"\0\0\x08\x03" + struct.pack(">3I", 2**12, 2**7, 2**6) + bytes(2**25)
        return gzip.compress(content, 1)
    if kind < 0.15:
        shape = [rng.choice((0, 1, 28, 2**16, 2**31, 2**32 - 1)) for _ in range(rng.randrange(5))]
        content = b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content[16:]
    content = mutated_bytes(rng, content) if kind < 0.85 else content
    packed = gzip.compress(content, 1) if rng.random() < 0.4 else content
    return mutated_bytes(rng, packed, 2) if rng.random() < 0.3 else packed


def npy_bytes(rng, seeds):
    """Return a ``.npy`` file with another header, or changed bytes."""
    content = rng.choice(seeds)
    if rng.random() < 0.4:
        return any_bytes(rng, seeds)
    shape = rng.choice(HUGE) if rng.random() < 0.5 else np.load(io.BytesIO(content)).shape
    dtype, order = rng.choice(DTYPES[:1] * 6 + DTYPES), rng.random() < 0.2
    said = dtype if dtype.startswith("[") else repr(dtype)
    header = f"{{'descr': {said}, 'fortran_order': {order}, 'shape': {shape}, }}"
    header = header if rng.random() < 0.8 else mutated_bytes(rng, header.encode()).decode("latin1")
    text = header.encode("latin1") + b" " * rng.choice((0, 10, 20_000)) + b"\n"
    version = rng.choice(((1, 0), (1, 0), (2, 0), (3, 0), (9, 9)))
    length = struct.pack(
        "<H" if version == (1, 0) else "<I", len(text) % (2**16 if version == (1, 0) else 2**32)
    )
    return b"\x93NUMPY" + bytes(version) + length + text + content[-64:]


def split_header(content):
    """Return the header of a safetensors file as a value, and its data."""
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header, data):
    """Return a safetensors file."""
    text = as_text(header).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + data


def safetensors_bytes(rng, seeds):
    """Return a safetensors file with another header or data."""
    if rng.random() < 0.25:
        return any_bytes(rng, seeds)
    header, data = split_header(rng.choice(seeds))
    if rng.random() < 0.8:
        header = mutated_json(rng, header)
    if rng.random() < 0.3:
        data = mutated_bytes(rng, data, 2)
    return (
        joined(header, data) if isinstance(header, dict) else as_text(header).encode("utf-8", "surrogatepass")
    )


def signed_bytes(rng, seeds, names=("architecture", "notes")):
    """Return a file of arrays; JSON by these names in its header was changed, its checksum made again."""
    if rng.random() < 0.25:
        return safetensors_bytes(rng, seeds)
    content = rng.choice(seeds)
    header, data = split_header(content)
    about = header["__metadata__"]
    for name in rng.sample(names, min(len(names), rng.choice((1, 1, 2)))):
        value = json.loads(about[name])
        for _ in range(rng.randrange(1, 4)):
            value = value if isinstance(value, Raw) else changed(rng, value)
        about[name] = as_text(value).encode("utf-8", "replace").decode()
    about.pop("sha256", None)
    about["sha256"] = content_sha256(about, load(content))
    return joined(header, data)


def png_bytes(rng, seeds):
    """Return a picture; of a PNG often one chunk changed and its checksum made again."""
    content = rng.choice(seeds)
    if not content.startswith(b"\x89PNG") or rng.random() < 0.4:
        return any_bytes(rng, [content])
    chunks, at = [], 8
    while at < len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        chunks.append([content[at + 4 : at + 8], content[at + 8 : at + 8 + size]])
        at += size + 12
    one = rng.choice(chunks)
    if one[0] == b"IHDR" and rng.random() < 0.5:
        one[1] = struct.pack(">2I", *(rng.choice((0, 1, 9000, 30_000, 2**31 - 1)) for _ in "wh")) + one[1][8:]
    else:
        one[1] = mutated_bytes(rng, one[1])
    if rng.random() < 0.1:
        chunks.insert(1, [b"zTXt", b"k\0\0" + zlib.compress(bytes(2**22))])
    packed = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return content[:8] + b"".join(packed)


def tar_of(pictures):
    """Return a tar of pictures."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for number, content in enumerate(pictures):
            member = tarfile.TarInfo(f"{number}.JPEG")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def tar_bytes(rng, tars):
    """Return a tar of pictures, some damaged, with names and kinds that lead out of any folder."""
    with tarfile.open(fileobj=io.BytesIO(rng.choice(tars))) as archive:
        pictures = [archive.extractfile(member).read() for member in archive]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=rng.choice(("w", "w", "w:gz"))) as archive:
        for number in range(rng.randrange(3)):
            content = rng.choice(pictures) if rng.random() < 0.6 else png_bytes(rng, pictures)
            names = (f"{number}.JPEG", "../out.JPEG", "/tmp/out.JPEG", "a/" * 90 + "x", "n" * 300, "é\udcff")
            member = tarfile.TarInfo(rng.choice(names[:1] * 5 + names))
            member.size = len(content)
            kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
            if rng.random() < 0.2:
                member.type, member.linkname, member.size = rng.choice(kinds), "/etc/passwd", 0
            archive.addfile(member, io.BytesIO(content))
    content = stream.getvalue()
    return mutated_bytes(rng, content) if rng.random() < 0.6 else content


def sha256(content):
    """Return the checksum that a manifest has of a file."""
    return hashlib.sha256(content).hexdigest()
