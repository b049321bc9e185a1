"""Export and check: the same bytes every time, nothing of others touched, damage named in one line."""

import json
import pickle
import shutil

import numpy as np
import pytest

from refmg_validation.cli import main
from refmg_validation.conformance import cases, check, export
from refmg_validation.conformance import export as export_module
from refmg_validation.conformance.reading import read_cases

NAMES = ("convolve-1d-periodic", "transpose-1d", "gradient-2d-zero", "loss-constant-4", "restrict-factor-3")


@pytest.fixture(autouse=True)
def few(monkeypatch, tmp_path):
    """Five cases, of which the last is not of the core, and an empty folder."""
    chosen = [case for case in cases() if case.name in NAMES]
    assert [case.level for case in chosen] == ["core"] * 2 + ["core", "full", "core"]
    monkeypatch.setattr(
        export_module, "cases", lambda level: [c for c in chosen if level == "full" or c.level == "core"]
    )
    monkeypatch.chdir(tmp_path)
    for name in ("REFMG_BACKEND", "REFMG_DTYPE"):
        monkeypatch.delenv(name, raising=False)


def bytes_in(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def folder(tmp_path):
    """An export with the outputs of a perfect implementation."""
    export.export(tmp_path / "cases")
    shutil.copytree(tmp_path / "cases" / "expected", tmp_path / "cases" / "outputs")
    return tmp_path / "cases"


def run(*arguments):
    return main(["conformance", *map(str, arguments)])


def verdicts(folder, dtype="float64"):
    return {outcome.case.name: outcome.verdict for outcome in check.check(folder, dtype)}


def test_two_exports_are_the_same_bytes(tmp_path):
    assert run("export", "one") == run("export", "two") == 0
    assert bytes_in(tmp_path / "one") == bytes_in(tmp_path / "two")
    arrays = sum(len(c.expected) + 2 for c in export_module.cases("full"))
    assert len(bytes_in(tmp_path / "one")) > arrays


def test_the_manifest_says_all_of_every_file(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["schema"], manifest["version"], manifest["complete"]) == ("refmg-conformance", 1, True)
    for about in manifest["cases"]:
        for part in [*about["inputs"].values(), *about["expected"].values()]:
            if "file" in part:
                array = np.load(folder / part["file"])
                assert (list(array.shape), array.dtype.name) == (part["shape"], part["dtype"])
                assert array.flags.c_contiguous
        assert set(about["bound"]) == set(about["expected"])


def test_cases_come_back_from_their_files(folder):
    for case, same in zip(export_module.cases("full"), read_cases(folder), strict=True):
        for word in ("name", "paragraph", "reason", "exact"):
            assert getattr(case, word) == getattr(same, word)
        assert list(case.inputs) == list(same.inputs)
        assert all(np.array_equal(v, same.inputs[n]) for n, v in case.inputs.items())
        assert all(case.bound(n, "float32") == same.bound(n, "float32") for n in case.expected)


def test_an_earlier_export_is_replaced_and_its_outputs_stay(folder):
    export.export(folder, "core")
    assert not (folder / "inputs" / "restrict-factor-3").exists()
    assert (folder / "outputs" / "restrict-factor-3").exists()
    fresh = folder.parent / "fresh"
    export.export(fresh, "core")
    shutil.rmtree(folder / "outputs")
    assert bytes_in(folder) == bytes_in(fresh)


@pytest.mark.parametrize(
    "stranger", ["thesis.tex", "inputs/thesis.tex", "expected/convolve-1d-periodic/notes.txt"]
)
def test_a_folder_with_other_things_is_refused_and_unharmed(folder, stranger, capsys):
    (folder / stranger).write_text("mine")
    before = bytes_in(folder)
    assert run("export", folder) == 2
    assert "thesis.tex" in (line := capsys.readouterr().err) or "notes.txt" in line
    assert line.count("\n") == 1
    assert bytes_in(folder) == before


@pytest.mark.parametrize(
    "mine", ["inputs/mine.npy", "expected/convolve-1d-periodic/mine.npy", "inputs/new/y.npy"]
)
def test_an_array_that_no_export_wrote_is_not_removed(folder, mine, capsys):
    (folder / mine).parent.mkdir(exist_ok=True)
    np.save(folder / mine, np.ones(3))
    before = bytes_in(folder)
    assert run("export", folder, "--level", "core") == 2
    assert f"found {folder / mine}, which no export wrote" in capsys.readouterr().err
    assert bytes_in(folder) == before


@pytest.mark.parametrize("kind", ["a file", "a case", "a kind", "the manifest"])
def test_links_are_refused_and_what_they_lead_to_is_unharmed(folder, kind, capsys):
    target = folder.parent / "elsewhere"
    link = {
        "a file": folder / "expected/convolve-1d-periodic/features.npy",
        "a case": folder / "expected/convolve-1d-periodic",
        "a kind": folder / "expected",
        "the manifest": folder / "manifest.json",
    }[kind]
    link.rename(target)
    link.symlink_to(target)
    before = bytes_in(target) if target.is_dir() else target.read_bytes()
    assert run("export", folder, "--level", "core") == 2
    assert "which no export wrote" in capsys.readouterr().err
    assert (bytes_in(target) if target.is_dir() else target.read_bytes()) == before
    assert link.is_symlink()


def test_an_export_over_a_damaged_one_removes_nothing(folder, capsys):
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["cases"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    before = bytes_in(folder)
    assert run("export", folder) == 2
    assert "it does not say which files are an export's" in capsys.readouterr().err
    assert bytes_in(folder) == before


def test_folders_that_are_not_ours_are_refused(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "outputs").write_text("")
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text("{}")
    for name, message in (("mine", "no manifest.json"), ("file", "is a file"), ("other", "another file")):
        assert run("export", name) == 2
        assert message in capsys.readouterr().err
    assert (tmp_path / "other" / "manifest.json").read_text() == "{}"


@pytest.mark.parametrize("after", [1, 2, 10])
def test_an_interrupted_export_is_refused_by_check_and_replaced_by_export(
    tmp_path, monkeypatch, after, capsys
):
    write, count = export_module.write_atomically, iter(range(100))

    def interrupted(path, content):
        if next(count) == after:
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(export_module, "write_atomically", interrupted)
        assert run("export", "cases") == 2
    assert "interrupted" in capsys.readouterr().err
    assert run("check", "cases") == 2
    assert "was interrupted: export again" in capsys.readouterr().err
    assert run("export", "cases") == run("export", "whole") == 0
    assert bytes_in(tmp_path / "cases") == bytes_in(tmp_path / "whole")


def test_right_outputs_pass(folder, capsys):
    assert run("check", folder, "--json", "found.json") == 0
    assert "5 cases: 5 passed" in capsys.readouterr().out
    found = json.loads((folder.parent / "found.json").read_text())
    assert found["counts"]["passed"] == 5
    assert found["passed"] is True
    assert {case["name"] for case in found["cases"]} == set(NAMES)


def test_wrong_and_missing_outputs_are_told_apart(folder, capsys):
    outputs = folder / "outputs"
    flipped = np.load(folder / "inputs/convolve-1d-periodic/stencil.npy")[:, :, ::-1]
    y = np.load(folder / "inputs/convolve-1d-periodic/features.npy")
    K = sum(flipped[0, 0, j] * np.roll(y, 1 - j, axis=1) for j in range(3))
    np.save(outputs / "convolve-1d-periodic/features.npy", K)
    shutil.rmtree(outputs / "transpose-1d")
    (outputs / "loss-constant-4/mu.npy").unlink()
    assert run("check", folder, "--json", "found.json") == 1
    printed = capsys.readouterr().out
    assert "wrong: convolve-1d-periodic" in printed
    assert "likely cause: flipped stencil" in printed
    assert "found no output mu" in printed
    found = json.loads((folder.parent / "found.json").read_text())
    verdict = {case["name"]: case["verdict"] for case in found["cases"]}
    assert verdict == {
        "convolve-1d-periodic": "wrong",
        "gradient-2d-zero": "passed",
        "transpose-1d": "not implemented",
        "restrict-factor-3": "passed",
        "loss-constant-4": "wrong",
    }


def test_missing_outputs_alone_are_no_failure(folder):
    for name in NAMES[1:]:
        shutil.rmtree(folder / "outputs" / name)
    assert run("check", folder) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a .npy file"),
        (b"1.0 2.0\n", "not a .npy file"),
        (pickle.dumps([1.0]), "not a .npy file"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "not a .npy file"),
        (b"\x93NUMPY\x01\x00\x06\x00{'a': ", "not a .npy file"),
        (b"\x93NUMPY\x01\x00\x08\x00{[]: 1}\n", "not a .npy file"),
        (b"\x93NUMPY\x01\x00\x08\x00{(1,\n\n\n\n", "not a .npy file"),
    ],
)
def test_outputs_that_are_no_arrays_are_wrong(folder, content, message):
    (folder / "outputs/transpose-1d/features.npy").write_bytes(content)
    (outcome,) = [o for o in check.check(folder) if o.verdict != "passed"]
    assert (outcome.case.name, outcome.verdict) == ("transpose-1d", "wrong")
    assert message in outcome.message


