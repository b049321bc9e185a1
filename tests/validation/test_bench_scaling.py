"""``refmg bench --scaling``: the model against what it must give, the record, the plot."""

import json
import threading

import numpy as np
import pytest
from mpi_runs import finish
from simulated_ranks import SimulatedRanks

from refmg import RefmgError, get_backend
from refmg.distributed import Share
from refmg_validation.bench.scaling import measure, report, run
from refmg_validation.bench.scaling.command import bench_scaling, read_computing
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
from refmg_validation.bench.scaling.judging import found_in_words, judged
from refmg_validation.bench.scaling.measure import OPERATIONS, Workload, sum_sizes
from refmg_validation.bench.scaling.message_cost import (
    NOMINAL,
    LengthRange,
    MessageCost,
    algorithms,
    cost_of,
    one_range,
    pieces_of,
)
from refmg_validation.bench.scaling.redraw import redraw
from refmg_validation.bench.scaling.run import (
    curves_of,
    depth_phases,
    resnet_phases,
    run_scaling,
    scaling_row,
)
from refmg_validation.doc_tables.scaling import scaling
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
    assert TWO.as_dict()["ranges"][1] == {"up_to": None, "alpha": 1.2e-4, "beta": 3e-10}
    assert cost_of(json.loads(json.dumps(TWO.as_dict()))) == TWO


def test_over_many_ranks_each_message_has_the_constants_of_its_own_length():
    # All pieces of 100 MB are long: the last ones have 97 kB.
    assert TWO.sum_seconds(1e8, 1024) == pytest.approx(20 * 1.2e-4 + 2 * 1023 / 1024 * 0.03)
    # Of 1 MB the pieces from 7,812 bytes on are short, the seventh to the tenth: a byte takes twice as long,
    # and there are 2 * (1 / 64 - 1 / 1024) MB of them. None begins quicker than a shorter one.
    seconds = 12 * 1.2e-4 + 2 * (63 / 64) * 3e-4 + 8 * 9e-5 + 2 * (1 / 64 - 1 / 1024) * 6e-4
    assert TWO.sum_seconds(1e6, 1024) == pytest.approx(seconds)
    # So many ranks were measured: their sums are told as they were.
    assert MessageCost(TWO.ranges, "made up", 1024).sum_seconds(1e6, 1024) == pytest.approx(
        20 * 1.2e-4 + 2 * 1023 / 1024 * 3e-4
    )


@pytest.mark.parametrize("ranks", [3, 4, 6, 1024])
def test_all_pieces_together_are_a_scattered_sum(ranks):
    (_, scattered), pieces = algorithms(1e6, ranks), pieces_of(1e6, ranks)
    assert (2 * len(pieces), 2 * sum(pieces)) == pytest.approx(scattered)


def test_an_alpha_of_zero_is_not_drawn_out_to_many_ranks():
    """The line through long sums may begin at 0; their messages begin no quicker than short ones."""
    flat = MessageCost((LengthRange(10_000.0, 9e-5, 6e-10), LengthRange(None, 0.0, 6e-10)), "made up")
    assert flat.sum_seconds(1e6, 2) == pytest.approx(6e-4)
    assert flat.sum_seconds(1e6, 1024) == pytest.approx(20 * 9e-5 + 2 * 1023 / 1024 * 6e-4)


def test_a_byte_of_a_large_array_takes_as_long_in_pieces():
    """Beyond the caches, or on new pages, is where the array is, whatever is sent of it at a time."""
    beyond = MessageCost((LengthRange(1e6, 1e-4, 1e-10), LengthRange(None, 1e-4, 9e-10)), "made up")
    assert beyond.sum_seconds(1.5e6, 8) == pytest.approx(6e-4 + 2 * 7 / 8 * 1.5e6 * 9e-10)


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


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_two_protocols_are_found_again(seed):
    rows, others = noisy(sums(TWO), seed), noisy(sums(TWO), seed + 10)
    cuts = chosen_cuts(others, 2)
    found = fitted_cost(rows, 2, cuts)
    assert len(found.ranges) == 2
    # The limit is between the last sum below it and the first above.
    assert max(n for n in SIZES if n <= 10_000) < found.ranges[0].up_to < min(n for n in SIZES if n > 10_000)
    for ours, theirs in zip(found.ranges, TWO.ranges, strict=True):
        assert ours.alpha == pytest.approx(theirs.alpha, rel=0.03)
    short, long = (range_.beta for range_ in found.ranges)
    assert long == pytest.approx(TWO.ranges[1].beta, rel=0.03)
    # Of the first range hardly a sum is long enough to say what a byte takes: by lines through times near
    # alpha with uniform noise of 2 %, the slope has this standard deviation, a sixth of beta.
    sizes = np.array([n for n in SIZES if n <= 10_000])
    deviation = 0.02 / 3**0.5 * TWO.ranges[0].alpha / np.sqrt(np.sum((sizes - sizes.mean()) ** 2))
    assert short == pytest.approx(TWO.ranges[0].beta, abs=3 * deviation)
    assert 3 * deviation < 0.6 * TWO.ranges[0].beta
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


class FakeTimes:
    """A clock for every rank, moved by made-up operations: sharing out to one rank slows them by a part."""

    def __init__(self, monkeypatch, parts):
        self.here, self.parts, self.sizes = threading.local(), parts, []
        monkeypatch.setattr(measure, "perf_counter", lambda: getattr(self.here, "now", 0.0))
        monkeypatch.setattr(Workload, "calls", lambda _, backend, count, share: self.calls(count, share))
        monkeypatch.setattr(run, "timed_sums", lambda *given: (sums(COST), sums(COST)))

    def calls(self, count, share):
        ranks = 0 if share is None else share.communicator.size
        if share is None or share.communicator.rank == 0:
            self.sizes.append((threading.get_ident(), ranks))
        part = self.parts[sum(n == 1 for _, n in self.sizes) - 1] if ranks == 1 else 0.0
        return dict.fromkeys(OPERATIONS, lambda: self.move(1e-3 * count / max(1, ranks) * (1 + part)))

    def move(self, seconds):
        self.here.now = getattr(self.here, "now", 0.0) + seconds


