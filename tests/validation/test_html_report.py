"""Runs as pages: what they show, that nothing in a name becomes markup, and one line for every bad folder."""

import json
import re
import shutil
from base64 import b64decode
from pathlib import Path

import pytest
from browser import Tags, measured, opened
from example_runs import example_run, write_example

from refmg import RefmgError
from refmg_validation.cli import main
from refmg_validation.html_report import compare_page, report_page
from refmg_validation.html_report.cells import MINUS
from refmg_validation.html_report.panels import Line, draw_panel
from refmg_validation.run_reading import read_run
from refmg_validation.run_record import series_of, write_run

EVIL = '<script>alert("$x$")</script>'
RECORDED = Path(__file__).parents[2] / "validation" / "results" / "transfers"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two runs that differ in one setting and in their losses."""
    root = tmp_path_factory.mktemp("runs")
    return write_example(root / "one"), write_example(root / "two", alpha=1e-3, factor=0.5)


@pytest.fixture(scope="module")
def pages(folders):
    """The page of one run, and of both."""
    one, both = folders[0].parent / "one.html", folders[0].parent / "both.html"
    assert main(["report", str(folders[0]), "-o", str(one)]) == 0
    assert main(["compare", *map(str, folders), "-o", str(both)]) == 0
    return one, both


def row_of(page, name):
    """Return the cells of the first row that has this name."""
    row = re.search(rf'<th scope="row">(?:<[^>]*>[^<]*</span>)?{re.escape(name)}</th>(.*?)</tr>', page)
    assert row is not None, name
    return re.findall(r"<td[^>]*>(.*?)</td>", row[1])


def test_a_report_shows_everything_that_was_recorded(pages):
    page = pages[0].read_text()
    tags = Tags(page)
    texts = " ".join(tags.texts)
    run = example_run()
    for words in (
        run["title"],
        run["notes"][0],
        run["versions"]["scipy"],
        "seeds 0, 1",
        f"backend {run['backend']}",
    ):
        assert words in texts
    assert row_of(page, "training.alpha") == ["1e-06"]
    assert row_of(page, "4") == ["94.00", "4"]  # Best validation: 0.94 is shown in %
    assert row_of(page, "prolonged") == ["2", "3", "1.5"]  # norms and their growth
    assert row_of(page, "2 layers to 4 layers") == ["0.2", "0.25"]
    assert row_of(page, "4 layers: random") == ["5", "0.3333", "91.67"]
    # Two groups of two columns, twice (light and dark), and the run's own figure.
    assert len(tags.all("img")) == 5
    assert len(tags.all("source")) == 4


def test_a_page_asks_for_nothing_and_is_readable_by_machines(pages):
    for path in pages:
        tags = Tags(path.read_text())
        sources = [a["src"] for a in tags.all("img")] + [a["srcset"] for a in tags.all("source")]
        assert all(source.startswith("data:image/") for source in sources)
        assert not any("href" in attributes for _, attributes in tags.tags)
        assert {tag for tag, _ in tags.tags}.isdisjoint({"script", "link", "iframe", "object"})
        assert all(attributes["alt"] for attributes in tags.all("img"))
        assert all(attributes.get("scope") for attributes in tags.all("th"))
        assert len(tags.all("table")) == len(tags.all("caption"))
        assert len(tags.all("h1")) == 1
        assert tags.all("html") == [{"lang": "en"}]


def test_no_name_becomes_markup(tmp_path):
    folder = write_example(tmp_path / "one", name=EVIL, columns=["loss"])
    for page in (report_page(folder), compare_page(folder, folder)):
        tags = Tags(page)
        assert not tags.all("script")
        assert EVIL in "".join(tags.texts)
        assert any(EVIL in (attributes["alt"] or "") for attributes in tags.all("img"))


def test_the_same_run_gives_the_same_page(folders, pages):
    assert report_page(folders[0]) == pages[0].read_text()


def test_compare_marks_what_differs_and_by_how_much(pages):
    page = pages[1].read_text()
    assert row_of(page, "training.alpha") == ["1e-06", "0.001"]
    marked = re.findall(r'<tr class="differs">.*?</span>(.*?)</th>', page)
    assert marked[0] == "training.alpha"
    assert "preset" not in marked
    assert "1 of 4 differ" in page
    last = row_of(page, "2 layers: prolonged")
    assert last == ["5", "5", "0", "0.05556", "0.02778", f"{MINUS}0.02778", "98.61", "98.61", "0.00"]
    assert "A: prolonged: from 2 to 0.05556" in page  # in the alternative text of common axes
    assert "B: prolonged: from 1 to 0.02778" in page


def test_compare_shows_what_only_one_run_has(folders, tmp_path):
    run = example_run()
    run["series"] = []
    run["tables"][0]["title"] = "Another table"
    run["tables"][0]["rows"].append([8, 0.5, None])
    shutil.copy(folders[0] / "loss.png", tmp_path)
    write_run(tmp_path, run)
    page = compare_page(folders[0], tmp_path)
    assert "Best validation (only in A)" in page
    assert "Another table (only in B)" in page


def test_losses_that_are_not_finite_are_shown_and_leave_gaps(tmp_path):
    run = example_run()
    records = [{"iteration": 0, "loss": 1.0}, {"iteration": 1, "loss": float("inf")}, {"iteration": 2}]
    run |= {"series": [series_of("_wild", records, ["loss"])], "figures": [], "switches": []}
    write_run(tmp_path, run)
    assert read_run(tmp_path)["series"][0]["rows"] == [[0, 1.0], [1, "inf"], [2, None]]
    assert "1 line. _wild: from 1 to 1" in report_page(tmp_path)


def test_many_lines_have_their_legend_below_the_axes():
    def height(count):
        lines = [Line(f"${number}", [0.0, 1.0], [1.0, 2.0], number) for number in range(count)]
        svg = b64decode(draw_panel(lines, "x", "y").light.split(",")[1]).decode()
        return float(re.search(r'height="([\d.]+)pt"', svg)[1])

    assert height(2) == height(6) < height(7) == height(8) < height(9)


def test_records_from_before_run_json_are_read():
    page = report_page(RECORDED)
    assert row_of(page, "native: trained at this resolution")[:4] == ["97.00", "97.00", "97.20", "96.50"]
    assert "not recorded" in page  # the backend
    assert len(Tags(page).all("img")) == 6


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "found no run in"),
        (b'{"schema": 1, "tit', "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"[]", "expected the record of a run"),
        (b'{"schema": 7}', "has schema 7; this refmg reads schema 1"),
        (b'{"schema": 1}', "title is missing; expected a text"),
    ],
)
def test_a_bad_folder_gives_one_line(content, words, tmp_path, capsys):
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    good = write_example(tmp_path / "good")
    for arguments in (["report", tmp_path], ["compare", good, tmp_path], ["compare", tmp_path, good]):
        assert main([*map(str, arguments)]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert words in line
    assert not (tmp_path / "report.html").exists()


NESTED = "x"
for _ in range(60):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("value", "place", "words"),
    [
        ("a\0.png", ("figures", 0, "file"), r"figures[0].file is a text with the character '\x00'"),
        ("\ud800", ("title",), r"title is a text with the character '\ud800'"),
        ("\x08", ("series", 0, "name"), r"series[0].name is a text with the character '\x08'"),
        ("\x1b[31m", ("notes", 0), r"notes[0] is a text with the character '\x1b'"),
        ("\uffff", ("settings", "preset"), r"settings.preset is a text with the character '\uffff'"),
        ({"\x00": 1}, ("settings", "training"), r"a name in settings.training is a text with"),
        (10**400, ("series", 0, "rows", 0, 1), "rows[0][1] is a number of too many digits"),
        (10**400, ("series", 0, "rows", 0, 0), "rows[0][0] is a number of too many digits"),
        (-(10**400), ("tables", 0, "rows", 0, 1), "rows[0][1] is a number of too many digits"),
        (1e305, ("series", 0, "rows", 0, 1), "rows[0][1] is a number of too many digits"),
        (NESTED, ("settings", "preset"), "nested more than 50 times"),
    ],
)
def test_hostile_records_give_one_line(value, place, words, tmp_path, capsys):
    folder = write_example(tmp_path / "run")
    run = read_run(folder)
    _set(run, value, *place)
    (folder / "run.json").write_text(json.dumps(run))
    for arguments in (["report", str(folder)], ["compare", str(folder), str(folder)]):
        assert main(arguments) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert words in line
    assert not (folder / "report.html").exists()


def test_numbers_of_thousands_of_digits_and_deep_nesting_are_damage(tmp_path, capsys):
    for content in ('{"schema": 1' + "0" * 5000 + "}", "[" * 100_000):
        (tmp_path / "run.json").write_text(content)
        assert main(["report", str(tmp_path)]) == 2
        assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("value", [1e100, -1e100, float("inf"), float("nan"), 5e-324])
def test_extreme_numbers_are_drawn(value, tmp_path):
    folder = write_example(tmp_path / "run")
    run = read_run(folder)
    for column in (0, 1, 2):
        run["series"][0]["rows"][1][column] = value
    (folder / "run.json").write_text(json.dumps(run))
    assert report_page(folder).count("<figure>") > 0


def test_a_run_is_written_whatever_its_command_was(tmp_path):
    run = example_run() | {"command": "refmg --output \udc80\x01", "title": "one\ttab"}
    run["settings"]["too large"] = 1e305
    write_run(tmp_path, run | {"figures": []})
    found = read_run(tmp_path)
    assert found["command"] == r"refmg --output \udc80\x01"
    assert (found["title"], found["settings"]["too large"]) == ("one\ttab", "1e+305")


def test_one_seed_joins_its_lines_in_a_run_of_many(tmp_path):
    one = write_example(tmp_path / "one", factor=0.5)
    many = write_example(tmp_path / "many")
    for folder, seeds in ((one, [1]), (many, [0, 1])):
        run = read_run(folder) | {"seeds": seeds}
        if len(seeds) > 1:
            run["series"] = [
                part | {"name": f"{part['name']}, seed {seed}"} for seed in seeds for part in run["series"]
            ]
        for switch in run["switches"]:
            switch["from"] = ("prolonged, seed 1" if len(seeds) > 1 else "prolonged") + ": 2 layers"
        write_run(folder, run)
    for pair, gain in (((one, many), "0.02778"), ((many, one), f"{MINUS}0.02778")):
        page = compare_page(*pair)
        assert row_of(page, "2 layers: prolonged, seed 1")[5] == ("+" if gain[0] == "0" else "") + gain
        assert "2 layers: prolonged</th>" not in page
        assert row_of(page, "prolonged, seed 1: 2 layers to 4 layers")[2] in ("0", "0.00")
        assert row_of(page, "2 layers: prolonged, seed 0")[5] == ""


def test_a_seed_that_the_other_run_has_not_keeps_its_names(tmp_path):
    one, many = (write_example(tmp_path / name) for name in ("one", "many"))
    write_run(one, read_run(one) | {"seeds": [7]})
    page = compare_page(one, many)
    assert row_of(page, "2 layers: prolonged")[5] == "0"


def test_no_folder_gives_one_line(tmp_path, capsys):
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("gone.png", "is missing"),
        ("../outside.png", "outside its folder"),
        ("notes.txt", "expected a PNG or SVG file"),
        ("false.png", "is no PNG file"),
    ],
)
def test_figures_that_cannot_be_shown_are_named(file, words, tmp_path):
    folder = write_example(tmp_path / "run")
    (folder / "false.png").write_text("no picture")
    (tmp_path / "outside.png").write_text("someone's secret")
    run = read_run(folder)
    run["figures"][0]["file"] = file
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(RefmgError, match=words):
        report_page(folder)


def _set(run, value, *place):
    *way, last = place
    for step in way:
        run = run[step]
    run[last] = value


@pytest.mark.parametrize(
    ("value", "place", "words"),
    [
        ([1], ("series", 0, "rows", 2), r"series\[0\].rows\[2\] is 1 cells; expected 3, one a column"),
        ("epoch", ("series", 0, "x"), "'epoch'; expected one of the columns"),
        ("lost", ("switches", 0, "items", 0, "fate"), "moved, re-estimated, restarted, kept, dropped, none"),
        ({}, ("tables", 0, "rows", 0, 1), "an object; expected a number"),
        (None, ("settings",), "settings is missing; expected an object"),
        ("0", ("seeds", 0), "a text; expected a whole number"),
        (3, ("notes", 0), "a whole number; expected a text"),
        ({"loss": []}, ("switches", 0, "before"), "a list; expected a number"),
        (["all"], ("incomplete",), "incomplete is a list; expected a text"),
        ("two", ("threads",), "threads is a text; expected a whole number"),
        (3, ("commit",), "commit is a whole number; expected a text"),
        ([], ("environment",), "environment is a list; expected an object"),
        ([{"date": "today"}], ("sessions",), r"sessions\[0\].command is missing; expected a text"),
        ("random", ("series", 0, "name"), r"series\[1\].name is 'random'; expected a name that no other"),
    ],
)
def test_records_that_do_not_have_the_format_are_not_written(value, place, words, tmp_path):
    run = example_run()
    write_run(tmp_path / "right", run)
    _set(run, value, *place)
    with pytest.raises(RefmgError, match=words):
        write_run(tmp_path / "wrong", run)
    assert not (tmp_path / "wrong").exists()


def test_a_browser_finds_figures_and_tables_and_complains_of_nothing(pages, tmp_path):
    for path in pages:
        written = Tags(path.read_text())
        document, complaints = opened(path, tmp_path)
        seen = Tags(document)
        assert complaints == []
        for tag in ("table", "figure", "img", "caption", "td", "th"):
            assert len(seen.all(tag)) == len(written.all(tag)) > 0
        # All pictures can be drawn, and nothing stands out at the side of a telephone or a desk.
        found = measured(path, tmp_path, (400, 1300))
        assert set(found) == {400, 1300}
        for width, numbers in found.items():
            pictures = len(written.all("img"))
            assert numbers == {"pictures": pictures, "failed": 0, "excess": 0}, width


def test_the_browser_test_sees_a_page_that_is_not_whole(pages, tmp_path):
    bad = tmp_path / "bad.html"
    text = pages[0].read_text()
    wide = '<div style="width: 2000px">wide</div><img src="data:image/png;base64,AAAA" alt="broken">'
    bad.write_text(text.replace("<main>", f"<main>{wide}"))
    numbers = measured(bad, tmp_path, (400,))[400]
    assert numbers["failed"] == 1
    assert numbers["excess"] > 1500
    bad.write_text(text.replace("<main>", '<main><img src="https://localhost:9/asked.png" alt="asks">'))
    assert "Content Security Policy" in " ".join(opened(bad, tmp_path)[1])
