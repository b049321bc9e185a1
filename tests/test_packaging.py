"""The house: packages listed, imports downward, names documented, wheels that work."""

import ast
import configparser
import os
import subprocess
import sys
import zipfile
from dataclasses import is_dataclass, make_dataclass
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType, SimpleNamespace

import licences
import oldest
import pytest
from public_names import called, called_by_tests

import refmg
import refmg.losses
import refmg_backends as backends

ROOT = Path(__file__).resolve().parents[1]
ROOTS = {
    "refmg_backends": ROOT / "backends" / "refmg_backends",
    "refmg": ROOT / "refmg",
    "refmg_validation": ROOT / "validation" / "refmg_validation",
}
ORDER = list(ROOTS)
PUBLIC = (
    "refmg",
    "refmg.calibration",
    "refmg.checks",
    "refmg.data",
    "refmg.distributed",
    "refmg.dynamics",
    "refmg.integrators",
    "refmg.losses",
    "refmg.multilevel",
    "refmg.optimization",
    "refmg.resnet",
    "refmg.torch",
    "refmg_backends",
    "refmg_validation.conformance",
)
INTERNAL = {f"refmg_validation.{name}" for name in ("adapters.torch", "html_report", "runs")}
NEEDS = {"refmg.torch": "torch"}


def public(module):
    """Import a public package; where what it needs is not installed, the test is skipped and says so."""
    if module in NEEDS:
        pytest.importorskip(NEEDS[module], reason=f"{module} needs the extra {NEEDS[module]!r}")
    return import_module(module)


def upward_imports(package, source):
    """Return the modules of higher packages that a module of `package` imports."""
    higher = ORDER[ORDER.index(package) + 1 :]
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [name for name in names if name.split(".")[0] in higher]
    return found


def test_imports_go_down_only():
    for package, folder in ROOTS.items():
        for path in folder.rglob("*.py"):
            assert not upward_imports(package, path.read_text()), path


def test_the_import_check_rejects_an_upward_import():
    assert upward_imports("refmg_backends", "def f():\n    from refmg.grid import Grid\n") == ["refmg.grid"]
    assert upward_imports("refmg", "import refmg_validation.cli") == ["refmg_validation.cli"]


# What takes long to import: SciPy's submodules, and NumPy's that `from numpy import *` loads.
HEAVY = {"numba", "cupy", "torch", "matplotlib", "scipy.sparse", "scipy.linalg", "scipy.optimize",
         "scipy.special", "array_api_compat.numpy", "numpy.f2py", "numpy.testing", "numpy.ma"}  # fmt: skip

MATHEMATICS = "refmg.network"


def heavy_modules_after(statement, heavy=HEAVY):
    program = f"{statement}; import sys; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return heavy & set(done.stdout.split())


def test_importing_refmg_loads_nothing_heavy():
    assert heavy_modules_after("import refmg") == set()


def test_a_heavy_import_would_be_noticed():
    found = heavy_modules_after("import refmg, scipy.sparse.linalg", HEAVY | {MATHEMATICS})
    assert {MATHEMATICS, "scipy.sparse", "scipy.linalg", "numpy.f2py"} <= found


def test_every_package_is_listed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    there = {
        ".".join([name, *path.parent.relative_to(folder).parts])
        for name, folder in ROOTS.items()
        for path in folder.rglob("__init__.py")
    }
    assert listed == there


def undocumented(package):
    """Return the public classes and functions that have no docstring of their own."""
    things = {name: getattr(package, name) for name in package.__all__}
    ours = {name: thing for name, thing in things.items() if callable(thing)}
    return [name for name, thing in ours.items() if not (thing.__doc__ or "").strip() or made_up(thing)]


def made_up(thing):
    """Whether a docstring is the signature that ``dataclass`` writes where there is none."""
    return is_dataclass(thing) and thing.__doc__.startswith(f"{thing.__name__}(")


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_exist_and_are_documented(module):
    package = public(module)
    assert sorted(set(package.__all__)) == sorted(package.__all__)
    assert undocumented(package) == []


def test_the_docstring_check_rejects_a_dataclass_and_a_function_without():
    package = SimpleNamespace(__all__=["Bare", "bare"], Bare=make_dataclass("Bare", ["x"]), bare=lambda: None)
    assert undocumented(package) == ["Bare", "bare"]


@pytest.mark.parametrize("module", PUBLIC)
def test_the_documentation_lists_every_public_class_and_function(module):
    page = (ROOT / "docs" / "api.rst").read_text()
    assert unlisted(public(module), page) == []


def unlisted(package, page):
    """Return the public classes and functions that a page does not have under their full name.

    What ``refmg`` hands on is described there.
    """
    listed, names = set(page.split()), [name for name in package.__all__ if callable(getattr(package, name))]
    ours = {name for name in names if getattr(refmg, name, None) is getattr(package, name)}
    return [
        name
        for name in names
        if f"{package.__name__}.{name}" not in listed and not (name in ours and f"refmg.{name}" in listed)
    ]


