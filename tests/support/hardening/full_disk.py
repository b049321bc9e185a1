"""The commands that write, where the disk is full or no file may grow: one line, and nothing lost."""

import resource
import shutil
import subprocess
from collections import Counter
from contextlib import contextmanager

from hardening.commands import OLDER, OUT, child, ended, warm
from hardening.whole import faults, files_below, parts_below

DISK = 64 * 2**20
FREE = (0, 4096, 20_000, 100_000)  # bytes that are left
SIZES = (300, 3000, 30_000)  # to which files may grow


@contextmanager
def small_disk(place):
    """Mount a small disk in memory; RuntimeError where that is not allowed."""
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", place], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(place, free):
    """Write a file that leaves so many bytes; return it."""
    path, block = place / "ballast", bytes(4096)
    with path.open("wb", buffering=0) as stream:
        try:
            while stream.write(block) == len(block):
                pass
        except OSError:
            pass
        stream.truncate(max(0, stream.tell() - free))
    return path


class Refusals:
    """Runs of one command that cannot write; an older output lies there in every second one."""

    def __init__(self, command, folder, error):
        self.command, self.place, self.error = command, warm(command, folder), error
        self.outcomes, self.faults = Counter(), []

    def one(self, older, name, before=lambda: None, fill_it=lambda: None):
        """Run once, look, and run again with room."""
        out = self.place / OUT
        shutil.rmtree(out, ignore_errors=True)
        if older:
            shutil.copytree(self.place / OLDER, out)
        there = files_below(out)
        ballast = fill_it()
        status = ended(child(self.command.words, self.place, self.error, before))
        told = self.error.read_text()
        if ballast is not None:
            ballast.unlink()
        self.outcomes["refused" if status else "had room"] += 1
        found = faults(out, there) + [f"{part.name} is left" for part in parts_below(out)]
        if status and (status != 2 or not told.startswith("refmg: ") or told.count("\n") != 1):
            found.append(f"status {status}: {told[-500:]}")
        if ended(child(self.command.words, self.place, self.error)):
            found.append(f"with room again: {self.error.read_text()[-500:]}")
        self.faults += [f"{self.command.name}, {name}: {fault}" for fault in found]


def limited(size):
    """Let no file of this process grow beyond a size; the error is another than that of a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def run_limited(commands, folder, tell=lambda *told: None, sizes=SIZES):
    """Run all commands with files that may not grow; works everywhere."""
    return _run(
        commands,
        folder,
        folder,
        tell,
        [(f"{size} bytes a file", limited(size), lambda: None) for size in sizes],
    )


def run_on_full_disk(commands, folder, tell=lambda *told: None, free=FREE):
    """Run all commands on a small disk with so many bytes left."""
    with small_disk(folder / "disk") as disk:
        cases = [(f"{left} bytes left", lambda: None, lambda left=left: fill(disk, left)) for left in free]
        return _run(commands, disk, folder, tell, cases)


def _run(commands, place, errors, tell, cases):
    found = {}
    for command in commands:
        runs = Refusals(command, place / command.name, errors / f"{command.name}.error")
        for older in (False, True):
            for name, before, fill_it in cases:
                runs.one(older, name, before, fill_it)
        shutil.rmtree(place / command.name)
        found[command.name] = runs
        tell(command.name, runs)
    return found
