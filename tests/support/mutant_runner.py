"""Run tests on mutants of one module, each in a forked process that finds third-party packages loaded.

``python mutant_runner.py JOB`` with a JSON file of the module, its mutations, tests, options and where the
outcomes go: a line each, in a file to which an interrupted run adds.
"""

import contextlib
import importlib
import json
import math
import os
import resource
import signal
import sys
import time
import warnings
from pathlib import Path

TIMEOUT = 5, 10  # times the processor's seconds that the unchanged module takes, and seconds more
PATIENCE = 10  # times that by the clock: other work may run, which must not make a mutant look endless


def preload():
    """Import what mutants cannot change, once."""
    import array_api_compat.numpy  # noqa: F401
    import numpy.testing  # noqa: F401
    import pytest  # noqa: F401
    import scipy.ndimage
    import scipy.optimize
    import scipy.sparse.linalg  # noqa: F401

    for name in ("array_api_strict", "numba", "torch"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def run_tests(arguments, timeout):
    """Return pytest's exit status in a forked process, None after `timeout` seconds of the processor."""
    with warnings.catch_warnings():
        # Of threads that a fork leaves behind: none of ours runs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(timeout), math.ceil(timeout) + 5))
            null = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            import pytest

            os._exit(int(pytest.main(arguments)))
        os._exit(3)
    end, done, status = time.monotonic() + PATIENCE * timeout, 0, 0
    try:
        while not done and time.monotonic() < end:
            time.sleep(0.01)
            done, status = os.waitpid(child, os.WNOHANG)
    finally:
        if not done:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status) if done else None
    return None if code == -signal.SIGXCPU else code


def children_seconds():
    """Return the processor's seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def outcome(status):
    """Return what became of a mutant; a crash has noticed it too, a hang is told apart."""
    return "hung" if status is None else "survived" if status == 0 else "killed"


def mutated(source, mutation):
    """Return a module's source with one mutation, None where there is none to make."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    operator = get_operator(mutation["operator_name"])(**mutation["operator_args"])
    return mutate_code(source, operator, mutation["occurrence"])


def rows_of(paths, holds):
    """Return the outcomes in files that still hold, by name; a last line that was cut short is left out."""
    rows = {}
    for path in paths:
        for line in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                row = json.loads(line)
                rows |= {row["name"]: row} if holds(row) else {}
    return rows


def name_of(mutation):
    """Return where a mutation is and what it is."""
    arguments = "".join(f" {value}" for value in mutation["operator_args"].values())
    operator = f"{mutation['operator_name']} {mutation['occurrence']}{arguments}"
    return f"line {mutation['start_pos'][0]}: {operator}"


def main(job):
    """Try every mutation, and restore the module."""
    module, results = Path(job["module"]), Path(job["results"])
    arguments, source = ["-x", "-q", "-n0", "-p", "no:cacheprovider"], module.read_text()
    # Doctests first.
    arguments += [str(module), *job["tests"]]
    preload()
    began, written = children_seconds(), sys.dont_write_bytecode
    # The tests, as pytest rewrites them, are kept compiled; of what is mutated nothing is.
    sys.dont_write_bytecode = False
    status = run_tests(arguments, 600)
    for compiled in (module.parent / "__pycache__").glob(f"{module.stem}.*"):
        compiled.unlink()
    sys.dont_write_bytecode = True
    if status != 0:
        raise SystemExit(f"found tests of {module} that fail before any mutation (status {status})")
    timeout = TIMEOUT[0] * (children_seconds() - began) + TIMEOUT[1]
    try:
        for mutation in job["mutations"]:
            changed = mutated(source, mutation)
            if changed is None or changed == source:
                continue
            module.write_text(changed)
            began = time.monotonic()
            row = {"name": name_of(mutation), "outcome": outcome(run_tests(arguments, timeout))}
            row |= {"seconds": round(time.monotonic() - began, 2), "tests": job["tests"]}
            with results.open("a") as file:
                file.write(json.dumps(row) + "\n")
    finally:
        module.write_text(source)
        sys.dont_write_bytecode = written


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
