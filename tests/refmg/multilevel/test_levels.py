"""Levels as data, and images on every grid."""

import json

import numpy as np
import pytest

from refmg import Architecture, ClosureError, RefmgError, Regularization
from refmg.data import restrict_images
from refmg.multilevel import ImagePyramid, Level, architectures
from refmg.optimization import MultiscaleSettings, StochasticSettings, TrainingSettings

WEIGHTS = Regularization(1e-4, 1e-5, 1e-6)


@pytest.mark.parametrize(
    "level",
    [
        Level((8, 8)),
        Level((8, 4), 4, 3, "power-law", 2, "cubic", 2, TrainingSettings(regularization=WEIGHTS)),
        Level(
            (8,), iterations=7, settings=StochasticSettings("sgd", betas=(0.5, 0.6), regularization=WEIGHTS)
        ),
        Level((8, 8), settings=MultiscaleSettings(((4, 4),)), time_nodes="cell-centred"),
        Level(
            (8, 8),
            iterations=7,
            settings=MultiscaleSettings(
                ((4, 4),), (3, 4), "average", 5, StochasticSettings("sgd", regularization=WEIGHTS)
            ),
        ),
    ],
)
def test_levels_survive_json(level):
    assert Level.from_dict(json.loads(json.dumps(level.as_dict()))) == level


def test_iterations_and_settings_agree():
    assert Level((8, 8), iterations=3).settings.iterations == 3
    assert Level((8, 8), settings=StochasticSettings(epochs=4)).iterations == 4
    assert Level((8, 8), iterations=2, settings=StochasticSettings(epochs=4)).settings.epochs == 2
    multiscale = MultiscaleSettings(((4, 4),), stochastic=StochasticSettings(epochs=4))
    assert Level((8, 8), settings=multiscale).iterations == 4
    assert Level((8, 8), iterations=2, settings=multiscale).settings.stochastic.epochs == 2


def test_levels_from_before_cell_centred_nodes_are_read():
    older = {name: value for name, value in Level((8, 8)).as_dict().items() if name != "time_nodes"}
    assert Level.from_dict(older) == Level((8, 8))


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (StochasticSettings, {"loss": "typo"}, "unknown loss 'typo'"),
        (StochasticSettings, {"storage": "typo"}, "unknown storage 'typo'"),
        (StochasticSettings, {"seed": -1}, "seed = -1; expected a whole number, 0 or more"),
        (StochasticSettings, {"epochs": 2.5}, "epochs = 2.5; expected a whole number, 1 or more"),
        (StochasticSettings, {"examples": 0}, "examples = 0; expected"),
        (StochasticSettings, {"learning_rate": float("inf")}, "learning_rate = inf"),
        (StochasticSettings, {"learning_rate": float("nan")}, "learning_rate = nan"),
        (TrainingSettings, {"iterations": 2.5}, "iterations = 2.5; expected a whole number, 0 or more"),
        (TrainingSettings, {"seed": -1}, "seed = -1; expected a whole number, 0 or more"),
        (TrainingSettings, {"newton_steps": True}, "newton_steps = True; expected a whole number"),
        (MultiscaleSettings, {"coarser": ((4, 4),), "examples": (2.5, 3)}, "one a term, each 1 or more"),
        (MultiscaleSettings, {"coarser": ((4, 4),), "pilot": 2.5}, "pilot = 2.5"),
    ],
)
def test_settings_that_could_not_train_are_refused_at_once(kind, values, said):
    with pytest.raises(RefmgError, match=said):
        kind(**values)


def test_a_transfer_without_a_name_is_no_json():
    pair = MultiscaleSettings(((4, 4),), transfer=lambda *arguments: None)
    with pytest.raises(RefmgError, match="expected a name, which JSON can hold"):
        pair.as_dict()


HALVES = Architecture((8, 8), layers=3, control_nodes=2)
REVERSIBLE = TrainingSettings(storage="reversible")
NARROW = MultiscaleSettings(((4, 4), (2, 2)))


@pytest.mark.parametrize(
    ("start", "level", "said"),
    [
        (HALVES, Level((16, 16), transfer="calibrated"), "found 2 controls for 3 steps"),
        (HALVES, Level((16, 16), transfer="synthetic"), "found 2 controls for 3 steps"),
        (HALVES, Level((8, 8), 3, time_nodes="cell-centred"), "expected a control a step"),
        (Architecture((8, 8)), Level((8, 8), settings=REVERSIBLE), "whose steps cannot be undone"),
        (Architecture((8, 8)), Level((8, 8), settings=NARROW), "at least as many cells as taps"),
        (Architecture((8, 8)), Level((8, 8), settings=MultiscaleSettings(((8, 8),))), "both|expected"),
        (
            Architecture((8, 8)),
            Level((8, 8), settings=MultiscaleSettings(((4, 4),), transfer="calibrated")),
            "moves whole networks",
        ),
    ],
)
def test_levels_that_could_not_be_trained_are_refused_before(start, level, said):
    with pytest.raises(RefmgError, match=f"level 1 does not follow level 0: .*{said}"):
        architectures(start, [Level((8, 8), 3 if start is HALVES else 2), level])


