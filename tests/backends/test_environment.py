"""The ``REFMG_*`` variables: known ones are read, others are refused."""

from __future__ import annotations

import pytest

from refmg_backends import VARIABLES, RefmgError, check_environment, default_dtype, get_backend


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_only_our_variables_are_returned():
    given = {"REFMG_DTYPE": "float32", "REFMG_DATA": "/data", "HOME": "/root", "MY_REFMG_X": "1"}
    assert check_environment(given) == {"REFMG_DTYPE": "float32", "REFMG_DATA": "/data"}


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_is_read_from_the_process(name, monkeypatch):
    monkeypatch.setenv(name, "value")
    assert check_environment() == {name: "value"}


@pytest.mark.parametrize(
    ("wrong", "closest"),
    [("REFMG_BACKENDS", "REFMG_BACKEND"), ("REFMG_DTYP", "REFMG_DTYPE"), ("REFMG_Data", "REFMG_DATA")],
)
def test_a_misspelt_variable_is_refused_with_the_closest_name(wrong, closest):
    with pytest.raises(RefmgError) as caught:
        check_environment({wrong: "x"})
    assert f"unknown environment variable {wrong!r} (did you mean {closest!r}?)" in str(caught.value)
    assert "expected one of: REFMG_BACKEND, REFMG_DATA, REFMG_DTYPE" in str(caught.value)


@pytest.mark.parametrize("read", [check_environment, get_backend, default_dtype])
def test_whoever_reads_the_environment_refuses_a_misspelt_variable(read, monkeypatch):
    monkeypatch.setenv("REFMG_BACKENDS", "numpy")
    with pytest.raises(RefmgError, match="unknown environment variable 'REFMG_BACKENDS'"):
        read()


def test_an_empty_environment_is_fine():
    assert check_environment({}) == {}


def test_double_precision_is_the_default():
    assert default_dtype() == "float64"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_environment_sets_the_precision(dtype, monkeypatch):
    monkeypatch.setenv("REFMG_DTYPE", dtype)
    assert default_dtype() == dtype


def test_the_argument_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("REFMG_DTYPE", "float32")
    assert default_dtype("float64") == "float64"


@pytest.mark.parametrize("found", ["float16", "double", "f8", "Float32"])
def test_other_precisions_are_refused(found, monkeypatch):
    monkeypatch.setenv("REFMG_DTYPE", found)
    for call in (default_dtype, lambda: default_dtype(found)):
        with pytest.raises(RefmgError, match=f"unknown dtype '{found}'.*expected one of: float32, float64"):
            call()


def test_each_variable_is_described():
    assert all(VARIABLES.values())
