"""Read the record of a run, also of experiments that had records of their own first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from refmg_backends import RefmgError
from refmg_validation.damage import read_json, told_as_damage
from refmg_validation.resolution_run import run_of_resolution, run_of_seeds
from refmg_validation.run_format import RUN_FILE, check_run

OLDER: dict[str, Callable[[dict[str, Any], tuple[str, ...]], dict[str, Any]]] = {
    "resolution.json": run_of_resolution,
    "measured.json": run_of_resolution,
    "seeds.json": run_of_seeds,
}


def read_run(folder: Path) -> dict[str, Any]:
    """Return the record of the run in a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Where an experiment wrote ``run.json``, or ``refmg reproduce resolution`` one of its older records.

    Returns
    -------
    dict
        In the format of ``run.json``.

    Raises
    ------
    RefmgError
        If there is no run, or its file is damaged or of another schema.

    Examples
    --------
    >>> read_run(Path("nowhere"))
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: nowhere is not a folder; name the output folder of an experiment
    """
    if not folder.is_dir():
        raise RefmgError(f"{folder} is not a folder; name the output folder of an experiment")
    for name in (RUN_FILE, *OLDER):
        if (folder / name).is_file():
            return _read(folder / name)
    raise RefmgError(
        f"found no run in {folder}: neither {RUN_FILE} nor {' nor '.join(OLDER)}; name the output folder of "
        "an experiment that has finished"
    )


def _read(path: Path) -> dict[str, Any]:
    found = read_json(path, "run the experiment again, or take a whole copy")
    if path.name in OLDER:
        picture = path.with_suffix(".png")
        with told_as_damage(
            f"{path} is no record of `refmg reproduce resolution`", "run the experiment again"
        ):
            found = OLDER[path.name](found, (picture.name,) if picture.is_file() else ())
    check_run(found, str(path))
    run: dict[str, Any] = found
    return run
