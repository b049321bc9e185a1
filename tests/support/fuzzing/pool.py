"""Workers side by side: parts of the inputs of every reader, and what to say of a worker that died."""

import json
import os
import select
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = [sys.executable, "-m", "fuzzing.worker"]
SILENT = 240  # seconds without a line: what no signal within the process could break off
OUTCOMES = ("accepted", "refused", "failed", "hung", "killed")


@dataclass
class Found:
    """What became of the inputs of one reader."""

    outcomes: Counter = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0
    failures: list = field(default_factory=list)

    def add(self, number, what, where, seconds):
        """Count one input."""
        self.outcomes[what] += 1
        self.seconds += seconds
        self.slowest = max(self.slowest, seconds)
        if what in OUTCOMES[2:]:
            self.failures.append((number, what, where))

    def as_dict(self):
        """Return counts and seconds, ready for JSON."""
        counts = {name: self.outcomes[name] for name in OUTCOMES}
        return counts | {"seconds": round(self.seconds, 1), "slowest_ms": round(1000 * self.slowest)}


def run_part(name, begin, end, keep, found):
    """Read the inputs `begin` to `end` of a reader; a worker that dies is replaced after its input."""
    while begin < end:
        last, finished = _watched(name, begin, end, keep, found)
        if finished:
            return
        found.add(last, "killed", f"{name} {last}: the process died or fell silent", 0.0)
        begin = last + 1


def _watched(name, begin, end, keep, found):
    command = [*PROGRAM, name, str(begin), str(end), str(keep)]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REFMG_")}
    environment = kept | one | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "COLUMNS": "200"}
    errors = Path(keep, f"{name}-{begin}.stderr")
    with (
        errors.open("wb") as stream,
        subprocess.Popen(command, stdout=-1, stderr=stream, env=environment) as process,
    ):
        last = _listen(process, begin, found)
    finished = process.returncode == 0 and last == end
    if not finished and last == begin - 1:
        raise RuntimeError(f"the worker for {name} could not begin: {errors.read_text()[-2000:]}")
    return last, finished


def _listen(process, begin, found):
    """Count what a worker tells; return the input that it was at, or the number after the last."""
    last = begin - 1
    while select.select([process.stdout], [], [], SILENT)[0]:
        line = process.stdout.readline()
        if not line:
            return last
        told = json.loads(line)
        if "begin" in told:
            last = told["begin"]
        else:
            found.add(told["number"], told["what"], told["where"], told["seconds"])
            last = told["number"] + 1
    process.kill()
    return last


def run_all(counts, keep, workers, tell=lambda *told: None):
    """Read so many inputs of each reader; return what was found, by reader."""
    Path(keep).mkdir(parents=True, exist_ok=True)
    found = {name: Found() for name in counts}

    def one(name):
        run_part(name, 0, counts[name], keep, found[name])
        tell(name, found[name])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, sorted(counts, key=counts.get, reverse=True)))
    return found
