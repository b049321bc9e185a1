"""What the README says is so: commands, counts, links. Its doctests and its table have tests elsewhere."""

import json
import re
from pathlib import Path

from refmg_validation.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def shown(page, command):
    """Return the lines that a page shows under a command, without those left out."""
    block = page.partition(f"$ {command}\n")[2].partition("```")[0]
    return [line for line in block.splitlines() if line != "[..]"]


def broken(page):
    """Return the links to files that are not there."""
    links = re.findall(r"\]\(([^)#:]+)\)", page)
    assert links
    return [link for link in links if not (ROOT / link).exists()]


def test_example_1_prints_what_the_readme_shows(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "example1"]) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    lines = shown(README, "refmg reproduce example1")
    assert len(lines) == 7
    assert [line for line in lines if line not in printed] == []
    assert lines[0].replace("0.82", "0.83") not in printed


def test_the_number_of_checks_is_the_recorded_one():
    checks = json.loads((ROOT / "validation/results/checks.json").read_text())["checks"]
    assert f"`refmg verify` prints {len(checks)} checks" in README


def test_links_lead_to_files():
    assert broken(README) == []
    assert broken(README + "[x](docs/nothing.md)") == ["docs/nothing.md"]


MADE = ("conformance-cases.md", "gallery/index.md")  # by make docs


def missing(page, folder):
    """Return the links of a page that no file of the source is for: they lead nowhere outside the site."""
    links = re.findall(r"(?<!`)\]\(([^)#:\s]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", page, flags=re.DOTALL))
    return [link for link in links if link not in MADE and not (folder / link).exists()]


def test_the_pages_can_be_read_without_building_them():
    pages = sorted((ROOT / "docs").glob("*.md"))
    found = {page.name: missing(page.read_text(), ROOT / "docs") for page in pages if page.name not in MADE}
    assert {name: links for name, links in found.items() if links} == {}
    assert missing("[x](transfers) [y](transfers.md#pairs)", ROOT / "docs") == ["transfers"]


def test_the_readme_is_short():
    assert len(README.split()) < 1200
