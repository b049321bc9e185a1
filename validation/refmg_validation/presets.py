"""Sizes and settings of the experiment ``reproduce resolution``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from refmg import Regularization
from refmg.optimization import TrainingSettings
from refmg_backends import RefmgError, check_environment, default_dtype, one_of


@dataclass(frozen=True)
class Preset:
    """One way to run the experiment.

    Parameters
    ----------
    train, validation : int
        Images drawn from the training set; test images are another set.
    channels, layers, final_time
        Of the network; the paper takes two layers.
    sigma : float
        Gaussian before coarse images are restricted, in fine pixels.
    training : TrainingSettings
        How to train.
    dtype : str
        Precision.
    """

    name: str
    train: int
    validation: int
    channels: int = 8
    layers: int = 2
    final_time: float = 2.0
    sigma: float = 1.0
    training: TrainingSettings = field(default_factory=TrainingSettings)
    dtype: str = "float32"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


# Chosen on validation images; see validation/results/regularization.json.
REGULARIZATIONS = {
    "weak": Regularization(alpha_W=1e-6, alpha_t=1e-5, alpha_0=1e-4),
    "strong": Regularization(alpha_W=1e-8, alpha_t=1e-5, alpha_0=1.0),
}


def _training(iterations: int, hessian_examples: int) -> TrainingSettings:
    weights = REGULARIZATIONS["weak"]
    return TrainingSettings(iterations=iterations, hessian_examples=hessian_examples, regularization=weights)


PRESETS = {
    "small": Preset("small", train=3500, validation=500, training=_training(10, 500)),
    "paper": Preset("paper", train=50_000, validation=10_000, training=_training(20, 1000)),
}


def named_regularization(name: str) -> Regularization:
    """Return the weights of this name.

    Raises
    ------
    RefmgError
        If there are none.
    """
    if name not in REGULARIZATIONS:
        raise RefmgError(one_of("regularization", name, REGULARIZATIONS))
    return REGULARIZATIONS[name]


def with_choices(preset: Preset, regularization: str) -> Preset:
    """Return the preset with a regularisation of this name, and ``REFMG_DTYPE`` where it is set.

    Raises
    ------
    RefmgError
        If there is no such regularisation or precision.
    """
    training = replace(preset.training, regularization=named_regularization(regularization))
    dtype = default_dtype(check_environment().get("REFMG_DTYPE") or preset.dtype)
    return replace(preset, training=training, dtype=dtype)


def named_preset(name: str, regularization: str = "weak") -> Preset:
    """Return the preset of this name, by :func:`with_choices`.

    Raises
    ------
    RefmgError
        If there is no such preset or regularisation.
    """
    if name not in PRESETS:
        raise RefmgError(one_of("preset", name, PRESETS))
    return with_choices(PRESETS[name], regularization)


def whole_numbers(text: str, option: str, example: str) -> tuple[int, ...]:
    """Return numbers as they are written on the command line; nothing stands for none.

    Raises
    ------
    RefmgError
        If they are no whole numbers.

    Examples
    --------
    >>> whole_numbers("56,112,224", "--sizes", "32,64"), whole_numbers("", "--sizes", "32,64")
    ((56, 112, 224), ())
    """
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise RefmgError(f"found {option} {text}; expected whole numbers, as {example}") from None
