"""``reproduce depth`` and ``reproduce pyramid``: paths, costs, resumption, records and tables."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from refmg import Architecture, RefmgError, load_network
from refmg.atomic import PART
from refmg.multilevel import ImagePyramid, Level
from refmg.optimization import StochasticSettings
from refmg_validation.cli import main
from refmg_validation.html_report import compare_page, report_page
from refmg_validation.multilevel import presets, run_clock
from refmg_validation.multilevel.costs import classifier_share, with_costs
from refmg_validation.multilevel.depth import depth_rows, depth_summary, depth_verdicts
from refmg_validation.multilevel.paths import TrainingPath, depth_paths, pyramid_paths
from refmg_validation.multilevel.pyramid import PAPER_RATIO, pyramid_rows, pyramid_summary, pyramid_verdicts
from refmg_validation.multilevel.saved_path import SavedPath
from refmg_validation.multilevel.spread import over_seeds
from refmg_validation.multilevel.tables import depth_table, switch_table
from refmg_validation.multilevel.watching import Watching
from refmg_validation.presets import PRESETS
from refmg_validation.provenance import provenance
from refmg_validation.runs import FolderLock, RunFolder
from refmg_validation.runs.claim import CLAIM

SGD = StochasticSettings("sgd", 0.01, epochs=2, examples=8)


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    """One iteration a level on a few shipped digits of 7 x 7, in an empty folder."""
    for name in ("REFMG_DATA", "REFMG_BACKEND", "REFMG_DTYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    training = replace(PRESETS["small"].training, iterations=1, hessian_examples=30, newton_steps=1)
    base = replace(PRESETS["small"], train=100, validation=30, channels=2, training=training)
    depth = replace(presets.DEPTH["small"], base=base, factors=(4,), depths=(1, 2, 4), short=0)
    pyramid = replace(presets.PYRAMID["small"], base=base, factors=(4, 2), depths=(1, 2))
    monkeypatch.setitem(presets.DEPTH, "small", depth)
    monkeypatch.setitem(presets.PYRAMID, "small", pyramid)


def run(*arguments):
    return main(["reproduce", *map(str, arguments)])


def iteration(layers, number, validation, *, shape=(8,), work=30, seconds=1.0, loss=0.5, classifier_work=0):
    return {
        "kind": "iteration",
        "shape": list(shape),
        "layers": layers,
        "iteration": number,
        "validation": validation,
        "loss": loss,
        "work": work,
        "classifier_work": classifier_work,
        "seconds": seconds,
    }


def switch(layers, loss, validation):
    scores = {"loss": loss, "validation_accuracy": validation}
    return {"kind": "switch", "layers": layers, "seconds": 0.5, "after": scores}


def start(loss=2.3, validation=0.1):
    return {"kind": "start", "after": {"loss": loss, "validation_accuracy": validation}}


def depth_result():
    """By hand: at 4 layers the random start reaches its best, 0.9, in iteration 2; the prolonged one in 0."""
    prolonged = [start(), iteration(2, 0, 0.5), iteration(2, 1, 0.8), switch(4, 0.4, 0.85)]
    prolonged += [iteration(4, 0, 0.9, loss=0.3), iteration(4, 1, 0.95)]
    random = [start(), *(iteration(4, i, v) for i, v in enumerate((0.5, 0.7, 0.9)))]
    records = {"prolonged": prolonged, "random 4": random}
    return {
        "seed": 0,
        "data": {"train": 10},
        "largest": Architecture((8,), layers=4),
        "records": records,
    }


def test_costs_are_in_passes_of_the_largest_network():
    found = with_costs(depth_result()["records"]["prolonged"], Architecture((16,), layers=4), 10)
    # 30 examples through 2 of 4 layers on 8 of 16 cells, 10 examples: 0.75; through 4 layers twice that.
    assert [row["total_work"] for row in found] == [0.75, 1.5, 1.5, 3.0, 4.5]
    assert [row["elapsed"] for row in found] == [1.0, 2.0, 2.5, 3.5, 4.5]


def test_rows_of_depth_by_hand():
    random, prolonged = depth_rows(depth_result())
    assert (random["initial_loss"], prolonged["initial_loss"]) == (2.3, 0.4)
    assert (random["initial_validation"], prolonged["initial_validation"]) == (0.1, 0.85)
    assert (random["classifier_loss"], prolonged["classifier_loss"]) == (0.5, 0.3)
    assert (random["classifier_validation"], prolonged["classifier_validation"]) == (0.5, 0.9)
    assert (random["best_iteration"], prolonged["best_iteration"]) == (2, 1)
    assert (random["iterations_to_target"], prolonged["iterations_to_target"]) == (2, 0)
    assert (random["work"], random["work_here"]) == (9.0, 9.0)
    assert (prolonged["work"], prolonged["work_here"]) == (6.0, 3.0)
    assert prolonged["saving"] == 1.5


def test_a_target_that_is_not_reached_is_none():
    found = depth_result()
    found["records"]["random 4"].append(iteration(4, 3, 0.99))
    random, prolonged = depth_rows(found)
    assert random["saving"] == 1
    assert prolonged["work"] is prolonged["saving"] is prolonged["iterations_to_target"] is None
    rows = depth_summary([found, depth_result()])
    # The page shows means of those that reached it: it says how many these are.
    assert [row["reached"]["mean"] for row in rows] == [1.0, 0.5]
    said = depth_verdicts(rows)
    words = "in 1 of 2 seeds, which took 1.50 times its work in the mean of those"
    assert any(words in line for line in said)


def test_no_name_in_the_table_of_depth_is_cut(capsys):
    found = [depth_result() | {"seed": seed} for seed in (0, 1)]
    for one in found:
        one["records"]["prolonged, short"] = one["records"]["prolonged"]
    Console(width=110).print(depth_table(depth_summary(found), "two seeds"))
    printed = capsys.readouterr().out
    assert (printed.count("prolonged"), printed.count("prolonged,")) == (2, 1)


def test_verdicts_compare_fitted_classifiers_too():
    """The random start's classifier is zero: that a trained one has the lower loss says nothing."""
    worse = depth_result()
    for row in worse["records"]["prolonged"]:
        if row["kind"] == "iteration" and row["layers"] == 4:
            row["loss"], row["validation"] = 0.6, 0.4
    said = depth_verdicts(depth_summary([depth_result(), worse]))
    assert said[0].startswith("4 layers, of 2 seeds: the prolonged start has the lower initial loss in 2 and")
    assert (
        "fitted to both: the prolonged start has the lower loss in 1 and the higher accuracy in 1;"
        in (said[1])
    )
    assert "best accuracy in iteration 0.5 in the mean, the random start in 2.0" in said[2]


