"""Algorithm 1, depth and both at once: what is yielded, resumed, moved, restarted and kept."""

import json
from dataclasses import replace

import numpy as np
import pytest
from every_backend import named

from refmg import (
    Architecture,
    Evaluation,
    RefmgError,
    Regularization,
    load_network,
    random_network,
    save_network,
    transfer_network,
)
from refmg.classifier_objective import ClassifierObjective
from refmg.multilevel import (
    ImagePyramid,
    Level,
    LevelIteration,
    LevelSwitch,
    Position,
    Scores,
    StencilNorm,
    SwitchPart,
    change_depth,
    descent,
    evaluate,
    moved_to,
    multilevel_descent,
    stencil_norms,
)
from refmg.optimization import (
    MultiscaleSettings,
    RuleState,
    StochasticSettings,
    TrainingSettings,
    block_coordinate_descent,
    multiscale_descent,
)

WEIGHTS = Regularization(1e-3, 1e-3, 1e-3)
BCD = TrainingSettings(1, newton_steps=2, hessian_examples=10, cg_iterations=3, regularization=WEIGHTS)
SGD = StochasticSettings("sgd", 0.05, epochs=2, examples=8, regularization=WEIGHTS)
ADAM = replace(SGD, method="adam", learning_rate=0.01)
# Batches are allocated from measured variances.
MULTISCALE = MultiscaleSettings(((4, 4),), transfer="average", pilot=4, stochastic=ADAM)
COARSEST = replace(MULTISCALE, coarser=())  # 4 x 4 cells have no coarser grid that stencils fit on


def stripes(seed=0, n=8, m=30):
    rng = np.random.default_rng(seed)
    labels = np.arange(m) % 2
    wave = np.sin(2 * np.pi * np.arange(n) / n)
    pictures = [np.tile(wave, (n, 1)) if c else np.tile(wave[:, None], (1, n)) for c in labels]
    return ImagePyramid(np.stack(pictures, axis=-1)[None] + 0.5 * rng.normal(size=(1, n, n, m)), labels)


def network(shape=(4, 4), backend="numpy", **changes):
    return random_network(Architecture(shape, channels=2, classes=2, **changes), 0, backend, "float64")


def levels(settings=BCD):
    return [
        Level((4, 4), 2, settings=COARSEST if settings is MULTISCALE else settings),
        Level((8, 8), transfer="average", settings=settings),
        Level((8, 8), 4, time_interpolation="cubic", settings=settings),
    ]


def parameters(net):
    arrays = net.controls.opening, net.controls.stencils, net.controls.biases
    return [net.backend.to_numpy(a) for a in (*arrays, net.classifier.W, net.classifier.mu)]


def same(a, b):
    return all(np.array_equal(p, q) for p, q in zip(parameters(a), parameters(b), strict=True))


def timeless(record):
    return {name: value for name, value in record.items() if name not in ("seconds", "peak_memory")}


def test_algorithm_1_is_solve_and_prolong(backend):
    images, start = stripes(), network(backend=backend)
    found = list(multilevel_descent(start, levels()[:2], images))
    *_, coarse = block_coordinate_descent(start, images.on((4, 4)), images.labels, BCD)
    moved = transfer_network(coarse.network, (8, 8), "average")
    *_, fine = block_coordinate_descent(moved, images.on((8, 8)), images.labels, BCD)
    kinds = [type(f) for f in found]
    assert kinds == [LevelIteration] * 2 + [LevelSwitch] + [LevelIteration] * 2
    assert same(found[2].network, moved)
    assert same(found[-1].network, fine.network)


def test_resolution_and_depth_commute():
    start, images = network(), stripes()
    together = [Level((4, 4), 2, settings=BCD), Level((8, 8), 4, settings=BCD)]
    switch = list(multilevel_descent(start, together, images))[2]
    *_, coarse = block_coordinate_descent(start, images.on((4, 4)), images.labels, BCD)
    other = transfer_network(change_depth(coarse.network, 4), (8, 8))
    for a, b in zip(parameters(switch.network), parameters(other), strict=True):
        # Both orders are sums of at most 18 terms of one size.
        assert np.allclose(a, b, rtol=0, atol=18 * np.finfo(float).eps * max(1, np.abs(a).max()))


