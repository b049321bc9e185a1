"""What tests of several commands share."""

from dataclasses import replace

import pytest
from few_blocks import let_few

from refmg_validation import presets
from refmg_validation.presets import PRESETS


@pytest.fixture
def tiny_preset(monkeypatch, tmp_path):
    """Two iterations on a few shipped digits, in an empty folder."""
    for name in ("REFMG_DATA", "REFMG_BACKEND", "REFMG_DTYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    let_few(monkeypatch)
    training = replace(PRESETS["small"].training, iterations=2, hessian_examples=40, newton_steps=2)
    small = replace(PRESETS["small"], train=120, validation=40, channels=2, training=training)
    monkeypatch.setitem(presets.PRESETS, "small", small)
