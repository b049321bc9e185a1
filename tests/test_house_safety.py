"""Nothing that runs what it reads, nothing that is written in place: looked for in the source itself."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [path for name in ("refmg", "backends", "validation") for path in (ROOT / name).rglob("*.py")]
RUNS_CODE = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "jsonpickle",
    "runpy",
}
CALLS = {"eval", "exec", "__import__", "builtins.eval", "builtins.exec"}
# Names that hide a reader of pickles where they are imported alone.
FROM = {"numpy": {"load"}, "torch": {"load", "save"}, "builtins": {"eval", "exec"}}
WRITES = {
    "write_text",
    "write_bytes",
    "savefig",
    "savez",
    "tofile",
    "savetxt",
    "save_file",
    "dump",
    "savez_compressed",
}
COPIES = {"np.save", "numpy.save", "shutil.copy", "shutil.copyfile", "shutil.copy2"}
ATOMIC = {"refmg/atomic.py"}


def found_in(source):
    """Return what a source has of pickles and of code that is run from text."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in RUNS_CODE]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module] if (node.module or "").split(".")[0] in RUNS_CODE else []
            hidden = FROM.get(node.module or "", set())
            found += [alias.name for alias in node.names if alias.name in hidden]
        elif isinstance(node, ast.Call):
            found += _calls(node)
    return found


def _calls(node):
    named = {keyword.arg: keyword.value for keyword in node.keywords}
    name = ast.unparse(node.func)
    if name in CALLS or name in ("torch.load", "torch.save") or name.endswith(".read_pickle"):
        return [name]
    if name in ("np.load", "numpy.load", "np.lib.format.read_array", "np.lib.format.write_array"):
        allowed = named.get("allow_pickle")
        return [] if isinstance(allowed, ast.Constant) and allowed.value is False else [f"{name} of pickles"]
    return []


def written_in_place(source):
    """Return calls that write a file where it lies, so that a kill would leave half of it."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0] if node.args else None
            to_memory = isinstance(first, ast.Name) and first.id in ("buffer", "stream")
            whole = ast.unparse(node.func)
            found += [name] if (name in WRITES or whole in COPIES) and not to_memory else []
            nowhere = first is not None and ast.unparse(first) == "os.devnull"
            if name == "open" and set("wax+") & set(_mode(node)) and not nowhere:
                found.append("open to write")
    return found


def _mode(node):
    """Return the mode that a file is opened in; of ``os.open`` its flags."""
    texts = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
    modes = [part.value for part in texts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return next((mode for mode in modes if set(mode) <= set("rwxab+t")), "")


def test_no_module_reads_pickles_or_runs_text():
    assert len(SOURCES) > 300
    for path in SOURCES:
        assert found_in(path.read_text()) == [], path


def test_pickles_and_code_from_text_are_seen():
    for source in (
        "import pickle", "from cloudpickle import loads", "eval('1')",
        "exec(text)", "torch.load(p)", "np.load(p)",
        "np.load(p, allow_pickle=True)", "import joblib.numpy_pickle",
        "from numpy import load", "from torch import load", "builtins.eval(a)", "pd.read_pickle(p)",
    ):  # fmt: skip
        assert found_in(source), source
    assert found_in("model.eval()\nnp.load(p, allow_pickle=False)\nre.compile('a')") == []


def test_every_file_is_written_atomically():
    for path in SOURCES:
        if path.relative_to(ROOT).as_posix() not in ATOMIC:
            assert written_in_place(path.read_text()) == [], path


def test_writing_in_place_is_seen():
    for source in (
        "path.write_text('a')", "open(path, 'wb')", "path.open(mode='w')",
        "np.savez(path, a)", "json.dump(a, f)",
        "figure.savefig(path)", "save_file(tensors, path)", "open(path, 'ab')", "open(path, 'r+b')",
        "np.save(path, a)", "shutil.copy(a, b)",
    ):  # fmt: skip
        assert written_in_place(source), source
    assert (
        written_in_place("figure.savefig(buffer)\npath.open('rb')\nos.open(a, os.O_RDWR)\nopen(path)") == []
    )
