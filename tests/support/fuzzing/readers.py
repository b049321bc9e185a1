"""Every reader of files, variables and arguments: its valid input, how it is changed, and how it is read."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fuzzing import command_line, seeds
from fuzzing.byte_mutations import any_bytes
from fuzzing.file_mutations import (
    idx_bytes,
    npy_bytes,
    png_bytes,
    safetensors_bytes,
    sha256,
    signed_bytes,
    tar_bytes,
    tar_of,
)
from fuzzing.json_mutations import json_bytes
from refmg import load_saved_network
from refmg.data import load_images, load_photographs, read_idx
from refmg.model_transfer import ResolutionChange, TensorSelection
from refmg_validation.bench.scaling.command import read_computing
from refmg_validation.conformance.catalogue import cases
from refmg_validation.conformance.check import check
from refmg_validation.conformance.export import _earlier
from refmg_validation.conformance.manifest import NAME
from refmg_validation.conformance.reading import read_cases
from refmg_validation.conformance.vectors import read_npy
from refmg_validation.conformance.xfails import read_xfails
from refmg_validation.html_report import compare_page, report_page
from refmg_validation.imagenet10.state_file import read_state
from refmg_validation.move_model import MoveRequest, move_model
from refmg_validation.pictures import load_pictures
from refmg_validation.run_reading import read_run
from refmg_validation.runs import RunFolder, check_claim
from refmg_validation.runs.checkpoint import checkpoint_path
from refmg_validation.runs.lock import _named
from refmg_validation.trained_pair import TrainedPair

MEGABYTE = 2**20


@dataclass(frozen=True)
class Reader:
    """One reader.

    `share` weighs how many of the inputs it gets, `memory` is what it may take beyond the process, in bytes.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    mutate: Callable[..., bytes]
    read: Callable[[Path, bytes], object]
    prepare: Callable[[Path], object] = lambda folder: None
    share: float = 1.0
    memory: int = 256 * MEGABYTE


def put(folder, name, content):
    """Write the input, and return where."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def put_images(folder):
    """Write MNIST's files, but for the labels of the training images."""
    images, labels = seeds.idx_files()[:2]
    for name, content in (
        ("train-images-idx3", images),
        ("t10k-images-idx3", images),
        ("t10k-labels-idx1", labels),
    ):
        put(folder, f"{name}-ubyte", content)


def put_export(folder):
    """Write an export with outputs that are right."""
    manifest, files = seeds.export()
    for name, content in {NAME: manifest, **files}.items():
        put(folder, name, content)
        if name.startswith("expected/"):
            put(folder, name.replace("expected", "outputs"), content)


def read_vectors(folder, content):
    """Read an export one of whose files is the input, as the manifest says."""
    manifest, _ = seeds.export()
    name, old = next(seeds.expected())
    put(folder, name, content)
    put(folder, NAME, manifest.replace(sha256(old).encode(), sha256(content).encode()))
    return read_cases(folder)


def read_pair(folder, content):
    """Read a network that says what trained it."""
    put(folder, "fine.safetensors", content)
    pair = TrainedPair.read(folder)
    return pair.settings, pair.preset


def read_checkpoint(folder, content):
    """Read the last checkpoint of a run."""
    put(folder, checkpoint_path(folder, 3).name, content)
    return RunFolder(folder, seeds.FINGERPRINT).latest("numpy")


def move(folder, content):
    """Move a model's stencils."""
    change = ResolutionChange(2, "coarse", "power-law")
    return move_model(
        MoveRequest(put(folder, "model", content), folder / "out", change, TensorSelection(), force=True)
    )


def read_tar(folder, content):
    """Decode a tar of pictures."""
    put(folder, "data/dog-1.tar", content)
    shutil.rmtree(folder / "cache", ignore_errors=True)
    return load_photographs(folder / "data", folder / "cache", 8)


def compare(folder, content):
    """Write two runs on one page."""
    put(folder, "b/run.json", content)
    return compare_page(folder / "a", folder / "b")


def run_seeds():
    return seeds.recorded("seeds-weak/run.json", "depth-small/run.json")


def pages(read, name):
    """Return the reader of a page; figures are drawn, which takes longer."""
    return Reader(name, run_seeds, json_bytes, read, put_run, share=0.05)


def put_run(folder):
    """Write a run, and the pictures that it names."""
    for name in ("a", "b", "."):
        put(folder, f"{name}/run.json", run_seeds()[0])
        for picture in ("seeds.png", "depth.png"):
            put(folder, f"{name}/{picture}", seeds.pictures()[0])


