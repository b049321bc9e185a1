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
    capabilities,
    get_backend,
    one_of,
    registry,
)
from refmg_backends.backend import KERNELS
from refmg_backends.members import ATTRIBUTES, METHODS, missing_members


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


NOT_A_FACTORY = 3


def make_nothing():
    return None


class Bare:
    """A name and a namespace, and no kernel."""

    name, xp = "bare", registry._numpy().xp


def make_without_map():
    made = make_third_party()
    made.map = None
    return made


def make_with_own_kernel_on_the_object():
    made = make_third_party()
    made.logits = lambda W, Y: W.T @ Y
    return made


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("make_nothing", r"backend 'odd' is 'NoneType' and lacks name, xp, device, .*map\(\).*ArrayBackend"),
        (
            "Bare",
            r"backend 'odd' is 'Bare' and lacks device, deterministic, tf32, lanes, examples, asarray\(\)",
        ),
        ("make_without_map", r"backend 'odd' is 'ArrayBackend' and lacks map\(\); expected the members"),
        ("NOT_A_FACTORY", r"registered as '.*:NOT_A_FACTORY', which is 'int'; expected a function or class"),
    ],
)
def test_what_is_no_backend_is_refused_by_what_it_lacks(monkeypatch, attribute, said):
    offer(monkeypatch, ("odd", f"{__name__}:{attribute}"))
    with pytest.raises(RefmgError, match=said):
        get_backend("odd")


def test_an_entry_point_to_nothing_is_unavailable_in_one_line(monkeypatch):
    offer(monkeypatch, ("odd", f"{__name__}:no_such_factory"))
    with pytest.raises(
        BackendUnavailableError, match=r"'odd' is known but cannot be loaded \(.*no_such_factory"
    ):
        get_backend("odd")


def make_broken():
    raise AttributeError("a mistake of theirs")


def test_a_mistake_inside_a_factory_keeps_its_trace(monkeypatch):
    offer(monkeypatch, ("odd", f"{__name__}:make_broken"))
    with pytest.raises(AttributeError, match="a mistake of theirs"):
        get_backend("odd")


def test_capabilities_tell_own_reference_and_missing():
    assert set(capabilities(make_third_party()).values()) == {"reference"}
    own = capabilities(make_with_own_kernel_on_the_object())
    assert [name for name, whose in own.items() if whose == "own"] == ["logits"]
    assert set(capabilities(Bare()).values()) == {"missing"}


@pytest.mark.parametrize("name", ["numpy", "array-api-strict", "adversarial-numpy"])
def test_the_built_in_backends_lack_nothing(name):
    assert missing_members(get_backend(name)) == []
    assert {*KERNELS, "asarray", "to_numpy", "synchronize", "release", "threads"} == set(METHODS)
    assert set(ATTRIBUTES) == {"name", "xp", "device", "deterministic", "tf32", "lanes", "examples"}


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
