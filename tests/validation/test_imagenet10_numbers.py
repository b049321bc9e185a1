"""ImageNet-10 without a run: layouts, operations, Table 1's sentences, files of states and presets."""

from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
import safetensors.numpy
import tiny_imagenet
from rich.console import Console

from refmg import RefmgError, get_backend
from refmg.checksum import content_sha256
from refmg.resnet import ResNetArchitecture, random_resnet
from refmg.resnet.steps import TrainingRun
from refmg_validation.imagenet10 import costs
from refmg_validation.imagenet10.images import normalized
from refmg_validation.imagenet10.presets import PRESETS, Way, named
from refmg_validation.imagenet10.stages import FINE, paths_of, stages_of
from refmg_validation.imagenet10.state_file import FORMAT, read_state, write_state
from refmg_validation.imagenet10.summary import PAPER_RATIO, seed_rows, taken, verdicts
from refmg_validation.imagenet10.tables import table_1

MICRO = tiny_imagenet.MICRO


def test_examples_of_a_pixel_lie_together_on_every_backend(backend):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 2), np.uint8)
    found = backend.to_numpy(normalized(backend, pictures, "float64"))
    reference = normalized(get_backend("numpy"), pictures, "float64")
    assert np.array_equal(found, reference)
    assert reference.flags.c_contiguous


def test_operations_are_counted_as_a_stencil_sees_cells():
    architecture = ResNetArchitecture((8, 8), blocks=(1,), widths=(4,), opening_pool="none")
    # 3 to 4 channels on 4 x 4 cells, then twice 4 to 4, each 9 products and sums.
    assert costs.image_flops(architecture) == 2 * 9 * 16 * (3 * 4 + 2 * 4 * 4)
    halved = costs.predicted_seconds(architecture, 8, {"GF/s": 2.0, "GB/s": 1e9})
    assert halved == pytest.approx(costs.predicted_seconds(architecture, 8, {"GF/s": 1.0, "GB/s": 1e9}) / 2)
    slow_memory = costs.predicted_seconds(architecture, 8, {"GF/s": 1e9, "GB/s": 1.0})
    layers = costs.layer_costs(architecture)
    assert [layer.passes for layer in layers] == [2, 3, 3]  # the gradient by the images is not computed
    moved = sum(layer.passes * (8 * layer.moved + layer.weights) for layer in layers)
    assert slow_memory == pytest.approx(4 * moved / 1e9)
    assert costs.step_flops(architecture) == 2 * 9 * 16 * (2 * 3 * 4 + 3 * 2 * 4 * 4)


def test_the_gradient_by_the_images_is_not_computed(monkeypatch):
    """What the count of two passes of the opening rests on."""
    transposed = []
    net = random_resnet(MICRO.architecture.on((8, 8)), 0, "float32", get_backend("numpy"))
    back = TrainingRun.back

    def noted(self, step, P, add_to=None, inner=True):
        transposed.append((step.spec.name, inner))
        return back(self, step, P, add_to, inner)

    monkeypatch.setattr(TrainingRun, "back", noted)
    net.loss_and_gradient(np.zeros((3, 8, 8, 2), "f4"), np.array([0, 1]))
    assert [name for name, inner in transposed if not inner] == ["conv1"]


def made_up(fine_test, other_test, other_seconds):
    def notes(test, seconds, size):
        epochs = [
            {"kind": "epoch", "seconds": seconds, "processor": seconds, "monitored": 1.0 - test,
             "validation": test, "epoch": 0}
        ]  # fmt: skip
        start = {"kind": "start", "seconds": 0.0, "processor": 0.0, "validation": 0.1}
        return {"records": [start, *epochs], "test": test}

    preset = replace(MICRO, ways=(Way("unchanged"),))
    names = [stage.name for stage in stages_of(preset)]
    found = [notes(fine_test, 10.0, 16), notes(0.3, 1.0, 8), notes(other_test, other_seconds, 16)]
    return {"seed": 1, "stages": dict(zip(names, found, strict=True)), "missing": []}, preset