READERS = {
    reader.name: reader
    for reader in (
        Reader("idx", seeds.idx_files, idx_bytes, lambda f, c: read_idx(put(f, "x", c))),
        Reader(
            "labels",
            lambda: seeds.idx_files()[1::2],
            idx_bytes,
            lambda f, c: load_images(put(f, "train-labels-idx1-ubyte", c).parent),
            put_images,
        ),
        Reader(
            "network",
            seeds.networks,
            signed_bytes,
            lambda f, c: load_saved_network(put(f, "net", c), "numpy"),
            share=2,
        ),
        Reader(
            "pair",
            lambda: seeds.networks()[:1],
            signed_bytes,
            read_pair,
            lambda f: put(f, "coarse.safetensors", seeds.networks()[0]),
        ),
        Reader("checkpoint", seeds.checkpoints, signed_bytes, read_checkpoint, share=2),
        Reader(
            "state",
            seeds.states,
            partial(signed_bytes, names=("content",)),
            lambda f, c: read_state(put(f, "state", c), seeds.FINGERPRINT),
        ),
        Reader("model", seeds.models, safetensors_bytes, move, share=2),
        Reader("npy", seeds.npy_files, npy_bytes, lambda f, c: read_npy(c)),
        Reader(
            "manifest",
            lambda: [seeds.export()[0]],
            json_bytes,
            lambda f, c: read_cases(put(f, NAME, c).parent),
            put_export,
            share=2,
        ),
        Reader("vectors", lambda: [next(seeds.expected())[1]], npy_bytes, read_vectors, put_export),
        Reader(
            "outputs",
            seeds.npy_files,
            npy_bytes,
            lambda f, c: check(put(f, "outputs/convolve-1d-periodic/features.npy", c).parents[2]),
            put_export,
            share=0.5,
        ),
        Reader(
            "earlier-export",
            lambda: [seeds.export()[0]],
            json_bytes,
            lambda f, c: _earlier(put(f, NAME, c).parent),
            put_export,
        ),
        Reader("run", run_seeds, json_bytes, lambda f, c: read_run(put(f, "run.json", c).parent), put_run),
        Reader(
            "resolution-record",
            lambda: seeds.recorded("2026-11-24-resolution-paper/resolution.json", rows=9),
            json_bytes,
            lambda f, c: read_run(put(f, "resolution.json", c).parent),
        ),
        Reader(
            "seeds-record",
            lambda: seeds.recorded("seeds-weak/seeds.json"),
            json_bytes,
            lambda f, c: read_run(put(f, "seeds.json", c).parent),
        ),
        pages(lambda f, c: report_page(put(f, "run.json", c).parent), "report"),
        pages(compare, "compare"),
        Reader(
            "scaling-record",
            lambda: seeds.recorded("scaling.json"),
            json_bytes,
            lambda f, c: read_computing(put(f, "scaling.json", c)),
        ),
        Reader(
            "claim",
            lambda: [b'{"format": "refmg-experiment-1", "fingerprint": {"experiment": "depth"}}'],
            json_bytes,
            lambda f, c: check_claim(put(f, "experiment.json", c).parent, {"experiment": "depth"}),
        ),
        Reader(
            "lock",
            lambda: [b'{"pid": 1, "host": "h", "command": "refmg"}'],
            json_bytes,
            lambda f, c: _named(c),
        ),
        Reader(
            "xfails",
            lambda: [b"convolve-1d-periodic  # slow\nrestrict-*\n"],
            any_bytes,
            lambda f, c: read_xfails(put(f, "xfails.txt", c), [case.name for case in cases()]),
        ),
        Reader(
            "pictures",
            seeds.pictures,
            png_bytes,
            lambda f, c: load_pictures(put(f, "a.png", c).parent, 4),
            share=2,
            memory=1024 * MEGABYTE,
        ),
        Reader("tar", lambda: [tar_of(seeds.pictures())], tar_bytes, read_tar, memory=1024 * MEGABYTE),
        Reader(
            "arguments",
            lambda: command_line.COMMANDS,
            command_line.mutated_arguments,
            command_line.call,
            command_line.prepare,
            memory=1024 * MEGABYTE,
        ),
        Reader(
            "variables",
            lambda: command_line.VARIABLES,
            command_line.mutated_arguments,
            command_line.with_variables,
            memory=2048 * MEGABYTE,
        ),
    )
}
