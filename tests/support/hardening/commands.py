"""Every command that writes, small, and what must be there before it.

But for `reproduce imagenet10`, whose kills are tests of its own, and `fetch`, which needs a network.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import tiny_resolution
from fuzzing import seeds
from fuzzing.command_line import prepare as put_run

from refmg_validation.bench import run

OUT = "out"  # all that is written goes below
OLDER = "older"  # the output of a run that nobody disturbed


@dataclass(frozen=True)
class Command:
    """One command, as words; `prepare` writes what it reads beside the output folder."""

    name: str
    line: str
    prepare: Callable[[Path], object]

    @property
    def words(self):
        """Its arguments."""
        return self.line.split()


def images(folder):
    """Write images of stripes."""
    tiny_resolution.write_stripes(folder / "stripes")


def outputs(folder):
    """Write an export with right outputs."""
    manifest, files = seeds.export()
    for name, content in {"manifest.json": manifest, **files}.items():
        for place in {name, name.replace("expected", "outputs")}:
            (folder / "cases" / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / "cases" / place).write_bytes(content)


def shrink():
    """Make this process's presets tiny, and its benchmark one that was measured before."""
    tiny_resolution.shrink()
    measured = json.loads((seeds.RESULTS / "bench-cpu.json").read_text()) | {
        "summary": [],
        "memory": [],
        "assembly": {},
    }
    run.run_bench = lambda *arguments: measured


def nothing(folder):
    """Need nothing."""


COMMANDS = tuple(
    Command(*parts)
    for parts in (
        (
            "transfer",
            "transfer model.safetensors -o out/m.safetensors --to coarse --json out/m.json --force",
            put_run,
        ),
        ("report", "report . -o out/page.html", put_run),
        ("compare", "compare . . -o out/pages.html", put_run),
        ("export", "conformance export out --level core", nothing),
        ("check", "conformance check cases --json out/check.json", outputs),
        (
            "run",
            "conformance run refmg_validation.adapters.backends --level core --json out/run.json",
            nothing,
        ),
        ("verify", "verify --only taps --json out/verify.json", nothing),
        ("bench", "bench --quick --json out/bench.json", nothing),
        ("example1", "reproduce example1 --data stripes --output out", images),
        ("resolution", "reproduce resolution --data stripes --output out", images),
        ("seeds", "reproduce resolution --data stripes --seeds 2 --output out", images),
        ("depth", "reproduce depth --data stripes --output out", images),
        ("pyramid", "reproduce pyramid --data stripes --output out", images),
    )
)


def named(names=()):
    """Return the commands of these names, or all."""
    return [command for command in COMMANDS if not names or command.name in names]


def warm(command, folder):
    """Run a command here once, so that no process forked from this one imports anything.

    Then a random moment falls into the work. Its output is left in the folder, as an older one.
    """
    from refmg_validation.cli import main

    folder.mkdir()
    command.prepare(folder)
    with chdir(folder), open(os.devnull, "w") as null, redirect_stdout(null), redirect_stderr(null):
        status = main(command.words)
    assert status == 0, command.name
    shutil.move(folder / OUT, folder / OLDER)
    return folder


def child(words, folder, error, before=lambda: None):
    """Begin a command in a process of its own, a fork of this one; return its number.

    Its standard error goes to the file `error`; `before` is called in the process.
    """
    sys.stdout.flush()
    number = os.fork()
    if number:
        return number
    status = 70
    try:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(error, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        from refmg_validation.cli import main

        before()
        status = main(words)
    finally:
        sys.stderr.flush()
        os._exit(status)


def ended(number):
    """Wait for a process; return its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
