"""Readers under changed and hostile input, a few each; ``make fuzz`` does a hundred thousand."""

import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest
from fuzzing import command_line
from fuzzing.byte_mutations import CHANGES, any_bytes
from fuzzing.json_mutations import Raw, as_text, mutated_json
from fuzzing.pool import Found, run_all
from fuzzing.readers import READERS, Reader
from fuzzing.worker import HangError, content_of, hang, outcome

from refmg import RefmgError

CASES = sorted((Path(__file__).parent / "fuzz_cases").iterdir())
# One process for each reader would take most of the time: those of files share this one.
QUICK = sorted(set(READERS) - {"report", "compare", "tar", "pictures", "variables", "arguments"})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, and an end for what does not end."""
    for name in [name for name in os.environ if name.startswith("REFMG_")]:
        monkeypatch.delenv(name)
    before = signal.signal(signal.SIGPROF, hang)
    yield tmp_path
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_once_failed_is_accepted_or_refused(folder, path):
    reader = READERS[path.stem.rpartition("-")[0]]
    reader.prepare(folder)
    what, where = outcome(reader, folder, path.read_bytes())
    assert what in ("accepted", "refused"), where


@pytest.mark.parametrize("name", QUICK)
def test_valid_input_is_accepted_and_changed_input_harms_nothing(folder, name):
    reader = READERS[name]
    reader.prepare(folder)
    valid = len(reader.seeds())
    for number in range(valid + 15):
        what, where = outcome(reader, folder, content_of(reader, number))
        assert what == "accepted" if number < valid else what in ("accepted", "refused"), where
    assert content_of(reader, valid) == content_of(reader, valid)


def test_limited_processes_read_pictures_and_the_command_line(tmp_path):
    found = run_all({"pictures": 40, "arguments": 30}, tmp_path, 1)
    for one in found.values():
        assert one.failures == []
        assert one.outcomes["accepted"] > 0 < one.outcomes["refused"]
    assert sum(found["pictures"].outcomes.values()) == 40


def raises(error):
    def read(folder, content):
        raise error

    return Reader("bad", lambda: [b"seed"], any_bytes, read)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RefmgError("one line"), "refused"),
        (RefmgError("two\nlines"), "failed"),
        (ValueError("a traceback"), "failed"),
        (MemoryError(), "failed"),
        (HangError(), "hung"),
        (SystemExit(1), "failed"),
    ],
)
def test_what_is_no_refusal_is_a_failure(folder, error, expected):
    what, where = outcome(raises(error), folder, b"")
    assert what == expected
    found = Found()
    found.add(0, what, where, 0.1)
    assert bool(found.failures) == (expected != "refused")


def test_memory_that_ran_out_is_a_failure_though_it_was_refused(folder):
    def read(folder, content):
        try:
            raise MemoryError
        except MemoryError as error:
            raise RefmgError("too large") from error

    assert outcome(Reader("bad", list, any_bytes, read), folder, b"")[0] == "failed"


SICK = """
import dataclasses, os, sys
from fuzzing import readers, worker

def read(folder, content):
    if content == b"die":
        os.kill(os.getpid(), 9)

inputs = lambda: [b"a", b"die", b"b"]
readers.READERS["npy"] = dataclasses.replace(readers.READERS["npy"], read=read, seeds=inputs)
worker.main("npy", int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
"""


def test_a_worker_that_dies_costs_one_input(tmp_path, monkeypatch):
    (tmp_path / "sick.py").write_text(SICK)
    program = [sys.executable, str(tmp_path / "sick.py")]
    monkeypatch.setattr("fuzzing.pool.PROGRAM", program)
    found = run_all({"npy": 3}, tmp_path / "kept", 1)["npy"]
    assert (found.outcomes["killed"], found.outcomes["accepted"]) == (1, 2)


def test_a_status_or_message_of_another_kind_is_no_refusal():
    assert command_line.judged(0, "") == 0
    with pytest.raises(RefmgError):
        command_line.judged(2, "refmg: found no file\n")
    for status, error in ((2, "Traceback\nValueError\n"), (3, ""), (70, "")):
        with pytest.raises(AssertionError):
            command_line.judged(status, error)


def test_changes_change_and_json_stays_json():
    rng, content = random.Random(0), bytes(range(64))
    assert all(any(change(rng, content) != content for _ in range(9)) for change in CHANGES)
    values = [mutated_json(rng, {"a": [1, {"b": "c"}], "d": 2.5}) for _ in range(200)]
    texts = {as_text(value) for value in values}
    assert len(texts) > 100
    assert sum(_parses(text) for text in texts) > 0.9 * len(texts)
    assert as_text({"a": Raw("[[]]")}) == '{"a": [[]]}'


def _parses(text):
    try:
        return json.loads(text) is not Ellipsis
    except RecursionError:
        return True
    except ValueError:
        return False
