"""Run tests on mutants of one module, each in a forked process that finds third-party packages loaded.

``python mutant_runner.py JOB`` with a JSON file of the module, its mutations, tests, options and where the
outcomes go: a line each, in a file to which an interrupted run adds.
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

TIMEOUT = 5, 10  # times what the unchanged module takes, and seconds more


def preload():
    """Import what mutants cannot change, once."""
    import array_api_compat.numpy  # noqa: F401
    import numpy.testing  # noqa: F401
    import pytest  # noqa: F401
    import scipy.ndimage
    import scipy.optimize
    import scipy.sparse.linalg  # noqa: F401


def run_tests(arguments, timeout):
    """Return pytest's exit status in a forked process, None after `timeout` seconds."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            import pytest

            os._exit(int(pytest.main(arguments)))
        os._exit(3)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def outcome(status):
    """Return what became of a mutant; tests that crash or hang have noticed it as well."""
    return "survived" if status == 0 else "killed"


def mutated(source, mutation):
    """Return a module's source with one mutation, None where there is none to make."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    operator = get_operator(mutation["operator_name"])(**mutation["operator_args"])
    return mutate_code(source, operator, mutation["occurrence"])


def done_before(results):
    """Return the mutations that a results file tells of."""
    lines = results.read_text().splitlines() if results.exists() else []
    return {json.loads(line)["name"] for line in lines}


def name_of(mutation):
    """Return where a mutation is and what it is."""
    return f"line {mutation['start_pos'][0]}: {mutation['operator_name']} {mutation['occurrence']}"


def main(job):
    """Try every mutation that has not been tried, and restore the module."""
    module, results = Path(job["module"]), Path(job["results"])
    arguments, source = ["-x", "-q", "-n0", "-p", "no:cacheprovider", *job["tests"]], module.read_text()
    preload()
    began = time.monotonic()
    # The tests, as pytest rewrites them, are kept compiled; of what is mutated nothing is.
    sys.dont_write_bytecode = False
    status = run_tests(arguments, 600)
    sys.dont_write_bytecode = True
    if status != 0:
        raise SystemExit(f"found tests of {module} that fail before any mutation (status {status})")
    timeout = TIMEOUT[0] * (time.monotonic() - began) + TIMEOUT[1]
    before = done_before(results)
    try:
        for mutation in job["mutations"]:
            changed = None if name_of(mutation) in before else mutated(source, mutation)
            if changed is None or changed == source:
                continue
            module.write_text(changed)
            began = time.monotonic()
            row = {"name": name_of(mutation), "outcome": outcome(run_tests(arguments, timeout))}
            row["seconds"] = round(time.monotonic() - began, 2)
            with results.open("a") as file:
                file.write(json.dumps(row) + "\n")
    finally:
        module.write_text(source)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
