"""Where the results of several paths and processes come from, and which are missing."""

from __future__ import annotations

from typing import Any

Results = list[dict[str, Any]]
UNKNOWN: dict[str, Any] = {
    "command": "not recorded",
    "date": "not recorded",
    "versions": {},
    "machine": {},
    "backend": "not recorded",
}


def origin_of(results: Results) -> dict[str, Any]:
    """Return the last session that trained anything, and all of them where there are several.

    Parameters
    ----------
    results : list of dict
        Of :meth:`refmg_validation.multilevel.experiment.Experiment.run`.

    Returns
    -------
    dict
        Command, date, versions and so on, of the session that came last; ``"sessions"``, one a process in
        the order of their dates, with the paths that it worked on.

    Examples
    --------
    >>> sessions = [UNKNOWN | {"date": "2026-01-02"}, UNKNOWN | {"date": "2026-01-01"}]
    >>> found = origin_of([{"seed": 0, "sessions": {"random 4": sessions}}])
    >>> found["date"], [(s["date"], s["paths"]) for s in found["sessions"]]
    ('2026-01-02', [('2026-01-01', ['seed 0, random 4']), ('2026-01-02', ['seed 0, random 4'])])
    """
    found: list[dict[str, Any]] = []
    for result in results:
        for name, sessions in result["sessions"].items():
            for session in sessions:
                _noted(found, session, f"seed {result['seed']}, {name}")
    found.sort(key=lambda session: str(session.get("date", "")))
    if not found:
        return UNKNOWN
    last = UNKNOWN | {name: value for name, value in found[-1].items() if name != "paths"}
    return last | {"sessions": found} if len(found) > 1 else last


def _noted(found: list[dict[str, Any]], session: dict[str, Any], path: str) -> None:
    for known in found:
        if {name: value for name, value in known.items() if name != "paths"} == session:
            known["paths"].append(path)
            return
    found.append(session | {"paths": [path]})


def missing_words(results: Results) -> str | None:
    """Say which paths have not ended; None if all have.

    Examples
    --------
    >>> missing_words([{"seed": 0, "records": {"random 4": []}, "missing": ["random 8"]}])
    'seed 0: 1 of 2 paths have ended; not yet: random 8'
    >>> missing_words([{"seed": 0, "records": {"random 4": []}, "missing": []}]) is None
    True
    """
    lines = []
    for result in results:
        ended, missing = len(result["records"]), result["missing"]
        if missing:
            lines.append(
                f"seed {result['seed']}: {ended} of {ended + len(missing)} paths have ended; not yet: "
                f"{'; '.join(missing)}"
            )
    return ". ".join(lines) or None