@pytest.mark.parametrize("backend", ["numpy", named("numba")])
@pytest.mark.parametrize("settings", [BCD, SGD, ADAM, MULTISCALE], ids=["bcd", "sgd", "adam", "multiscale"])
def test_a_run_resumed_after_any_record_is_the_same_to_the_last_bit(tmp_path, backend, settings):
    images, validation, start = stripes(), stripes(1), network(backend=backend)
    whole = list(multilevel_descent(start, levels(settings), images, validation))
    assert len(whole) == 8
    for i, stop in enumerate(whole):
        here, place = stop.position, start.backend
        save_network(tmp_path / "net", here.network, {"level": here.level, "done": here.done})
        arrays = None if here.optimizer is None else here.optimizer.as_arrays(place)
        net, notes = load_network(tmp_path / "net", backend)
        state = None if arrays is None else RuleState.from_arrays(arrays, place)
        again = Position(notes["level"], notes["done"], net, state)
        rest = list(multilevel_descent(start, levels(settings), images, validation, again))
        assert [timeless(r.record()) for r in rest] == [timeless(r.record()) for r in whole[i + 1 :]]
        assert not rest or same(rest[-1].network, whole[-1].network)


@pytest.mark.parametrize("settings", [SGD, ADAM, MULTISCALE], ids=["sgd", "adam", "multiscale"])
def test_the_state_of_the_optimiser_is_needed(settings):
    images = stripes()
    whole = list(multilevel_descent(network(), levels(settings)[:1], images))
    forgotten = replace(whole[0].position, optimizer=None)
    (last,) = multilevel_descent(network(), levels(settings)[:1], images, position=forgotten)
    assert not same(last.network, whole[-1].network)


def test_a_run_goes_back_down():
    images = stripes()
    there = [Level((8, 8), 4, settings=BCD), Level((4, 4), 2, settings=BCD)]
    *_, end = multilevel_descent(network((8, 8), layers=4), there, images)
    assert (end.network.architecture.shape, end.network.architecture.layers) == ((4, 4), 2)


@pytest.mark.parametrize("transfer", ["calibrated", "spectrum", "synthetic"])
def test_transfers_that_look_at_images_are_given_them(transfer):
    levels = [Level((4, 4), settings=BCD), Level((8, 8), 4, transfer=transfer, settings=BCD)]
    images, found = stripes(), list(multilevel_descent(network(), levels, stripes()))
    expected = transfer_network(
        found[1].network, (8, 8), transfer, images=images.on((8, 8)), coarse_images=images.on((4, 4))
    )
    assert same(found[2].network, change_depth(expected, 4))


def test_transfers_look_at_as_many_images_as_they_may():
    images, start = stripes(), network()
    level = Level((8, 8), transfer="calibrated", transfer_images=10)
    few = [images.on(shape)[..., :10] for shape in ((8, 8), (4, 4))]
    expected = transfer_network(start, (8, 8), "calibrated", images=few[0], coarse_images=few[1])
    assert same(moved_to(start, level, images), expected)
    assert not same(moved_to(start, replace(level, transfer_images=11), images), expected)


def test_the_report_says_what_was_moved_restarted_or_kept():
    space, time = (
        s for s in multilevel_descent(network(), levels(SGD), stripes()) if isinstance(s, LevelSwitch)
    )
    said = {p.name: (p.action, p.how) for p in space.parts}
    assert said["opening"] == said["W"] == ("moved", "from (4, 4) to (8, 8) cells by 'average'")
    assert said["biases"][0] == said["mu"][0] == "kept"
    assert said["momentum"] == ("restarted", "the averages of 'sgd' begin anew on every level")
    assert said["batch-norm statistics"] == ("none", "none in this network")
    said = {p.name: (p.action, p.how) for p in time.parts}
    assert said["stencils"] == said["biases"] == ("moved", "from 2 to 4 nodes in time by 'cubic'")
    assert {said[name][0] for name in ("opening", "W", "mu")} == {"kept"}


def test_the_report_names_the_nodes_and_how_they_were_left_out():
    images, start = stripes(n=16), network(layers=4)
    (*_, trained) = multilevel_descent(start, [Level((4, 4), settings=BCD)], images)
    said = {}
    for nodes in ("left", "cell-centred"):
        there = [
            Level((4, 4), settings=BCD),
            Level((16, 16), 2, transfer_steps=2, time_nodes=nodes, settings=BCD),
        ]
        switch = next(multilevel_descent(start, there, images, position=trained.position))
        said[nodes] = {p.name: p.how for p in switch.parts}
        means = np.mean(trained.network.controls.biases.reshape(2, 2, -1), axis=1)
        assert np.allclose(switch.network.controls.biases, means) == (nodes == "cell-centred")
    assert said["left"]["biases"] == "from 4 to 2 nodes in time by injection"
    assert said["cell-centred"]["biases"] == "from 4 to 2 cell-centred nodes in time by means"
    assert said["left"]["opening"] == "from (4, 4) to (16, 16) cells by 'linear' in 2 steps"


