"""What a record says of its origin: no machine's paths, and the commit where the source is a checkout."""

import subprocess
import sys

import pytest

from refmg_validation import provenance as module
from refmg_validation.provenance import provenance, shown_command, source_commit


def git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


@pytest.fixture(autouse=True)
def forget():
    source_commit.cache_clear()
    yield
    source_commit.cache_clear()


def test_the_commit_of_a_checkout_and_whether_it_was_changed(checkout, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as a hook would have it
    monkeypatch.delenv("GIT_DIR")
    head = git(checkout, "rev-parse", "HEAD")
    assert source_commit(checkout) == head
    (checkout / "file").write_text("two")
    source_commit.cache_clear()
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert source_commit(checkout) == f"{head} with changes"


def test_without_a_checkout_or_git_there_is_no_commit(checkout, tmp_path_factory, monkeypatch):
    assert source_commit(tmp_path_factory.mktemp("plain")) is None
    monkeypatch.setenv("PATH", "")
    assert source_commit(checkout) is None


def test_a_damaged_checkout_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / ".git").write_text("gitdir: /nowhere")
    assert source_commit(tmp_path) is None
    monkeypatch.setattr(module, "source_commit", lambda root: None)
    assert "commit" not in provenance()


def test_libraries_that_computed_are_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    assert set(provenance()["versions"]) == {"refmg", "python", "numpy", "scipy"}
    numba = pytest.importorskip("numba")
    monkeypatch.setitem(sys.modules, "numba", numba)
    assert provenance()["versions"]["numba"] == numba.__version__


def test_variables_and_data_are_in_the_command_without_a_path(monkeypatch):
    monkeypatch.setenv("REFMG_DATA", "/home/someone/data")
    monkeypatch.setenv("REFMG_BACKEND", "numpy")
    monkeypatch.setattr("sys.argv", ["refmg", "reproduce", "depth", "--output", "/home/someone/out"])
    found = provenance()
    expected = "REFMG_BACKEND=numpy REFMG_DATA=DATA refmg reproduce depth --output out"
    assert found["command"] == expected
    assert found["environment"] == {"REFMG_BACKEND": "numpy", "REFMG_DATA": "DATA"}
    assert "someone" not in str(found)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--data", "../mnist"], "refmg --data DATA"),
        (["--data=../mnist"], "refmg --data=DATA"),
        (["--data=/a/mnist"], "refmg --data=DATA"),
        (["-o", "/a/b c.html"], "refmg -o 'b c.html'"),
        (["--transfer", "linear", "--seed", "3"], "refmg --transfer linear --seed 3"),
    ],
)
def test_commands_can_be_typed_elsewhere(arguments, shown):
    assert shown_command(arguments, {}) == shown
