"""The mutation run: every module is there with its tests, and mutants are tried and counted."""

import json
import sys
from pathlib import Path

import pytest
from mutant_runner import main as run_mutants
from mutant_runner import name_of, outcome, run_tests
from mutation_record import change_of, faults_of, found, reasons_for
from mutation_run import MODULES, ROOT, copy_of_the_tree, holds, main, recorded, run_module

RECORD = ROOT / "validation" / "results" / "mutation.json"


def test_modules_and_tests_are_there():
    for module, tests in MODULES.items():
        assert (ROOT / module).is_file()
        assert all((ROOT / test).is_file() for test in tests)


def test_an_unknown_module_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"found no module refmg/nothing\.py"):
        main([str(tmp_path / "found.json"), "refmg/nothing.py"])


def at(line, operator, occurrence=0):
    return {"start_pos": [line, 0], "operator_name": operator, "occurrence": occurrence, "operator_args": {}}


def test_survivors_are_told_with_their_change_and_its_reason(monkeypatch):
    source = "a = 1\nb = [\n    0]\n"
    changed = {"core/Not": "a = 1\nb = [\n    1]\n", "core/Is": "a = 2\nb = [\n    0]\n", "x": ""}
    monkeypatch.setattr("mutation_record.mutated", lambda source, m: changed[m["operator_name"]])
    made = [at(13, "core/Not"), at(5, "core/Is"), at(7, "x", 2)]
    outcomes = ("survived", "survived", "killed")
    rows = [
        {"name": name_of(m), "outcome": outcome, "seconds": 3.0}
        for m, outcome in zip(made, outcomes, strict=True)
    ]
    assert found(rows, made, source, {("0]", "1]"): "as good"}) == {
        "mutants": 3,
        "killed": 1,
        "hung": [],
        "seconds_per_mutant": 3.0,
        "survivors": [
            {"name": "line 5: core/Is 0", "line": "a = 1", "became": "a = 2", "reason": ""},
            {"name": "line 13: core/Not 0", "line": "0]", "became": "1]", "reason": "as good"},
        ],
    }


def test_a_line_that_is_taken_away_is_a_change():
    assert change_of("@cached\ndef f(): ...\n", "def f(): ...\n") == ("@cached", "")
    assert change_of("a = 1\nb = 2\n", "a = 1\nb = 3\n") == ("b = 2", "b = 3")


def test_reasons_are_those_of_survivors_and_every_survivor_has_one(tmp_path):
    path = tmp_path / "reasons.toml"
    path.write_text(
        '[[survivors]]\nmodule = "a.py"\nline = "x < n"\nbecame = ["x != n", "x is not n"]\n'
        'reason = "x <= n"\n'
    )
    reasons = {("x < n", became): "x <= n" for became in ("x != n", "x is not n")}
    assert reasons_for("a.py", path) == reasons
    assert reasons_for("b.py", path) == {}

    def faults(*became, reason="x <= n"):
        survivors = [{"line": "x < n", "became": one, "reason": reason} for one in became]
        return faults_of({"a.py": {"survivors": survivors}}, lambda module: reasons_for(module, path))

    assert faults("x != n", "x is not n") == []
    assert faults("x != n") == ["a.py: no survivor 'x is not n'"]
    assert faults("x != n", "x is not n", "x > n") == ["a.py: no reason for 'x > n'"]
    assert len(faults("x != n", "x is not n", reason="")) == 2


def test_every_recorded_survivor_is_explained():
    """Its reasons are those of the table, none of them out of date; the README there names what is left."""
    record = json.loads(RECORD.read_text())
    assert list(record) == [module for module in MODULES if module in record] != []
    readme = (RECORD.parent / "README.md").read_text()
    row = next(line for line in readme.splitlines() if line.startswith("| `mutation.json`"))
    assert [module for module in set(MODULES) - set(record) if Path(module).name not in row] == []
    assert faults_of(record) == []
    for one in record.values():
        assert one["mutants"] == one["killed"] + len(one["survivors"])


def test_other_modules_stay_recorded(tmp_path):
    assert recorded(tmp_path / "none.json") == {}
    (tmp_path / "some.json").write_text('{"a.py": {"mutants": 3}}')
    assert recorded(tmp_path / "some.json") == {"a.py": {"mutants": 3}}


@pytest.mark.parametrize(
    ("status", "became"), [(0, "survived"), (1, "killed"), (-9, "killed"), (None, "hung")]
)
def test_a_mutant_survives_only_tests_that_all_pass(status, became):
    assert outcome(status) == became


