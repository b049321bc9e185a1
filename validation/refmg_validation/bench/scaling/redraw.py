"""The plot of a record anew, of what was measured: ``python -m`` this module with the record's path."""

from __future__ import annotations

import sys
from pathlib import Path

from refmg_validation.bench.scaling.report import draw_scaling
from refmg_validation.bench.scaling.run import curves_of
from refmg_validation.damage import read_json, told_as_damage
from refmg_validation.records import write_figure


def redraw(path: Path) -> Path:
    """Draw the plot beside a record; its curves come from its constants by the model of today."""
    advice = "expected a record of refmg bench --scaling"
    result, drawn = read_json(path, advice), path.with_suffix(".png")
    with told_as_damage(f"{path} holds no measurements", advice):
        figure = draw_scaling(result | {"curves": curves_of(result)})
    write_figure(drawn, figure)
    return drawn


if __name__ == "__main__":
    print(redraw(Path(sys.argv[1])))
