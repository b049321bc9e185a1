"""``refmg bench --scaling``: the model against what it must give, the record, the plot."""

import json

import numpy as np
import pytest
from mpi_runs import finish

from refmg import RefmgError
from refmg_validation.bench.scaling import report
from refmg_validation.bench.scaling.command import bench_scaling
from refmg_validation.bench.scaling.cost_model import (
    Phase,
    communication_share,
    curve,
    ranks_at,
    weak,
)
from refmg_validation.bench.scaling.fit import (
    chosen_cuts,
    fitted_cost,
    fitted_range,
    foretold,
    found_cuts,
    misfit_of_sums,
)
from refmg_validation.bench.scaling.measure import sum_sizes
from refmg_validation.bench.scaling.message_cost import LengthRange, MessageCost, one_range
from refmg_validation.bench.scaling.run import depth_phases, judged, resnet_phases, scaling_row
from refmg_validation.terminal import console

COST = one_range(1e-5, 1e-10, "made up")
# Short sums by one protocol, long ones by another, which begins with a jump.
TWO = MessageCost((LengthRange(10_000.0, 9e-5, 6e-10), LengthRange(None, 1.2e-4, 3e-10)), "made up")
SIZES = [4.0 * n for n in sum_sizes()]


def sums(cost, ranks=2, sizes=SIZES):
    return [{"bytes": n, "seconds": cost.sum_seconds(n, ranks)} for n in sizes]


def noisy(rows, seed, part=0.02):
    factors = np.random.default_rng(seed).uniform(1 - part, 1 + part, len(rows))
    return [row | {"seconds": row["seconds"] * f} for row, f in zip(rows, factors, strict=True)]


def reached(rows, others):
    """Return whether sums reach the target with ranges that others gave."""
    misfit = misfit_of_sums(rows, 2, chosen_cuts(others, 2))
    (row,) = judged({"overhead of one rank": {}, "misfit of sums": misfit})
    return row["reached"]


def test_sums_take_the_cheaper_algorithm():
    # Of little, log2 N messages; of much, twice the bytes, whatever N.
    assert COST.sum_seconds(8, 1024) == pytest.approx(10 * (1e-5 + 8e-10))
    assert COST.sum_seconds(1e9, 1024) == pytest.approx(20e-5 + 2 * 1023 / 1024 * 0.1)
    assert COST.sum_seconds(1e9, 1) == 0.0


def test_each_length_has_the_constants_of_its_range():
    assert TWO.sum_seconds(10_000, 2) == pytest.approx(9e-5 + 6e-6)
    assert TWO.sum_seconds(10_001, 2) == pytest.approx(1.2e-4 + 3e-6, rel=1e-4)
    # Over many ranks long sums are scattered, by the constants of their own range.
    assert TWO.sum_seconds(1e8, 1024) == pytest.approx(20 * 1.2e-4 + 2 * 1023 / 1024 * 0.03)
    assert TWO.as_dict()["ranges"][1] == {"up_to": None, "alpha": 1.2e-4, "beta": 3e-10}


def test_constants_are_found_again_from_times_with_noise():
    found = fitted_range(noisy(sums(COST, sizes=[8.0, 4e3, 3e4, 3e5, 2e6, 2e7]), 0, 0.05), 2)
    assert found.alpha == pytest.approx(1e-5, rel=0.1)
    assert found.beta == pytest.approx(1e-10, rel=0.1)


@pytest.mark.parametrize("ranks", [2, 3, 4, 1024])
def test_constants_are_found_again_from_any_number_of_ranks(ranks):
    # Both algorithms: 32 bytes by doubling, 32 MB scattered where there are more than two ranks.
    rows = sums(COST, ranks, (32.0, 4e3, 3e4, 3e5, 2e6, 3.2e7))
    found = fitted_range(rows, ranks)
    assert (found.alpha, found.beta) == (pytest.approx(1e-5), pytest.approx(1e-10))
    assert misfit_of_sums(rows, ranks) < 1e-9


