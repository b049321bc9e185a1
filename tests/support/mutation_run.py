"""Mutation runs over the core modules with cosmic-ray: ``make mutation``, on a copy of the tree.

cosmic-ray changes files where they lie, one operator at a time, and runs tests on each change. A change that
no test notices is a survivor: a test that is missing, or a change that means the same.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

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
LOSSES, SCHEMES = "tests/refmg/control/test_losses.py", "tests/refmg/control/test_schemes.py"
STENCIL_MAPS = ("tests/refmg/test_stencil_map.py", "tests/refmg/test_stencil_map_closure.py")
# Each module with the quickest tests that are about it; its doctests run as well.
MODULES = {
    "refmg/convolution.py": ("tests/refmg/test_convolution.py", "tests/refmg/test_convolution_types.py"),
    "refmg/transfer.py": ("tests/refmg/test_transfer.py",),
    "refmg/transfer_matrix.py": ("tests/refmg/test_transfer.py",),
    "refmg/stencil_map.py": STENCIL_MAPS,
    "refmg/rational.py": STENCIL_MAPS,
    "refmg/integrators/forward_euler.py": (SCHEMES,),
    "refmg/integrators/runge_kutta.py": (SCHEMES,),
    "refmg/integrators/leapfrog.py": (SCHEMES,),
    "refmg/integrators/verlet.py": (SCHEMES,),
    "refmg/classifier.py": (LOSSES, "tests/refmg/control/test_classifier_point.py"),
}
# Annotations are never evaluated: their "or" is no operator of the program.
ANNOTATIONS = "core/ReplaceBinaryOperator_BitOr_"
CONFIG = """[cosmic-ray]
module-path = ["{module}"]
timeout = {timeout}
excluded-modules = []
test-command = "{command}"

[cosmic-ray.distributor]
name = "local"

[cosmic-ray.filters.operators-filter]
exclude-operators = ["{annotations}.*"]
"""


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
    return folder


def run_module(module, tree, python, tool):
    """Mutate one module and return what became of its mutants."""
    tests = " ".join((module, *MODULES[module]))
    command = f"{python} -m pytest -x -q -n0 -p no:cacheprovider --no-header {tests}"
    began = time.monotonic()
    subprocess.run(command.split(), cwd=tree, env=environment(tree), check=True, capture_output=True)
    unchanged = time.monotonic() - began
    session = tree / f"{Path(module).stem}.sqlite"
    config = tree / "cosmic-ray.toml"
    config.write_text(
        CONFIG.format(module=module, timeout=5 * unchanged + 10, command=command, annotations=ANNOTATIONS)
    )

    def call(name, *arguments):
        done = subprocess.run([str(tool / name), *map(str, arguments)], cwd=tree, env=environment(tree),
                              check=True, capture_output=True, text=True)  # fmt: skip
        return done.stdout

    call("cosmic-ray", "init", config, session)
    call("cr-filter-operators", session, config)
    began = time.monotonic()
    call("cosmic-ray", "exec", config, session)
    return found(call("cosmic-ray", "dump", session), time.monotonic() - began)


def environment(tree):
    """Return the variables of the tests: the copy's packages, one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    paths = os.pathsep.join(str(tree / name) for name in ("", "backends", "validation"))
    kept = {k: v for k, v in os.environ.items() if not k.startswith("REFMG_")}
    return kept | one | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}


def found(dump, seconds):
    """Return counts and survivors of the lines that ``cosmic-ray dump`` writes."""
    pairs = [json.loads(line) for line in dump.splitlines() if line.strip()]
    tried = [(item, result) for item, result in pairs if result and result["worker_outcome"] == "normal"]
    survivors = [item["mutations"][0] for item, result in tried if result["test_outcome"] == "survived"]
    return {
        "mutants": len(tried),
        "killed": len(tried) - len(survivors),
        "seconds_per_mutant": round(seconds / max(len(tried), 1), 2),
        "survivors": sorted(
            f"line {m['start_pos'][0]}: {m['operator_name']} {m['occurrence']}" for m in survivors
        ),
    }


def main(arguments):
    """Run the modules named, or all; print and record what was found."""
    output, *modules = arguments
    unknown = [module for module in modules if module not in MODULES]
    if unknown:
        raise SystemExit(f"found no module {unknown[0]}; expected some of: {', '.join(MODULES)}")
    tree = copy_of_the_tree(ROOT / "build" / "mutation")
    tool, record = Path(sys.executable).parent, {}
    for module in modules or MODULES:
        record[module] = run_module(module, tree, os.environ.get("MUTATION_PYTHON", sys.executable), tool)
        one = record[module]
        share = one["killed"] / max(one["mutants"], 1)
        print(f"{module}: {one['killed']} of {one['mutants']} killed ({share:.0%}), "
              f"{one['seconds_per_mutant']} s a mutant", flush=True)  # fmt: skip
        for line in one["survivors"]:
            print(f"  survived: {line}", flush=True)
        Path(output).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