def test_arrays_of_objects_are_not_unpickled(folder):
    np.save(folder / "outputs/transpose-1d/features.npy", np.array([{}]), allow_pickle=True)
    assert verdicts(folder)["transpose-1d"] == "wrong"


def test_column_major_files_and_other_types_are_read_by_what_they_say(folder):
    path = folder / "outputs/gradient-2d-zero/stencil.npy"
    whole = np.load(path)
    for array in (np.asfortranarray(whole), whole.astype(">f4"), whole.astype(np.int32)):
        np.save(path, array)
        assert verdicts(folder)["gradient-2d-zero"] == "passed"


def test_float32_is_graded_by_its_own_tolerance(folder):
    path = folder / "outputs/restrict-factor-3/features.npy"
    np.save(path, np.load(path).astype(np.float32))
    assert verdicts(folder)["restrict-factor-3"] == "wrong"
    assert verdicts(folder, "float32")["restrict-factor-3"] == "passed"


def test_the_environment_says_the_type_where_no_option_does(folder, monkeypatch, capsys):
    path = folder / "outputs/restrict-factor-3/features.npy"
    np.save(path, np.load(path).astype(np.float32))
    assert run("check", folder) == 1
    monkeypatch.setenv("REFMG_DTYPE", "float32")
    assert run("check", folder) == 0
    assert "float32" in capsys.readouterr().out
    assert run("check", folder, "--dtype", "float64") == 1