def test_levels_that_suit_are_not_refused():
    leapfrog = Architecture((8, 8), integrator="leapfrog")
    assert architectures(leapfrog, [Level((8, 8), settings=REVERSIBLE)]) == [leapfrog]
    whole = Architecture((8, 8), layers=4, control_nodes=2)
    assert len(architectures(whole, [Level((8, 8)), Level((16, 16), transfer="calibrated")])) == 2
    # Not moved in space, so never calibrated.
    assert len(architectures(HALVES, [Level((8, 8)), Level((8, 8), 6, transfer="calibrated")])) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"layers": 0}, "layers = 0"),
        ({"control_nodes": -1}, "control_nodes = -1"),
        ({"transfer_steps": 0}, "transfer_steps = 0"),
        ({"iterations": -1}, "iterations = -1"),
        ({"transfer_images": 0}, "transfer_images = 0"),
        ({"layers": 2.5}, "layers = 2.5; expected a whole number"),
        ({"iterations": 2.5}, "iterations = 2.5; expected a whole number"),
        ({"shape": 8}, "a level of 8 cells; expected a whole number an axis"),
        ({"shape": (8.5, 8)}, r"a level of \(8.5, 8\) cells"),
        (
            {"settings": Regularization()},
            "of type Regularization; expected",
        ),
        ({"transfer": "liner"}, "unknown transfer 'liner'"),
        ({"time_interpolation": "cubik"}, "unknown interpolation in time 'cubik'"),
        ({"time_nodes": "centred"}, "unknown nodes in time 'centred'"),
    ],
)
def test_no_levels_are_refused(arguments, said):
    with pytest.raises(RefmgError, match=said):
        Level(**{"shape": (8, 8), **arguments})


def test_damaged_dictionaries_are_refused():
    good = Level((8, 8)).as_dict()
    with pytest.raises(RefmgError, match="expected exactly"):
        Level.from_dict(good | {"colour": 1})
    with pytest.raises(RefmgError, match="unknown optimizer 'newton'"):
        Level.from_dict(good | {"settings": {"optimizer": "newton"}})
    with pytest.raises(RefmgError, match="colour"):
        Level.from_dict(good | {"settings": {"optimizer": "stochastic", "colour": 1}})


def test_any_order_of_grids_and_depths():
    levels = [Level((8, 8), 2), Level((16, 16), 4), Level((16, 16), 2), Level((8, 8)), Level((8, 16))]
    found = architectures(Architecture((8, 8), layers=2), levels)
    assert [(a.shape, a.layers) for a in found] == [
        ((8, 8), 2),
        ((16, 16), 4),
        ((16, 16), 2),
        ((8, 8), 2),
        ((8, 16), 2),
    ]


@pytest.mark.parametrize(
    ("levels", "error", "said"),
    [
        ([], RefmgError, "found no level"),
        ([Level((16, 16))], RefmgError, "expected the network of the first level"),
        ([Level((8, 8), 4)], RefmgError, "expected the network of the first level"),
        ([Level((8, 8)), Level((12, 12))], RefmgError, "level 1 does not follow level 0: .*multiple"),
        ([Level((8, 8)), Level((8, 8), 4), Level((8, 8), 6)], RefmgError, "level 2 .*4 nodes in time"),
        ([Level((8, 8)), Level((16, 16), transfer_steps=2)], RefmgError, "2 levels for the factor"),
        ([Level((8, 8)), Level((2, 2))], ClosureError, "found a coarse grid of"),
    ],
)
def test_levels_that_do_not_follow_are_refused(levels, error, said):
    with pytest.raises(error, match=said):
        architectures(Architecture((8, 8), layers=2), levels)


def test_images_are_restricted_level_by_level():
    x = np.random.default_rng(0).normal(size=(1, 12, 8, 3))
    pyramid = ImagePyramid(x, np.arange(3), sigma=0.7)
    half = restrict_images(x, 0.7)
    assert pyramid.on((12, 8)) is x
    assert np.array_equal(pyramid.on((6, 4)), half)
    # By 12 and by 4 = 2 twice, then by 3 on the first axis alone.
    quarter = restrict_images(half, 0.7)
    assert np.array_equal(pyramid.on((1, 2)), restrict_images(quarter, 0.7, factor=(3, 1)))
    assert pyramid.on((6, 4)) is pyramid.on((6, 4))


def test_without_a_gaussian_the_levels_are_block_means():
    x = np.random.default_rng(0).integers(0, 9, (1, 8, 8, 2)) * 64.0
    blocks = x.reshape(1, 2, 4, 2, 4, 2).mean(axis=(2, 4))
    assert (ImagePyramid(x, np.arange(2)).on((2, 2)) == blocks).all()


def test_images_that_do_not_fit_are_refused():
    pyramid = ImagePyramid(np.zeros((1, 8, 8, 3)), np.arange(3))
    for shape in ((3, 8), (16, 16), (8,), (0, 8)):
        with pytest.raises(RefmgError, match="expected grids that divide"):
            pyramid.on(shape)
    with pytest.raises(RefmgError, match="expected as many of both"):
        ImagePyramid(np.zeros((1, 8, 8, 3)), np.arange(4))
