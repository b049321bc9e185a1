"""What is recorded of mutants: counts, and each survivor with its change and why no test notices it."""

import difflib
import tomllib
from pathlib import Path

from mutant_runner import mutated, name_of

REASONS = Path(__file__).with_name("mutation_reasons.toml")


def found(rows, mutations, source, reasons):
    """Return counts and survivors; a mutant that hangs its tests counts as killed and is named.

    Parameters
    ----------
    rows : list of dict
        Name, outcome and seconds of each mutant.
    mutations : list of dict
        As cosmic-ray lists them.
    source : str
        The module.
    reasons : dict of (str, str) to str
        By the line and what it became; see :func:`reasons_for`.
    """
    left = {row["name"] for row in rows if row["outcome"] == "survived"}
    survivors = []
    for mutation in sorted(mutations, key=lambda m: (m["start_pos"][0], name_of(m))):
        if name_of(mutation) in left:
            change = change_of(source, mutated(source, mutation))
            reason = reasons.get(change, "")
            survivors.append(
                {"name": name_of(mutation), "line": change[0], "became": change[1], "reason": reason}
            )
    return {
        "mutants": len(rows),
        "killed": len(rows) - len(left),
        "hung": sorted(row["name"] for row in rows if row["outcome"] == "hung"),
        "seconds_per_mutant": round(sum(row["seconds"] for row in rows) / max(len(rows), 1), 2),
        "survivors": survivors,
    }


def rows_of_record(one, mutations, source):
    """Return the outcomes that a record of the same source and mutants holds, empty where it holds none."""
    if not one or (one["source"], one["mutants"]) != (source, len(mutations)):
        return []
    other = dict.fromkeys(one["hung"], "hung")
    other |= {survivor["name"]: "survived" for survivor in one["survivors"]}
    common = {"seconds": one["seconds_per_mutant"], "tests": one["tests"]}
    names = map(name_of, mutations)
    return [{"name": name, "outcome": other.get(name, "killed")} | common for name in names]


def change_of(source, changed):
    """Return the lines that differ, before and after."""
    old, new = source.splitlines(), changed.splitlines()
    parts = [part for part in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()]
    differ = [(old[a:b], new[c:d]) for kind, a, b, c, d in parts if kind != "equal"]
    return tuple("\n".join(line.strip() for pair in differ for line in pair[side]) for side in (0, 1))


def reasons_for(module, path=REASONS):
    """Return why changes of a module make no difference, by the line and what it became."""
    entries = tomllib.loads(path.read_text())["survivors"]
    mine = [entry for entry in entries if entry["module"] == module]
    return {(entry["line"], became): entry["reason"] for entry in mine for became in entry["became"]}


def faults_of(record, reasons_of=reasons_for):
    """Return where record and reasons differ: survivors without a reason, reasons without a survivor."""
    faults = []
    for module, one in record.items():
        reasons = reasons_of(module)
        seen = {(survivor["line"], survivor["became"]) for survivor in one["survivors"]}
        faults += [f"{module}: no reason for {after!r}" for line, after in sorted(seen - set(reasons))]
        faults += [f"{module}: no survivor {after!r}" for line, after in sorted(set(reasons) - seen)]
        told = {(s["line"], s["became"]): s["reason"] for s in one["survivors"]}
        faults += [
            f"{module}: another reason is recorded for {change[1]!r}"
            for change in sorted(seen & set(reasons))
            if told[change] != reasons[change]
        ]
    return faults
