"""What one rank does for all, groups of ranks, fixed blocks, and ranks that went apart."""

import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from simulated_ranks import SimulatedCommunicator, SimulatedRanks

from refmg import Architecture, RefmgError, get_backend, random_network
from refmg.distributed import (
    Communicator,
    CudaAwareRoute,
    HostRoute,
    MPICommunicator,
    NcclRoute,
    Route,
    SerialCommunicator,
    from_first,
)
from refmg_validation.cli import main
from refmg_validation.ranks import (
    Ranks,
    check_agreement,
    decisive,
    divided,
    first_before_others,
    once,
    preset_sums,
    ranks,
    ranks_in_words,
    share,
    summing,
    using,
)


def on_ranks(size, function):
    def run(comm):
        with using(Ranks(comm)):
            return function()

    return SimulatedRanks(size).run(run)


def test_files_are_written_by_one_and_its_error_is_everybodys(tmp_path):
    calls = []

    def write():
        calls.append(threading.get_ident())
        (tmp_path / "file").write_text("once")
        # What is asked for inside is done by the same rank.
        return once(lambda: "inside")

    assert on_ranks(3, lambda: once(write)) == ["inside"] * 3
    assert len(calls) == 1

    def fail():
        Path(tmp_path / "no" / "file").write_text("")

    def failing():
        with pytest.raises(FileNotFoundError):
            once(fail)
        return ranks().rank

    assert on_ranks(3, failing) == [0, 1, 2]
    assert from_first(SerialCommunicator(), lambda: 1) == 1


class Unmakeable(RefmgError):
    """Pickled, it cannot be made again: its words are not its arguments."""

    def __init__(self, row, column):
        super().__init__(f"found a hole in row {row}, column {column}; expected none")


def test_an_error_that_cannot_be_sent_arrives_by_its_words():
    class Hidden(Exception):
        """Cannot be pickled."""

    def fail(error):
        raise error

    def caught(error):
        with pytest.raises(Exception) as found:  # noqa: PT011
            once(lambda: fail(error))
        return found.value

    for error, kind, words in (
        (Unmakeable(1, 2), RefmgError, "found a hole in row 1, column 2"),
        (Hidden("found a comet"), RuntimeError, "Hidden: found a comet"),
    ):
        first, *others = on_ranks(3, lambda error=error: caught(error))
        assert first is error
        for other in others:
            assert type(other) is kind
            assert str(other).startswith(words)
            assert pickle.loads(pickle.dumps(other)).args == other.args


def test_the_first_rank_fills_a_cache_that_the_others_find(tmp_path):
    cache, writers = tmp_path / "cache", []

    def load():
        if not cache.exists():
            writers.append(ranks().rank)
            cache.write_text("decoded")
        return ranks().rank, cache.read_text()

    found = on_ranks(3, lambda: first_before_others(load))
    assert [text for _, text in found] == ["decoded"] * 3
    assert writers == [0]

    def fail():
        assert ranks().rank == 0, "called after the first rank failed"
        raise RefmgError("found a comet; expected none")

    def failing():
        with pytest.raises(RefmgError, match="found a comet"):
            first_before_others(fail)
        return True

    assert on_ranks(3, failing) == [True] * 3


@pytest.mark.parametrize(("size", "items"), [(2, 5), (5, 2), (3, 3), (1, 3)])
def test_groups_of_ranks_share_out_the_items(size, items):
    seen = []

    def run():
        def work(item):
            seen.append((item, ranks().size))
            return ranks().sum(np.array([item])).tolist()[0] / ranks().size

        return divided(list(range(items)), work)

    assert on_ranks(size, run) == [list(range(items))] * size
    sizes = {item: ranks_of for item, ranks_of in seen}
    assert sum(sizes[item] for item in range(min(items, size))) == size


def test_a_network_travels_between_ranks():
    network = random_network(Architecture((4, 4)), 0, "numpy", "float32")
    found = pickle.loads(pickle.dumps(network))
    assert found.backend is network.backend
    assert np.array_equal(found.controls.stencils, network.controls.stencils)
    assert found.dtype == "float32"


def test_ranks_that_went_apart_are_stopped():
    def run(seeds):
        check_agreement(random_network(Architecture((4, 4)), seeds[ranks().rank], "numpy"))
        return True

    assert on_ranks(3, lambda: run([5, 5, 5])) == [True] * 3
    with pytest.raises(RefmgError, match=r"found other parameters on the ranks \[2\] than on rank 0"):
        on_ranks(3, lambda: run([5, 5, 6]))


def test_deterministic_sums_are_part_of_what_decides_a_result():
    assert share() is None
    assert decisive() == {}
    with summing(True):
        assert share().deterministic
        assert decisive() == {"deterministic": True}
    assert ranks_in_words() == "one"
    assert on_ranks(2, ranks_in_words) == ["2, sums travel by the host's memory"] * 2


def deterministic_by(preset, asked):
    with preset_sums(preset, asked):
        return decisive() == {"deterministic": True}


def test_a_preset_of_minutes_sums_in_fixed_blocks_unless_asked():
    assert deterministic_by("small", None)
    assert not deterministic_by("small", False)
    assert not deterministic_by("paper", None)
    assert deterministic_by("paper", True)


def test_a_backend_that_does_not_repeat_its_bits_promises_none(monkeypatch):
    monkeypatch.setattr(type(get_backend()), "deterministic", False)
    assert not deterministic_by("small", None)
    assert not deterministic_by("small", False)
    for preset in ("small", "paper"):
        with pytest.raises(RefmgError, match="the backend 'numpy', which does not repeat its own bits"):
            deterministic_by(preset, True)


@pytest.mark.parametrize("command", ["resolution", "depth", "pyramid"])
def test_commands_refuse_fixed_blocks_on_such_a_backend(capsys, monkeypatch, tmp_path, command):
    monkeypatch.setattr(type(get_backend()), "deterministic", False)
    given = ["reproduce", command, "--preset", "paper", "--output", str(tmp_path / "out"), "--deterministic"]
    assert main(given) == 2
    assert capsys.readouterr().err.startswith("refmg: found --deterministic and the backend 'numpy', which")
    assert not (tmp_path / "out").exists()


def lacking(protocol, kind):
    """Return what a protocol asks for and a class does not have."""
    asked = {name for name in (*vars(protocol), *protocol.__annotations__) if not name.startswith("_")}
    # What the initialiser sets counts; a class without one of its own has nothing to set.
    initialiser = vars(kind).get("__init__", lambda: None)
    return asked - {*dir(kind), *initialiser.__code__.co_names}


def test_all_communicators_and_routes_have_what_is_asked_of_them():
    assert lacking(Communicator, SerialCommunicator) == set()
    assert lacking(Communicator, MPICommunicator) == set()
    assert lacking(Communicator, SimulatedCommunicator) == set()
    assert [lacking(Route, kind) for kind in (HostRoute, CudaAwareRoute, NcclRoute)] == [set()] * 3
    assert lacking(Route, SimulatedRanks) == {"name", "sum"}


def test_one_alone_has_nobody_to_talk_to():
    alone = SerialCommunicator()
    assert alone.split(3) is alone
    assert alone.broadcast_numbers(np.ones(1)).tolist() == [1.0]
    for call in (alone.begin_send, alone.begin_receive):
        with pytest.raises(ValueError, match="expected none"):
            call(np.zeros(1), 1)
    with pytest.raises(SystemExit):
        alone.abort(3)
    assert isinstance(HostRoute(alone).sum(get_backend("numpy"), np.ones(2)), np.ndarray)
