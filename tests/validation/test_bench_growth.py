"""Growth of a gradient's time: the fitted lines, turns, what is printed and recorded."""

import json

import pytest

from refmg_validation.bench import growth
from refmg_validation.bench.networks import Problem
from refmg_validation.bench.timing import Timing, time_in_turns


def test_a_straight_line_is_found_with_its_largest_error():
    sizes, bent = [1.0, 2.0, 4.0, 8.0], [3.0, 5.0, 9.0, 34.0]
    once, each, error = growth.affine(sizes, [1 + 2 * n for n in sizes])
    assert (once, each) == pytest.approx((1, 2), rel=1e-12)  # 4 equations, a condition below 100
    assert error < 1e-12
    assert growth.affine(sizes, bent)[2] > 0.1


def test_calls_take_turns():
    seen = []
    found = time_in_turns([lambda: seen.append("a"), lambda: seen.append("b")], lambda: seen.append("wait"))
    assert seen[:8] == ["a", "wait", "b", "wait"] * 2
    assert len(found) == 2
    assert seen.count("a") == seen.count("b") == 10  # one is not counted


def test_what_is_spent_once_lowers_the_exponent():
    row = growth.growth_row("layers", [4, 8, 16], [Timing(s, 0.0) for s in (0.012, 0.016, 0.024)])
    assert row["exponent"] < 0.6
    assert growth.in_words(row).endswith(": 8 ms and 1 ms for each, within 0.0 %")


def test_the_command_records_what_it_prints(monkeypatch, tmp_path, capsys):
    problems = [Problem(grid=8, channels=2, layers=k, examples=4) for k in (1, 2, 3)]
    monkeypatch.setattr(growth, "SWEEPS", {"layers": problems})
    assert growth.main(["--json", str(tmp_path / "growth.json")]) == 0
    (row,) = json.loads((tmp_path / "growth.json").read_text())["growth"]
    assert row["sizes"] == [1, 2, 3]
    assert growth.in_words(row) in capsys.readouterr().out