def damage(folder, how):
    manifest, path = json.loads((folder / "manifest.json").read_text()), folder / "manifest.json"
    case = manifest["cases"][0]
    about = case["expected"]["features"]
    if how == "missing":
        path.unlink()
    elif how == "garbage":
        path.write_bytes(b"\xff\x00{")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "a changed file":
        file = folder / about["file"]
        file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    elif how == "a lost file":
        (folder / about["file"]).unlink()
    else:
        change = {
            "another schema": lambda: manifest.update(schema="onnx"),
            "another version": lambda: manifest.update(version=2),
            "no cases": lambda: manifest.pop("cases"),
            "cases of another type": lambda: manifest.update(cases=[3]),
            "no sum": lambda: about.pop("sha256"),
            "a path out of the folder": lambda: about.update(file="../../x.npy"),
            "a list": lambda: None,
            "no float64": lambda: case["tolerance"].pop("float64"),
            "a text as tolerance": lambda: case.update(tolerance="small"),
            "an infinite tolerance": lambda: case["tolerance"].update(float32=float("inf")),
            "a negative tolerance": lambda: case["tolerance"].update(float32=-1.0),
            "a tolerance that is true": lambda: case["tolerance"].update(float32=True),
            "an expected number": lambda: case["expected"].update(features={"value": 3}),
            "an unknown function": lambda: case.update(function="convolved"),
            "a function that is a list": lambda: case.update(function=["convolve"]),
            "a missing input": lambda: case["inputs"].pop("stride"),
            "an input too much": lambda: case["inputs"].update(strides={"value": 1}),
            "an input that is a list": lambda: case["inputs"].update(stride={"value": [1]}),
            "an input that is infinite": lambda: case["inputs"].update(stride={"value": float("inf")}),
            "an unknown level": lambda: case.update(level="most"),
            "another bound": lambda: case["bound"]["features"].update(float64=1.0),
            "no bound": lambda: case.pop("bound"),
            "another shape": lambda: about.update(shape=[12]),
            "another type": lambda: about.update(dtype="float32"),
            "a case twice": lambda: manifest["cases"].append(case),
            "a path as name": lambda: case.update(name="../../secret"),
            "a name with a dot": lambda: case.update(name="convolve.1d"),
            "an exact that is a text": lambda: case.update(exact="yes"),
        }[how]
        change()
        path.write_text(json.dumps([manifest] if how == "a list" else manifest))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "expected a folder made by: refmg conformance export"),
        ("garbage", "is damaged"),
        ("cut", "is damaged"),
        ("a changed file", "is not the file that was exported (SHA-256 differs)"),
        ("a lost file", "which the manifest lists"),
        ("another schema", 'expected "schema": "refmg-conformance"'),
        ("another version", "found version 2"),
        ("no cases", "is damaged (KeyError: 'cases')"),
        ("cases of another type", "is damaged"),
        ("no sum", "is damaged (KeyError: 'sha256')"),
        ("a path out of the folder", "the manifest names ../../x.npy"),
        ("a list", "is another file"),
        ("no float64", "convolve-1d-periodic: found float32; expected float64, float32"),
        ("a text as tolerance", "found 'small'; expected float64, float32"),
        ("an infinite tolerance", "found the tolerance inf; expected a finite number"),
        ("a negative tolerance", "found the tolerance -1.0"),
        ("a tolerance that is true", "found the tolerance True"),
        ("an expected number", "is damaged (KeyError: 'file')"),
        ("an unknown function", "unknown function 'convolved' (did you mean 'convolve'?)"),
        ("a function that is a list", "function is ['convolve'], expected a text"),
        ("a missing input", "expected features, stencil, boundary, stride"),
        ("an input too much", "expected features, stencil, boundary, stride"),
        ("an input that is a list", "input stride is [1], expected a number or a name"),
        ("an input that is infinite", "input stride is inf, expected a finite number"),
        ("an unknown level", "unknown level 'most'"),
        ("another bound", "the bound 1.0 of features in float64 is not 0.0"),
        ("no bound", "is damaged (KeyError: 'bound')"),
        ("another shape", "the manifest says float64 [12]"),
        ("another type", "the manifest says float32"),
        ("a case twice", "there are two cases 'convolve-1d-periodic'"),
        ("a path as name", "found the name '../../secret'; expected only [a-z0-9-]+"),
        ("a name with a dot", "found the name 'convolve.1d'"),
        ("an exact that is a text", "exact is 'yes', expected true or false"),
    ],
)
def test_damage_is_one_line_and_status_2(folder, how, message, capsys):
    damage(folder, how)
    assert run("check", folder) == 2
    line = capsys.readouterr().err
    assert line.startswith("refmg: ")
    assert line.count("\n") == 1
    assert message in line
    assert line.count("export again") <= 1


