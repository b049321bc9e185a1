"""The implementation under test: a module or a class with plain functions on NumPy arrays."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from refmg_backends import RefmgError, one_of

CLASS = "Adapter"


@dataclass(frozen=True)
class Adapter:
    """Functions by name.

    Parameters
    ----------
    name : str
        As the user gave it, for messages.
    source : object
        A module, or an instance of a class; its attributes are the functions.
    path : tuple of str
        ``sys.path`` as its modules want it; that of the process if empty.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> mine = Adapter("mine", SimpleNamespace(convolve=lambda y: 2 * y))
    >>> mine.function("convolve")(21), mine.function("restrict")
    (42, None)
    """

    name: str
    source: Any
    path: tuple[str, ...] = ()

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Search its own folder first: functions may import when they are called."""
        before = list(sys.path)
        sys.path[:] = self.path or before
        try:
            yield
        finally:
            sys.path[:] = before

    def function(self, name: str) -> Callable[..., Any] | None:
        """Return the function of this name, None if there is none."""
        found = getattr(self.source, name, None)
        return found if callable(found) else None

    def check_known(self, known: Iterable[str]) -> None:
        """Refuse an adapter that has none of the functions.

        Parameters
        ----------
        known : iterable of str
            The names that cases call.

        Raises
        ------
        RefmgError
            If no name is an attribute that can be called: a typing error, most likely.
        """
        names = sorted(set(known))
        if not any(self.function(name) for name in names):
            public = ", ".join(name for name in dir(self.source) if not name.startswith("_"))
            raise RefmgError(
                f"found no function of the suite in {self.name!r} (it has: {public or 'nothing'}); "
                f"expected one or more of: {', '.join(names)}"
            )


def load_adapter(name: str) -> Adapter:
    """Import an adapter.

    Parameters
    ----------
    name : str
        ``package.module`` or ``path/to/file.py``: its functions, or those of its class ``Adapter`` if it has
        one. ``:Class`` behind it for a class of another name. Classes are made without arguments. The
        working directory is searched first, as by ``python -m``.

    Returns
    -------
    Adapter

    Raises
    ------
    RefmgError
        If there is no such module, file or class, or it cannot be imported.

    Examples
    --------
    >>> load_adapter("math").function("gcd")(12, 18)
    6
    """
    place, _, attribute = name.partition(":")
    path = _path(place)
    with Adapter(name, None, path).importing():
        module = _from_file(Path(place)) if place.endswith(".py") else _from_name(place)
        return Adapter(name, _functions(module, place, attribute), path)


def _path(place: str) -> tuple[str, ...]:
    """Return the working directory before all else; a file's folder behind, as torch.py may import torch."""
    if place.endswith(".py"):
        return (*sys.path, str(Path(place).resolve().parent))
    return (str(Path.cwd()), *sys.path)


def _functions(module: ModuleType, place: str, attribute: str) -> Any:
    """Return what has the functions: the module, or an instance of the class asked for."""
    if not attribute and not isinstance(getattr(module, CLASS, None), type):
        return module
    attribute = attribute or CLASS
    if not hasattr(module, attribute):
        raise RefmgError(one_of("class", attribute, [n for n in vars(module) if not n.startswith("_")]))
    found = getattr(module, attribute)
    try:
        return found() if isinstance(found, type) else found
    except (Exception, SystemExit) as error:
        raise RefmgError(
            f"{attribute} of {place} cannot be made without arguments: {_told(error)}"
        ) from error


def _from_name(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(missing + "."):
            raise RefmgError(
                f"found no module {missing!r}; expected a module such as refmg_validation.adapters.torch, or "
                "a file such as my_adapter.py"
            ) from error
        raise RefmgError(
            f"{name} needs the module {missing!r}, which is not installed: pip install it into the "
            "environment of refmg"
        ) from error
    except (Exception, SystemExit) as error:
        raise RefmgError(f"{name} cannot be imported: {_told(error)}") from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise RefmgError(f"found no file {path}; expected an adapter, such as my_adapter.py")
    spec = spec_from_file_location(f"adapter_file_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    # Dataclasses look their module up by its name.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise RefmgError(f"{path} cannot be imported: {_told(error)}") from error
    return module


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
