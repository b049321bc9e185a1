"""The mutation run: every module is there with its tests, and mutants are tried and counted."""

import json
import sys

import pytest
from mutant_runner import main as run_mutants
from mutant_runner import name_of, outcome
from mutation_run import MODULES, ROOT, copy_of_the_tree, found, main, run_module


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
    lines = [{"name": name, "outcome": outcome, "seconds": 3.0} for name, outcome in rows]
    assert found(lines) == {
        "mutants": 3,
        "killed": 1,
        "hung": 0,
        "seconds_per_mutant": 3.0,
        "survivors": ["line 5: core/Not 1", "line 13: core/Not 0"],
    }


@pytest.mark.parametrize(
    ("status", "became"), [(0, "survived"), (1, "killed"), (-9, "killed"), (None, "hung")]
)
def test_a_mutant_survives_only_tests_that_all_pass(status, became):
    assert outcome(status) == became


def test_mutants_run_in_processes_of_their_own(tmp_path, monkeypatch):
    """Tests that pass, fail or hang; the module is restored."""
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
    made = [mutation | {"operator_args": {}} for mutation in made]
    job = {"module": "thing.py", "mutations": made, "results": "found.jsonl", "tests": ["test_thing.py"]}
    run_mutants(job)
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    # The first is no change.
    expected = {f"line 1: core/Number {k}": what for k, what in ((2, "killed"), (3, "hung"), (4, "survived"))}
    assert {row["name"]: row["outcome"] for row in rows} == expected
    assert len(rows) == 3
    assert (tmp_path / "thing.py").read_text() == "x = 1\n"


def runs_of(tmp_path, monkeypatch, count, workers, outcome="killed"):
    """Run `count` mutants of a copy that is there, with workers that only write outcomes; what they tried."""
    trees, tried = [tmp_path / str(k) for k in range(workers)], []
    made = [
        {"start_pos": [k, 0], "operator_name": "o", "occurrence": 0, "operator_args": {}}
        for k in range(count)
    ]
    monkeypatch.setattr("mutation_run.mutations_of", lambda *given: made)

    class Worker:
        def __init__(self, command, cwd, env):
            job = json.loads((cwd / "job.json").read_text())
            with open(job["results"], "a") as file:
                for mutation in job["mutations"]:
                    tried.append(name_of(mutation))
                    row = {"name": tried[-1], "outcome": outcome, "seconds": 1.0}
                    file.write(json.dumps(row) + "\n")
                file.write('{"name": "cut sh\n')

        def wait(self):
            return 0

    monkeypatch.setattr("mutation_run.subprocess.Popen", Worker)
    for tree in trees:
        (tree / "tests").mkdir(parents=True, exist_ok=True)
        (tree / "tests" / "test.py").touch()
    return run_module("refmg/rational.py", trees, "python", tmp_path), tried


def test_outcomes_are_used_again_only_with_the_same_tests_and_by_any_number_of_workers(tmp_path, monkeypatch):
    first, tried = runs_of(tmp_path, monkeypatch, 5, 1, "survived")
    assert (first["mutants"], first["killed"], len(tried)) == (5, 0, 5)
    more, tried = runs_of(tmp_path, monkeypatch, 6, 2)
    assert (more["mutants"], more["killed"], len(tried)) == (6, 1, 1)
    (tmp_path / "0" / "tests" / "test.py").write_text("def test_more(): ...")
    again, tried = runs_of(tmp_path, monkeypatch, 6, 2)
    assert (again["mutants"], again["killed"], len(tried)) == (6, 6, 6)


def test_the_copy_is_fresh_and_has_the_tests(tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "old").write_text("a mutant of yesterday")
    tree = copy_of_the_tree(tmp_path / "copy")
    assert not (tree / "old").exists()
    assert all((tree / module).is_file() for module in MODULES)
    assert (tree / "conftest.py").is_file()
