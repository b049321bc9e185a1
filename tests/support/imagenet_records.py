"""What two runs of ImageNet-10 with the same settings must share."""

import json

TIMES = ("seconds", "processor", "elapsed", "elapsed_processor")


def numbers(output):
    """All of a run's outputs but for times: arrays, records and scores, by the names of the files."""
    found = {}
    for path in sorted(output.glob("seed-*/*.safetensors")):
        notes, arrays = notes_and_arrays(path)
        records = [without_times(record) for record in notes["records"]]
        found[path.relative_to(output).as_posix()] = (arrays, records, notes["test"])
    return found


def notes_and_arrays(path):
    """Return the notes of a state, and the bytes of its arrays."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    notes = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["content"])["notes"]
    return notes, content[8 + length :]


def without_times(record):
    if isinstance(record, dict):
        return {name: without_times(part) for name, part in record.items() if name not in TIMES}
    return [without_times(part) for part in record] if isinstance(record, list) else record
