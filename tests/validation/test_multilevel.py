"""``reproduce depth`` and ``reproduce pyramid``: paths, costs, resumption, records and tables."""

import json

import numpy as np
import pytest
from multilevel_cases import (
    depth_that_ended,  # noqa: F401
    iteration,
    run,
    tiny,  # noqa: F401
    trained_once,  # noqa: F401
)
from rich.console import Console

from refmg import Architecture, RefmgError, load_network
from refmg_validation.html_report import compare_page, report_page
from refmg_validation.multilevel import presets
from refmg_validation.multilevel.costs import with_costs
from refmg_validation.multilevel.depth import depth_rows, depth_summary, depth_verdicts
from refmg_validation.multilevel.paths import depth_paths, pyramid_paths
from refmg_validation.multilevel.pyramid import PAPER_RATIO, pyramid_rows, pyramid_summary, pyramid_verdicts
from refmg_validation.multilevel.tables import depth_table
from refmg_validation.provenance import provenance
from refmg_validation.runs import RunFolder
from refmg_validation.runs.claim import CLAIM


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


def test_the_prolonged_path_ends_where_its_record_says(tmp_path, ended):
    network, notes = load_network(tmp_path / "out" / "seed-0" / "prolonged.safetensors")
    assert network.architecture.layers == 4
    kinds = [record["kind"] for record in notes["records"]]
    assert kinds == ["start", *["iteration"] * 2, *(["switch"] + ["iteration"] * 2) * 2, "end"]


def test_pyramid_resumes_after_every_record_to_the_same_result(capsys, tmp_path, monkeypatch):
    arguments = ("pyramid", "--transfer", "linear", "--path", "fine only", "--path", "both at once, linear")
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
    # 2 paths with 3 levels of 2 iterations, and a switch: each run finished one of them.
    assert runs == 1 + 2 * 3 + 1
    whole, parts = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("whole", "parts"))
    for a, b in zip(whole["series"], parts["series"], strict=True):
        loss = a["columns"].index("loss")
        assert [row[loss] for row in a["rows"]] == [row[loss] for row in b["rows"]]
    for name in ("fine-only", "both-at-once-linear"):
        a, b = (load_network(tmp_path / f / "seed-0" / f"{name}.safetensors")[0] for f in ("whole", "parts"))
        assert np.array_equal(a.classifier.W, b.classifier.W)
        assert np.array_equal(a.controls.stencils, b.controls.stencils)


def test_a_folder_of_another_run_is_refused(capsys, tmp_path, ended):
    (tmp_path / "out" / "seed-0").rename(tmp_path / "out" / "seed-1")
    capsys.readouterr()
    assert run("depth", "--output", "out", "--seed", 1) == 2
    assert "seed: 0 there, 1 now" in capsys.readouterr().err


def test_what_differs_between_levels_is_named_in_short(capsys, tmp_path, ended):
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


def test_resume_asks_for_the_files_of_this_experiment(capsys, tmp_path, ended):
    (tmp_path / "other" / "seed-0").mkdir(parents=True)
    (tmp_path / "other" / "seed-0" / "coarse.safetensors").write_bytes(b"another experiment's")
    assert run("depth", "--output", "other", "--resume") == 2
    assert "found no run in other to resume" in capsys.readouterr().err
    assert run("depth", "--output", "out", "--seed", 2, "--resume") == 2
    assert run("depth", "--output", "out", "--resume") == 0


def test_other_seeds_of_the_folder_stay_in_the_record(tmp_path, capsys, ended):
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


def test_paths_may_be_trained_one_by_one(tmp_path, capsys, ended):
    ended.rename(tmp_path / "whole")
    assert run("depth", "--output", "out", "--path", "prolonged") == 0
    assert "not yet: random 2; random 4" in capsys.readouterr().out
    assert [p.name for p in (tmp_path / "out" / "seed-0").glob("*.safetensors")] == ["prolonged.safetensors"]
    assert run("depth", "--output", "out", "--path", "random 4") == 0
    assert run("depth", "--output", "out", "--path", "random 2") == 0
    found, whole = record_in(tmp_path / "out"), record_in(tmp_path / "whole")
    assert "incomplete" not in found
    best = [[row["best_validation"] for row in record["summary"]] for record in (found, whole)]
    assert best[0] == best[1]
    assert run("pyramid", "--output", "fine", "--path", "fine only") == 0
    assert [row[0] for row in record_in(tmp_path / "fine")["tables"][0]["rows"]] == ["fine only"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--path", "random 3"], "unknown path 'random 3' (did you mean 'random 4'?)"),
        (["--depths", "2,x"], "found --depths 2,x; expected whole numbers, as 2,4,8"),
        (["--depths", "4"], "found depths 4; expected two or more, rising"),
        (["--depths", "4,2"], "found depths 4,2; expected two or more, rising"),
        (["--depths", "2,3"], "each a multiple of the one before"),
        (["--depths", "0,4"], "found depths 0,4"),
    ],
)
def test_other_paths_and_depths_are_refused(capsys, tmp_path, arguments, said):
    assert run("depth", "--output", "out", *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "seed-0").exists()


def test_depths_may_be_chosen(tmp_path, capsys):
    assert run("depth", "--output", "out", "--depths", "1,3") == 0
    rows = record_in(tmp_path / "out")["tables"][0]["rows"]
    assert {row[0] for row in rows} == {3}
    assert run("depth", "--output", "out") == 2
    assert "preset.depths" in capsys.readouterr().err


def test_before_fine_only_has_ended_nothing_is_compared():
    found = depth_result() | {"missing": ["fine only"]}
    assert pyramid_rows(found) == []
    found["records"] = {"random 4": found["records"]["random 4"]}
    assert depth_rows(found) == []
