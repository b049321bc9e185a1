"""Cases of the classifier and its losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from refmg_validation.conformance.build import Draw, make, sums
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.reference import losses
from refmg_validation.conformance.reference.arithmetic import product
from refmg_validation.conformance.reference.learning import flat, split

MEANING = {
    "softmax": "cross-entropy of the softmax",
    "least-squares": "half the squared distance of logits and one-hot labels",
    "logistic": "the sum over classes of `log(1 + exp(-s z))`, s = 1 for the label and -1 for the others",
    "svm": "the smooth support vector machine, half the sum of squared margins `max(0, 1 + z_c - z_label)`",
    "hinge": "the sum of the margins `max(0, 1 + z_c - z_label)`",
}


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    for loss, meaning in MEANING.items():
        at = arguments(loss)
        level = "core" if loss == "softmax" else "full"
        text = f"""Logits `h^d W^T y + mu`, mean loss and gradients for `{loss}`: {meaning}. The mean is
            over the examples; `h^d` is one over the number of cells."""
        yield make(
            f"loss-{loss}", level, "classifier_loss", text, at, losses.classifier_loss(**at), _rounding()
        )
        if loss != "hinge":
            yield _hessian(loss, level, at)
    yield from _constant()


def arguments(loss: str) -> dict[str, Any]:
    """Return features of two channels on 4 x 3 cells, four examples of three classes."""
    draw = Draw(f"loss-{loss}")
    return {
        "loss": loss, "features": draw.dyadic((2, 4, 3, 4), 4.0), "W": draw.dyadic((2, 4, 3, 3), 4.0),
        "mu": draw.dyadic((3,)), "labels": np.array([2, 0, 1, 2]),
    }  # fmt: skip


def _rounding() -> Any:
    return sums(24, 3)  # logits, loss, back


def _hessian(loss: str, level: str, at: dict[str, Any]) -> Case:
    draw = Draw(f"loss-{loss}-direction")
    d = {"W_direction": draw.dyadic(at["W"].shape), "mu_direction": draw.dyadic(at["mu"].shape)}
    found = split(product(losses.hessian(**at), flat(*d.values())), at["W"], at["mu"])
    text = f"""The Hessian of the mean loss `{loss}` in weights and biases of the classes times a
        direction, expected from the Hessian as a dense matrix."""
    name = f"loss-{loss}-hessian"
    return make(name, level, "classifier_hessian_product", text, at | d, found, sums(24, 4))


def _constant() -> Iterator[Case]:
    for n in (4, 8):
        inputs = {
            "loss": "least-squares", "features": np.full((1, n, n, 1), 3.0), "W": np.full((1, n, n, 2), 2.0),
            "mu": np.array([1.0, -1.0]), "labels": np.array([0]),
        }  # fmt: skip
        text = f"""A constant image and constant weights on {n} x {n} cells: logits and loss are the same
            at every resolution, thanks to `h^d`; the gradients are `h^d` of a constant."""
        expected = losses.classifier_loss(**inputs)  # type: ignore[arg-type]
        yield make(f"loss-constant-{n}", "core", "classifier_loss", text, inputs, expected, sums(n * n))