def test_mutants_run_in_processes_of_their_own(tmp_path, monkeypatch):
    """Tests that pass, fail or hang; the module is restored."""
    (tmp_path / "thing.py").write_text("x = 1\n")
    (tmp_path / "test_thing.py").write_text(
        "def test():\n    import thing\n    while thing.x == 3:\n        pass\n    assert thing.x != 2\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("mutant_runner.mutated", lambda source, mutation: f"x = {mutation['occurrence']}\n")
    monkeypatch.setattr("mutant_runner.preload", lambda: None)
    monkeypatch.setattr("mutant_runner.TIMEOUT", (1, 2))
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    made = [{"start_pos": [1, 0], "operator_name": "core/Number", "occurrence": k} for k in (1, 2, 3, 4)]
    made = [mutation | {"operator_args": {}} for mutation in made]
    job = {"module": "thing.py", "mutations": made, "results": "found.jsonl", "tests": {"test_thing.py": "0"}}
    run_mutants(job)
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    # The first is no change.
    expected = {2: "killed", 3: "hung", 4: "survived"}
    assert {row["name"]: row["outcome"] for row in rows} == {
        f"line 1: core/Number {k}": what for k, what in expected.items()
    }
    assert [row["tests"] for row in rows] == [job["tests"]] * 3
    assert (tmp_path / "thing.py").read_text() == "x = 1\n"


def test_tests_that_only_wait_are_stopped_by_the_clock(tmp_path, monkeypatch):
    (tmp_path / "test_thing.py").write_text("import time\ndef test():\n    time.sleep(600)\n")
    monkeypatch.setattr("mutant_runner.PATIENCE", 1)
    assert run_tests(["-q", "-n0", "-p", "no:cacheprovider", str(tmp_path)], 1) is None


def runs_of(tmp_path, monkeypatch, count, workers, outcome="killed", earlier=None):
    """Run `count` mutants of a copy that is there, with workers that only write outcomes; what they tried."""
    trees, tried = [tmp_path / str(k) for k in range(workers)], []
    made = [at(k, "o") for k in range(count)]
    monkeypatch.setattr("mutation_run.mutations_of", lambda *given: made)
    monkeypatch.setattr("mutation_record.mutated", lambda source, mutation: source)

    class Worker:
        def __init__(self, command, cwd, env):
            job = json.loads((cwd / "job.json").read_text())
            with open(job["results"], "a") as file:
                for mutation in job["mutations"]:
                    tried.append(name_of(mutation))
                    row = {"name": tried[-1], "outcome": outcome, "seconds": 1.0, "tests": job["tests"]}
                    file.write(json.dumps(row) + "\n")
                file.write('{"name": "cut sh\n')

        def wait(self):
            return 0

    monkeypatch.setattr("mutation_run.subprocess.Popen", Worker)
    for tree in trees:
        for folder in ("refmg", "tests"):
            (tree / folder).mkdir(parents=True, exist_ok=True)
        for file in ("refmg/rational.py", "tests/test_one.py", "tests/test_two.py"):
            (tree / file).touch()
    return run_module("refmg/rational.py", trees, "python", tmp_path, earlier), tried


def counts(run):
    return run[0]["mutants"], run[0]["killed"], len(run[1])


def test_outcomes_are_used_again_by_any_number_of_workers_while_they_hold(tmp_path, monkeypatch):
    monkeypatch.setitem(MODULES, "refmg/rational.py", ("tests/test_one.py",))
    assert counts(runs_of(tmp_path, monkeypatch, 5, 1, "survived")) == (5, 0, 5)
    assert counts(runs_of(tmp_path, monkeypatch, 6, 2)) == (6, 1, 1)
    # One more test: only survivors are tried again.
    monkeypatch.setitem(MODULES, "refmg/rational.py", ("tests/test_one.py", "tests/test_two.py"))
    assert counts(runs_of(tmp_path, monkeypatch, 6, 2)) == (6, 6, 5)
    # The test that was there for one kill has changed, the other for all the rest.
    (tmp_path / "0" / "tests" / "test_two.py").write_text("def test_more(): ...")
    assert counts(runs_of(tmp_path, monkeypatch, 6, 2)) == (6, 6, 5)
    (tmp_path / "0" / "refmg" / "rational.py").write_text("changed = 1")
    assert counts(runs_of(tmp_path, monkeypatch, 6, 2)) == (6, 6, 6)


def test_a_record_of_the_same_module_is_used_where_the_folder_is_gone(tmp_path, monkeypatch):
    monkeypatch.setitem(MODULES, "refmg/rational.py", ("tests/test_one.py",))
    first, _ = runs_of(tmp_path / "first", monkeypatch, 3, 1, "survived")
    hung = first | {"survivors": first["survivors"][1:], "hung": [name_of(at(0, "o"))], "killed": 1}
    again, tried = runs_of(tmp_path / "second", monkeypatch, 3, 1, earlier=hung)
    assert tried == []
    assert (again["mutants"], again["killed"], again["hung"]) == (3, 1, hung["hung"])
    # One more test: only survivors are tried again. Of another text or other mutants nothing is used.
    monkeypatch.setitem(MODULES, "refmg/rational.py", ("tests/test_one.py", "tests/test_two.py"))
    for count, earlier, expected in ((3, again, 2), (4, again, 4), (3, again | {"source": "0"}, 3)):
        folder = tmp_path / f"third-{count}-{earlier['source']}"
        assert len(runs_of(folder, monkeypatch, count, 1, earlier=earlier)[1]) == expected


def test_a_kill_holds_with_more_tests_and_a_survivor_only_with_the_same():
    for what, more in (("killed", True), ("hung", True), ("survived", False)):
        row = {"outcome": what, "tests": {"a": "1"}}
        assert holds(row, {"a": "1"})
        assert holds(row, {"a": "1", "b": "2"}) == more
        assert not holds(row, {"a": "2", "b": "2"})
        assert not holds(row, {"b": "2"})


def test_the_copy_is_fresh_and_has_the_tests(tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "old").write_text("a mutant of yesterday")
    tree = copy_of_the_tree(tmp_path / "copy")
    assert not (tree / "old").exists()
    assert all((tree / module).is_file() for module in MODULES)
    assert (tree / "conftest.py").is_file()
