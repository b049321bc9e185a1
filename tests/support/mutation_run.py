"""Mutation runs over the core modules: ``make mutation``, on copies of the tree.

cosmic-ray says which changes there are, one operator at a time; tests run on each. A change that no test
notices is a survivor: a test that is missing, or a change that means the same (``mutation_reasons.toml`` says
why). An interrupted run goes on: outcomes lie in ``build/mutation`` and in the record, by the content of the
module; a mutant that was killed stays so while the tests that it was given are there unchanged, whatever
tests have come. Without both, all is tried again.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from mutant_runner import name_of, rows_of
from mutation_record import found, reasons_for, rows_of_record

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "refmg",
    "backends",
    "validation",
    "tests",
    "conftest.py",
    "pyproject.toml",
    "setup.cfg",
    "README.md",
)
CONVOLUTIONS = tuple(
    f"tests/refmg/test_convolution{name}.py" for name in ("_own_stencil", "_sums", "_types", "")
)
SCHEMES = "tests/refmg/control/test_schemes.py"
STENCIL_MAPS = tuple(f"tests/refmg/test_stencil_map{name}.py" for name in ("_beyond_width", "", "_closure"))
VALUES = "tests/refmg/test_values_do_not_change.py"
TRANSFERS = (
    VALUES,
    *(f"tests/refmg/test_transfer{name}.py" for name in ("", "_by_definition", "_far_taps", "_refusals")),
)
CLASSIFIERS = tuple(
    f"tests/refmg/control/test_{name}.py" for name in ("readout", "classifier_point", "losses")
)
# Each module with the quickest tests that are about it; its doctests run as well.
MODULES = {
    "refmg/convolution.py": CONVOLUTIONS,
    "refmg/transfer.py": TRANSFERS,
    "refmg/transfer_matrix.py": TRANSFERS,
    "refmg/stencil_map.py": STENCIL_MAPS,
    "refmg/rational.py": ("tests/refmg/test_rational_large.py", *STENCIL_MAPS),
    "refmg/integrators/forward_euler.py": (VALUES, SCHEMES),
    "refmg/integrators/runge_kutta.py": (VALUES, SCHEMES),
    "refmg/integrators/leapfrog.py": (VALUES, SCHEMES),
    "refmg/integrators/verlet.py": (VALUES, SCHEMES, "tests/refmg/control/test_verlet_steps.py"),
    "refmg/classifier.py": (VALUES, *CLASSIFIERS),
    "refmg/readout.py": (VALUES, *CLASSIFIERS),
}
# Annotations are never evaluated: their "or" is no operator of the program.
ANNOTATIONS = "core/ReplaceBinaryOperator_BitOr_"
CONFIG = """[cosmic-ray]
module-path = ["{module}"]
timeout = 60
excluded-modules = []
test-command = "true"

[cosmic-ray.distributor]
name = "local"

[cosmic-ray.filters.operators-filter]
exclude-operators = ["{annotations}.*"]
"""
RUNNER = Path(__file__).with_name("mutant_runner.py")


def copy_of_the_tree(folder):
    """Return a fresh copy, so that an interrupted run leaves no mutant in yours."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            leave = shutil.ignore_patterns("__pycache__", "results")
            shutil.copytree(source, folder / name, ignore=leave)
        else:
            shutil.copy(source, folder / name)
    # Compiled by content: a mutant that is as long and as old as the original is compiled anew.
    compiled = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "."]
    subprocess.run(compiled, cwd=folder, check=True, capture_output=True)
    return folder


def mutations_of(module, tree, tool):
    """Return the changes that cosmic-ray would make to a module."""
    session, config = tree / "session.sqlite", tree / "cosmic-ray.toml"
    session.unlink(missing_ok=True)
    config.write_text(CONFIG.format(module=module, annotations=ANNOTATIONS))

    def call(name, *arguments):
        done = subprocess.run([str(tool / name), *map(str, arguments)], cwd=tree, env=environment(tree),
                              check=True, capture_output=True, text=True)  # fmt: skip
        return done.stdout

    call("cosmic-ray", "init", config, session)
    call("cr-filter-operators", session, config)
    pairs = [json.loads(line) for line in call("cosmic-ray", "dump", session).splitlines() if line.strip()]
    return [item["mutations"][0] for item, result in pairs if result is None]