def test_constants_are_never_negative():
    falling = [{"bytes": n, "seconds": 1e-4 - 1e-12 * n} for n in (8.0, 1e6, 1e7, 5e7)]
    steep = [{"bytes": n, "seconds": 1e-9 * n - 5e-9} for n in (8.0, 1e3, 1e6)]
    assert fitted_range(falling, 2).beta == 0.0
    assert fitted_range(falling, 2).alpha > 5e-5
    assert fitted_range(steep, 2).alpha == 0.0
    assert fitted_range(steep, 2).beta > 0


@pytest.mark.parametrize("seed", range(3))
def test_two_protocols_are_found_again(seed):
    rows, others = noisy(sums(TWO), seed), noisy(sums(TWO), seed + 10)
    cuts = chosen_cuts(others, 2)
    found = fitted_cost(rows, 2, cuts)
    assert len(found.ranges) == 2
    # The limit is between the last sum below it and the first above.
    assert max(n for n in SIZES if n <= 10_000) < found.ranges[0].up_to < min(n for n in SIZES if n > 10_000)
    for ours, theirs in zip(found.ranges, TWO.ranges, strict=True):
        assert ours.alpha == pytest.approx(theirs.alpha, rel=0.03)
        # Of the first range hardly a sum is long enough to say what a byte takes.
        assert ours.beta == pytest.approx(theirs.beta, rel=0.03 if theirs.up_to is None else 0.8)
    # Noise of 2 %, and a line through sums with such noise, beyond the last of them.
    assert misfit_of_sums(rows, 2, cuts) < 0.08
    assert misfit_of_sums(rows, 2) > 0.15
    assert reached(rows, others)


def test_one_protocol_gets_one_range():
    assert chosen_cuts(sums(COST), 2) == ()
    assert chosen_cuts(noisy(sums(COST), 0), 2) == ()
    assert found_cuts(sums(COST, sizes=SIZES[:3]), 2, 5) == ()