def test_early_is_up_to_iteration_five():
    found = depth_result()
    found["records"]["random 4"] += [iteration(4, 5, 0.91), iteration(4, 6, 0.92)]
    random, _ = depth_rows(found)
    assert (random["early_validation"], random["best_validation"]) == (0.91, 0.92)


def test_rows_of_the_pyramid_by_hand():
    fine = [
        start(),
        *(iteration(4, i, v, seconds=4.0) for i, v in enumerate((0.5, 0.9, 0.8))),
        {"test": 0.88},
    ]
    two = [start(), iteration(4, 0, 0.95, shape=(4,)), switch(4, 0.4, 0.9)]
    two += [iteration(4, 0, 0.9, seconds=4.0), {"test": 0.9}]
    for records in (fine, two):
        records[-1]["kind"] = "end"
    found = depth_result() | {"records": {"fine only": fine, "coarse to fine, linear": two}}
    first, second = pyramid_rows(found)
    assert (first["seconds"], first["seconds_to_target"], first["time_ratio"]) == (12.0, 8.0, 1.0)
    assert first["reached"] == second["reached"] == 1
    assert (second["seconds_to_target"], second["time_ratio"]) == (5.5, 5.5 / 8)
    # A coarse iteration is half a fine one; the coarse network's 0.95 does not count.
    assert second["work_ratio"] == 4.5 / 6
    assert (second["test"], second["seconds_before_last_level"]) == (0.9, 1.5)
    assert "in 0.688 of its time and 0.750 of its work" in pyramid_verdicts(pyramid_summary([found]))[0]
    assert pytest.approx(0.742, abs=5e-4) == PAPER_RATIO


