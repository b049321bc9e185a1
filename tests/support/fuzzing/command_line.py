"""The command as a reader: arguments and ``REFMG_*`` variables, one line and status 2 for whatever is bad."""

import io
import os
from contextlib import chdir, redirect_stderr, redirect_stdout
from unittest.mock import patch

from fuzzing import seeds
from fuzzing.byte_mutations import mutated_bytes
from refmg import RefmgError
from refmg_validation.cli import main

LINES = (
    "info",
    "verify --only taps",
    "verify --seed 12 --exact",
    "bench --against torch --shapes all --quick",
    "transfer model.safetensors --output out --to coarse",
    "transfer model.safetensors -o out --to fine --force",
    "transfer model.safetensors -o out --to coarse --factor 2,2 --include layer1.* --exclude steps",
    "transfer model.safetensors -o out --to coarse --transfer spectrum --images . --size 8 --json done.json",
    "transfer model.safetensors -o out --to fine --transfer linear --closure least-squares --force",
    "report . -o page.html",
    "compare . .",
    "compare . . --output page.html",
    "reproduce example1 --data nowhere --output out",
    "reproduce resolution --preset small --transfer linear --seed 0",
    "reproduce resolution --preset paper --regularization strong --seeds 2 --resume",
    "reproduce depth --preset small",
    "reproduce depth --preset paper --depths 2,4 --path random --plain-sums",
    "reproduce pyramid --preset small --transfer linear --seed 1 --seeds 3",
    "reproduce imagenet10 --data nowhere --sizes 8,16 --way linear --precision mixed --deterministic",
    "conformance check . --dtype float32",
    "conformance run math --level core --xfails model.safetensors",
    "conformance run math:gcd",
    "conformance functions",
    "--help",
    "--version",
    "fetch",
)
COMMANDS = ["\0".join(line.split()).encode() for line in LINES]
WORDS = sorted({word.encode() for line in LINES for word in line.split()})
ODD = (
    b"",
    b"-",
    b"--",
    b"-1",
    b"0",
    b"9" * 5000,
    b"1e9",
    b"nan",
    b"2,",
    b"2,,2",
    b"1,1",
    b"\xff",
    b"\xc2\xb2",
    b"*[",
    b"a" * 300,
)
VARIABLES = [
    b"REFMG_BACKEND=numpy\0REFMG_DTYPE=float32",
    b"REFMG_BACKEND=numba",
    b"REFMG_BACKEND=cupy\0REFMG_TF32=1",
    b"REFMG_TF32=0\0REFMG_DATA=nowhere",
    b"REFMG_BACKENDS=numpy",
    b"REFMG_BACKEND=array-api-strict\0REFMG_DTYPE=float64",
]
# What takes minutes, or the network, is not what is read.
LONG = (
    "refmg_validation.resolution_command.one_seed",
    "refmg_validation.resolution_command.several_seeds",
    "refmg_validation.multilevel.command.Request.run",
    "refmg_validation.imagenet10.command.Request.run",
    "refmg_validation.verify.run_checks",
    "refmg_validation.bench.run.run_bench",
    "refmg.data.fetch_mnist",
)


def mutated_arguments(rng, lines):
    """Return arguments, a zero byte between them, with some lost, changed, strange or of another command."""
    words = rng.choice(lines).split(b"\0")
    known = (
        WORDS
        if lines is COMMANDS
        else [b"REFMG_BACKEND=", b"REFMG_DTYPE=double", b"REFMG_", b"REFMG_TF32=2", b"=", b"A=b"]
    )
    for _ in range(rng.randrange(1, 4)):
        at, kind = rng.randrange(len(words) + 1), rng.random()
        if kind < 0.3:
            words[at : at + 1] = []
        elif kind < 0.6:
            words[at : at + 1] = [mutated_bytes(rng, rng.choice(words or [b"a"]), 2).replace(b"\0", b"0")]
        else:
            words.insert(at, rng.choice(known) if kind < 0.85 else rng.choice(ODD))
    return b"\0".join(words)


def prepare(folder):
    """Write a model, a run and a picture."""
    (folder / "model.safetensors").write_bytes(seeds.models()[0])
    (folder / "seeds.png").write_bytes(seeds.pictures()[0])
    (folder / "run.json").write_bytes(seeds.recorded("seeds-weak/run.json")[0])


def call(folder, content, variables=None):
    """Run the command in the folder; what it refuses has to be one line.

    No word may lead out of the folder: what is written there is written by whoever runs this.
    """
    inside = content.replace(b"/", b"_").replace(b"..", b"_.")
    words = [os.fsdecode(word) for word in inside.split(b"\0")]
    out, err = io.StringIO(), io.StringIO()
    with (
        chdir(folder),
        redirect_stdout(out),
        redirect_stderr(err),
        _patched(LONG),
        patch.dict(os.environ, variables or {}),
    ):
        status = main(words)
    return judged(status, err.getvalue())


def judged(status, error):
    """Raise what the command refused; a status or a message of another kind is a failure."""
    if status == 2 and not error.strip():
        return status  # the help was printed
    if status == 2 and error.startswith("refmg: ") and error.count("\n") == 1:
        raise RefmgError(error)
    assert status in (0, 1), (status, error)
    return status


def with_variables(folder, content):
    """Run ``refmg info`` with variables."""
    pairs = [word.partition(b"=") for word in content.split(b"\0")]
    named = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs if name.startswith(b"REFMG_")}
    return call(folder, b"info", named)


class _Patched:
    def __init__(self, names):
        self.patches = [patch(name, side_effect=RefmgError("not here")) for name in names]

    def __enter__(self):
        for one in self.patches:
            one.start()

    def __exit__(self, *error):
        for one in self.patches:
            one.stop()


_patched = _Patched
