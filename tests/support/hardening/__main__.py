"""``make hardening``: kills at random moments, limited files, a full disk; recorded with what was found."""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from hardening.commands import COMMANDS, named, shrink
from hardening.full_disk import run_limited, run_on_full_disk
from hardening.kills import kill_all
from refmg_validation.records import provenance, write_json

SEED = 2026


def tell(name, found):
    """Print one command."""
    print(
        f"  {name:12s} {', '.join(f'{count} {what}' for what, count in found.outcomes.items())}", flush=True
    )
    for fault in found.faults[:5]:
        print(f"    {fault}", flush=True)


def record(found):
    """Return outcomes and faults by command, ready for JSON."""
    return {name: {"outcomes": dict(one.outcomes), "faults": one.faults} for name, one in found.items()}


def main():
    """Run, print and record; exit status 1 if anything was lost or half written."""
    parser = argparse.ArgumentParser(prog="hardening", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--commands", nargs="+", choices=[command.name for command in COMMANDS], default=[])
    parser.add_argument(
        "--parts", nargs="+", choices=["kills", "limits", "disk"], default=["kills", "limits", "disk"]
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    began, commands, found = time.monotonic(), named(given.commands), {}
    shrink()
    with TemporaryDirectory() as place:
        for part in given.parts:
            print(part, flush=True)
            folder = Path(place, part)
            folder.mkdir()
            found[part] = one_part(part, commands, folder, given)
    faults = [
        fault
        for part in found.values()
        if isinstance(part, dict)
        for one in part.values()
        for fault in one["faults"]
    ]
    print(f"{len(faults)} faults in {time.monotonic() - began:.0f} s")
    if given.json:
        about = {"command": "make hardening", "kills": given.kills, "seed": given.seed, "faults": len(faults)}
        write_json(given.json, provenance() | about | found)
    return int(bool(faults))


def one_part(part, commands, folder, given):
    """Return the record of one part; where no disk can be mounted, why."""
    if part == "kills":
        return record(kill_all(commands, folder, given.kills, given.seed, tell))
    try:
        return record((run_limited if part == "limits" else run_on_full_disk)(commands, folder, tell))
    except RuntimeError as error:
        print(f"  left out: {error}")
        return f"left out: {error}"


if __name__ == "__main__":
    raise SystemExit(main())
