"""The suite can be collected without PyTorch: a file of tests asks for it before it imports it."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent
ASKS = ("importorskip", "import_or_skip")


def asks_late(source):
    """Return whether a module of tests imports PyTorch before it has asked for it."""
    for line in ast.parse(source).body:
        if isinstance(line, ast.Import | ast.ImportFrom):
            names = [line.module or ""] if isinstance(line, ast.ImportFrom) else [a.name for a in line.names]
            if any(name.split(".")[0] == "torch" or name.startswith("refmg.torch") for name in names):
                return True
        elif any(name in ast.dump(line) for name in ASKS) and not isinstance(line, ast.FunctionDef):
            return False
    return False


def test_pytorch_is_asked_for_first():
    assert [path.name for path in TESTS.rglob("test_*.py") if asks_late(path.read_text())] == []


def test_an_import_without_asking_is_found():
    assert asks_late("import numpy\nfrom torch import nn\n")
    assert not asks_late('torch = pytest.importorskip("torch")\nfrom torch import nn\n')