@pytest.mark.parametrize("transfer", ["linear", "unchanged", "calibrated", "synthetic"])
def test_biases_are_moved_in_time_alone(transfer):
    images, start = stripes(), network()
    (*_, trained) = multilevel_descent(start, levels()[:1], images)
    there = [Level((4, 4), settings=BCD), Level((8, 8), 4, transfer=transfer, settings=BCD)]
    switch = next(multilevel_descent(start, there, images, position=trained.position))
    said = {p.name: (p.action, p.how) for p in switch.parts}
    assert said["biases"] == ("moved", "from 2 to 4 nodes in time by 'linear'")
    assert said["stencils"][1].startswith(f"from (4, 4) to (8, 8) cells by {transfer!r}, from 2 to 4 nodes")
    in_time = change_depth(trained.network, 4).controls.biases
    assert np.array_equal(switch.network.controls.biases, in_time)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_multiscale_gradients_on_levels(backend):
    """What a level does is what `multiscale_descent` does there, from the network that came there."""
    chosen, images, start = levels(MULTISCALE)[:2], stripes(), network(backend=backend)
    found = list(multilevel_descent(start, chosen, images))
    *_, coarse = multiscale_descent(start, images.on((4, 4)), images.labels, COARSEST)
    moved = transfer_network(coarse.network, (8, 8), "average")
    *_, fine = multiscale_descent(moved, images.on((8, 8)), images.labels, MULTISCALE)
    assert same(found[-1].network, fine.network)
    last = found[-1].iteration
    assert last.work == last.classifier_work == round(3 * last.cost)
    assert found[2].parts[-2].action == "restarted"


def test_calibration_in_steps_sees_the_images_of_every_grid():
    blurred = ImagePyramid(stripes(n=16).on((16, 16)), stripes().labels, sigma=1.0)
    start = network()
    level = Level((16, 16), transfer="calibrated", transfer_steps=2)
    half, whole = (
        {"images": blurred.on(fine), "coarse_images": blurred.on(coarse)}
        for fine, coarse in (((8, 8), (4, 4)), ((16, 16), (8, 8)))
    )
    between = transfer_network(start, (8, 8), "calibrated", **half)
    expected = transfer_network(between, (16, 16), "calibrated", **whole)
    assert same(moved_to(start, level, blurred), expected)
    # Block means of the finest images are other images than the coarse networks are trained on.
    means = transfer_network(start, (16, 16), "calibrated", images=blurred.on((16, 16)), levels=2)
    assert not same(expected, means)


def test_what_becomes_of_momentum_depends_on_both_optimisers():
    def said(before, after):
        chosen = [Level((4, 4), settings=before), Level((8, 8), settings=after)]
        found = multilevel_descent(network(), chosen, stripes())
        switch = next(s for s in found if isinstance(s, LevelSwitch))
        part = next(p for p in switch.parts if p.name == "momentum")
        return part.action, part.how

    assert said(ADAM, BCD) == ("dropped", "block coordinate descent has no use for the averages of 'adam'")
    assert said(ADAM, SGD) == ("restarted", "the averages of 'sgd' begin anew on every level")
    assert said(BCD, ADAM) == (
        "none",
        "block coordinate descent has none; the averages of 'adam' begin",
    )


def test_block_coordinate_descent_has_no_momentum():
    switch = list(multilevel_descent(network(), levels()[:2], stripes()))[2]
    assert next(p for p in switch.parts if p.name == "momentum").action == "none"


def test_the_report_measures_before_and_after():
    images, validation = stripes(), stripes(1)
    found = list(multilevel_descent(network(), levels(), images, validation))
    switch, last = found[2], found[1]
    # The optimiser sums merged batches of features, the report passes: 30 losses, thousands of roundings.
    assert switch.before.loss == pytest.approx(last.iteration.loss, rel=5e3 * np.finfo(float).eps)
    assert switch.before.accuracy == last.network.accuracy(images.on((4, 4)), images.labels)
    assert switch.after.accuracy == switch.network.accuracy(images.on((8, 8)), images.labels)
    seen = switch.network.accuracy(validation.on((8, 8)), validation.labels)
    assert switch.after.validation_accuracy == seen
    assert found[3].record()["validation"] == found[3].network.accuracy(
        validation.on((8, 8)), validation.labels
    )
    record = json.loads(json.dumps(switch.record()))
    assert record["before"]["loss"] == switch.before.loss
    assert record["largest_growth"] == max(n.after / n.before for n in switch.norms)
    assert Level.from_dict(record["new"]) == levels()[1]


def test_growth_is_that_of_norms():
    old = network(layers=2)
    scaled = old.with_controls(old.controls.map(lambda part: 4 * part))
    assert [n.growth for n in stencil_norms(old, scaled)] == [4.0] * 3
    assert [n.growth for n in stencil_norms(old, change_depth(old, 4, "constant"))] == [1.0] * 5
    zero = old.with_controls(old.controls.map(lambda part: 0 * part))
    assert [n.growth for n in stencil_norms(zero, old)] == [None] * 3


