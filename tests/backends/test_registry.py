"""Which backend is chosen, and what is said when none can be."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from refmg_backends import (
    ArrayBackend,
    BackendUnavailableError,
    RefmgError,
    UnknownBackendError,
    backend_names,
    get_backend,
    one_of,
    registry,
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No variable of the machine, and nothing loaded before or left behind."""
    monkeypatch.delenv("REFMG_BACKEND", raising=False)
    registry._load.cache_clear()
    yield
    registry._load.cache_clear()


def make_third_party():
    return ArrayBackend("third", registry._numpy().xp, device="a machine of theirs")


def offer(monkeypatch, *points):
    """Entry points of installed packages: pairs of a name and ``module:attribute``."""

    def entry_points(group):
        return [EntryPoint(name, value, group) for name, value in points] if group == "refmg.backends" else []

    monkeypatch.setattr(registry, "entry_points", entry_points)


# --- choosing -------------------------------------------------------------------------------------


def test_the_default_is_numpy():
    assert get_backend().name == "numpy"


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv("REFMG_BACKEND", "array-api-strict")
    assert get_backend().name == "array-api-strict"


def test_the_argument_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("REFMG_BACKEND", "array-api-strict")
    assert get_backend("numpy").name == "numpy"


def test_an_empty_variable_means_the_default(monkeypatch):
    monkeypatch.setenv("REFMG_BACKEND", "")
    assert get_backend().name == "numpy"


@pytest.mark.parametrize("name", ["numpy", "array-api-strict"])
def test_each_backend_has_its_name_and_is_made_once(name):
    assert get_backend(name).name == name
    assert get_backend(name) is get_backend(name)


def test_the_names_are_sorted_and_hold_the_built_in_ones():
    assert backend_names() == sorted(backend_names())
    assert {"numpy", "array-api-strict"} <= set(backend_names())


# --- third parties --------------------------------------------------------------------------------


def test_a_third_party_backend_is_listed_and_loaded(monkeypatch):
    offer(monkeypatch, ("third", f"{__name__}:make_third_party"))
    assert "third" in backend_names()
    assert get_backend("third").device == "a machine of theirs"
    monkeypatch.setenv("REFMG_BACKEND", "third")
    assert get_backend() is get_backend("third")


def test_a_third_party_does_not_replace_a_built_in_backend(monkeypatch):
    offer(monkeypatch, ("numpy", f"{__name__}:make_third_party"))
    assert get_backend("numpy").device == "cpu"
    assert backend_names().count("numpy") == 1


def test_a_third_party_backend_that_is_not_chosen_is_not_imported(monkeypatch):
    offer(monkeypatch, ("broken", "no_such_module_of_theirs:make"))
    assert get_backend().name == "numpy"


def test_a_third_party_backend_that_cannot_be_imported_is_unavailable(monkeypatch):
    offer(monkeypatch, ("broken", "no_such_module_of_theirs:make"))
    with pytest.raises(BackendUnavailableError) as caught:
        get_backend("broken")
    assert "backend 'broken' is known but cannot be loaded" in str(caught.value)
    assert "no_such_module_of_theirs" in str(caught.value)
    assert "install" in str(caught.value)


# --- what cannot be had ---------------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_closest_match_and_all_names(monkeypatch):
    offer(monkeypatch, ("third", f"{__name__}:make_third_party"))
    with pytest.raises(UnknownBackendError) as caught:
        get_backend("nunpy")
    expected = (
        "unknown backend 'nunpy' (did you mean 'numpy'?); expected one of: "
        "adversarial-numpy, array-api-strict, cupy, numba, numpy, third"
    )
    assert str(caught.value) == expected


def test_a_name_like_no_other_gets_no_guess():
    with pytest.raises(
        UnknownBackendError, match=r"unknown backend 'zzz'; expected one of: adversarial-numpy, array-"
    ):
        get_backend("zzz")


def test_an_unknown_name_in_the_environment_is_no_fallback(monkeypatch):
    monkeypatch.setenv("REFMG_BACKEND", "nunpy")
    with pytest.raises(UnknownBackendError, match="did you mean 'numpy'"):
        get_backend()


def test_names_are_case_sensitive():
    with pytest.raises(UnknownBackendError, match="unknown backend 'NumPy'"):
        get_backend("NumPy")


def raise_import_error():
    raise ImportError("No module named 'array_api_strict'")


def test_a_known_backend_without_its_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(registry.BUILT_IN, "array-api-strict", raise_import_error)
    with pytest.raises(BackendUnavailableError) as caught:
        get_backend("array-api-strict")
    assert "cannot be loaded (No module named 'array_api_strict')" in str(caught.value)
    assert "pip install 'refmg[test]'" in str(caught.value)
    assert isinstance(caught.value.__cause__, ImportError)


def test_a_missing_library_in_the_environment_is_no_fallback(monkeypatch):
    monkeypatch.setitem(registry.BUILT_IN, "array-api-strict", raise_import_error)
    monkeypatch.setenv("REFMG_BACKEND", "array-api-strict")
    with pytest.raises(BackendUnavailableError):
        get_backend()


def test_a_library_installed_later_is_found(monkeypatch):
    with monkeypatch.context() as missing:
        missing.setitem(registry.BUILT_IN, "array-api-strict", raise_import_error)
        with pytest.raises(BackendUnavailableError):
            get_backend("array-api-strict")
    assert get_backend("array-api-strict").name == "array-api-strict"


def test_an_error_inside_a_backend_is_not_called_a_missing_library(monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setitem(registry.BUILT_IN, "array-api-strict", broken)
    with pytest.raises(ZeroDivisionError):
        get_backend("array-api-strict")


@pytest.mark.parametrize("error", [UnknownBackendError, BackendUnavailableError])
def test_one_except_catches_every_bad_input(error):
    assert issubclass(error, RefmgError)
    assert issubclass(RefmgError, ValueError)


def test_unknown_and_unavailable_are_different_errors():
    assert not issubclass(UnknownBackendError, BackendUnavailableError)
    assert not issubclass(BackendUnavailableError, UnknownBackendError)


def test_messages_list_the_names_in_one_line():
    assert one_of("transfer", "x", {"b": 0, "a": 1}) == "unknown transfer 'x'; expected one of: a, b"
    assert one_of("factor", 3, ["2", "4"]).startswith("unknown factor 3")