def test_the_list_check_rejects_a_name_of_another_package():
    package = SimpleNamespace(__name__="refmg.losses", __all__=["softmax"], softmax=print)
    assert unlisted(package, "refmg.losses.softmax") == []
    assert unlisted(package, "refmg.softmax refmg.losses.softmax2") == ["softmax"]


def test_the_documentation_lists_nothing_else():
    """A name that was taken away is taken from the page as well."""
    pytest.importorskip("torch", reason="the page has names of refmg.torch")
    page = (ROOT / "docs" / "api.rst").read_text().split()
    names = [name for name in page if name.startswith(("refmg.", "refmg_"))]
    assert len(set(names)) == len(names) > 200
    for name in names:
        package, _, own = name.rpartition(".")
        assert own in import_module(package).__all__, name
    things = [getattr(import_module(name.rpartition(".")[0]), name.rpartition(".")[2]) for name in names]
    # Sphinx refuses two descriptions of one class.
    classes = [thing for thing in things if isinstance(thing, type)]
    assert len(set(classes)) == len(classes) > 50


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_called_by_a_test(module):
    package, known = public(module), called_by_tests()
    uncalled = [n for n in package.__all__ if callable(t := getattr(package, n)) and id(t) not in known]
    assert uncalled == []


def test_a_call_is_told_from_a_mere_import():
    source = "from refmg import Grid, named_pair as pair\nimport refmg.losses as losses\n"
    assert called(source) == set()
    assert called(source + "softmax = 3\nGrid\n") == set()
    found = called(source + "pair('linear', 2)\nisinstance(3, Grid)\nlosses.softmax(1)\n")
    assert {id(refmg.named_pair), id(refmg.Grid), id(refmg.losses.softmax)} <= found


def test_every_public_package_is_looked_at():
    """All that have a list of names, but for those of commands and adapters."""
    lists = {
        ".".join([name, *path.parent.relative_to(folder).parts])
        for name, folder in ROOTS.items()
        for path in folder.rglob("__init__.py")
        if "__all__" in path.read_text()
    }
    assert lists - INTERNAL == set(PUBLIC)


def test_the_version_has_one_source():
    version = import_module("refmg_backends").__version__
    assert refmg.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert {found.version for found in distributions(name="refmg")} <= {version}, "install refmg again"


def test_the_help_imports_neither_numpy_nor_the_mathematics():
    for option in ("--help", "--version"):
        statement = f"import sys; from refmg_validation.cli import main; print(main(['{option}']))"
        assert heavy_modules_after(statement, HEAVY | {MATHEMATICS, "numpy"}) == set()


def test_what_is_imported_when_asked_for_is_no_module():
    """A submodule of the same name would take its place, once somebody imports that."""
    modules = {found.name for found in iter_modules(backends.__path__)}
    assert modules.isdisjoint(backends.__all__)
    assert set(backends.__all__) <= set(dir(backends))
    assert {"geometry", "registry"} <= modules
    assert not [name for name in backends.__all__ if isinstance(getattr(backends, name), ModuleType)]
    with pytest.raises(AttributeError, match="has no attribute 'Geometries'"):
        backends.Geometries  # noqa: B018


def test_licences_of_all_that_is_needed_are_listed():
    listed = licences.lines_of(licences.PAGE.read_text())
    assert set(listed) == set(licences.needed())
    # If this fails after a dependency was added: python tests/support/licences.py
    assert all(licences.licence_of(name) in (None, listed[name]) or listed[name] for name in listed)
    assert licences.page(licences.PAGE.read_text()).count("| `") == len(listed)
    assert licences.licence_of("no-such-package") is None


def test_the_oldest_releases_are_those_of_the_setup():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    found = oldest.pins(setup)
    assert {"numpy==2.0", "scipy==1.13", "numba==0.60"} <= set(found)
    assert not [line for line in found if ">" in line]


SUFFIXES = {".py", ".typed", ".cu", ".cuh", ".json", ".npy", ".html", ".css"}


def strangers(names):
    """Return the files of a wheel that do not belong there."""
    ours = [name for name in names if ".dist-info/" not in name]
    wrong = [name for name in ours if name.split("/")[0] not in ROOTS or Path(name).suffix not in SUFFIXES]
    return wrong + [name for name in ours if "test" in Path(name).name or "results" in Path(name).parts]


def test_a_test_or_a_result_in_a_wheel_is_seen():
    assert strangers(["refmg/grid.py", "refmg-0.1.dist-info/METADATA"]) == []
    for name in ("tests/a.py", "refmg/test_a.py", "refmg/a.tar", "refmg_validation/results/a.json"):
        assert strangers([name])


@pytest.mark.slow
def test_a_wheel_works_in_any_folder(tmp_path):
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        ROOT,
    ]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert strangers(zipfile.ZipFile(wheel).namelist()) == []
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    for package in ROOTS:
        assert (tmp_path / "site" / package / "py.typed").exists()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("REFMG")}
    environment["PYTHONPATH"] = str(tmp_path / "site")
    info = [sys.executable, "-m", "refmg_validation", "info"]
    done = subprocess.run(info, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert "backend" in done.stdout
