"""What is shared is never changed: a schedule repeats one step, caches and grids keep one pair."""

from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

from refmg import Classifier, get_backend
from refmg.integrators import INTEGRATORS
from refmg.readout import Readout
from refmg.transfer import TRANSFERS, named_pair

PAIRS = [named_pair(transfer, 2) for transfer in TRANSFERS]
STEPS = [scheme.schedule(0.5, 3)[-1] for scheme in INTEGRATORS.values()]
CLASSIFIER = Classifier(np.ones((1, 4, 2)), np.zeros(2))
READOUT = Readout.of(CLASSIFIER, get_backend("numpy"), 0.25)
VALUES = [CLASSIFIER, READOUT, *STEPS, *PAIRS, *(pair.restriction for pair in PAIRS)]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_fields_cannot_be_set(value):
    for field in fields(value):
        before = getattr(value, field.name)
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, None)
        assert getattr(value, field.name) is before


@pytest.mark.parametrize("value", [*STEPS, *PAIRS], ids=lambda value: type(value).__name__)
def test_equal_ones_are_one_key(value):
    assert {value: 1}[replace(value)] == 1


@pytest.mark.parametrize("scheme", INTEGRATORS.values(), ids=INTEGRATORS)
def test_a_schedule_repeats_one_step(scheme):
    steps = scheme.schedule(0.5, 4)
    assert steps[1] == steps[2]
