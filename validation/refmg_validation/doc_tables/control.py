"""What was recorded of sensitivities, memory and optimisers."""

from __future__ import annotations

import re
from typing import Any

from refmg_validation.doc_tables.markdown import table

Record = dict[str, Any]
QUANTITIES = ("tangent", "adjoint", "reduced gradient", "Gauss-Newton product", "dot test", "complex step")
ORDER = re.compile(r"(\w+): observed order (\S+), expected (\d)")
GOOD = 0.95


def orders(record: Record) -> list[str]:
    """Return the observed orders of the integrators."""
    found = [match for check in record["checks"] if (match := ORDER.fullmatch(check["name"]))]
    rows = [[f'`"{m.group(1)}"`', m.group(3), m.group(2)] for m in found]
    return table(["`integrator=`", "order", "observed"], rows)


def all_at_once(record: Record) -> list[str]:
    """Return each quantity's largest difference over all pairs of layer and integrator, with its bound."""
    rows = []
    for quantity in QUANTITIES:
        ends = (f", {quantity}", f": {quantity}")
        found = [c for c in record["checks"] if c["group"] == "control" and c["name"].endswith(ends)]
        worst = max(found, key=lambda check: check["measured"] / check["bound"])
        rows.append([quantity, str(len(found)), f"{worst['measured']:.1e}", f"{worst['bound']:.1e}"])
    return table(["quantity", "pairs", "largest difference", "bound"], rows)


def memory(record: Record) -> list[str]:
    """Return peak memory in states, and how far gradients by reversal are off."""
    by_depth: dict[int, dict[str, Record]] = {}
    for row in record["rows"]:
        by_depth.setdefault(row["layers"], {})[row["storage"]] = row
    rows = [
        [
            str(layers),
            *(_states(found[storage]["states"]) for storage in ("all", "checkpoint", "reversible")),
            f"{found['reversible']['difference']:.1e}",
        ]
        for layers, found in by_depth.items()
    ]
    head = ["layers", "all", "checkpoint", "reversible", "gradient of reversible differs by"]
    return table(head, rows)


def _states(count: float) -> str:
    return f"{count:.1f}" if count < 10 else f"{count:.0f}"


def optimizers(record: Record) -> list[str]:
    """Return where each optimiser was when its time was up."""
    rows = []
    for name, steps in record["found"].items():
        last = steps[-1]
        good = [step["elapsed"] for step in steps if step["validation"] >= GOOD]
        rows.append(
            [
                name,
                str(last["iteration"]),
                f"{last['loss'] + last['regularizer']:.4f}",
                *(f"{100 * last[part]:.2f}" for part in ("validation", "test")),
                f"{good[0]:.0f}" if good else "-",
            ]
        )
    head = ["optimiser", "last iteration or epoch, from 0", "training objective", "validation %", "test %"]
    return table([*head, f"seconds to {100 * GOOD:.0f} % validation"], rows)
