"""The house: packages listed, imports downward, names documented, wheels that work."""

import ast
import configparser
import os
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

import refmg

ROOT = Path(__file__).resolve().parents[1]
ROOTS = {
    "refmg_backends": ROOT / "backends" / "refmg_backends",
    "refmg": ROOT / "refmg",
    "refmg_validation": ROOT / "validation" / "refmg_validation",
}
ORDER = list(ROOTS)


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


@pytest.mark.parametrize("module", ["refmg", "refmg.data", "refmg.optimization", "refmg_backends"])
def test_public_names_exist_and_are_documented(module):
    package = import_module(module)
    assert sorted(set(package.__all__)) == sorted(package.__all__)
    for name in package.__all__:
        thing = getattr(package, name)
        if callable(thing):
            assert thing.__doc__, name


def test_the_version_has_one_source():
    assert refmg.__version__ == import_module("refmg_backends").__version__


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
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    for package in ROOTS:
        assert (tmp_path / "site" / package / "py.typed").exists()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("REFMG")}
    environment["PYTHONPATH"] = str(tmp_path / "site")
    info = [sys.executable, "-m", "refmg_validation", "info"]
    done = subprocess.run(info, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert "backend" in done.stdout
