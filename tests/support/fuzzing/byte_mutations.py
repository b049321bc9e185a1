"""Changes that know nothing of a format: bits, bytes, spans, whole numbers, two files spliced."""

import struct

WHOLE = (0, 1, 2, 127, 128, 255, 256, 65535, 2**20, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}
TEXTS = (
    b"\0",
    b"\xff" * 8,
    b"../",
    b"/",
    b"nan",
    b"-1",
    b"1e999",
    b"{",
    b"]",
    b'"',
    b"\\u0000",
    b"\xed\xa0\x80",
    b"%s%n",
)


def flip(rng, content):
    """Flip one bit."""
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def cut(rng, content):
    """Leave out a span; often the end."""
    begin = rng.randrange(len(content))
    end = len(content) if rng.random() < 0.5 else rng.randrange(begin, len(content) + 1)
    return content[:begin] + content[end:]


def repeat(rng, content):
    """Repeat a span."""
    begin = rng.randrange(len(content))
    span = content[begin : begin + rng.randrange(1, 64)]
    return content[:begin] + span * rng.randrange(2, 40) + content[begin:]


def insert(rng, content):
    """Put a text in that parsers stumble over."""
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(TEXTS) + content[at:]


def number(rng, content):
    """Write a whole number at the edge of its type over some bytes."""
    width = rng.choice([width for width in WIDTHS if width <= len(content)])
    at = rng.randrange(min(len(content), 512) - width + 1) if len(content) > width else 0
    value = struct.pack(rng.choice("<>") + WIDTHS[width], rng.choice(WHOLE) % 256**width)
    return content[:at] + value + content[at + width :]


def noise(rng, content):
    """Write random bytes over some."""
    at = rng.randrange(len(content))
    some = rng.randbytes(rng.randrange(1, 16))
    return content[:at] + some + content[at + len(some) :]


CHANGES = (flip, cut, repeat, insert, number, noise)


def mutated_bytes(rng, content, most=4):
    """Return bytes after one to `most` changes."""
    for _ in range(rng.randrange(1, most + 1)):
        content = rng.choice(CHANGES)(rng, content) if content else rng.choice(TEXTS)
    return content


def spliced(rng, seeds):
    """Return the beginning of one file and the end of another."""
    one, other = rng.choice(seeds), rng.choice(seeds)
    return one[: rng.randrange(len(one) + 1)] + other[rng.randrange(len(other) + 1) :]


def any_bytes(rng, seeds):
    """Return a changed seed, two spliced, or noise alone."""
    kind = rng.random()
    if kind < 0.02:
        return rng.randbytes(rng.randrange(200))
    return spliced(rng, seeds) if kind < 0.1 else mutated_bytes(rng, rng.choice(seeds))
