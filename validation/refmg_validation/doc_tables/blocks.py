"""Where in the documentation which record is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refmg_backends import RefmgError
from refmg_validation.doc_tables import control, exponents, imagenet10, networks, readme, replication, scaling

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
    command : str
        Where the record may be missing: what would make it.
    """

    page: str
    record: str
    make: Callable[[dict[str, Any]], list[str]]
    command: str = ""

    def lines(self) -> list[str]:
        """Return what the page must show; a record that may be missing is said to be."""
        if self.command and not (RESULTS / self.record).exists():
            return [f"**Not recorded yet**: `validation/results/{self.record}`, by `{self.command}`."]
        return self.make(_read(self.record))


def _read(record: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / record).read_text())
    return found


def _image_counts(record: dict[str, Any]) -> list[str]:
    # The native networks are those of the study over the exponent, which the same folder keeps.
    study = _read("exponents/exponents.json")["found"]
    natives = {regime: next(r for r in rows if r["transfer"] == "native") for regime, rows in study.items()}
    return exponents.image_counts(record | {"natives": natives})


def _results(weak: dict[str, Any]) -> list[str]:
    others = ("seeds-strong/seeds.json", "depth-small/run.json", "pyramid-small/run.json", "checks.json")
    return readme.results(weak, *map(_read, others))


_STUDY = "replication.md"
_PAPER = "--preset paper --data FOLDER_WITH_MNIST --seeds 5"
BLOCKS = {
    "imagenet10": Block("imagenet10.md", "imagenet10-tiny/run.json", imagenet10.imagenet10),
    "imagenet10-medium": Block("imagenet10.md", "imagenet10-medium/run.json", imagenet10.imagenet10),
    "imagenet10-strides": Block("imagenet10.md", "imagenet10-strides/run.json", imagenet10.imagenet10),
    "exponents": Block("image-maps.md", "exponents/exponents.json", exponents.exponents),
    "classifier-rule": Block("moving-networks.md", "exponents/moving.json", exponents.classifier_rule),
    "image-counts": Block("moving-networks.md", "exponents/moving.json", _image_counts),
    "synthetic": Block("moving-networks.md", "synthetic/synthetic.json", networks.synthetic),
    "transfers": Block("moving-networks.md", "transfers/resolution.json", networks.transfers),
    "resnet18": Block("moving-models.md", "resnet18/resnet18.json", networks.resnet18),
    "photographs": Block("moving-models.md", "model-study/model-study.json", networks.photographs),
    "results": Block("../README.md", "seeds-weak/seeds.json", _results),
    "example-1": Block(_STUDY, "checks.json", replication.example_1),
    "seeds-weak": Block(_STUDY, "seeds-weak/seeds.json", replication.resolutions),
    "seeds-strong": Block(_STUDY, "seeds-strong/seeds.json", replication.resolutions),
    "regularization": Block(_STUDY, "regularization.json", replication.regularization),
    "depth-small": Block(_STUDY, "depth-small/run.json", replication.depths),
    "depth-paper": Block(
        _STUDY, "depth-paper/run.json", replication.depths, f"refmg reproduce depth {_PAPER}"
    ),
    "pyramid-small": Block(_STUDY, "pyramid-small/run.json", replication.pyramid),
    "pyramid-paper": Block(
        _STUDY, "pyramid-paper/run.json", replication.pyramid, f"refmg reproduce pyramid {_PAPER}"
    ),
    "imagenet10-paper": Block(
        _STUDY,
        "imagenet10-paper/run.json",
        replication.any_run,
        "refmg reproduce imagenet10 --preset paper --data FOLDER --splits 5",
    ),
    "scaling": Block("cluster.md", "scaling.json", scaling.scaling),
    "starts": Block(_STUDY, "starts/starts.json", replication.starts),
    "orders": Block("optimal-control.md", "checks.json", control.orders),
    "all-at-once": Block("optimal-control.md", "checks.json", control.all_at_once),
    "memory": Block("optimal-control.md", "memory/memory.json", control.memory),
    "optimizers": Block("optimal-control.md", "optimizers/optimizers.json", control.optimizers),
    "shallow-to-deep": Block("multilevel.md", "depth-small/run.json", replication.depths),
    "coarse-to-fine": Block("multilevel.md", "pyramid-small/run.json", replication.pyramid),
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