def test_all_paths_of_the_pyramid_end_at_one_network():
    paths = pyramid_paths(presets.PYRAMID["paper"], (28, 28), 10)
    assert len({path.name for path in paths}) == len({path.file for path in paths}) == 6
    assert {(a.shape, a.layers) for a in (path.architectures[-1] for path in paths)} == {((28, 28), 8)}
    with pytest.raises(RefmgError, match="multiples of 4"):
        pyramid_paths(presets.PYRAMID["paper"], (30, 30), 10)


def test_paths_of_depth_are_those_of_the_paper():
    paths = {path.name: path for path in depth_paths(presets.DEPTH["paper"], (28, 28), 10)}
    assert [level.layers for level in paths["prolonged"].levels] == [2, 4, 8, 16, 32, 64]
    assert {level.iterations for level in paths["prolonged"].levels} == {20}
    assert paths["random 64"].start.final_time == paths["prolonged"].start.final_time
    assert {level.iterations for level in paths["prolonged, short"].levels} == {5}


def test_depth_writes_table_figure_and_run(capsys, tmp_path):
    assert run("depth", "--output", "out", "--seeds", 2) == 0
    printed = capsys.readouterr().out
    for words in ("seed 1, random 4", "7 x 7, 4 layers", "Switches of levels, prolonged", "of 2 seeds"):
        assert words in printed
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["seeds"] == [0, 1]
    assert [row[:2] for row in record["tables"][0]["rows"]] == [
        [n, s] for n in (2, 4) for s in ("random", "prolonged")
    ]
    assert [s["to"] for s in record["switches"]] == ["7 x 7, 2 layers", "7 x 7, 4 layers"] * 2
    fates = {item["what"]: item["fate"] for item in record["switches"][0]["items"]}
    assert (fates["stencils"], fates["W"], fates["momentum"]) == ("moved", "kept", "none")
    lines = {(s["group"], s["name"]) for s in record["series"]}
    assert ("7 x 7, 4 layers", "random 4, seed 1") in lines
    assert (tmp_path / "out" / "depth.png").read_bytes().startswith(b"\x89PNG")


def test_the_prolonged_path_ends_where_its_record_says(tmp_path):
    assert run("depth", "--output", "out") == 0
    network, notes = load_network(tmp_path / "out" / "seed-0" / "prolonged.safetensors")
    assert network.architecture.layers == 4
    kinds = [record["kind"] for record in notes["records"]]
    assert kinds == ["start", *["iteration"] * 2, *(["switch"] + ["iteration"] * 2) * 2, "end"]


def test_pyramid_resumes_after_every_record_to_the_same_result(capsys, tmp_path, monkeypatch):
    arguments = ("pyramid", "--transfer", "linear")
    assert run(*arguments, "--output", "whole") == 0
    save = RunFolder.save

    def interrupted(*given):
        save(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "save", interrupted)
    runs, resume = 1, []
    while run(*arguments, "--output", "parts", *resume) == 2:
        assert "interrupted" in capsys.readouterr().err
        runs, resume = runs + 1, ["--resume"]
    # 4 paths with 7 levels of 2 iterations, and 3 switches: each run finished one of them.
    assert runs == 1 + 2 * 7 + 3
    whole, parts = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("whole", "parts"))
    for a, b in zip(whole["series"], parts["series"], strict=True):
        loss = a["columns"].index("loss")
        assert [row[loss] for row in a["rows"]] == [row[loss] for row in b["rows"]]
    for name in ("fine-only", "both-at-once-linear"):
        a, b = (load_network(tmp_path / f / "seed-0" / f"{name}.safetensors")[0] for f in ("whole", "parts"))
        assert np.array_equal(a.classifier.W, b.classifier.W)
        assert np.array_equal(a.controls.stencils, b.controls.stencils)


