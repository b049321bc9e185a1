"""Model files: read with every claim checked, and the same to the last bit where nothing moved."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from refmg import ModelFile, RefmgError
from refmg.model_file import read_model, round_bfloat16, widen_bfloat16


def raw_file(header, body=b"", length=None):
    """Return the bytes of a file, however wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.fixture
def read(tmp_path):
    def from_bytes(content):
        (tmp_path / "model.safetensors").write_bytes(content)
        return read_model(tmp_path / "model.safetensors")

    return from_bytes


def test_tensors_are_read_as_the_reference_library_wrote_them(read):
    rng = np.random.default_rng(0)
    tensors = {d: rng.standard_normal((2, 3)).astype(d) for d in ("float64", "float32", "float16")}
    file = read(save(tensors))
    for name, tensor in tensors.items():
        assert np.array_equal(file.read(name), tensor)
        assert file.read(name).dtype == tensor.dtype


def test_an_unaligned_tensor_of_the_middle_is_read(read):
    header = {"a": entry((3,), 0, 3, "U8"), "b": entry((2,), 3, 11), "c": entry((), 11, 13, "BF16")}
    file = read(raw_file(header, b"abc" + np.array([1.5, -2], "<f4").tobytes() + b"\x80\x3f"))
    assert file.read("b").tolist() == [1.5, -2]
    assert file.read("c") == 1
    with pytest.raises(RefmgError, match="found a of type U8"):
        file.read("a")


def test_replacing_changes_those_bytes_alone(read):
    header = {"z": entry((1,), 0, 4), "a": entry((2,), 4, 8, "F16"), "__metadata__": {"k": "v"}}
    content = raw_file(header, b"\x01\x02\x03\x04" + np.array([1, 2], "<f2").tobytes())
    changed = read(content).replaced({"a": np.array([3.0, 4.0])})
    assert changed[:-4] == content[:-4]
    assert read(changed).read("a").tolist() == [3, 4]
    assert list(read(changed).entries) == ["z", "a"]


@given(st.integers(0, 2**16 - 1))
def test_every_bfloat16_is_rounded_to_itself(pattern):
    number = widen_bfloat16(np.array([pattern], np.uint16))
    if not np.isnan(number[0]):
        assert round_bfloat16(number)[1][0] == pattern


@given(st.floats(-1e38, 1e38))
def test_bfloat16_is_the_nearest_in_one_rounding(number):
    rounded, pattern = round_bfloat16(np.array([number]))
    near = [widen_bfloat16(np.array([min(max(int(pattern[0]) + d, 0), 0xFFFF)], np.uint16)) for d in (-1, 1)]
    error = abs(Fraction(number) - Fraction(float(rounded[0])))
    for other in near:
        if np.isfinite(other[0]):
            assert error <= abs(Fraction(number) - Fraction(float(other[0])))


def test_rounding_twice_would_have_been_wrong():
    # Just above half way between two bfloat16 numbers; float32 rounds it to half way, bfloat16 then down.
    number = 1 + 2.0**-8 + 2.0**-40
    assert float(round_bfloat16(np.array([number]))[0][0]) == 1 + 2.0**-7
    assert float(round_bfloat16(np.array([np.float32(number)]))[0][0]) == 1


@pytest.mark.parametrize(("dtype", "value"), [("F16", 7e4), ("BF16", 3.4e38 * 1.01), ("F32", 1e39)])
def test_values_too_large_for_their_type_are_refused(read, dtype, value):
    size = {"F16": 2, "BF16": 2, "F32": 4}[dtype]
    file = read(raw_file({"a": entry((1,), 0, size, dtype)}, bytes(size)))
    with pytest.raises(RefmgError, match=f"too large for its type {dtype}"):
        file.replaced({"a": np.array([value])})
    with pytest.raises(RefmgError, match="found a of shape"):
        file.replaced({"a": np.zeros(2)})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk",
        raw_file({}, length=2**63 - 1),
        raw_file({}, length=10**8 + 1),
        raw_file(b"{" * 1000),
        raw_file(b'{"a": \xff}'),
        raw_file({"a": entry((1,), 0, 4)}, b"123"),
        raw_file({"a": entry((1,), 0, 4)}, b"12345"),
        raw_file({"a": entry((1,), -4, 0)}, b"1234"),
        raw_file({"a": entry((1,), 4, 0)}, b"1234"),
        raw_file({"a": entry((2,), 0, 4)}, b"1234"),
        raw_file({"a": entry((2**62, 2**62), 0, 4)}, b"1234"),
        raw_file({"a": entry((1,), 0, 4), "b": entry((1,), 0, 4)}, b"1234"),
        raw_file({"a": entry((1,), 0, 4), "b": entry((1,), 2, 6)}, b"123456"),
        raw_file({"a": entry((1,), 0, 4), "b": entry((1,), 8, 12)}, bytes(12)),
        raw_file({"a": entry((1,), 0, 4, "F31")}, b"1234"),
        raw_file({"a": 3}),
    ],
)
def test_a_damaged_file_is_refused(read, content):
    with pytest.raises(RefmgError, match="no safetensors file, or damaged"):
        read(content)


def test_a_name_that_occurs_twice_is_refused(read):
    one = json.dumps(entry((1,), 0, 4))
    with pytest.raises(RefmgError):
        read(raw_file(f'{{"a": {one}, "a": {one}}}'.encode(), b"1234"))


@pytest.mark.parametrize("length", [0x80, 0x280])  # as pickles of PyTorch begin, the second with its protocol
def test_a_header_that_is_as_long_as_a_pickle_begins_is_read(read, length):
    empty = int.from_bytes(save({"a": np.ones(3)}, metadata={"note": ""})[:8], "little")
    content = save({"a": np.ones(3)}, metadata={"note": "x" * (length - empty)})
    assert int.from_bytes(content[:8], "little") == length
    assert read(content).read("a").tolist() == [1.0] * 3


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x80\x02"])
def test_a_pickle_is_told_how_to_convert(read, start):
    with pytest.raises(RefmgError, match=r"convert it by safetensors\.torch\.save_file"):
        read(start + bytes(100))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(RefmgError, match="cannot read"):
            read_model(path)


def test_a_model_file_is_the_same_bytes_where_nothing_is_replaced(read):
    content = save({"a": np.arange(4.0), "n": np.arange(3)})
    file = read(content)
    assert isinstance(file, ModelFile)
    assert file.replaced({}) == content
    assert (file.floating("a"), file.floating("n")) == (True, False)
    changed = read(file.replaced({"a": np.full(4, 2.0)}))
    assert changed.read("a").tolist() == [2.0] * 4
    assert changed.content[changed.entries["n"].begin : changed.entries["n"].end] == np.arange(3).tobytes()
