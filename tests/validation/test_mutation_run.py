"""The mutation run: every module is there with its tests, and what cosmic-ray writes is counted."""

import json

import pytest
from mutation_run import MODULES, ROOT, copy_of_the_tree, found, main


def test_modules_and_tests_are_there():
    for module, tests in MODULES.items():
        assert (ROOT / module).is_file()
        assert all((ROOT / test).is_file() for test in tests)


def test_an_unknown_module_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"found no module refmg/nothing\.py"):
        main([str(tmp_path / "found.json"), "refmg/nothing.py"])


def item(line, occurrence):
    return {"mutations": [{"start_pos": [line, 4], "operator_name": "core/Not", "occurrence": occurrence}]}


def test_survivors_are_told_and_what_was_not_run_is_not_counted():
    rows = [
        (item(3, 0), {"worker_outcome": "normal", "test_outcome": "killed"}),
        (item(5, 1), {"worker_outcome": "normal", "test_outcome": "survived"}),
        (item(7, 2), {"worker_outcome": "skipped", "test_outcome": None}),
        (item(9, 3), None),
    ]
    record = found("\n".join(json.dumps(row) for row in rows) + "\n", 6.0)
    assert record == {
        "mutants": 2,
        "killed": 1,
        "seconds_per_mutant": 3.0,
        "survivors": ["line 5: core/Not 1"],
    }


def test_the_copy_is_fresh_and_has_the_tests(tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "old").write_text("a mutant of yesterday")
    tree = copy_of_the_tree(tmp_path / "copy")
    assert not (tree / "old").exists()
    assert all((tree / module).is_file() for module in MODULES)
    assert (tree / "conftest.py").is_file()
