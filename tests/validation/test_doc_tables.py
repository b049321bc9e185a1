"""Tables of the documentation are those of the records that they cite."""

import json
import re

import pytest

from refmg import RefmgError
from refmg_validation.doc_tables import blocks, exponents, networks
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
    for place in places:
        number = re.compile(r"\d+\.\d").search(text, place)
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
    for page in {block.page for block in BLOCKS.values()}:
        (tmp_path / page).write_text((DOCS / page).read_text().replace("91.2", "91.3"))
    stale = (tmp_path / "image-maps.md").read_text()
    monkeypatch.setattr("refmg_validation.doc_tables.__main__.DOCS", tmp_path)
    assert main(["--check"]) == 1
    assert "image-maps.md: differs from its records" in capsys.readouterr().out
    assert (tmp_path / "image-maps.md").read_text() == stale
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert (tmp_path / "image-maps.md").read_text() == (DOCS / "image-maps.md").read_text()


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
    assert "+- 2.0" in lines[2]
    assert all("+- 1.1" in line and "4.2" in line for line in lines[3:])


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