def test_a_folder_of_another_run_is_refused(capsys, tmp_path):
    assert run("depth", "--output", "out") == 0
    (tmp_path / "out" / "seed-0").rename(tmp_path / "out" / "seed-1")
    capsys.readouterr()
    assert run("depth", "--output", "out", "--seed", 1) == 2
    assert "seed: 0 there, 1 now" in capsys.readouterr().err


def test_what_differs_between_levels_is_named_in_short(capsys, tmp_path):
    assert run("depth", "--output", "out") == 0
    capsys.readouterr()
    assert run("depth", "--output", "out", "--regularization", "strong") == 2
    said = capsys.readouterr().err
    assert "preset.training.regularization.alpha_0: 0.0001 there, 1.0 now" in said
    # Each network says whose it is as well, should the folder not.
    (tmp_path / "out" / CLAIM).unlink()
    (tmp_path / "out" / "run.json").unlink()
    assert run("depth", "--output", "out", "--regularization", "strong") == 2
    said = capsys.readouterr().err
    assert "levels[0].settings.regularization.alpha_0: 0.0001 there, 1.0 now" in said
    assert len(said) < 500


def record_in(folder):
    return json.loads((folder / "run.json").read_text())


@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_another_experiment_does_not_touch_the_folder(capsys, tmp_path, resume):
    assert run("depth", "--output", "out") == 0
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()}
    capsys.readouterr()
    for other in (("pyramid",), ("resolution",), ("resolution", "--seeds", 2)):
        assert run(*other, "--output", "out", *resume) == 2
        assert f"experiment: depth there, {other[0]} now" in capsys.readouterr().err
    assert run("depth", "--output", "out", "--data", tmp_path / "nowhere") == 2
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


def test_a_record_that_nobody_claims_is_not_overwritten(capsys, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("{}")
    assert run("depth", "--output", "out") == 2
    assert "holds the run.json of a run that did not say whose it is" in capsys.readouterr().err
    assert (tmp_path / "out" / "run.json").read_text() == "{}"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"format": "other", "fingerprint": {}}', b"\xff", b"[" * 100_000]
)
def test_a_damaged_claim_is_refused(capsys, tmp_path, content):
    assert run("depth", "--output", "out") == 0
    (tmp_path / "out" / CLAIM).write_bytes(content)
    capsys.readouterr()
    assert run("depth", "--output", "out") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert CLAIM in said


def test_resume_asks_for_the_files_of_this_experiment(capsys, tmp_path):
    (tmp_path / "out" / "seed-0").mkdir(parents=True)
    (tmp_path / "out" / "seed-0" / "coarse.safetensors").write_bytes(b"another experiment's")
    assert run("depth", "--output", "out", "--resume") == 2
    assert "found no run in out to resume" in capsys.readouterr().err
    assert run("depth", "--output", "out", "--seed", 1) == 0
    assert run("depth", "--output", "out", "--seed", 2, "--resume") == 2
    assert run("depth", "--output", "out", "--seed", 1, "--resume") == 0


