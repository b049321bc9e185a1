"""``refmg bench --scaling``: the model against what it must give, the record, the plot."""

import json

import numpy as np
import pytest
from mpi_runs import finish

from refmg import RefmgError
from refmg_validation.bench.scaling import report
from refmg_validation.bench.scaling.command import bench_scaling
from refmg_validation.bench.scaling.cost_model import (
    MessageCost,
    Phase,
    communication_share,
    curve,
    fitted_cost,
    ranks_at,
    weak,
)
from refmg_validation.bench.scaling.measure import fitted_to, misfit_of_sums
from refmg_validation.bench.scaling.run import depth_phases, judged, resnet_phases, scaling_row
from refmg_validation.terminal import console

COST = MessageCost(1e-5, 1e-10, "made up")


def test_sums_take_the_cheaper_algorithm():
    # Of little, log2 N messages; of much, twice the bytes, whatever N.
    assert COST.sum_seconds(8, 1024) == pytest.approx(10 * (1e-5 + 8e-10))
    assert COST.sum_seconds(1e9, 1024) == pytest.approx(20e-5 + 2 * 1023 / 1024 * 0.1)
    assert COST.sum_seconds(1e9, 1) == 0.0


def test_constants_are_found_again_from_times_with_noise():
    sizes = [8.0, 4e3, 3e4, 3e5, 2e6, 2e7]
    noise = np.random.default_rng(0).uniform(0.95, 1.05, len(sizes))
    found = fitted_cost(sizes, [(1e-5 + 1e-10 * n) * f for n, f in zip(sizes, noise, strict=True)], "")
    assert found.alpha == pytest.approx(COST.alpha, rel=0.1)
    assert found.beta == pytest.approx(COST.beta, rel=0.1)


@pytest.mark.parametrize("ranks", [2, 3, 4, 1024])
def test_constants_are_found_again_from_any_number_of_ranks(ranks):
    # Both algorithms: 32 bytes by doubling, 32 MB scattered where there are more than two ranks.
    rows = [{"bytes": n, "seconds": COST.sum_seconds(n, ranks)} for n in (32.0, 4e3, 3e4, 3e5, 2e6, 3.2e7)]
    found = fitted_to(rows, ranks)
    assert (found.alpha, found.beta) == (pytest.approx(COST.alpha), pytest.approx(COST.beta))
    assert misfit_of_sums(rows, ranks) < 1e-9


def test_sums_that_do_not_follow_the_model_miss_the_target():
    """Times of whole gradients hardly notice: their sums are a thousandth of them."""
    rows = [{"bytes": n, "seconds": COST.sum_seconds(n, 2)} for n in (32.0, 4e3, 3e4, 3e5, 2e6, 3.2e7)]
    odd = [row | {"seconds": row["seconds"] * (1.5 if row["bytes"] == 3e5 else 1)} for row in rows]
    result = {"overhead of one rank": {}, "misfit of sums": misfit_of_sums(odd, 2)}
    (row,) = judged(result)
    assert row["found"] > 0.2
    assert not row["reached"]
    (row,) = judged({"overhead of one rank": {}, "misfit of sums": misfit_of_sums(rows, 2)})
    assert row["reached"]


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
    for row in found["scaling"]:
        assert min(row["seconds"].values()) > 0
        assert row["weak against side by side"] == pytest.approx(
            row["seconds"]["side by side"] / row["seconds"]["weak"]
        )
    assert len(report.curve_lines(found)) == 4
    assert (tmp_path / "scaling.png").exists()
