"""Every example of the gallery is imported, run, and checked by its number; the pages are made from it."""

import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
import gallery_pages  # noqa: E402

LINES = 80
# What each example must give. The first ones are exact but for rounding. Those that train depend on the order
# of sums, and that on the machine: their bounds say what the page says in words.
BOUNDS = {
    "galerkin_stencil": (0.00625 - 1e-12, 0.00625 + 1e-12),
    "map_spectrum": (26.853, 26.854),
    "fourier_symbols": (0.0, 1e-14),
    "power_law_digits": (0.670, 0.672),
    "three_levels": (977.9, 978.0),
    "adjoint_taylor": (1.98, 2.02),
    "layer_stability": (0.0818, 0.0819),
    "shallow_to_deep": (0.0, 0.2),
    "moving_network": (0.90, 1.0),
    "batch_norm": (0.02, 1.0),
}


def within(name, number):
    """Whether an example's number is what it must be."""
    low, high = BOUNDS[name]
    return low <= number <= high


@pytest.mark.parametrize("name", gallery_pages.ORDER)
def test_an_example_gives_its_number_and_a_figure_for_light_and_dark_pages(tmp_path, name):
    if name in gallery_pages.NEEDS_TORCH:
        pytest.importorskip("torch", reason="the example is in PyTorch")
    example = gallery_pages.load(name)
    found = example.compute()
    number = example.number(found)
    assert within(name, number), number
    sizes = set()
    for style in gallery_pages.STYLES:
        path = tmp_path / f"{style}.png"
        gallery_pages.draw(example, found, style, path)
        sizes.add(path.read_bytes())
    assert len(sizes) == 2
    assert min(map(len, sizes)) > 5_000  # an empty figure has fewer bytes


@pytest.mark.parametrize("name", gallery_pages.ORDER)
def test_another_number_is_rejected(name):
    low, high = BOUNDS[name]
    assert not within(name, high + 1e-3)
    assert not within(name, low - 1e-3)


def test_every_script_has_a_page_a_number_and_fewer_lines_than_a_screen():
    scripts = {path.stem: path.read_text() for path in gallery_pages.GALLERY.glob("*.py")}
    assert set(scripts) == set(gallery_pages.ORDER) == set(BOUNDS)
    assert {name: text.count("\n") for name, text in scripts.items() if text.count("\n") >= LINES} == {}
    for name, text in scripts.items():
        title, rest = gallery_pages.title_and_text(name)
        assert title
        assert "The number is" in rest, name
        assert "MEASURES = " in text, name


def test_a_page_has_text_both_figures_and_the_source(monkeypatch, tmp_path):
    said = gallery_pages.result("map_spectrum", tmp_path)
    page = gallery_pages.page("map_spectrum", said)
    assert page.startswith("# The spectrum of the map of stencils\n")
    assert "**26.8534**: condition number" in page
    assert {path.name for path in tmp_path.iterdir()} == {"map_spectrum-light.png", "map_spectrum-dark.png"}
    assert all(f"only-{style}" in page for style in ("light", "dark"))
    assert "{literalinclude} map_spectrum.py" in page


def test_an_example_is_drawn_by_its_name(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert gallery_pages.main(["map_spectrum"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("map_spectrum: 26.8534, condition number")
    assert [path.name for path in tmp_path.iterdir()] == ["map_spectrum.png"]
    for wrong in ([], ["map_spectrum", "map_spectra"]):
        assert gallery_pages.main(wrong) == 2
        assert "expected some of: galerkin_stencil, map_spectrum" in capsys.readouterr().err
    monkeypatch.setattr(gallery_pages, "find_spec", lambda name: None)
    assert gallery_pages.main(["batch_norm"]) == 2
    assert "batch_norm: PyTorch is not installed" in capsys.readouterr().err


def test_without_pytorch_a_page_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(gallery_pages, "find_spec", lambda name: None)
    assert gallery_pages.result("batch_norm", tmp_path) == gallery_pages.MISSING
    assert list(tmp_path.iterdir()) == []
    assert "batch_norm-light.png" not in gallery_pages.index()


@pytest.mark.parametrize("name", gallery_pages.ORDER)
def test_no_formula_is_torn_by_a_line_that_begins_like_a_list(name):
    assert torn(gallery_pages.title_and_text(name)[1]) == []


def torn(text):
    """Return the lines in the middle of a formula that Markdown takes for an item of a list."""
    lines = text.splitlines()
    inside = [sum(line.count("$") for line in lines[:k]) % 2 == 1 for k in range(len(lines))]
    return [
        line for line, open_ in zip(lines, inside, strict=True) if open_ and line.startswith(("+ ", "- "))
    ]


def test_a_torn_formula_is_seen():
    assert torn("the layer $K y\n+ b$ is") == ["+ b$ is"]
    assert torn("a list:\n- $K y$\n+ b") == []