def run_module(module, trees, python, tool, earlier=None):
    """Try the mutants of one module, a share of them in each tree, and return what became of them.

    What is in the folder of the trees, and recorded `earlier`, is not tried again where it holds.
    """
    source, tests = (trees[0] / module).read_text(), digests_of(trees[0], MODULES[module])
    place, pattern = trees[0].parent, f"{Path(module).stem}-{digest(source)}-"
    mutations = mutations_of(module, trees[0], tool)
    recorded = rows_of_record(earlier, mutations, digest(source))
    kept = [row for row in recorded if holds(row, tests)]

    def outcomes():
        files = rows_of(place.glob(f"{pattern}*.jsonl"), lambda row: holds(row, tests))
        return {row["name"]: row for row in kept} | files

    before, workers = outcomes(), []
    left = [m for m in mutations if name_of(m) not in before]
    for k, tree in enumerate(trees):
        share, results = left[k :: len(trees)], place / f"{pattern}{k}.jsonl"
        job = {"module": module, "mutations": share, "results": str(results), "tests": tests}
        (tree / "job.json").write_text(json.dumps(job))
        command = [python, str(RUNNER), "job.json"]
        workers += [subprocess.Popen(command, cwd=tree, env=environment(tree))] if share else []
    if any([worker.wait() for worker in workers]):
        raise SystemExit(f"mutants of {module}: a worker failed")
    one = found(list(outcomes().values()), mutations, source, reasons_for(module))
    return {"source": digest(source), "tests": tests} | one


def holds(row, tests):
    """Return whether an outcome holds with these tests, given as digests by path.

    A kill does while the tests that the mutant was given are there unchanged: one of them fails, whatever
    tests have come. A survivor is tried again as soon as there is another test.
    """
    given = row["tests"].items()
    return given == tests.items() if row["outcome"] == "survived" else given <= tests.items()


def digest(text):
    """Return a short digest."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def digests_of(tree, tests):
    """Return a digest of each test file, by its path."""
    return {test: digest((tree / test).read_text()) for test in tests}


def environment(tree):
    """Return the variables of the tests: the copy's packages, one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    paths = os.pathsep.join(str(tree / name) for name in ("", "backends", "validation"))
    kept = {k: v for k, v in os.environ.items() if not k.startswith("REFMG_")}
    return kept | one | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}


def main(arguments):
    """Run the modules named, or all; print and record what was found."""
    output, *modules = arguments
    unknown = [module for module in modules if module not in MODULES]
    if unknown:
        raise SystemExit(f"found no module {unknown[0]}; expected some of: {', '.join(MODULES)}")
    folder = ROOT / "build" / "mutation"
    trees = [copy_of_the_tree(folder / str(k)) for k in range(int(os.environ.get("WORKERS", "2")))]
    tool, record = Path(sys.executable).parent, recorded(Path(output))
    for module in modules or MODULES:
        python = os.environ.get("MUTATION_PYTHON", sys.executable)
        one = record[module] = run_module(module, trees, python, tool, record.get(module))
        share = one["killed"] / max(one["mutants"], 1)
        print(f"{module}: {one['killed']} of {one['mutants']} killed ({share:.0%}), "
              f"{one['seconds_per_mutant']} s a mutant", flush=True)  # fmt: skip
        for line in one["survivors"]:
            print(f"  survived: {line['name']}: {line['became']} ({line['reason'] or 'why?'})", flush=True)
        record = {name: record[name] for name in MODULES if name in record}
        Path(output).write_text(json.dumps(record, indent=1) + "\n")


def recorded(output):
    """Return what is recorded."""
    return json.loads(output.read_text()) if output.exists() else {}


if __name__ == "__main__":
    main(sys.argv[1:])
