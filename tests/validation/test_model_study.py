"""The study of moved residual networks, on a few tiny photographs."""

import json
import tarfile
from io import BytesIO

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
from refmg_validation.model_study.photographs import load_photographs, split  # noqa: E402
from refmg_validation.model_study.training import TrainingPlan, train  # noqa: E402
from refmg_validation.model_study.variants import jobs, variants  # noqa: E402

torch.set_num_threads(1)


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


def test_photographs_are_decoded_once_and_averaged(data, tmp_path, monkeypatch):
    photographs = load_photographs(data, tmp_path / "cache")
    assert photographs.classes == ("n01", "n02")
    assert photographs.labels.tolist() == [0] * 12 + [1] * 12
    assert photographs.pixels.shape == (24, 3, 128, 128)
    some = np.array([5, 1, 13])
    fine, coarse = photographs.at(128, some), photographs.at(64, some)
    assert np.array_equal(fine * np.float32(255), photographs.pixels[some].astype(np.float32)) or (
        np.abs(fine * 255 - photographs.pixels[some]).max() < 1e-4  # rounding of one division in float32
    )
    blocks = fine.reshape(3, 3, 64, 2, 64, 2).mean((3, 5))
    assert np.abs(coarse - blocks).max() < 1e-6  # sums of four in float32
    monkeypatch.setattr("refmg_validation.model_study.photographs._decode", None)
    assert np.array_equal(load_photographs(data, tmp_path / "cache").labels, photographs.labels)


def test_missing_and_damaged_photographs_are_refused(data, tmp_path):
    with pytest.raises(RefmgError, match="expected --data or REFMG_DATA"):
        load_photographs(None, tmp_path)
    with pytest.raises(RefmgError, match="found no <class>-<part>"):
        load_photographs(tmp_path / "cache", tmp_path)
    (data / "imagenet10" / "n01-2.tar").write_bytes(b"junk")
    with pytest.raises(RefmgError, match=r"cannot read .*n01-2\.tar"):
        load_photographs(data, tmp_path / "cache")


def test_test_images_are_the_same_for_every_seed():
    parts = [split(50, 10, 15, seed) for seed in (0, 1)]
    assert np.array_equal(parts[0]["test"], parts[1]["test"])
    assert not np.array_equal(parts[0]["train"], parts[1]["train"])
    for part in parts:
        assert sorted(np.concatenate(list(part.values()))) == list(range(50))


def small():
    return SmallResNet(2, 2)


def test_an_interrupted_training_goes_on_to_the_same_network(tmp_path):
    images, labels = torch.randn(20, 3, 16, 16), torch.arange(20) % 2
    plan = TrainingPlan(0, epochs=3, width=2, batch=8)
    whole = train(plan, small, images, labels, tmp_path / "whole.pt", lambda epoch, loss: None)

    def interrupt(epoch, loss):
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(plan, small, images, labels, tmp_path / "parts.pt", interrupt)
    parts = train(plan, small, images, labels, tmp_path / "parts.pt", lambda epoch, loss: None)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(parts.state_dict()[name], tensor)
    with pytest.raises(RefmgError, match="other settings"):
        train(TrainingPlan(1, epochs=3, width=2), small, images, labels, tmp_path / "parts.pt", interrupt)


@pytest.mark.parametrize("direction", ["coarse", "fine"])
def test_every_variant_runs_at_the_other_resolution(direction):
    torch.manual_seed(0)
    source, images = SmallResNet(2, 2).eval(), torch.randn(6, 3, 32, 32)
    here = images if direction == "fine" else torch.nn.functional.avg_pool2d(images, 2)
    found = {
        name: model
        for job in jobs()
        for name, model in variants(source, images, direction, job, TransferOptions())
    }
    assert len(found) == 12
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
    assert record["markdown"][0].startswith("| network | 64 to 32")
    again = record["rows"]
    assert main(arguments(data, tmp_path)) == 0
    assert json.loads((tmp_path / "out" / "model-study.json").read_text())["rows"] == again


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
    found = json.loads((tmp_path / "out" / "resnet18.json").read_text())["found"]
    assert set(found["coarse"]) == set(found["fine"]) == set(resnet18.WAYS)
    assert "source, on 64 x 64" in capsys.readouterr().out
    kept = load_file(tmp_path / "cache" / "resnet18.safetensors")
    assert kept["resnet.embedder.embedder.convolution.weight"].shape == (2, 3, 7, 7)