def test_other_seeds_of_the_folder_stay_in_the_record(tmp_path, capsys):
    assert run("depth", "--output", "out") == 0
    alone = record_in(tmp_path / "out")
    assert run("depth", "--output", "out", "--seed", 3) == 0
    both = record_in(tmp_path / "out")
    assert (alone["seeds"], both["seeds"]) == ([0], [0, 3])
    named = {series["name"]: series["rows"] for series in both["series"] if "7 x 7, 4" in series["group"]}
    first = {s["name"]: s["rows"] for s in alone["series"] if "7 x 7, 4" in s["group"]}
    assert named["random 4, seed 0"] == first["random 4"]
    assert "of 2 seeds" in capsys.readouterr().out
    best = [found["summary"][0]["best_validation"] for found in (alone, both)]
    assert best[1]["values"][0] == best[0]["mean"]


def test_a_run_that_has_ended_keeps_its_origin(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["refmg", "first", "--data", "/secret/mnist", "--output", "/secret/out"])
    monkeypatch.setenv("REFMG_DTYPE", "float32")
    assert run("depth", "--output", "out") == 0
    first = record_in(tmp_path / "out")
    assert first["command"] == "REFMG_DTYPE=float32 refmg first --data DATA --output out"
    assert first["environment"] == {"REFMG_DTYPE": "float32"}
    assert first["threads"] >= 1
    monkeypatch.setattr("sys.argv", ["refmg", "second"])
    monkeypatch.setattr("refmg_validation.multilevel.command.provenance", lambda: {**first, "date": "later"})
    assert run("depth", "--output", "out") == 0
    again = record_in(tmp_path / "out")
    assert again == first
    assert "sessions" not in again


def test_every_session_that_trained_is_named(tmp_path, monkeypatch):
    save, sessions = RunFolder.save, iter("abc")

    def interrupted(*given):
        save(*given)
        if given[1] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(
        "refmg_validation.multilevel.command.provenance",
        lambda: provenance() | {"date": f"2026-01-01 {next(sessions)}"},
    )
    monkeypatch.setattr(RunFolder, "save", interrupted)
    assert run("depth", "--output", "out") == 2
    monkeypatch.setattr(RunFolder, "save", save)
    assert run("depth", "--output", "out") == 0
    found = record_in(tmp_path / "out")
    assert found["date"] == "2026-01-01 b"
    assert [(s["date"][-1], s["paths"]) for s in found["sessions"]] == [
        ("a", ["seed 0, prolonged"]),
        ("b", ["seed 0, prolonged", "seed 0, random 2", "seed 0, random 4"]),
    ]
    page = report_page(tmp_path / "out")
    assert "session 2.paths" in page


def test_an_unfinished_run_can_be_reported(tmp_path, monkeypatch, capsys):
    save = RunFolder.save

    def interrupted(folder, step, *given):
        if folder.path.name == "random-4":
            raise KeyboardInterrupt
        save(folder, step, *given)

    monkeypatch.setattr(RunFolder, "save", interrupted)
    assert run("depth", "--output", "out", "--seeds", 2) == 2
    found, words = record_in(tmp_path / "out"), "seed 0: 2 of 3 paths have ended; not yet: random 4. seed 1:"
    assert found["incomplete"].startswith(words)
    assert [row[:2] for row in found["tables"][0]["rows"]] == [[2, "random"], [2, "prolonged"]]
    page = report_page(tmp_path / "out")
    assert f"<strong>Incomplete:</strong> {words}" in page
    assert "<figure>" in page
    assert f"<li>Incomplete: {words}" in compare_page(tmp_path / "out", tmp_path / "out")
    monkeypatch.setattr(RunFolder, "save", save)
    assert run("depth", "--output", "out", "--seed", 1) == 0
    # The figure and the tables have what there is of seed 0.
    assert record_in(tmp_path / "out")["incomplete"] == words.removesuffix(". seed 1:")
    assert "Incomplete: seed 0" in capsys.readouterr().out
    assert [len(row["work"]["values"]) for row in record_in(tmp_path / "out")["summary"]] == [2, 2, 1, 1]
    assert run("depth", "--output", "out", "--resume") == 0
    assert "incomplete" not in record_in(tmp_path / "out")
    assert "Incomplete" not in report_page(tmp_path / "out")


