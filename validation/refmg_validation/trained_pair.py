"""A coarse and a fine network that were trained together, and what on."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from refmg import Network, Regularization, load_network
from refmg.optimization import TrainingSettings
from refmg_backends import RefmgError
from refmg_validation.damage import told_as_damage
from refmg_validation.levels import LEVELS, LevelData
from refmg_validation.presets import Preset
from refmg_validation.resolution import load_levels

TRAIN_AGAIN = "expected networks of refmg reproduce resolution: train them again"
SHARED = ("training", "data", "sigma", "dtype")


@dataclass(frozen=True)
class TrainedPair:
    """The networks of one run of ``refmg reproduce resolution``.

    A study of them takes settings and images from here, not from a preset: an image that trained them,
    or another regularisation, would be measured as something that it is not.

    Parameters
    ----------
    folder : pathlib.Path
        Of the run.
    networks : dict of Network
        Coarse and fine.
    fingerprint : dict
        What both were trained by: settings, data, smoothing and precision.
    """

    folder: Path
    networks: dict[str, Network]
    fingerprint: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> TrainedPair:
        """Return the networks of a folder.

        Raises
        ------
        RefmgError
            If one is missing or damaged, or they were trained by different settings.
        """
        loaded = {level: load_network(folder / f"{level}.safetensors") for level in LEVELS}
        coarse, fine = (_shared(folder, loaded[level][1]) for level in LEVELS)
        differing = [name for name in SHARED if coarse[name] != fine[name]]
        if differing:
            raise RefmgError(
                f"{folder}: found networks trained by different settings ({', '.join(differing)}); expected "
                "both of one run"
            )
        return cls(folder, {level: network for level, (network, _) in loaded.items()}, fine)

    @property
    def settings(self) -> TrainingSettings:
        """How the networks were trained."""
        with told_as_damage(f"{self.folder}: found networks with damaged settings", TRAIN_AGAIN):
            found = self.fingerprint["training"]
            known = {field.name for field in fields(TrainingSettings)} & found.keys()
            weights = Regularization(**found["regularization"])
            return TrainingSettings(**({name: found[name] for name in known} | {"regularization": weights}))

    @property
    def preset(self) -> Preset:
        """Sizes and settings of the run."""
        data, a = self.fingerprint["data"], self.networks["fine"].architecture
        with told_as_damage(f"{self.folder}: found networks with damaged settings", TRAIN_AGAIN):
            return Preset(
                "of the networks",
                data["train"],
                data["validation"],
                channels=a.channels,
                layers=a.layers,
                final_time=a.final_time,
                sigma=self.fingerprint["sigma"],
                training=self.settings,
                dtype=self.fingerprint["dtype"],
            )

    def levels(self, data: Path | None) -> tuple[dict[str, LevelData], dict[str, Any]]:
        """Return the images as the networks had them: validation images have trained neither.

        Raises
        ------
        RefmgError
            If the data are others than those of the networks.
        """
        levels, about = load_levels(self.preset, data, self.settings.seed)
        if json.loads(json.dumps(about)) != self.fingerprint["data"]:
            raise RefmgError(
                f"{self.folder}: found networks trained on {self.fingerprint['data']['name']}, but "
                f"{about['name']} of other content; expected the same: name its folder by --data or "
                "REFMG_DATA"
            )
        return levels, about


def _shared(folder: Path, notes: dict[str, Any]) -> dict[str, Any]:
    fingerprint = notes.get("fingerprint", {})
    missing = [name for name in SHARED if not isinstance(fingerprint, dict) or name not in fingerprint]
    if missing:
        raise RefmgError(
            f"{folder}: found a network that does not say what trained it ({', '.join(missing)}); expected "
            "one of refmg reproduce resolution"
        )
    return {name: fingerprint[name] for name in SHARED}