# Times by length that are no pieces of few straight lines.
OTHERS = {
    "one length": lambda n: TWO.sum_seconds(n, 2) * (1.5 if n == 262144.0 else 1),
    "ripples": lambda n: TWO.sum_seconds(n, 2) * (1 + 0.3 * np.sin(5 * np.log(n))),
    "a cube": lambda n: 1e-4 + 1e-25 * n**3,
    "many jumps": lambda n: 1e-5 * 1.6 ** np.floor(np.log2(n) / 2),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_machine_that_does_not_follow_the_model_misses_the_target(kind):
    """Times of whole gradients hardly notice: their sums are a thousandth of them."""
    rows = [{"bytes": n, "seconds": float(OTHERS[kind](n))} for n in SIZES]
    assert not reached(rows, rows)


def test_sums_that_waver_from_round_to_round_miss_the_target():
    """The ranges were found from others: they do not bend to what they have to foretell."""
    assert not reached(noisy(sums(TWO), 0, 0.4), noisy(sums(TWO), 1, 0.4))


def test_a_sum_has_no_say_in_what_is_foretold_of_it():
    rows = sums(TWO)
    cuts, k = chosen_cuts(rows, 2), 20
    longer = [*rows[:k], rows[k] | {"seconds": 100.0}, *rows[k + 1 :]]
    assert foretold(longer, 2, cuts)[k] == foretold(rows, 2, cuts)[k] == pytest.approx(rows[k]["seconds"])


def test_the_point_of_a_tenth():
    phases = [Phase("gradient", 2, 1000, 1e-4, 1e-3, 10**6), Phase("trials", 1, 1000, 1e-5, 0.0, 8)]
    point = ranks_at(0.1, phases, COST)
    assert communication_share(phases, point, COST) >= 0.1 > communication_share(phases, point - 1, COST)
    assert ranks_at(0.1, [Phase("all", 1, 10**9, 1.0, 0.0, 8)], COST, most=1 << 10) is None
    # With as many examples a rank the part of communication grows slower.
    assert communication_share(weak(phases, 64), 64, COST) < communication_share(phases, 64, COST)
    found = curve(phases, COST, [1, 2, 64])
    assert found["share"][0] == 0.0
    assert found["seconds"][0] > found["seconds"][1]


def test_the_model_of_a_machine_that_follows_it_has_no_misfit():
    seconds = {"side by side": 1.1, "side by side, a quarter": 0.35, "weak": 1.2, "strong": 0.7}
    assert scaling_row("gradient", 1.0, seconds, (1000, 2), 0.1)["misfit"] == pytest.approx(0.0, abs=1e-12)
    slow = scaling_row("gradient", 1.0, seconds | {"weak": 1.6}, (1000, 2), 0.1)
    assert slow["misfit"] == pytest.approx(0.25)
    result = {"overhead of one rank": {"gradient": 0.05}, "scaling": [slow]}
    assert [row["reached"] for row in judged(result)] == [False, False, False]
    better = {"overhead of one rank": {"gradient": 0.0}}
    better |= {"scaling": [slow | {"weak against side by side": 0.95}]}
    assert [row["reached"] for row in judged(better)] == [True, True, False]
    with pytest.raises(RefmgError, match="found no measurement"):
        judged({"overhead of one rank": {}})


def test_what_is_drawn_of_many_ranks():
    compute = {name: {"per example": 1e-6, "fixed": 1e-4} for name in ("gradient", "Gauss-Newton product")}
    compute |= {"parameters": 100_000, "GF/s": 50_000.0}
    assert sum(p.count for p in depth_phases(compute)) == 79
    (step,) = resnet_phases(compute)
    assert step.size == 4 * 21_797_672
    # 22 GFLOP an image at 50 TF/s.
    assert step.per_example == pytest.approx(4.392e-4)


def test_one_rank_says_how_to_measure_two(tmp_path, capsys):
    bench_scaling(True, tmp_path / "one.json", None, console())
    printed = capsys.readouterr().out
    assert "mpiexec -n 2 refmg bench --scaling" in printed
    assert "communication takes 10 % of the time" in printed
    found = json.loads((tmp_path / "one.json").read_text())
    assert "scaling" not in found
    assert (tmp_path / "one.png").stat().st_size > 1000
    # What was found here can be what a rank computes there.
    bench_scaling(True, tmp_path / "two.json", tmp_path / "one.json", console())
    assert json.loads((tmp_path / "two.json").read_text())["compute"] == found["compute"]
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(RefmgError, match="expected 'compute' in it"):
        bench_scaling(True, None, tmp_path / "other.json", console())


def test_two_ranks_record_both_kinds_of_scaling(tmp_path):
    given = ("refmg_validation", "bench", "--scaling", "--quick", "--json", tmp_path / "scaling.json")
    printed = finish(2, "-m", *given)
    assert printed.count("To reach") == 1
    found = json.loads((tmp_path / "scaling.json").read_text())
    assert found["ranks"] == 2
    assert found["costs"][0]["source"] == "measured at 2 ranks"
    assert "Sums, measured at 2 ranks: " in printed
    assert [row["bytes"] for row in found["messages"]] == [4.0 * n for n in sum_sizes(quick=True)]
    misfits = [abs(row["foretold"] / row["seconds"] - 1) for row in found["messages"]]
    assert max(misfits) == pytest.approx(found["misfit of sums"])
    for row in found["scaling"]:
        assert min(row["seconds"].values()) > 0
        assert row["weak against side by side"] == pytest.approx(
            row["seconds"]["side by side"] / row["seconds"]["weak"]
        )
    assert len(report.curve_lines(found)) == 4
    assert (tmp_path / "scaling.png").exists()