@pytest.mark.parametrize(
    ("tests", "seconds", "said"),
    [
        ((0.5, 0.6), 5.0, "+10.0 points against fine only, at least as high in 1 of 1 splits; 0.600 of"),
        ((0.6, 0.5), 8.0, "-10.0 points against fine only, at least as high in 0 of 1 splits; 0.900 of"),
    ],
)
def test_verdicts_say_what_the_numbers_say(tests, seconds, said):
    from refmg_validation.imagenet10.summary import summary

    found, preset = made_up(*tests, seconds)
    rows = summary([found], preset)
    assert said in verdicts(rows)[0]
    assert f"at most {PAPER_RATIO:.3f} in {int(seconds < 7)}" in verdicts(rows)[0]
    assert rows[1]["work ratio"]["mean"] == pytest.approx(1.25)  # a quarter of the cells, and all of them
    console = Console(width=120, record=True, file=StringIO())
    console.print(*table_1(rows, "made up"))
    printed = console.export_text()
    assert "59122 +- 7540" in printed
    assert "82.67 +- 0.93" in printed
    assert "…" not in printed


def test_the_network_taken_is_that_of_the_lowest_monitored_loss():
    epochs = [{"kind": "epoch", "monitored": m, "validation": v} for m, v in ((2, 0.9), (1, 0.2), (3, 0.8))]
    assert taken([{"kind": "start"}, *epochs])["validation"] == 0.2


def test_no_row_before_fine_only_training_has_ended():
    found, preset = made_up(0.5, 0.6, 5.0)
    last = paths_of(preset)[FINE].name
    del found["stages"][last]
    assert seed_rows(found, preset) == []


def test_states_are_read_as_they_were_written_and_damage_is_refused(tmp_path):
    path = tmp_path / "a.state"
    write_state(path, {"x": np.arange(3.0)}, {"epoch": 1}, {"seed": 1})
    arrays, notes = read_state(path, {"seed": 1})
    assert arrays["x"].tolist() == [0, 1, 2]
    assert notes == {"epoch": 1}
    with pytest.raises(RefmgError, match=r"other settings \(seed: 1 there, 2 now\)"):
        read_state(path, {"seed": 2})
    content = path.read_bytes()
    for damaged in (content[:-1], content[:-1] + b"\x01", b"", b"junk" * 10):
        path.write_bytes(damaged)
        with pytest.raises(RefmgError, match=r"is damaged|cannot read"):
            read_state(path, {"seed": 1})


@pytest.mark.parametrize("content", ["[]", "{}", '{"fingerprint": 3, "notes": {}}', "[" * 100_000, "{"])
def test_states_whose_sum_is_right_and_whose_content_is_not_are_refused(tmp_path, content):
    path = tmp_path / "a.state"
    about = {"format": FORMAT, "content": content}
    about["sha256"] = content_sha256(about, {})
    path.write_bytes(safetensors.numpy.save({}, metadata=about))
    with pytest.raises(RefmgError, match=r"is no state of a run \(.*\); delete it to go on$"):
        read_state(path, {"seed": 1})


def test_the_presets_are_those_of_the_issue():
    paper = named("paper", 3)
    assert (paper.sizes, paper.architecture.depth, paper.architecture.widths[0]) == ((112, 224), 34, 64)
    assert (paper.training.patience, paper.train, paper.seed) == (10, 0, 3)
    assert named("small").sizes == (56, 112)
    assert named("paper", sizes=(56, 112, 224)).sizes == (56, 112, 224)
    assert {PRESETS[name].training.as_dict()["momentum"] for name in PRESETS} == {0.9}
    medium, tiny = named("medium"), named("tiny")
    assert [2 * w for w in tiny.architecture.widths] == list(medium.architecture.widths)
    assert medium.train == 0
    with pytest.raises(RefmgError, match="found seed -1"):
        named("tiny", -1)
    with pytest.raises(RefmgError, match="empty part"):
        replace(MICRO, test=0.0)
    with pytest.raises(RefmgError, match="no part left"):
        replace(MICRO, test=0.9)


def test_both_grids_begin_with_the_same_stencils():
    coarse, fine = (random_resnet(MICRO.architecture.on((n, n)), 1, backend="numpy") for n in (8, 16))
    assert all(np.array_equal(fine.parameters[name], p) for name, p in coarse.parameters.items())
