"""Nested settings as lines, and which of them differ between two runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ABSENT = "\N{EN DASH}"


def flattened(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return every setting with its full name, as text.

    Examples
    --------
    >>> flattened({"training": {"alpha": 1e-06, "steps": [1, 2]}, "preset": "small"})
    {'training.alpha': '1e-06', 'training.steps': '[1, 2]', 'preset': 'small'}
    """
    return dict(_lines(settings, prefix))


def _lines(settings: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _lines(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Compared:
    """One setting in two runs."""

    name: str
    a: str
    b: str

    @property
    def differs(self) -> bool:
        """Whether the two runs had it otherwise."""
        return self.a != self.b


def compared(first: dict[str, Any], second: dict[str, Any]) -> list[Compared]:
    """Return all settings of two runs; one that a run lacks is a dash there.

    Examples
    --------
    >>> [(c.name, c.differs) for c in compared({"seed": 0, "T": 2.0}, {"seed": 1, "T": 2.0})]
    [('seed', True), ('T', False)]
    """
    a, b = flattened(first), flattened(second)
    return [Compared(name, a.get(name, ABSENT), b.get(name, ABSENT)) for name in dict.fromkeys([*a, *b])]


def origin_of(run: dict[str, Any]) -> dict[str, Any]:
    """Return where a run came from: command, date, seeds, backend, machine, versions and so on."""
    seeds = ", ".join(str(seed) for seed in run["seeds"])
    facts = {"command": run["command"], "date": run["date"], "seeds": seeds, "backend": run["backend"]}
    facts |= {"machine": run["machine"], "versions": run["versions"]}
    facts |= {name: run[name] for name in ("threads", "ranks", "environment", "commit") if name in run}
    sessions = {f"session {i}": session for i, session in enumerate(run.get("sessions", []), start=1)}
    return facts | sessions
