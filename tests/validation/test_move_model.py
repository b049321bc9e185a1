"""``refmg transfer``: what it prints and writes, and one line for every bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from refmg import Architecture, StencilMap, named_map, random_network, save_network
from refmg.model_file import read_model, round_bfloat16
from refmg.model_transfer import TensorRecord
from refmg_validation.cli import main
from refmg_validation.move_model import records_table
from refmg_validation.pictures import load_pictures

RNG = np.random.default_rng(2)


@pytest.fixture(autouse=True)
def model(monkeypatch, tmp_path):
    """A small state with batch norm, in an otherwise empty folder."""
    monkeypatch.chdir(tmp_path)
    state = {
        "stem.weight": RNG.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "norm.running_mean": np.zeros(4, np.float32),
        "beside.weight": np.ones((4, 4, 1, 1), np.float32),
        "patch.weight": np.ones((4, 3, 2, 2), np.float32),
        "count": np.array(7),
    }
    save_file(state, "in.safetensors", metadata={"format": "pt", "note": "kept"})
    return state


def run(*arguments):
    chosen = () if "--transfer" in arguments else ("--transfer", "linear")
    return main(["transfer", *map(str, arguments), *chosen])


def error_line(capsys):
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("refmg: ")
    return captured.err


@pytest.mark.parametrize("to", ["coarse", "fine"])
def test_stencils_move_and_nothing_else(capsys, model, to):
    assert run("in.safetensors", "-o", "out.safetensors", "--to", to, "--json", "record.json") == 0
    new, stencil_map = load_file("out.safetensors"), StencilMap()
    move = stencil_map.restrict if to == "coarse" else stencil_map.prolong
    expected = move(model["stem.weight"].astype(float)).astype(np.float32)
    assert np.array_equal(new.pop("stem.weight"), expected)
    assert all(np.array_equal(tensor, model[name]) for name, tensor in new.items())
    before, after = read_model("in.safetensors"), read_model("out.safetensors")
    begin = before.entries["stem.weight"].begin
    assert after.content[:begin] == before.content[:begin]
    printed = capsys.readouterr().out
    for said in ("even width 2 x 2", "pointwise", "not floating", "1 of 5 tensors moved", "Re-estimate"):
        assert said in printed
    record = json.loads(Path("record.json").read_text())
    assert [row["name"] for row in record["tensors"]] == list(before.entries)
    assert record["factor"] == 2


def write_bits(path, dtype, bits):
    """Write one 3 x 3 stencil of 16-bit numbers."""
    about = {"dtype": dtype, "shape": [1, 1, 3, 3], "data_offsets": [0, 18]}
    header = json.dumps({"stem.weight": about}).encode()
    Path(path).write_bytes(len(header).to_bytes(8, "little") + header + bits.astype("<u2").tobytes())


@pytest.mark.parametrize(
    ("dtype", "corners", "expected"),
    # The middle coarse tap of "linear" has weight 1/4 for each corner. In float64 it is 1 + half a unit of
    # the type + a little; rounded to float32 first, the little would be lost, and the tie would go to 1.
    [("BF16", (4, 2.0**-6, 2.0**-38), 1 + 2.0**-7), ("F16", (4, 2.0**-9, 2.0**-24), 1 + 2.0**-10)],
)
def test_half_precision_is_moved_in_float64_and_rounded_once(dtype, corners, expected):
    s = np.zeros((3, 3))
    s[0, 0], s[0, 2], s[2, 0] = corners
    bits = round_bfloat16(s)[1] if dtype == "BF16" else s.astype("<f2").view("<u2")
    write_bits("half.safetensors", dtype, bits)
    assert np.array_equal(read_model("half.safetensors").read("stem.weight")[0, 0], s)
    assert run("half.safetensors", "-o", "out.safetensors", "--to", "coarse") == 0
    moved = read_model("out.safetensors").read("stem.weight")[0, 0]
    exact = StencilMap().restrict(s)
    twice = exact.astype(np.float32)
    kind = round_bfloat16 if dtype == "BF16" else lambda values: (values.astype(np.float16), None)
    assert moved[1, 1] == expected
    assert np.array_equal(moved, kind(exact)[0])
    assert not np.array_equal(moved, kind(twice)[0])


def test_one_factor_an_axis():
    save_file({"conv.weight": np.ones((1, 1, 3, 3, 3))}, "volume.safetensors")
    assert run("volume.safetensors", "-o", "out.safetensors", "--to", "coarse", "--factor", "2,2,1") == 0
    plane = StencilMap().restrict(np.ones((3, 3)))
    moved = load_file("out.safetensors")["conv.weight"][0, 0]
    # Sums of nine products of numbers near 1.
    assert np.allclose(moved, np.repeat(plane[:, :, None], 3, 2), rtol=0, atol=1e-14)


def test_only_with_force_over_what_is_there(capsys, model):
    content = Path("in.safetensors").read_bytes()
    assert run("in.safetensors", "-o", "in.safetensors", "--to", "coarse") == 2
    assert "--force" in error_line(capsys)
    assert Path("in.safetensors").read_bytes() == content
    assert run("in.safetensors", "-o", "in.safetensors", "--to", "coarse", "--force") == 0
    assert not np.array_equal(load_file("in.safetensors")["stem.weight"], model["stem.weight"])


def test_a_stencil_that_is_not_unique_names_the_option(capsys):
    save_file({"conv.weight": np.ones((1, 1, 5, 5))}, "wide.safetensors")
    arguments = ("wide.safetensors", "-o", "out.safetensors", "--to", "fine", "--transfer", "average")
    assert run(*arguments) == 2
    assert "(on the command line: --closure least-squares)" in error_line(capsys)
    assert run(*arguments, "--closure", "least-squares") == 0


def test_a_name_that_promises_a_pickle_is_refused(capsys, model):
    assert run("in.safetensors", "-o", "out.pt", "--to", "coarse") == 2
    assert (
        "found out.pt; a safetensors file is written: expected another ending, as in out.safetensors"
        in error_line(capsys)
    )
    assert not Path("out.pt").exists()


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("record", ["in.safetensors", "out.safetensors", "link", "./sub/../in.safetensors"])
def test_the_record_never_goes_over_a_model(capsys, tmp_path, record, force):
    content = Path("in.safetensors").read_bytes()
    (tmp_path / "link").hardlink_to("in.safetensors")
    (tmp_path / "sub").mkdir()
    arguments = ("in.safetensors", "-o", "out.safetensors", "--to", "coarse", "--json", record, *force)
    assert run(*arguments) == 2
    assert "both as a model and as the record" in error_line(capsys)
    assert Path("in.safetensors").read_bytes() == content
    assert not Path("out.safetensors").exists()


def test_a_record_goes_over_another_file_only_with_force(capsys):
    Path("notes.json").write_text("mine")
    arguments = ("in.safetensors", "-o", "out.safetensors", "--to", "coarse", "--json", "notes.json")
    assert run(*arguments) == 2
    assert "found notes.json already there; expected a new name, or --force" in error_line(capsys)
    assert Path("notes.json").read_text() == "mine"
    assert not Path("out.safetensors").exists()
    assert run(*arguments, "--force") == 0
    assert json.loads(Path("notes.json").read_text())["factor"] == 2


def test_float8_stencils_are_always_listed(capsys):
    shapes = {"conv.weight": ("F8_E4M3", [1, 1, 3, 3]), "line.weight": ("F8_E4M3", [2, 2])}
    shapes |= {"whole.weight": ("I8", [1, 1, 3, 3]), "count": ("I8", [3])}
    shapes |= {f"b{i}": ("I8", [1]) for i in range(30)}
    header, begin = {}, 0
    for name, (dtype, shape) in shapes.items():
        end = begin + int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header).encode()
    Path("f8.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(begin))
    assert run("f8.safetensors", "-o", "out.safetensors", "--to", "coarse") == 2
    assert "type F8_E4M3; type I8" in error_line(capsys)
    header["real.weight"] = {"dtype": "F64", "shape": [1, 1, 3, 3], "data_offsets": [begin, begin + 72]}
    text = json.dumps(header).encode()
    Path("f8.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(begin + 72))
    assert run("f8.safetensors", "-o", "out.safetensors", "--to", "coarse", "--exclude", "b*") == 0
    printed = capsys.readouterr().out
    for said in ("type F8_E4M3", "type I8", "32 others"):
        assert said in printed


def test_stencils_of_no_channels_are_kept(capsys):
    state = {"a.weight": np.ones((0, 3, 3, 3)), "b.weight": np.ones((1, 1, 3, 3))}
    save_file(state, "empty.safetensors")
    assert run("empty.safetensors", "-o", "out.safetensors", "--to", "fine") == 0
    assert "empty" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.safetensors", "--to", "coarse"], "cannot read none.safetensors"),
        (["in.safetensors", "--to", "up"], "unknown direction 'up'"),
        (["in.safetensors", "--to", "coarse", "--factor", "1"], "found factor '1'"),
        (["in.safetensors", "--to", "coarse", "--factor", "two"], "found factor 'two'"),
        (["in.safetensors", "--to", "coarse", "--factor", "2,2,2"], "found factor (2, 2, 2)"),
        (["wide.safetensors", "--to", "fine"], "stem.weight: the fine stencil is not unique"),
        (["in.safetensors", "--to", "coarse", "--include", "layer*"], "no tensor that fits 'layer*'"),
        (["in.safetensors", "--to", "coarse", "--exclude", "layer*"], "no tensor that fits 'layer*'"),
        (["in.safetensors", "--to", "coarse", "--exclude", "stem.*"], "found no convolution stencil"),
        (["in.safetensors", "--to", "coarse", "--transfer", "liner"], "did you mean 'linear'?"),
        (["junk", "--to", "coarse"], "no safetensors file, or damaged"),
        (["cut", "--to", "coarse"], "no safetensors file, or damaged"),
        (["model.pt", "--to", "coarse"], "convert it by safetensors.torch.save_file"),
        (["in.safetensors"], "--to"),
        (["model.safetensors.index.json", "--to", "coarse"], "the index of a model in several files"),
        (["in.safetensors", "--to", "coarse", "--transfer", "calibrated"], "refmg.torch.transfer_model"),
        (["in.safetensors", "--to", "coarse", "--transfer", "synthetic"], "refmg.torch.transfer_model"),
        (["in.safetensors", "--to", "coarse", "--images", "."], "'linear' does not look at"),
        (["in.safetensors", "--to", "coarse", "--size", "8"], "--size without pictures"),
    ],
)
def test_bad_input_gives_one_line_status_2_and_no_file(capsys, tmp_path, arguments, said):
    content = (tmp_path / "in.safetensors").read_bytes()
    (tmp_path / "junk").write_bytes(b"junk")
    (tmp_path / "cut").write_bytes(content[:-5])
    save_file({"stem.weight": np.ones((1, 1, 7, 7))}, "wide.safetensors")
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04" + bytes(50))
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    assert run(*arguments, "-o", "out.safetensors") == 2
    assert said in error_line(capsys)
    assert not (tmp_path / "out.safetensors").exists()


def test_the_spectrum_of_pictures(capsys, model, tmp_path):
    arguments = ("in.safetensors", "-o", "out.safetensors", "--to", "coarse", "--transfer", "spectrum")
    assert run(*arguments) == 2
    assert "found --transfer spectrum without pictures; expected --images" in error_line(capsys)
    (tmp_path / "pictures").mkdir()
    assert run(*arguments, "--images", "pictures", "--size", 8) == 2
    assert "found 0 pictures" in error_line(capsys)
    for number in range(3):
        picture = Image.fromarray(RNG.integers(0, 256, (20, 16, 3), dtype=np.uint8))
        picture.save(tmp_path / "pictures" / f"{number}.png")
    assert run(*arguments, "--images", "pictures", "--size", 8) == 0
    images = load_pictures(tmp_path / "pictures", 8)
    expected = named_map("spectrum", images=images).restrict(model["stem.weight"].astype(float))
    assert np.array_equal(load_file("out.safetensors")["stem.weight"], expected.astype(np.float32))
    (tmp_path / "pictures" / "3.png").write_bytes(b"junk")
    assert run(*arguments, "--images", "pictures", "--size", 8, "--force") == 2
    assert "3.png as a picture" in error_line(capsys)


def test_wide_stencils_are_prolonged_by_least_squares(capsys):
    save_file({"stem.weight": np.ones((1, 1, 7, 7))}, "wide.safetensors")
    arguments = ("wide.safetensors", "-o", "out.safetensors", "--to", "fine", "--closure", "least-squares")
    assert run(*arguments) == 0
    expected = StencilMap(7, closure="least-squares").prolong(np.ones((7, 7)))
    # Two orders of the same sums of 49 products.
    assert np.allclose(load_file("out.safetensors")["stem.weight"][0, 0], expected, rtol=0, atol=1e-12)


def test_a_long_table_names_stencils_and_counts_the_rest():
    def records(vectors):
        stencils = [TensorRecord(f"conv{i}.weight", (4, 4, 3, 3), "F32", True, "3 x 3", 0.5) for i in (0, 1)]
        kept = [TensorRecord("side.weight", (4, 4, 1, 1), "F32", False, "pointwise")]
        rest = [TensorRecord(f"b{i}", (4,), "F32", False, "vector or matrix") for i in range(vectors)]
        return [*stencils, *kept, *rest]

    def rows(vectors):
        return list(records_table(records(vectors), "").columns[0].cells)

    assert rows(30) == ["conv0.weight", "conv1.weight", "side.weight", "30 others"]
    assert rows(3)[3:] == ["b0", "b1", "b2"]


def test_a_network_of_refmg_is_sent_to_its_own_transfer(capsys):
    a = Architecture((8, 8), channels=2, classes=2)
    save_network("network.safetensors", random_network(a, 0))
    assert run("network.safetensors", "-o", "coarse.safetensors", "--to", "coarse") == 2
    assert "take refmg.load_network and refmg.transfer_network" in error_line(capsys)
    assert not Path("coarse.safetensors").exists()
