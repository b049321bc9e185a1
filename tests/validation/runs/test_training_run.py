"""One training: finished files, files of the former format, and damage to them."""

from dataclasses import replace

import numpy as np
import pytest

from refmg import Architecture, RefmgError, load_network, random_network, save_network
from refmg.optimization import TrainingSettings, block_coordinate_descent
from refmg_validation.training_run import Examples, TrainingRun, has_begun

ITERATIONS = 3
SETTINGS = TrainingSettings(iterations=ITERATIONS, newton_steps=1, hessian_examples=10, batch_size=16)
ARCHITECTURE = Architecture((4, 4), channels=2, classes=2)
DTYPE = "float64"


def examples():
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 2
    return Examples(rng.normal(size=(1, 4, 4, 30)) + labels, labels)


def training(path):
    return TrainingRun(path / "net.safetensors", ARCHITECTURE, SETTINGS, {"seed": 0})


def trained(run):
    return [(network, record["iteration"]) for network, record in run.go(examples(), examples(), DTYPE)]


def same(one, other):
    stencils = (net.backend.to_numpy(net.controls.stencils) for net in (one, other))
    weights = (net.backend.to_numpy(net.classifier.W) for net in (one, other))
    return np.array_equal(*stencils) and np.array_equal(*weights)


@pytest.fixture
def whole(tmp_path):
    return trained(training(tmp_path / "whole"))


def test_a_finished_run_is_told_once_and_not_trained_again(tmp_path, whole):
    assert [number for _, number in whole] == [0, 1, 2, 3]
    ((network, number),) = trained(training(tmp_path / "whole"))
    assert number == ITERATIONS
    assert same(network, whole[-1][0])


@pytest.mark.parametrize("done", range(ITERATIONS + 1))
def test_a_file_of_the_former_format_is_gone_on_with(tmp_path, whole, done):
    run, part = training(tmp_path / "old"), examples()
    history = []
    network = random_network(ARCHITECTURE, SETTINGS.seed, dtype=DTYPE)
    for step in block_coordinate_descent(network, part.x, part.labels, SETTINGS):
        history.append(step.record() | {"validation": 0.5})
        save_network(run.path, step.network, {"fingerprint": run.fingerprint, "history": history})
        if step.number == done:
            break
    found = trained(run)
    assert [number for _, number in found] == [*range(done, ITERATIONS + 1)]
    assert same(found[-1][0], whole[-1][0])
    assert same(load_network(run.path)[0], whole[-1][0])


def test_a_damaged_finished_file_is_refused_then_made_again_without_training(tmp_path, whole):
    run = training(tmp_path / "whole")
    run.path.write_bytes(run.path.read_bytes()[:-1])
    with pytest.raises(RefmgError, match=r"net.safetensors.*delete it to go on from the last checkpoint"):
        trained(run)
    run.path.unlink()
    assert [number for _, number in trained(run)] == [ITERATIONS]
    assert same(load_network(run.path)[0], whole[-1][0])


def test_other_settings_are_refused_in_file_and_folder(tmp_path, whole):
    run = replace(training(tmp_path / "whole"), fingerprint={"seed": 1})
    for _ in range(2):
        with pytest.raises(RefmgError, match="seed: 0 there, 1 now"):
            trained(run)
        run.path.unlink(missing_ok=True)


def test_every_process_that_trained_is_kept(tmp_path):
    first, second = (replace(training(tmp_path), session={"date": date}) for date in ("one", "two"))
    assert first.sessions() == []
    iterations = first.go(examples(), examples(), DTYPE)
    next(iterations)
    iterations.close()
    assert first.sessions() == [{"date": "one"}]
    trained(second)
    assert second.sessions() == [{"date": "one"}, {"date": "two"}]
    trained(replace(second, session={"date": "three"}))  # finished: it adds nothing
    assert second.sessions() == [{"date": "one"}, {"date": "two"}]


def test_a_run_that_is_closed_early_gives_its_folder_back(tmp_path):
    run = training(tmp_path)
    assert not has_begun(run.path)
    iterations = run.go(examples(), examples(), DTYPE)
    next(iterations)
    with pytest.raises(RefmgError, match="in use by process"):
        trained(run)
    iterations.close()
    assert has_begun(run.path)
    assert [number for _, number in trained(run)] == [0, 1, 2, 3]
