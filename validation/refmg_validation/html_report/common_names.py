"""The names of one run in the words of another, so that their lines and tables join."""

from __future__ import annotations

from typing import Any

Run = dict[str, Any]


def named_alike(first: Run, second: Run) -> tuple[Run, Run]:
    """Return two runs in which the same seed's lines have the same names.

    A run of many seeds names the seed of every line, as "random, seed 3"; one of a single seed does not need
    to. Where one of each is compared, the single seed's lines get the name that the other run has for them.

    Parameters
    ----------
    first, second : dict
        Records of runs; neither is changed.

    Examples
    --------
    >>> runs = [{"seeds": [1], "series": [{"name": "random"}], "switches": []}]
    >>> runs += [{"seeds": [0, 1], "series": [{"name": f"random, seed {s}"} for s in (0, 1)], "switches": []}]
    >>> named_alike(*runs)[0]["series"]
    [{'name': 'random, seed 1'}]
    """
    return _in_words_of(first, second), _in_words_of(second, first)


def _in_words_of(run: Run, other: Run) -> Run:
    if len(run["seeds"]) != 1 or len(other["seeds"]) == 1:
        return run
    (seed,) = run["seeds"]
    lines = {series["name"] for series in other["series"]}
    series = [part | {"name": _known(part["name"], "", seed, lines)} for part in run["series"]]
    origins = {switch["from"] for switch in other["switches"]}
    switches = [part | {"from": _of_switch(part["from"], seed, origins)} for part in run["switches"]]
    return run | {"series": series, "switches": switches}


def _of_switch(origin: str, seed: int, known: set[str]) -> str:
    """Name the path before the colon, as in "random, seed 3: 2 layers"."""
    path, colon, level = origin.partition(":")
    return _known(path, colon + level, seed, known)


def _known(name: str, rest: str, seed: int, known: set[str]) -> str:
    wanted = f"{name}, seed {seed}{rest}"
    return wanted if wanted in known else name + rest
