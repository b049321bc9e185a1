"""Tables of the documentation are those of the records that they cite."""

import json
import re

import pytest

from refmg import RefmgError
from refmg_validation.doc_tables import blocks, control, exponents, networks, readme, replication, scaling
from refmg_validation.doc_tables.__main__ import main
from refmg_validation.doc_tables.blocks import BLOCKS, DOCS, RESULTS, updated

every_page = pytest.mark.parametrize("page", sorted({block.page for block in BLOCKS.values()}))


def test_the_pages_show_what_was_recorded(capsys):
    # If this fails after a study was recorded: python -m refmg_validation.doc_tables
    assert main(["--check"]) == 0, capsys.readouterr().out


@every_page
def test_a_number_that_was_changed_by_hand_is_seen(page):
    text = (DOCS / page).read_text()
    places = [match.end() for match in re.finditer(r"<!-- record: ", text)]
    numbers = [re.compile(r"\d+\.\d").search(text, place, text.index(blocks.END, place)) for place in places]
    for number in filter(None, numbers):  # a record that is missing has none
        changed = text[: number.start()] + "12.3" + text[number.end() :]
        assert changed != text
        assert updated(changed, page) == text


@every_page
def test_pages_without_a_block_or_its_end_are_refused(page):
    text = (DOCS / page).read_text()
    first = next(name for name, block in BLOCKS.items() if block.page == page)
    with pytest.raises(RefmgError, match="found the records"):
        updated(text.replace(blocks.begin(first), ""), page)
    with pytest.raises(RefmgError, match="found the records"):
        updated(text.replace(blocks.begin(first), blocks.begin("other")), page)
    with pytest.raises(RefmgError, match="found no end"):
        updated(text.replace(blocks.END, ""), page)


def test_the_command_names_writes_and_is_content(monkeypatch, tmp_path, capsys):
    pages = tmp_path / "docs"
    pages.mkdir()
    for page in {block.page for block in BLOCKS.values()}:
        (pages / page).write_text((DOCS / page).read_text().replace("91.2", "91.3"))
    stale = (pages / "image-maps.md").read_text()
    monkeypatch.setattr("refmg_validation.doc_tables.__main__.DOCS", pages)
    assert main(["--check"]) == 1
    assert "image-maps.md: differs from its records" in capsys.readouterr().out
    assert (pages / "image-maps.md").read_text() == stale
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert (pages / "image-maps.md").read_text() == (DOCS / "image-maps.md").read_text()


def record(name):
    return json.loads((RESULTS / name).read_text())


def test_sentences_count_wins_of_the_record():
    found = record("exponents/exponents.json")
    for rows in found["found"].values():
        row = next(row for row in rows if row["transfer"] == "p = 2")
        row["coarse"] = row["fine"] = 0.01
    assert any("beats the paper's map in 0 of 6 cases" in line for line in exponents.exponents(found))
    rule = record("exponents/moving.json")
    for regime in rule["found"].values():
        for row in regime["classifier"]:
            if row["images"] == "coarse":
                row["R"] = row["best P^T / f^d"] + 0.01
    assert "in 0 of 12 cases (-1.0 to -1.0 points)" in exponents.classifier_rule(rule)[0]


def test_records_with_seeds_and_seconds_have_columns_for_them():
    found = record("model-study/model-study.json")
    found["rows"] = found["rows"][:1] * 2
    for direction in ("coarse", "fine"):
        for score in found["summary"][direction].values():
            score.update(spread=0.011, seconds=4.25)
    found["summary"]["source"]["source"]["spread"] = 0.02
    lines = networks.photographs(found)
    assert lines[0] == "| network | 64 to 32 | agrees | seconds | 64 to 128 | agrees | seconds |"
    assert len({line.count("|") for line in lines}) == 1
    assert "±\u00a02.0" in lines[2]
    assert all("±\u00a01.1" in line and "4.2" in line for line in lines[3:])


