"""The page of cases, and the readers for other languages that the documentation shows."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from refmg_validation.conformance import FUNCTIONS, cases, check, export
from refmg_validation.conformance.page import cases_page
from refmg_validation.conformance.vectors import npy_bytes

DOCS = Path(__file__).resolve().parents[3] / "docs"
OCTAVE = shutil.which("octave-cli") or shutil.which("octave")
needs_octave = pytest.mark.skipif(OCTAVE is None, reason="Octave is not installed")


def octave(program, folder):
    setup = f"addpath('{DOCS / 'examples' / 'conformance'}');\n"
    command = [OCTAVE, "--no-gui", "--norc", "--quiet", "--eval", setup + program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_has_every_case_and_every_function():
    page = cases_page()
    for case in cases():
        assert f"### {case.name}\n\n{case.paragraph}\n" in page
    for name, about in FUNCTIONS.items():
        assert f"`{name}({', '.join(about.arguments)})`" in page
        assert about.meaning in page


def test_the_documentation_describes_every_key_of_the_manifest(tmp_path):
    from refmg_validation.conformance.manifest import read_header

    export.export(tmp_path, "core")
    manifest, page = read_header(tmp_path), (DOCS / "conformance.md").read_text()
    for key in [*manifest, *manifest["cases"][0]]:
        assert f"`{key}`" in page, key


@needs_octave
def test_octave_reads_and_writes_every_kind_of_array(tmp_path):
    arrays = {
        "plane": np.arange(24.0).reshape(2, 3, 4),
        "column": np.arange(3.0),
        "number": np.array(0.5),
        "thin": np.arange(4.0).reshape(1, 4, 1),
        "row": np.arange(4.0).reshape(1, 4),
        "single": np.arange(6, dtype=np.float32).reshape(3, 2) / 3,
        "labels": np.array([2, 0, 1]),
    }
    program = ""
    for name, array in arrays.items():
        (tmp_path / f"{name}.npy").write_bytes(npy_bytes(array))
        shape = "[" + " ".join(map(str, array.shape)) + "]"
        program += f"write_npy('out/{name}.npy', double(read_npy('{name}.npy')), {shape});\n"
    np.save(tmp_path / "fortran.npy", np.asfortranarray(arrays["plane"]))
    program += "a = read_npy('plane.npy'); printf('%g ', a(2, 1, 3), isequal(a, read_npy('fortran.npy')));"
    assert octave(program, tmp_path).split() == [f"{arrays['plane'][1, 0, 2]:g}", "1"]
    for name, array in arrays.items():
        assert np.array_equal(np.load(tmp_path / "out" / f"{name}.npy"), array), name
        assert np.load(tmp_path / "out" / f"{name}.npy").shape == array.shape


@needs_octave
@pytest.mark.parametrize("content", [b"no array", npy_bytes(np.arange(9.0))[:-4], npy_bytes(np.array([1j]))])
def test_octave_refuses_what_is_no_whole_array(tmp_path, content):
    (tmp_path / "bad.npy").write_bytes(content)
    assert octave("try; read_npy('bad.npy'); catch e; disp(e.message); end", tmp_path).startswith("read_npy:")


@needs_octave
def test_the_documented_program_is_graded(tmp_path):
    (program,) = re.findall(r"```matlab\n(.*?)```", (DOCS / "conformance.md").read_text(), re.DOTALL)
    export.export(tmp_path / "cases", "core")
    octave(program, tmp_path)
    found = {o.case.name: o.verdict for o in check.check(tmp_path / "cases")}
    assert [name for name, verdict in found.items() if verdict != "not implemented"] == [
        "restrict-1d-average"
    ]
    assert found["restrict-1d-average"] == "passed"
