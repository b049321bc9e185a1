"""The mutation run: every module is there with its tests, and mutants are tried and counted."""

import json
import sys

import pytest
from mutant_runner import main as run_mutants
from mutant_runner import outcome
from mutation_run import MODULES, ROOT, copy_of_the_tree, found, main


def test_modules_and_tests_are_there():
    for module, tests in MODULES.items():
        assert (ROOT / module).is_file()
        assert all((ROOT / test).is_file() for test in tests)


def test_an_unknown_module_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"found no module refmg/nothing\.py"):
        main([str(tmp_path / "found.json"), "refmg/nothing.py"])


def test_survivors_are_told():
    rows = [
        ("line 13: core/Not 0", "survived"),
        ("line 5: core/Not 1", "survived"),
        ("line 7: x 2", "killed"),
    ]
    lines = [json.dumps({"name": name, "outcome": outcome, "seconds": 3.0}) for name, outcome in rows]
    assert found(lines) == {
        "mutants": 3,
        "killed": 1,
        "seconds_per_mutant": 3.0,
        "survivors": ["line 5: core/Not 1", "line 13: core/Not 0"],
    }


@pytest.mark.parametrize(
    ("status", "became"), [(0, "survived"), (1, "killed"), (-9, "killed"), (None, "killed")]
)
def test_a_mutant_survives_only_tests_that_all_pass(status, became):
    assert outcome(status) == became


def test_mutants_run_in_processes_of_their_own(tmp_path, monkeypatch):
    """Tests that pass, fail or hang; the module is restored, and what was tried is not tried again."""
    (tmp_path / "thing.py").write_text("x = 1\n")
    (tmp_path / "test_thing.py").write_text(
        "import time\ndef test():\n    import thing\n    if thing.x == 3:\n        time.sleep(60)\n"
        "    assert thing.x != 2\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("mutant_runner.mutated", lambda source, mutation: f"x = {mutation['occurrence']}\n")
    monkeypatch.setattr("mutant_runner.preload", lambda: None)
    monkeypatch.setattr("mutant_runner.TIMEOUT", (1, 2))
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    made = [{"start_pos": [1, 0], "operator_name": "core/Number", "occurrence": k} for k in (1, 2, 3, 4)]
    job = {"module": "thing.py", "mutations": made, "results": "found.jsonl", "tests": ["test_thing.py"]}
    run_mutants(job)
    run_mutants(job)
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    # The first is no change.
    expected = {
        f"line 1: core/Number {k}": what for k, what in ((2, "killed"), (3, "killed"), (4, "survived"))
    }
    assert {row["name"]: row["outcome"] for row in rows} == expected
    assert len(rows) == 3
    assert (tmp_path / "thing.py").read_text() == "x = 1\n"


def test_the_copy_is_fresh_and_has_the_tests(tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "old").write_text("a mutant of yesterday")
    tree = copy_of_the_tree(tmp_path / "copy")
    assert not (tree / "old").exists()
    assert all((tree / module).is_file() for module in MODULES)
    assert (tree / "conftest.py").is_file()
