"""The study of moved residual networks, on a few tiny photographs."""

import json
import tarfile
from io import BytesIO
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the study needs the extra 'torch'")
from PIL import Image  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from refmg import RefmgError  # noqa: E402
from refmg.torch import TransferOptions  # noqa: E402
from refmg_validation.model_study import resnet18, seed_run  # noqa: E402
from refmg_validation.model_study.__main__ import main  # noqa: E402
from refmg_validation.model_study.network import SmallResNet  # noqa: E402
from refmg_validation.model_study.tables import markdown, summarize  # noqa: E402
from refmg_validation.model_study.training import TrainingPlan, train  # noqa: E402
from refmg_validation.model_study.variants import jobs, variants  # noqa: E402

torch.set_num_threads(1)
RESULTS = Path(seed_run.__file__).parents[2] / "results"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two classes of twelve photographs each, in one tar each."""
    monkeypatch.delenv("REFMG_DATA", raising=False)
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "imagenet10"
    folder.mkdir(parents=True)
    for name in ("n02", "n01"):
        with tarfile.open(folder / f"{name}-1.tar", "w") as archive:
            for number in range(12):
                content = BytesIO()
                Image.fromarray(rng.integers(0, 256, (140, 140), dtype=np.uint8)).save(content, "JPEG")
                member = tarfile.TarInfo(f"{name}/{number}.jpg")
                member.size = content.tell()
                content.seek(0)
                archive.addfile(member, content)
    return tmp_path / "data"


def arguments(data, tmp_path, *more):
    sizes = ["--seeds", 2, "--epochs", 1, "--width", 2, "--test", 4, "--validation", 4, "--unlabelled", 6]
    places = ["--data", data, "--cache", tmp_path / "cache", "--output", tmp_path / "out"]
    return [*map(str, [*sizes, *places, *more])]


def test_what_earlier_versions_left_for_a_later_seed_is_not_taken(data, tmp_path):
    # It was trained on images that are test images now.
    stale = tmp_path / "cache" / "model-study" / "seed-1.safetensors"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"junk")
    assert main(arguments(data, tmp_path)) == 0
    assert stale.read_bytes() == b"junk"
    assert (stale.parent / "seed-1-own-test.safetensors").exists()
    assert (stale.parent / "seed-0.safetensors").exists()


def small():
    return SmallResNet(2, 2)


def test_an_interrupted_training_goes_on_to_the_same_network(tmp_path):
    images, labels = torch.randn(20, 3, 16, 16), torch.arange(20) % 2
    plan = TrainingPlan(0, epochs=3, width=2, batch=8)
    whole = train(plan, small, images, labels, tmp_path / "whole.safetensors", lambda epoch, loss: None)

    def interrupt(epoch, loss):
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(plan, small, images, labels, tmp_path / "parts.safetensors", interrupt)
    parts = train(plan, small, images, labels, tmp_path / "parts.safetensors", lambda epoch, loss: None)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(parts.state_dict()[name], tensor)
    with pytest.raises(RefmgError, match="other settings"):
        train(
            TrainingPlan(1, epochs=3, width=2),
            small,
            images,
            labels,
            tmp_path / "parts.safetensors",
            interrupt,
        )


@pytest.mark.parametrize("direction", ["coarse", "fine"])
def test_every_variant_runs_at_the_other_resolution(direction):
    torch.manual_seed(0)
    source, images = SmallResNet(2, 2).eval(), torch.randn(6, 3, 32, 32)
    here = images if direction == "fine" else torch.nn.functional.avg_pool2d(images, 2)
    every = [
        variant for job in jobs() for variant in variants(source, images, direction, job, TransferOptions())
    ]
    found = {variant.name: variant.model for variant in every}
    assert len(found) == 12
    assert {variant.name for variant in every if variant.seconds is None} == {"images resized"}
    assert all(variant.seconds > 0 for variant in every if variant.seconds is not None)
    assert all(model(here).shape == (6, 2) for model in found.values())
    assert torch.equal(found["calibrated + BN"].classifier.weight, source.classifier.weight)
    assert not torch.equal(found["calibrated + BN + classifier"].classifier.weight, source.classifier.weight)


def test_the_study_stops_goes_on_and_records(data, tmp_path, capsys):
    assert main(arguments(data, tmp_path, "--minutes", 0)) == 0
    assert "stopped, as --minutes asked" in capsys.readouterr().out
    assert main(arguments(data, tmp_path)) == 0
    printed = capsys.readouterr().out
    assert "epoch" not in printed.split("seed 1")[0]
    assert "to coarse: calibrated + BN against unchanged + BN" in printed
    record = json.loads((tmp_path / "out" / "model-study.json").read_text())
    assert len(record["rows"]) == 2
    accuracies = [row["coarse"]["unchanged"]["test"] for row in record["rows"]]
    assert record["summary"]["coarse"]["unchanged"]["mean"] == pytest.approx(np.mean(accuracies))
    assert record["summary"]["coarse"]["unchanged"]["spread"] == pytest.approx(np.std(accuracies, ddof=1))
    assert record["markdown"][0] == "| network | 64 to 32 | agrees | seconds | 64 to 128 | agrees | seconds |"
    seconds = [row["fine"]["calibrated + BN"]["seconds"] for row in record["rows"]]
    assert record["summary"]["fine"]["calibrated + BN"]["seconds"] == pytest.approx(np.mean(seconds))
    for option in ("--seeds 2", "--epochs 1", "--width 2", "--test 4", "--validation 4", "--unlabelled 6"):
        assert option in record["command"]
    again = record["rows"]
    assert main(arguments(data, tmp_path)) == 0
    assert json.loads((tmp_path / "out" / "model-study.json").read_text())["rows"] == again


def test_a_record_is_gone_on_with_where_the_cache_is_gone(data, tmp_path, capsys):
    path = tmp_path / "out" / "model-study.json"
    assert main(arguments(data, tmp_path, "--seeds", 1)) == 0
    (row,) = json.loads(path.read_text())["rows"]
    rmtree(tmp_path / "cache" / "model-study")
    capsys.readouterr()
    assert main(arguments(data, tmp_path)) == 0
    assert "seed 0, epoch" not in capsys.readouterr().out
    rows = json.loads(path.read_text())["rows"]
    assert rows[0] == row
    assert rows[1] != row
    # Other settings, other measurements; a damaged record is named.
    assert (
        main(arguments(data, tmp_path, "--seeds", 1, "--unlabelled", 5, "--cache", tmp_path / "other")) == 0
    )
    assert "seed 0, epoch" in capsys.readouterr().out
    path.write_text('{"rows": [{"plan": 1}]}')
    assert main(arguments(data, tmp_path)) == 2
    assert "is no record of this study" in capsys.readouterr().err


def test_records_without_seconds_are_read():
    record = json.loads((RESULTS / "model-study" / "model-study.json").read_text())
    rows = [{**row} for row in record["rows"]]
    for row in rows:
        for direction in seed_run.TARGETS:
            row[direction] = {
                name: {key: value for key, value in score.items() if key != "seconds"}
                for name, score in row[direction].items()
            }
    table = markdown(rows).splitlines()
    assert {line.count("|") for line in table} == {8}
    assert "seconds" not in summarize(rows)["coarse"]["linear"]


def test_measurements_of_other_settings_are_refused(data, tmp_path, capsys):
    assert main(arguments(data, tmp_path, "--seeds", 1)) == 0
    printed = capsys.readouterr().out
    assert "one seed" in printed
    assert "+-" not in printed
    assert main(arguments(data, tmp_path, "--unlabelled", 5)) == 2
    assert "found measurements of other settings" in capsys.readouterr().err
    assert seed_run.TARGETS == {"coarse": 32, "fine": 128}


def test_a_published_network_is_trained_moved_and_recorded(data, tmp_path, capsys):
    pytest.importorskip("transformers", reason="needs 'pip install transformers'")
    sizes = ["--epochs", 1, "--width", 2, "--test", 4, "--validation", 4, "--unlabelled", 6]
    places = ["--data", data, "--cache", tmp_path / "cache", "--output", tmp_path / "out"]
    resnet18.main([*map(str, [*sizes, *places])])
    record = json.loads((tmp_path / "out" / "resnet18.json").read_text())
    found = record["found"]
    for option in sizes[::2]:
        assert f"{option} " in record["command"]
    assert set(found["coarse"]) == set(found["fine"]) == set(resnet18.WAYS)
    assert "source, on 64 x 64" in capsys.readouterr().out
    kept = load_file(tmp_path / "cache" / "resnet18.safetensors")
    assert kept["resnet.embedder.embedder.convolution.weight"].shape == (2, 3, 7, 7)