def test_before_fine_only_has_ended_nothing_is_compared():
    found = depth_result() | {"missing": ["fine only"]}
    assert pyramid_rows(found) == []
    found["records"] = {"random 4": found["records"]["random 4"]}
    assert depth_rows(found) == []


def test_rows_that_a_seed_has_not_are_left_out():
    first = [{"layers": 2, "work": 1.0}, {"layers": 4, "work": 2.0}]
    found = over_seeds([first, first[:1]], ("layers",))
    assert [row["work"]["values"] for row in found] == [[1.0, 1.0], [2.0]]


def test_costs_count_the_classifier():
    """A product with 5 channels and 3 classes is a third of one with 3 x 3 taps from 5 to 5 channels, / 5."""
    largest = Architecture((8, 8), channels=5, layers=2, classes=3)
    assert classifier_share(largest) == 15 / 225
    rows = [iteration(2, 0, 0.5, shape=(8, 8), work=0, classifier_work=150)]
    rows += [iteration(2, 0, 0.5, shape=(4, 4), work=0, classifier_work=150)]
    found = [row["total_work"] for row in with_costs(rows, largest, 10)]
    assert found == pytest.approx([150 * (15 / 225) / 20, 1.25 * 150 * (15 / 225) / 20], rel=1e-15)
    hamiltonian = Architecture((8, 8), channels=4, layer="hamiltonian", integrator="verlet", classes=3)
    assert classifier_share(hamiltonian) == 12 / 72


def test_the_time_left_is_that_of_all_paths(monkeypatch):
    now, stream = [0.0], io.StringIO()
    monkeypatch.setattr(run_clock, "monotonic", lambda: now[0])
    settings = replace(SGD, epochs=2)
    a = Architecture((4, 4), channels=2, classes=2)
    paths = [TrainingPath(name, a, (Level((4, 4), 2, settings=settings),)) for name in "pq"]
    watching = Watching(Console(file=stream, width=200))
    watching.begin([*paths, *paths], 10)
    for seed in (0, 1):
        for path in paths:
            with watching.path(seed, path, 10) as told:
                for number in range(2):
                    saved = {"saved": True} if (seed, path.name) == (0, "p") else {}
                    now[0] += 0 if saved else 60
                    told(iteration(2, number, 0.5, shape=(4, 4)) | {"level": 0, "iteration": number} | saved)
    said = [line.split(", ")[-1] for line in stream.getvalue().splitlines() if "whole run" in line]
    # The first path was there already; six iterations of a minute remain.
    assert said == [f"whole run {left} left" for left in ("5 min", "4 min", "3 min", "2 min", "60 s", "0 s")]


def test_the_run_says_how_long_it_still_takes(capsys):
    assert run("depth", "--output", "out") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "iteration" in line]
    lines = [line for line in lines if line.startswith("7 x 7, ")]
    assert len(lines) == 2 * (3 + 2)
    assert all("whole run" in line for line in lines)
    assert lines[-1].endswith("whole run 0 s left")


def test_the_precision_that_was_asked_for_is_taken(capsys, monkeypatch, tmp_path):
    assert run("depth", "--output", "single") == 0
    monkeypatch.setenv("REFMG_DTYPE", "float64")
    assert run("depth", "--output", "double") == 0
    for name in ("single", "double"):
        network, _ = load_network(tmp_path / name / "seed-0" / "prolonged.safetensors")
        assert network.dtype == {"single": "float32", "double": "float64"}[name]
        assert json.loads((tmp_path / name / "run.json").read_text())["settings"]["dtype"] == network.dtype
    capsys.readouterr()
    assert run("depth", "--output", "single") == 2
    assert "dtype: float32 there, float64 now" in capsys.readouterr().err


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    assert run("depth", "--output", "out") == 0
    part = tmp_path / "out" / "seed-0" / f".prolonged.safetensors.x{PART}"
    part.touch()
    assert run("depth", "--output", "out", "--resume") == 0
    assert not part.exists()


