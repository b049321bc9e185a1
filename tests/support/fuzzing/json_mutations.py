"""Changes of a JSON value that leave it JSON: other types, lost and strange names, huge and deep values."""

import json
from copy import deepcopy

from fuzzing.byte_mutations import mutated_bytes

LEAVES = (
    None, True, False, 0, -1, 1, 2, 3, 7, 10**6, 2**31, 2**63, 10**30, 10**400, -0.0, 0.5, 1e-320, 1e308,
    float("nan"), float("inf"), -float("inf"), "", "0", "a", "nan", "../../etc/passwd", "/dev/zero", "a\0b",
    "\ud800", "é\u202e", "x" * 5000, "9" * 5000, "[bold]", "{{ 7 * 7 }}", "<script>", [], {}, [[]], [0],
    ["a"], [1e308], {"a": 1}, {"": None},
)  # fmt: skip


def places(value, found=None, path=()):
    """Return the path of every part of a value."""
    found = [] if found is None else found
    found.append(path)
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        places(part, found, (*path, name))
    return found


def at(value, path):
    """Return the part of a value at a path."""
    for name in path:
        value = value[name]
    return value


def deep(rng):
    """Return lists or objects in each other, up to a hundred thousand."""
    depth = rng.choice((5, 60, 400, 100_000))
    return Raw("[" * depth + "]" * depth if rng.random() < 0.5 else '{"a":' * depth + "0" + "}" * depth)


class Raw(str):
    """JSON text that the encoder could not make."""


def changed(rng, value):
    """Return a value with one part changed."""
    path = rng.choice(places(value))
    if not path:
        return deepcopy(rng.choice(LEAVES)) if rng.random() < 0.1 else value
    parent, name, kind = at(value, path[:-1]), path[-1], rng.random()
    if kind < 0.55:
        parent[name] = deepcopy(rng.choice(LEAVES))
    elif kind < 0.65:
        del parent[name]
    elif kind < 0.75:
        parent[name] = deepcopy(at(value, rng.choice(places(value))))
    elif kind < 0.8 and isinstance(parent[name], list):
        parent[name] = parent[name] * rng.choice((2, 30))
    elif kind < 0.88 and isinstance(parent, dict):
        parent[str(rng.choice(LEAVES))] = parent.pop(name)
    elif kind < 0.93 and isinstance(parent[name], int | float):
        parent[name] = -parent[name] if rng.random() < 0.5 else parent[name] + rng.choice((1, 0.5, 1e-9))
    elif kind < 0.96:
        parent[name] = deep(rng)
    return value


def as_text(value):
    """Return JSON text, raw parts as they are."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(k))}: {as_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_text, value)) + "]"
    return json.dumps(value) if not isinstance(value, int) or abs(value) < 10**300 else "1" + "0" * 400


def mutated_json(rng, value, most=3):
    """Return a value after one to `most` changes."""
    value = deepcopy(value)
    for _ in range(rng.randrange(1, most + 1)):
        value = changed(rng, value)
    return value


def json_bytes(rng, seeds):
    """Return the text of a changed value; now and then its bytes are changed as well."""
    value = json.loads(rng.choice(seeds))
    content = as_text(mutated_json(rng, value)).encode("utf-8", "surrogatepass")
    return mutated_bytes(rng, content, 2) if rng.random() < 0.2 else content