def test_what_does_not_fit_is_refused_before_training():
    images, start = stripes(), network()
    with pytest.raises(RefmgError, match="found a level of"):
        next(multilevel_descent(start, [Level((4, 4)), Level((16, 16))], images))
    with pytest.raises(RefmgError, match="found a level of"):
        next(multilevel_descent(start, levels(), images, ImagePyramid(np.zeros((1, 6, 6, 1)), np.zeros(1))))
    with pytest.raises(RefmgError, match="belongs to another run"):
        next(multilevel_descent(start, levels(), images, position=Position(1, 0, start)))
    with pytest.raises(RefmgError, match="belongs to another run"):
        next(multilevel_descent(start, levels(), images, position=Position(7, 0, start)))


@pytest.mark.parametrize(
    ("shape", "labels", "said"),
    [
        ((2, 8, 8, 4), [0, 1, 0, 1], "images of 2 channels"),
        ((1, 8, 8, 4), [0, 1, 2, 1], "labels from 0 to 2"),
    ],
)
def test_validation_images_that_do_not_fit_are_refused_before_training(monkeypatch, shape, labels, said):
    def trained(*arguments):
        raise AssertionError("trained first")

    monkeypatch.setattr(descent, "descend", trained)
    validation = ImagePyramid(np.zeros(shape), np.array(labels))
    with pytest.raises(RefmgError, match=said):
        next(multilevel_descent(network(), levels(), stripes(), validation))


def test_work_counts_examples_through_all_layers():
    first, second = list(multilevel_descent(network(), levels()[:1], stripes()))
    # 30 images: one pass for features; then gradient 3, line search, features, and 10 images for the matrix.
    assert first.iteration.work == 30
    cg, step = second.iteration.cg_iterations, second.iteration.step
    trials = 1 - int(np.log2(step))
    assert second.iteration.work == 30 * (3 + trials + 1) + 10 * (1 + 4 * cg)
    stochastic = list(multilevel_descent(network(), levels(SGD)[:1], stripes()))
    assert [s.iteration.work for s in stochastic] == [90, 90]


def test_work_counts_products_with_the_classifier(monkeypatch):
    """Every product of features with weights, or with a cotangent, is counted where it is made."""
    counted = []

    def spied(name, products):
        original = getattr(ClassifierObjective, name)

        def spy(self, *arguments):
            counted.append(products * self.examples)
            return original(self, *arguments)

        monkeypatch.setattr(ClassifierObjective, name, spy)

    spied("logits", 1)
    spied("adjoint", 1)
    spied("hessian_product", 2)
    first, second = list(multilevel_descent(network(), levels()[:1], stripes()))
    cg, trials = second.iteration.cg_iterations, 1 - int(np.log2(second.iteration.step))
    # The gradient of the controls has two products, each trial one; of 10 images, the matrix 1 + 2 a product.
    controls = 30 * (2 + trials) + 10 * (1 + 2 * cg)
    assert first.iteration.classifier_work + second.iteration.classifier_work == sum(counted) + controls
    stochastic = list(multilevel_descent(network(), levels(SGD)[:1], stripes()))
    assert [s.iteration.classifier_work for s in stochastic] == [90, 90]


def test_scores_take_the_validation_where_there_is_one():
    train, validation = Evaluation(0.5, 0.1, 0.9), Evaluation(0.7, 0.1, 0.8)
    assert Scores.of(train, None) == Scores(0.5, 0.9, None, None)
    assert Scores.of(train, validation) == Scores(0.5, 0.9, 0.7, 0.8)


def test_the_growth_of_a_zero_stencil_is_not_told():
    assert StencilNorm("opening", 2.0, 8.0).growth == 4.0
    assert StencilNorm("opening", 0.0, 8.0).growth is None


def test_a_switch_tells_of_every_part_and_norm():
    net, images = network(), stripes()
    yielded = list(multilevel_descent(net, levels(), images))
    switches = [one for one in yielded if isinstance(one, LevelSwitch)]
    assert len(switches) == 2
    assert all(isinstance(one, LevelIteration) for one in yielded if one not in switches)
    for switch in switches:
        assert all(isinstance(part, SwitchPart) for part in switch.parts)
        assert {part.action for part in switch.parts} <= {"moved", "kept", "restarted", "none"}
        assert {part.name for part in switch.parts} >= {"opening", "stencils", "biases", "W", "mu"}


def test_evaluate_looks_at_the_images_of_the_level():
    coarse, fine = network(), network((8, 8))
    images = stripes()
    found = evaluate(coarse, levels()[0], images)
    assert isinstance(found, Evaluation)
    # W is zero: all classes are alike.
    assert found.loss == pytest.approx(np.log(2))
    assert evaluate(fine, Level((8, 8), 2, settings=BCD), images).loss == pytest.approx(np.log(2))
    with pytest.raises(RefmgError):
        evaluate(coarse, Level((8, 8), 2, settings=BCD), images)