def test_a_folder_in_use_and_a_damaged_network_are_refused(capsys, tmp_path):
    with FolderLock(tmp_path / "out"):
        assert run("depth", "--output", "out") == 2
    assert "is in use by process" in capsys.readouterr().err
    (tmp_path / "out" / "seed-0").mkdir(parents=True)
    (tmp_path / "out" / "seed-0" / "prolonged.safetensors").write_bytes(b"junk")
    assert run("depth", "--output", "out") == 2
    assert "delete it to go on from the last checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("settings", [SGD, replace(SGD, method="adam")], ids=["sgd", "adam"])
def test_checkpoints_hold_the_state_of_the_optimiser(tmp_path, settings):
    rng = np.random.default_rng(0)
    images = ImagePyramid(rng.normal(size=(1, 8, 8, 20)), np.arange(20) % 2)
    pyramids = dict.fromkeys(("train", "validation", "test"), images)
    levels = (Level((4, 4), settings=settings), Level((8, 8), 4, settings=settings))
    path = TrainingPath("p", Architecture((4, 4), channels=2, classes=2), levels)

    def interrupted(record):
        raise KeyboardInterrupt

    whole = SavedPath(tmp_path / "whole", path, 0, "float64", {}).go(pyramids, lambda record: None)
    parts = SavedPath(tmp_path / "parts", path, 0, "float64", {})
    with pytest.raises(KeyboardInterrupt):
        parts.go(pyramids, interrupted)
    found = parts.go(pyramids, lambda record: None)
    assert [record.get("loss") for record in found] == [record.get("loss") for record in whole]


def test_an_interrupted_run_tells_where_it_was(tmp_path):
    told = []
    path = depth_paths(presets.DEPTH["small"], (28, 28), 10)[0]
    rng = np.random.default_rng(0)
    images = ImagePyramid(rng.random(size=(1, 28, 28, 20), dtype=np.float32), np.arange(20) % 10)
    saved = SavedPath(tmp_path / "one", path, 0, "float32", {})
    saved.go(dict.fromkeys(("train", "validation", "test"), images), lambda record: None)
    saved.go({}, told.append)
    assert [(record["level"], record["iteration"]) for record in told] == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("depth", "--preset", "smal"), "unknown preset 'smal' (did you mean 'small'?)"),
        (("depth", "--preset", "paper"), "needs 60000 training images"),
        (("depth", "--seed", "-1"), "'--seed'"),
        (("pyramid", "--seeds", "0"), "'--seeds'"),
        (("depth", "--regularization", "none"), "unknown regularization 'none'"),
        (("depth", "--resume"), "found no run in depth-output to resume"),
        (("pyramid", "--transfer", "liner"), "unknown transfer 'liner'"),
    ],
)
def test_bad_arguments_give_one_line_and_status_2(capsys, tmp_path, arguments, said):
    assert run(*arguments) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_table_of_switches_shows_growth_and_restarts(capsys):
    parts = [{"name": "W", "action": "moved"}, {"name": "momentum", "action": "restarted"}]
    scores = {"loss": 0.5, "accuracy": 0.75, "validation_accuracy": None}
    record = {
        "old": {"shape": [7, 7], "layers": 2},
        "new": {"shape": [14, 14], "layers": None},
        "layers": 2,
        "parts": parts,
        "largest_growth": 3.5,
        "before": scores,
        "after": scores | {"loss": 0.625},
    }
    Console(width=110).print(switch_table([record], "one"))
    printed = capsys.readouterr().out
    for words in ("7 x 7, 2 layers", "14 x 14, 2 layers", "momentum", "3.50", "0.500", "0.625", "75.0", "-"):
        assert words in printed