def test_an_array_behind_a_link_out_of_the_folder_is_not_read(folder, capsys):
    path = folder / "expected/convolve-1d-periodic/features.npy"
    path.rename(folder.parent / "secret.npy")
    path.symlink_to(folder.parent / "secret.npy")
    assert run("check", folder) == 2
    assert f"leads out of {folder}" in capsys.readouterr().err


def test_a_folder_may_be_called_like_markup(folder, capsys):
    odd = folder.parent / "cases[" / "b]"
    odd.parent.mkdir()
    folder.rename(odd)
    assert run("check", odd) == 0
    assert "cases[/b], float64" in "".join(capsys.readouterr().out.split("\n"))


def test_the_bounds_of_a_manifest_are_those_of_its_arrays(folder):
    """For readers in other languages, that take them as they are."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for about, case in zip(manifest["cases"], export_module.cases("full"), strict=True):
        for name, bounds in about["bound"].items():
            assert bounds == {dtype: case.bound(name, dtype) for dtype in ("float64", "float32")}


def test_outputs_of_no_case_and_no_outputs_at_all_are_refused(folder, capsys):
    (folder / "outputs/transpose-1d").rename(folder / "outputs/transpose-1")
    assert run("check", folder) == 2
    assert "which is no case of this export (did you mean 'transpose-1d'?)" in capsys.readouterr().err
    shutil.rmtree(folder / "outputs")
    assert run("check", folder) == 2
    assert "found no outputs in" in capsys.readouterr().err
    assert run("check", folder / "nowhere") == 2
    assert "found no" in capsys.readouterr().err


def test_bad_options_are_refused(folder, capsys):
    assert run("check", folder, "--dtype", "float3") == 2
    assert "did you mean 'float32'" in capsys.readouterr().err
