"""Where in the documentation which record is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refmg_backends import RefmgError
from refmg_validation.doc_tables import exponents, imagenet10, networks

ROOT = Path(__file__).parents[3]
DOCS, RESULTS = ROOT / "docs", ROOT / "validation" / "results"
END = "<!-- end of record -->"


@dataclass(frozen=True)
class Block:
    """A part of a page that a record decides.

    Parameters
    ----------
    page : str
        In the folder of the documentation.
    record : str
        In the folder of recorded results.
    make : callable
        From the record to lines of Markdown.
    """

    page: str
    record: str
    make: Callable[[dict[str, Any]], list[str]]

    def lines(self) -> list[str]:
        """Return what the page must show."""
        found: dict[str, Any] = json.loads((RESULTS / self.record).read_text())
        return self.make(found)


def _image_counts(record: dict[str, Any]) -> list[str]:
    # The native networks are those of the study over the exponent, which the same folder keeps.
    study = json.loads((RESULTS / "exponents/exponents.json").read_text())["found"]
    natives = {regime: next(r for r in rows if r["transfer"] == "native") for regime, rows in study.items()}
    return exponents.image_counts(record | {"natives": natives})


BLOCKS = {
    "imagenet10": Block("imagenet10.md", "imagenet10-tiny/run.json", imagenet10.imagenet10),
    "exponents": Block("image-maps.md", "exponents/exponents.json", exponents.exponents),
    "classifier-rule": Block("moving-networks.md", "exponents/moving.json", exponents.classifier_rule),
    "image-counts": Block("moving-networks.md", "exponents/moving.json", _image_counts),
    "synthetic": Block("moving-networks.md", "synthetic/synthetic.json", networks.synthetic),
    "transfers": Block("moving-networks.md", "transfers/resolution.json", networks.transfers),
    "resnet18": Block("moving-models.md", "resnet18/resnet18.json", networks.resnet18),
    "photographs": Block("moving-models.md", "model-study/model-study.json", networks.photographs),
}


def begin(name: str) -> str:
    """Return the line before a block.

    Examples
    --------
    >>> begin("synthetic")
    '<!-- record: synthetic -->'
    """
    return f"<!-- record: {name} -->"


def updated(text: str, page: str) -> str:
    """Return a page with its blocks as the records have them.

    Raises
    ------
    RefmgError
        If the page lacks a block, or has one that nobody knows.
    """
    known = [name for name, block in BLOCKS.items() if block.page == page]
    there = re.findall(r"<!-- record: (\S+) -->", text)
    if sorted(there) != sorted(known):
        raise RefmgError(f"{page}: found the records {there}; expected {known}, each once")
    for name in known:
        before, _, after = text.partition(begin(name) + "\n")
        _, end, rest = after.partition(END)
        if not end:
            raise RefmgError(f"{page}: found no end of the record {name}; expected {END}")
        text = "\n".join([f"{before}{begin(name)}", "", *BLOCKS[name].lines(), "", f"{END}{rest}"])
    return text
