"""The record of a run, ``run.json``: what every experiment writes and the pages show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from refmg import get_backend
from refmg_validation.records import provenance, write_json
from refmg_validation.run_format import OPTIONAL, RUN_FILE, SCHEMA, check_run
from refmg_validation.run_values import LARGEST, UNFIT

Record = dict[str, Any]


def run_record(
    title: str,
    *,
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    series: Sequence[Record] = (),
    switches: Sequence[Record] = (),
    tables: Sequence[Record] = (),
    figures: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
    origin: Mapping[str, Any] | None = None,
    incomplete: str | None = None,
) -> Record:
    """Return the record of a run.

    Parameters
    ----------
    title : str
        What the run is.
    seeds : sequence of int
        All seeds that it started from.
    settings : mapping
        What decides the result; may be nested.
    series, switches, tables : sequence of dict
        By :func:`series_of`, :func:`switch_of` and :func:`table_of`.
    figures : sequence of (str, str)
        Files in the run's folder, PNG or SVG, and their captions.
    notes : sequence of str
        Sentences: what holds and what does not.
    origin : mapping, optional
        Command, date, versions, machine and backend, and more that :func:`provenance` has; those of this
        process by default.
    incomplete : str, optional
        What is missing of a run that has not ended.

    Returns
    -------
    dict
        Ready for :func:`write_run`.

    Examples
    --------
    >>> run = run_record("Nothing yet", seeds=[0], settings={"preset": "small"})
    >>> run["schema"], run["seeds"], run["settings"]
    (1, [0], {'preset': 'small'})
    """
    if origin is None:
        origin = provenance() | {"backend": get_backend().name}
    names = ("command", "date", "versions", "machine", "backend")
    head = {"schema": SCHEMA, "title": title} | {name: origin[name] for name in names}
    head |= {name: origin[name] for name in OPTIONAL if name in origin}
    head |= {} if incomplete is None else {"incomplete": incomplete}
    return head | {
        "seeds": list(seeds),
        "settings": dict(settings),
        "series": list(series),
        "switches": list(switches),
        "tables": list(tables),
        "figures": [{"file": file, "caption": caption} for file, caption in figures],
        "notes": list(notes),
    }


def series_of(
    name: str, records: Iterable[Record], columns: Sequence[str], x: str = "iteration", group: str = ""
) -> Record:
    """Return one line of the figures, from a list of dictionaries.

    Parameters
    ----------
    name : str
        Of the line; unique within its group.
    records : iterable of dict
        One a point; what a record lacks becomes null.
    columns : sequence of str
        What is drawn.
    x : str
        Over what.
    group : str
        Series of one group share their figures.

    Examples
    --------
    >>> series_of("fine", [{"iteration": 0, "loss": 1.5, "seconds": 3.0}], ["loss"])["rows"]
    [[0, 1.5]]
    """
    names = [x, *columns]
    rows = [[record.get(column) for column in names] for record in records]
    return {"name": name, "group": group, "x": x, "columns": names, "rows": rows}


def table_of(title: str, rows: Sequence[Record]) -> Record:
    """Return a table, from dictionaries; the first one's names are the columns.

    Examples
    --------
    >>> table_of("Accuracies", [{"layers": 4, "test": 0.95}, {"layers": 8, "test": 0.96}])["rows"]
    [[4, 0.95], [8, 0.96]]
    """
    columns = list(rows[0]) if rows else []
    return {
        "title": title,
        "columns": columns,
        "rows": [[row.get(column) for column in columns] for row in rows],
    }


def switch_of(
    origin: str,
    target: str,
    *,
    items: Iterable[tuple[str, str, str]] = (),
    norms: Iterable[tuple[str, float, float]] = (),
    before: Mapping[str, float] | None = None,
    after: Mapping[str, float] | None = None,
) -> Record:
    """Return the record of one switch of levels.

    Parameters
    ----------
    origin, target : str
        The levels.
    items : iterable of (str, str, str)
        What; ``moved``, ``re-estimated``, ``restarted``, ``kept``, ``dropped``, or ``none``, where there is
        no such part; how.
    norms : iterable of (str, float, float)
        Of what; before and after the switch.
    before, after : mapping, optional
        Loss and accuracies on either side.

    Examples
    --------
    >>> switch_of("7 x 7", "14 x 14", items=[("W", "moved", "linear")])["items"]
    [{'what': 'W', 'fate': 'moved', 'how': 'linear'}]
    """
    return {
        "from": origin,
        "to": target,
        "items": [{"what": what, "fate": fate, "how": how} for what, fate, how in items],
        "norms": [{"what": what, "before": old, "after": new} for what, old, new in norms],
        "before": dict(before or {}),
        "after": dict(after or {}),
    }


def write_run(folder: Path, run: Record) -> Path:
    """Write ``run.json`` atomically and return its path.

    Raises
    ------
    RefmgError
        If the record does not have the format, or the file cannot be written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> write_run(Path(mkdtemp()), run_record("Nothing yet", seeds=[0], settings={})).name
    'run.json'
    """
    plain = _plain(run)
    check_run(plain, "this record")
    write_json(folder / RUN_FILE, plain)
    return folder / RUN_FILE


def _plain(value: Any) -> Any:
    """Return what JSON has words for: NumPy's numbers as Python's, not finite or too large ones as text.

    Characters that no page can hold, as a command may have them, are escaped: a run that has taken days is
    written whatever its command was.
    """
    if isinstance(value, Mapping):
        return {_readable(str(name)): _plain(part) for name, part in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not (isfinite(value) and abs(value) <= LARGEST):
        return str(value)
    if value is None or isinstance(value, int | float):
        return value
    return _readable(str(value))


def _readable(text: str) -> str:
    return UNFIT.sub(lambda found: ascii(found[0])[1:-1], text)