def fake_scaling(monkeypatch, ranks, parts):
    """Return what a benchmark finds whose overhead of one rank is another part in every repetition."""
    times = FakeTimes(monkeypatch, parts)
    compute = {name: {"per example": 1e-6, "fixed": 1e-4} for name in OPERATIONS}
    compute |= {"parameters": 100_000, "GF/s": 50_000.0, "source": "numpy on cpu"}

    def measured(comm):
        backend = get_backend("numpy")
        found = run_scaling(Share(comm), backend, True, lambda line: None, compute, len(parts))
        return threading.get_ident(), found

    first, found = SimulatedRanks(ranks).run(measured)[0]
    return found, [n for thread, n in times.sizes if thread == first]


def test_one_and_more_ranks_are_measured_in_turn_and_medians_judged(monkeypatch):
    found, sizes = fake_scaling(monkeypatch, 2, (0.04, 0.005, 0.01))
    # Without and with sharing, alone, side by side with all and a quarter, weak, strong; and all over again.
    assert sizes == 3 * [0, 1, 0, 0, 0, 2, 2]
    row = found["judged"][0]
    assert row["found"] == pytest.approx(0.01)
    assert row["spread"] == pytest.approx([0.005, 0.04])
    assert found_in_words(row) == ("0.010 (0.005 to 0.040)", "reached by the median")
    weak = next(r for r in found["judged"] if r["what"].startswith("weak"))
    assert (weak["found"], weak["spread"]) == (pytest.approx(1.0), pytest.approx([1.0, 1.0]))
    assert found_in_words(weak)[1] == "reached"
    assert found["repeats"] == 3
    words = "\n".join(scaling(found))
    assert "medians of 3, 3 times in turn, and medians of these:" in words
    assert "| 0.010 (0.005 to 0.040) | `<= 0.02` | reached by the median |" in words


def test_once_there_is_no_spread_and_one_bad_time_decides(monkeypatch):
    found, sizes = fake_scaling(monkeypatch, 2, (0.04,))
    assert sizes == [0, 1, 0, 0, 0, 2, 2]
    assert found_in_words(found["judged"][0]) == ("0.040", "missed")
    assert "spread" not in json.dumps(found)
    worse, _ = fake_scaling(monkeypatch, 1, (0.01, 0.03, 0.05))
    assert found_in_words(worse["judged"][0]) == ("0.030 (0.010 to 0.050)", "missed by the median")
    assert "scaling" not in worse


def test_no_repetition_is_refused():
    with pytest.raises(RefmgError, match="found --repeat 0; expected 1 or more"):
        bench_scaling(True, None, None, console(), 0)


def test_what_is_drawn_of_many_ranks():
    compute = {name: {"per example": 1e-6, "fixed": 1e-4} for name in ("gradient", "Gauss-Newton product")}
    compute |= {"parameters": 100_000, "GF/s": 50_000.0}
    assert sum(p.count for p in depth_phases(compute)) == 79
    step, *norms = resnet_phases(compute)
    assert sum(phase.count for phase in norms) == 3 * 36  # of ResNet-34
    assert sum(phase.count * phase.size for phase in norms) == 16 * (7 * 64 + 9 * 128 + 13 * 256 + 7 * 512)
    assert step.size == 4 * 21_797_672
    # 22 GFLOP an image at 50 TF/s.
    assert step.per_example == pytest.approx(4.392e-4)


def test_nominal_wires_between_processors_are_said_to_be_that(tmp_path):
    compute = {name: {"per example": 1e-6, "fixed": 1e-4} for name in ("gradient", "Gauss-Newton product")}
    compute |= {"parameters": 100_000, "GF/s": 50_000.0, "source": "numba on cpu"}
    result = {"ranks": 2, "costs": [TWO.as_dict(), NOMINAL.as_dict()], "compute": compute}
    measured, nominal = report.curve_lines(result | {"curves": curves_of(result)})[:2]
    assert "made up; ranks compute as numba on cpu: communication" in measured
    assert "so that a GPU's wires meet a CPU's computing: communication" in nominal
    panel = report.draw_scaling(result | {"curves": curves_of(result)}).axes[2]
    words = [line.get_label() for line in panel.get_lines()]
    assert words.count("strong, nominal: a GPU's wires, a CPU's computing") == 1
    assert words.count("strong, made up") == 1
    gpu = result | {"compute": compute | {"source": "cupy on cuda: A100"}}
    assert not any("meet" in line for line in report.curve_lines(gpu | {"curves": curves_of(gpu)}))
    # A record is drawn again from what was measured, whatever its curves were.
    path = tmp_path / "scaling.json"
    path.write_text(json.dumps(result))
    assert redraw(path).read_bytes()[1:4] == b"PNG"
    assert json.loads(path.read_text()) == json.loads(json.dumps(result))


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"compute": 3}', '{"compute": {"a": []}}', "{}", "[]", "x"], ids=range(6)
)
def test_what_is_no_record_is_one_error(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    for read in (read_computing, redraw):
        with pytest.raises(RefmgError, match=r"other.json .*; expected a record of refmg bench --scaling$"):
            read(path)
    with pytest.raises(RefmgError, match="cannot read"):
        redraw(tmp_path / "missing.json")


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
    with pytest.raises(RefmgError, match="does not say what a rank computes"):
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
