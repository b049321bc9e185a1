"""A page in a real browser: headless Chromium, where there is one."""

import os
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# Runs in copies of a page, in frames of several widths; each tells the page around it what it sees.
MEASURE = """
<script>
addEventListener("load", () => {
  const pictures = [...document.images];
  const failed = pictures.filter((picture) => picture.naturalWidth === 0).length;
  const excess = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  parent.postMessage([innerWidth, pictures.length, failed, excess], "*");
});
</script>
"""
AROUND = """
<!DOCTYPE html><title>frames</title><pre></pre>
<script>
const text = document.querySelector("pre");
addEventListener("message", (said) => { text.textContent += said.data + " "; });
</script>
"""


def browser() -> str:
    """Return the browser; without one skip the test, but fail it in CI, where one must be."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        absent = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        absent(f"no browser here: none of {', '.join(NAMES)} is on the path")
    return program


def opened(page: Path, home: Path) -> tuple[str, list[str]]:
    """Return the document that the browser made of a page, and what it wrote on its console."""
    program = browser()
    # Without a sandbox: it is its own page that a test opens, often as root.
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    options += ["--virtual-time-budget=2000", f"--user-data-dir={home}"]
    command = [program, *options, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def measured(page: Path, home: Path, widths: tuple[int, ...]) -> dict[int, dict[str, int]]:
    """Return for each width how many pictures a page has, how many failed, and how much is too wide."""
    text = page.read_text(encoding="utf-8")
    assert POLICY in text
    copy = page.with_suffix(".measured.html")
    allowed = text.replace(POLICY, POLICY + "; script-src 'unsafe-inline'")
    copy.write_text(allowed.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    frame = '<iframe src="{}" width="{}" height="600" frameborder="0"></iframe>'
    frames = "".join(frame.format(copy.as_uri(), width) for width in widths)
    around = page.with_suffix(".frames.html")
    around.write_text(AROUND + frames, encoding="utf-8")
    document, _ = opened(around, home)
    lines = document.split("<pre>")[1].split("</pre>")[0].split()
    names = ("inner", "pictures", "failed", "excess")
    found = [dict(zip(names, map(int, line.split(",")), strict=True)) for line in lines]
    return {line.pop("inner"): line for line in found}


class Tags(HTMLParser):
    """Counts tags and keeps texts and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        """Return the attributes of every tag of a name."""
        return [attributes for tag, attributes in self.tags if tag == name]