def test_random_images_measured_on_training_images_say_so():
    found = record("synthetic/synthetic.json")
    new = {"found": [entry | {"seed": 0} for entry in found["found"]]}
    old = {"found": [{k: v for k, v in entry.items() if k != "seed"} for entry in found["found"]]}
    assert not any("had trained the first pair" in line for line in networks.synthetic(new))
    assert "had trained the first pair" in networks.synthetic(old)[-1]


def test_transfers_of_older_and_newer_records_are_labelled():
    found = record("transfers/resolution.json")
    for row in found["rows"]:
        if row["network"].startswith("calibrated"):
            row["network"] = "calibrated, 2000 images"
    assert any(line.startswith('| `"calibrated"`, 2000 images |') for line in networks.transfers(found))


def test_a_record_that_is_missing_is_said_to_be(monkeypatch, tmp_path):
    missing = blocks.Block(
        "replication.md", "nothing/run.json", replication.depths, "refmg reproduce nothing"
    )
    assert missing.lines() == [
        "**Not recorded yet**: `validation/results/nothing/run.json`, by `refmg reproduce nothing`."
    ]
    with pytest.raises(FileNotFoundError):
        blocks.Block("replication.md", "nothing/run.json", replication.depths).lines()
    monkeypatch.setattr(blocks, "RESULTS", tmp_path)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing/run.json").write_text((RESULTS / "depth-small/run.json").read_text())
    assert missing.lines() == BLOCKS["depth-small"].make(record("depth-small/run.json"))


def test_the_paper_s_order_is_judged_by_the_record():
    found = record("seeds-strong/seeds.json")
    assert "holds on both grids" in replication.order(found["summary"])
    found["summary"]["linear"]["fine_test"]["mean"] = 0.1
    assert "holds on one grid" in replication.order(found["summary"])
    found["summary"]["linear"]["coarse_test"]["mean"] = 0.1
    said = replication.resolutions(found)[-1]
    assert "holds on neither grid" in said
    assert f"Mean of {len(found['seeds'])} seeds" in said


def test_depths_at_which_the_paper_s_words_hold_are_counted():
    found = record("depth-small/run.json")
    before = replication.verdicts(found["summary"])
    assert before[0].startswith("Of 5 depths")
    assert "the lower loss at 5" in before[0]
    for row in found["summary"]:
        if row["start"] == "prolonged":
            row["classifier_loss"]["mean"], row["best_iteration"]["mean"] = 9.0, 99
    after = replication.verdicts(found["summary"])
    assert "the lower loss at 0" in after[0]
    assert "earlier iteration at 0" in after[1]


@pytest.mark.parametrize(
    ("name", "lines"), [("depth-small", replication.depths), ("pyramid-small", replication.pyramid)]
)
def test_what_was_not_run_is_said_below_the_table(name, lines):
    found = record(f"{name}/run.json")
    assert "Not all" not in lines(found)[-1] + lines(found)[-3]
    part = found | {"incomplete": "seed 0: 1 of 4 paths have ended", "seeds": [0]}
    part["settings"] = found["settings"] | {"depths": [2, 4]}
    said = " ".join(lines(part))
    assert "**Not all of it was run** (seed 0: 1 of 4 paths have ended)" in said
    assert "depths of 2, 4 layers" in said
    assert "seeds: 1, so that nothing is known of the spread" in said


def test_seeds_that_never_get_there_are_counted():
    found = record("depth-small/run.json")
    row = next(r for r in found["summary"] if r["layers"] == 8 and r["start"] == "prolonged, short")
    assert [value is not None for value in row["saving"]["values"]].count(True) == 1
    assert any(line.endswith("| 3.28 (1 of 5) |") for line in replication.depths(found))


def test_any_run_shows_its_tables_and_notes():
    found = record("pyramid-small/run.json")
    lines = replication.any_run(found)
    assert f"{found['tables'][0]['title']}:" in lines
    assert lines[-1] == f"- {found['notes'][-1]}"
    widths = {line.count("|") for line in lines if line.startswith("|")}
    assert len(widths) == len({len(t["columns"]) for t in found["tables"]})


