"""``make fuzz``: a number of inputs over all readers, recorded with what became of them."""

import argparse
import os
import time
from pathlib import Path

from fuzzing.pool import OUTCOMES, run_all
from fuzzing.readers import READERS
from refmg_validation.records import provenance, write_json

KEEP = Path(__file__).resolve().parents[3] / "build" / "fuzz"


def counts_of(inputs, readers):
    """Divide a number of inputs among readers by their shares; each gets one at least."""
    total = sum(READERS[name].share for name in readers)
    counts = {name: max(1, int(inputs * READERS[name].share / total)) for name in readers}
    counts[max(counts, key=counts.get)] += max(0, inputs - sum(counts.values()))
    return counts


def tell(name, found):
    """Print one reader."""
    told = ", ".join(f"{found.outcomes[what]} {what}" for what in OUTCOMES if found.outcomes[what])
    print(f"{name:18s} {told}; slowest {1000 * found.slowest:.0f} ms", flush=True)
    for number, what, where in found.failures[:3]:
        print(f"  {what}, input {number}: {where}", flush=True)


def main():
    """Run, print and record; exit status 1 if any input ended otherwise than accepted or refused."""
    parser = argparse.ArgumentParser(prog="fuzzing", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--readers", nargs="+", choices=sorted(READERS), default=sorted(READERS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    began = time.monotonic()
    found = run_all(counts_of(given.inputs, given.readers), KEEP, os.cpu_count() or 1, tell)
    rows = {name: found[name].as_dict() for name in sorted(found)}
    totals = {what: sum(row[what] for row in rows.values()) for what in OUTCOMES}
    seconds = round(time.monotonic() - began)
    print(
        f"{sum(totals.values())} inputs in {seconds} s: "
        + ", ".join(f"{n} {what}" for what, n in totals.items())
    )
    if given.json:
        about = provenance() | {
            "command": "make fuzz",
            "inputs": sum(totals.values()),
            "wall_seconds": seconds,
        }
        write_json(given.json, about | {"totals": totals, "readers": rows})
    return int(any(totals[what] for what in OUTCOMES[2:]))


if __name__ == "__main__":
    raise SystemExit(main())
