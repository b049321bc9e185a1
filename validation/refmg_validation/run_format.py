"""What ``run.json`` may hold: a check that names the first thing wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refmg_backends import RefmgError
from refmg_validation.run_values import first_unfit

RUN_FILE = "run.json"
SCHEMA = 1
FATES = ("moved", "re-estimated", "restarted", "kept", "dropped", "none")
TOP: dict[str, type] = {
    "title": str,
    "command": str,
    "date": str,
    "versions": dict,
    "machine": dict,
    "backend": str,
}
# Records from before these were written lack them.
OPTIONAL: dict[str, type] = {
    "incomplete": str,
    "threads": int,
    "ranks": int,
    "environment": dict,
    "commit": str,
    "sessions": list,
}
LISTS = ("seeds", "series", "switches", "tables", "figures", "notes")


def check_run(run: Any, where: str) -> None:
    """Refuse what is not a record of a run in the format of this version.

    Parameters
    ----------
    run : object
        From JSON.
    where : str
        Names the file in errors.

    Raises
    ------
    RefmgError
        Says what was found, what was expected and what to do.

    Examples
    --------
    >>> check_run({"schema": 99}, "out/run.json")
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: out/run.json has schema 99; this refmg reads schema 1: take the refmg \
that wrote it, or run the experiment again
    """
    if not isinstance(run, dict):
        raise RefmgError(
            f"{where} holds {_kind(run)}; expected the record of a run: run the experiment again"
        )
    if run.get("schema") != SCHEMA:
        raise RefmgError(
            f"{where} has schema {run.get('schema')}; this refmg reads schema {SCHEMA}: take the refmg that "
            "wrote it, or run the experiment again"
        )
    check = _Check(where)
    unfit = first_unfit(run)
    if unfit is not None:
        check.refuse(*unfit)
    for name, kind in (TOP | {"settings": dict} | dict.fromkeys(LISTS, list)).items():
        check.kind(run.get(name), kind, name)
    for name, kind in OPTIONAL.items():
        if name in run:
            check.kind(run[name], kind, name)
    for name, one in ONE.items():
        for number, part in enumerate(run.get(name, [])):
            one(check, part, f"{name}[{number}]")
    _different(check, run["series"])


class _Check:
    """Refuses, and says where."""

    def __init__(self, where: str) -> None:
        self.where = where

    def refuse(self, place: str, found: str, expected: str) -> None:
        raise RefmgError(
            f"{self.where}: {place} is {found}; expected {expected}: the file does not have the format of "
            f"schema {SCHEMA}, run the experiment again"
        )

    def kind(self, value: Any, kind: type, place: str) -> None:
        if not isinstance(value, kind):
            self.refuse(place, _kind(value), KINDS[kind])

    def names(self, part: Any, kinds: dict[str, type], place: str) -> None:
        self.kind(part, dict, place)
        for name, kind in kinds.items():
            self.kind(part.get(name), kind, f"{place}.{name}")

    def cells(self, values: Any, place: str) -> None:
        for value in values:
            if not (value is None or isinstance(value, str | int | float)):
                self.refuse(place, _kind(value), "a number, a text, true, false or null")

    def rows(self, part: dict[str, Any], place: str) -> None:
        for number, row in enumerate(part["rows"]):
            at = f"{place}.rows[{number}]"
            self.kind(row, list, at)
            if len(row) != len(part["columns"]):
                self.refuse(at, f"{len(row)} cells", f"{len(part['columns'])}, one a column")
            self.cells(row, at)
        for column in part["columns"]:
            self.kind(column, str, f"{place}.columns")


def _series(check: _Check, part: Any, place: str) -> None:
    check.names(part, {"name": str, "x": str, "columns": list, "rows": list}, place)
    check.kind(part.get("group", ""), str, f"{place}.group")
    check.rows(part, place)
    if part["x"] not in part["columns"]:
        check.refuse(f"{place}.x", repr(part["x"]), f"one of the columns {part['columns']}")


def _different(check: _Check, found: list[dict[str, Any]]) -> None:
    names = [(series.get("group", ""), series["name"]) for series in found]
    for number, name in enumerate(names):
        if name in names[:number]:
            check.refuse(f"series[{number}].name", repr(name[1]), "a name that no other of its group has")


def _table(check: _Check, part: Any, place: str) -> None:
    check.names(part, {"title": str, "columns": list, "rows": list}, place)
    check.rows(part, place)


def _switch(check: _Check, part: Any, place: str) -> None:
    lists: dict[str, type] = {"items": list, "norms": list, "before": dict, "after": dict}
    check.names(part, {"from": str, "to": str} | lists, place)
    for number, item in enumerate(part["items"]):
        at = f"{place}.items[{number}]"
        check.names(item, {"what": str, "fate": str, "how": str}, at)
        if item["fate"] not in FATES:
            check.refuse(f"{at}.fate", repr(item["fate"]), ", ".join(FATES))
    for number, norm in enumerate(part["norms"]):
        at = f"{place}.norms[{number}]"
        check.names(norm, {"what": str}, at)
        check.cells([norm.get("before"), norm.get("after")], at)
    for side in ("before", "after"):
        check.cells(part[side].values(), f"{place}.{side}")


def _figure(check: _Check, part: Any, place: str) -> None:
    check.names(part, {"file": str, "caption": str}, place)


def _seed(check: _Check, part: Any, place: str) -> None:
    check.kind(part, int, place)


def _note(check: _Check, part: Any, place: str) -> None:
    check.kind(part, str, place)


def _session(check: _Check, part: Any, place: str) -> None:
    check.names(part, {"command": str, "date": str}, place)


ONE: dict[str, Callable[[_Check, Any, str], None]] = {
    "seeds": _seed,
    "series": _series,
    "switches": _switch,
    "tables": _table,
    "figures": _figure,
    "notes": _note,
    "sessions": _session,
}
KINDS: dict[type, str] = {str: "a text", dict: "an object", list: "a list", int: "a whole number"}


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    return KINDS.get(type(value), f"a {type(value).__name__}")