def test_the_readme_says_never_where_the_record_does():
    names = ("seeds-weak/seeds", "seeds-strong/seeds", "depth-small/run", "pyramid-small/run", "checks")
    records = [record(f"{name}.json") for name in names]
    assert any("never by the paper's map" in line for line in readme.results(*records))
    for row in records[3]["summary"]:
        row["work_ratio"]["mean"] = 0.5
    assert any("0.50 by the paper's map" in line for line in readme.results(*records))


def test_the_worst_pair_of_layer_and_integrator_is_shown():
    found = record("checks.json")
    lines = control.all_at_once(found)
    assert len(lines) == 8
    assert all(line.split("|")[2].strip() == "10" for line in lines[2:])
    ours = [c for c in found["checks"] if c["name"].startswith("residual, euler")]
    check = next(c for c in ours if c["name"].endswith("adjoint"))
    check["measured"] = 0.25
    assert "| adjoint | 10 | 2.5e-01 | 1.0e-12 |" in control.all_at_once(found)


def test_an_optimiser_that_never_got_there_has_a_dash():
    found = record("optimizers/optimizers.json")
    assert control.optimizers(found)[-1].endswith("| - |")
    found["found"]["L-BFGS"][3].update(validation=0.96, elapsed=12.4)
    assert control.optimizers(found)[-1].endswith("| 12 |")


def in_short(weak, strong, depth, pyramid):
    """Return which of the claims that the replication study begins with are those of these records."""
    depths, ratios = (
        replication.verdicts(depth),
        {row["path"]: row["work_ratio"]["values"] for row in pyramid},
    )
    count = re.match(r"Of (\d+) depths", depths[0]).group(1)
    return {
        "not for networks trained as well as the paper's": "holds on neither grid" in replication.order(weak),
        "it does where stencils are penalised strongly": "holds on both grids" in replication.order(strong),
        "holds at every depth tried": f"lower loss at {count} and the higher validation accuracy at {count}."
        in depths[0],
        "in the mean at least that of a random start": depths[1].endswith(f"at least as high at {count}."),
        'with `"calibrated"`, in two seeds of three, never with the paper\'s map': (
            ratios["coarse to fine, linear"] == [None] * 3
            and sum(ratio < 1 for ratio in ratios["coarse to fine, calibrated"]) == 2
        ),
    }


def test_what_the_study_says_in_short_is_what_was_recorded():
    # If this fails after a study was recorded anew, the table "In short" of the page has to change.
    names = ("seeds-weak/seeds", "seeds-strong/seeds", "depth-small/run", "pyramid-small/run")
    summaries = [record(f"{name}.json")["summary"] for name in names]
    page = (DOCS / "replication.md").read_text()
    for words, true in in_short(*summaries).items():
        assert words in page
        assert true, words
    weak, strong, depth, pyramid = summaries
    assert not in_short(strong, strong, depth, pyramid)["not for networks trained as well as the paper's"]
    assert not in_short(weak, weak, depth, pyramid)["it does where stencils are penalised strongly"]


def test_sums_over_ranks_are_told_range_by_range():
    found = record("scaling.json")
    ranges = [
        {"up_to": 8000.0, "alpha": 9e-5, "beta": 1e-9},
        {"up_to": None, "alpha": 2e-4, "beta": 5e-10},
    ]
    rows = [{"bytes": 4.0 * 2**k, "seconds": 1e-4} for k in range(9)]
    found |= {"messages": rows, "misfit of sums, one range": 0.38}
    found["costs"][0] = {"ranges": ranges, "source": "measured at 2 ranks"}
    text = "\n".join(scaling.scaling(found))
    assert "Of 9 sums that were timed for themselves (4 bytes 0.1 ms, 32 bytes 0.1 ms, 256 bytes" in text
    assert "up to 8 kB 90.0 microseconds and 1.00 GB/s, beyond 200.0 microseconds and 2.00 GB/s." in text
    assert "the worst would be missed by 0.38." in text
    found["judged"] = [{"what": "misfit", "found": 0.2, "to reach": "<= 0.15", "reached": False}]
    assert "| misfit | 0.200 | `<= 0.15` | **missed** |" in "\n".join(scaling.scaling(found))
