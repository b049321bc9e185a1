"""Which public names tests call: by what a name is bound to, not by how it is spelled."""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def bound(tree, packages=("refmg", "refmg_backends", "refmg_validation")):
    """Return what the imports of a module bind, anywhere in it, by local name."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in packages:
            for alias in node.names:
                found[alias.asname or alias.name] = _imported(node.module, alias.name)
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in packages:
                    name = alias.name if alias.asname else alias.name.split(".")[0]
                    found[alias.asname or name] = _imported(name)
    return {name: thing for name, thing in found.items() if thing is not None}


def _imported(module, name=None):
    try:
        there = import_module(module)
        return (
            getattr(there, name)
            if name and hasattr(there, name)
            else import_module(f"{module}.{name}" if name else module)
        )
    except ImportError:
        return None


def called(source):
    """Return the identities of what a module calls, or hands to a call such as ``isinstance``."""
    tree = ast.parse(source)
    names = bound(tree)
    inside = [node for call in ast.walk(tree) if isinstance(call, ast.Call) for node in ast.walk(call)]
    things = (_resolved(node, names) for node in inside if isinstance(node, ast.Name | ast.Attribute))
    return {id(thing) for thing in things if thing is not None}


def _resolved(node, names):
    if isinstance(node, ast.Name):
        return names.get(node.id)
    owner = _resolved(node.value, names) if isinstance(node.value, ast.Name | ast.Attribute) else None
    return getattr(owner, node.attr, None) if owner is not None else None


@cache
def called_by_tests(folder=TESTS):
    """Return the identities of all that the test files call."""
    return set().union(*(called(path.read_text()) for path in folder.rglob("test_*.py")))
