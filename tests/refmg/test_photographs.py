"""Photographs: folders and tars, the cache, damaged and hostile files."""

import json
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from photographs import encoded, noise, write_tar
from PIL import Image

from refmg import RefmgError, restriction_matrix
from refmg.data import (
    Photographs,
    PictureFile,
    PictureSet,
    decode,
    find_pictures,
    load_photographs,
)
from refmg.data.decoded_cache import _signature
from refmg.data.decoding import MOST_PIXELS, _in_colour, decoded


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two classes in three tars; the second class comes first by its name's order in the folder."""
    monkeypatch.delenv("REFMG_DATA", raising=False)
    rng = np.random.default_rng(0)
    for part in ("n02-1", "n01-1", "n01-2"):
        pictures = [(f"{part[:3]}/{i}.jpg", encoded(noise(rng))) for i in range(4)]
        write_tar(tmp_path / "data" / "imagenet10" / f"{part}.tar", pictures)
    return tmp_path / "data"


def load(folder, **more):
    lines = []
    found = load_photographs(folder, folder.parent / "cache", 8, tell=lines.append, **more)
    return found, lines


def test_tars_are_read_whatever_parts_are_there(folder):
    found, lines = load(folder)
    assert found.classes == ("n01", "n02")
    assert found.labels.tolist() == [0] * 8 + [1] * 4
    assert found.pixels.shape == (12, 3, 8, 8)
    assert lines == ["decoding 12 pictures to 8 x 8 (nothing is there yet)"]
    assert len(found) == 12
    again, lines = load(folder)
    assert lines == []
    assert (again.sha256, again.skipped) == (found.sha256, ())
    assert np.array_equal(again.pixels, found.pixels)
    with pytest.raises(ValueError, match="read-only"):
        again.pixels[0] = 0


def test_the_parent_folder_and_the_variable_name_the_same_pictures(folder, monkeypatch):
    assert find_pictures(folder) == find_pictures(folder / "imagenet10")
    monkeypatch.setenv("REFMG_DATA", str(folder))
    found = find_pictures()
    assert isinstance(found, PictureSet)
    assert isinstance(found.pictures[0], PictureFile)
    assert found == find_pictures(folder)


def test_unpacked_tars_give_the_same_images_of_each_class(folder, tmp_path):
    for tar in (folder / "imagenet10").glob("*.tar"):
        with tarfile.open(tar) as archive:
            # Python before 3.11.4 has no filters; pictures of our own need none.
            how = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(tmp_path / "unpacked" / tar.stem, **how)
    for tar in ("n01-1", "n02-1"):
        (tmp_path / "folders").mkdir(exist_ok=True)
        (tmp_path / "unpacked" / tar / tar[:3]).rename(tmp_path / "folders" / tar[:3])
    packed, unpacked = load(folder)[0], load_photographs(tmp_path / "folders", tmp_path / "cache", 8)
    assert unpacked.classes == ("n01", "n02")
    assert np.array_equal(unpacked.pixels[:4], packed.pixels[:4])
    assert np.array_equal(unpacked.pixels[4:], packed.pixels[8:])


def test_coarse_photographs_are_restrictions_of_the_fine_ones(folder):
    found = load(folder)[0]
    some = np.array([5, 1, 11])
    fine, coarse = found.features(8, some), found.features(4, some)
    assert fine.shape == (3, 8, 8, 3)
    assert np.array_equal(found.at(8, some), found.pixels[some].astype(np.float32) / np.float32(255))
    R = restriction_matrix((8, 8), "linear")
    # A mean of four in single precision, and one division: a few rounding errors of numbers up to 1.
    for channel, expected in zip(coarse, fine, strict=True):
        assert np.abs(R @ expected.reshape(64, -1) - channel.reshape(16, -1)).max() < 8 * np.finfo("f4").eps
    with pytest.raises(RefmgError, match="photographs of 8 cells a side, 3 wanted"):
        found.at(3, some)


def test_processes_give_what_one_process_gives(folder):
    pictures = find_pictures(folder).pictures
    alone, two = (list(decoded(pictures, 8, workers)) for workers in (1, 2))
    assert np.array_equal(alone, two)


CORRUPT = [
    (b"", "not a JPEG"),
    (b"junk", "not a JPEG"),
    (encoded(np.zeros((30, 30, 3), np.uint8))[:300], "not a JPEG|damaged"),
    (encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))[:3000], "damaged"),
    (b"%PDF-1.4", "not a JPEG"),
]


@pytest.mark.parametrize(("content", "said"), CORRUPT)
def test_a_corrupt_picture_is_named_and_left_out(folder, content, said):
    write_tar(folder / "imagenet10" / "n02-2.tar", [("n02/bad.jpg", content)])
    found, lines = load(folder)
    assert len(found) == 12
    assert found.skipped[0][0] == "n02-2.tar:n02/bad.jpg"
    assert any(line.startswith("left out: n02-2.tar:n02/bad.jpg: ") for line in lines)
    with pytest.raises(RefmgError, match=rf"^1 of 13 pictures cannot be read, first n02-2\.tar.*({said})"):
        load(folder, strict=True)


def test_a_cache_does_not_forget_what_it_left_out(folder):
    write_tar(folder / "imagenet10" / "n02-2.tar", [("n02/bad.jpg", b"junk")])
    load(folder)
    changed(skipped=[])(*cache_files(folder))
    with pytest.raises(RefmgError, match=r"^1 of 13 pictures cannot be read"):
        load(folder, strict=True)


def test_a_picture_whose_file_cannot_be_read_is_named_and_left_out(tmp_path, monkeypatch):
    for name in ("n01", "n02"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(2):
            content = encoded(noise(np.random.default_rng(i)))
            (tmp_path / "data" / name / f"{i}.jpg").write_bytes(content)
    bad, opened = tmp_path / "data" / "n02" / "1.jpg", Path.open

    def failing(self, *arguments, **more):
        if self == bad:
            raise OSError("Input/output error")
        return opened(self, *arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", failing)
        found, lines = load(tmp_path / "data")
        assert found.skipped == (("n02/1.jpg", "Input/output error"),)
        assert "left out: n02/1.jpg: Input/output error" in lines
        with pytest.raises(RefmgError, match=r"^1 of 4 pictures cannot be read, first n02/1\.jpg"):
            load(tmp_path / "data", strict=True)
    assert load(tmp_path / "data", strict=True)[0].skipped == ()


@pytest.mark.parametrize("name", ["n02/\x1b[31mred.jpg", "n02/\udcff.jpg", "n02/a\nb.jpg"])
def test_names_that_a_terminal_must_not_be_given_are_escaped(folder, name):
    write_tar(folder / "imagenet10" / "n02-2.tar", [(name, b"junk")])
    found, lines = load(folder)
    assert found.skipped[0][0] == f"n02-2.tar:{ascii(name)[1:-1]}"
    assert all(line.isprintable() for line in lines)


def test_folders_of_classes_may_lie_in_the_subfolder(tmp_path):
    for name in ("n01", "n02"):
        (tmp_path / "imagenet10" / name).mkdir(parents=True)
        (tmp_path / "imagenet10" / name / "0.png").write_bytes(b"not looked at")
    assert find_pictures(tmp_path).classes == ("n01", "n02")
    assert find_pictures(tmp_path / "imagenet10").classes == ("n01", "n02")


def bomb(width, height):
    """A PNG that says it is this large, in a few hundred bytes."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100)))


@pytest.mark.parametrize("side", [int(MOST_PIXELS**0.5) + 1, 10_000, 30_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side):
    with pytest.raises(RefmgError, match=r"pixels|damaged: Image size|not a JPEG"):
        decode(bomb(side, side), 8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_other_formats_and_grey_pictures_are_read(kind):
    grey = np.full((16, 16), 128, np.uint8)
    assert np.abs(decode(encoded(grey, kind), 4).astype(int) - 128).max() <= 2  # WebP is lossy
    with pytest.raises(RefmgError, match="not a JPEG"):
        decode(encoded(grey, "TIFF"), 4)


def test_grey_of_16_bits_is_scaled_to_8():
    grey = np.arange(16, dtype=np.uint16).reshape(4, 4) * 17 * 257
    assert np.array_equal(decode(encoded(grey, "PNG"), 4), np.broadcast_to(grey // 257, (3, 4, 4)))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_without_a_range_are_refused(mode):
    with pytest.raises(RefmgError, match=f"found pixels of mode '{mode}', whose range is not defined"):
        _in_colour(Image.new(mode, (4, 4)))


HOSTILE = [
    (("../../etc/passwd", b"x"), "leads out of the folder"),
    (("/etc/passwd", b"x"), "leads out of the folder"),
    (("n01\\..\\..\\x", b"x"), "leads out of the folder"),
    (("n01/link.jpg", b"", tarfile.SYMTYPE, "/etc/passwd"), "a link, device"),
    (("n01/hard.jpg", b"", tarfile.LNKTYPE, "n01/0.jpg"), "a link, device"),
    (("n01/pipe", b"", tarfile.FIFOTYPE), "a link, device"),
]


@pytest.mark.parametrize(("entry", "said"), HOSTILE)
def test_a_hostile_tar_is_refused(folder, entry, said):
    write_tar(folder / "imagenet10" / "n01-3.tar", [entry])
    with pytest.raises(RefmgError, match=said):
        load(folder)


def test_a_tar_that_promises_too_much_is_refused(folder):
    path = folder / "imagenet10" / "n01-3.tar"
    member = tarfile.TarInfo("n01/huge.jpg")
    member.size = 2**40
    path.write_bytes(member.tobuf())
    with pytest.raises(RefmgError, match=r"cannot read .*n01-3\.tar|expected at most"):
        load(folder)


@pytest.mark.parametrize("content", [b"junk", b"x" * 2000])
def test_damaged_tars_and_missing_folders_are_refused(folder, tmp_path, content):
    with pytest.raises(RefmgError, match="expected --data or REFMG_DATA"):
        find_pictures()
    with pytest.raises(RefmgError, match="found no <class>-<part>"):
        find_pictures(tmp_path / "elsewhere")
    (folder / "imagenet10" / "n01-3.tar").write_bytes(content)
    with pytest.raises(RefmgError, match=r"cannot read .*n01-3\.tar"):
        load(folder)


def test_a_truncated_tar_is_refused(folder):
    path = folder / "imagenet10" / "n01-2.tar"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(RefmgError, match=r"cannot read .*n01-2\.tar"):
        load(folder)


def test_a_compressed_tar_is_refused(folder):
    write_tar(folder / "imagenet10" / "n03-1.tar", [("n03/0.jpg", b"x")], "w:gz")
    with pytest.raises(RefmgError, match="expected an uncompressed tar"):
        load(folder)


def test_a_class_without_a_picture_that_can_be_read_is_refused(folder):
    write_tar(folder / "imagenet10" / "n03-1.tar", [("n03/0.jpg", b"x")])
    with pytest.raises(RefmgError, match="no picture that can be read of n03"):
        load(folder)
    for path in (folder / "imagenet10").glob("*.tar"):
        write_tar(path, [("0.jpg", b"x")])
    with pytest.raises(RefmgError, match="none of 4 pictures can be read"):
        load(folder)


def cache_files(folder):
    cache = folder.parent / "cache"
    return next(cache.glob("*.json")), next(cache.glob("*.pixels"))


def flip_one_byte(about, pixels):
    content = bytearray(pixels.read_bytes())
    content[7] ^= 1
    pixels.write_bytes(content)


def cut(about, pixels):
    pixels.write_bytes(pixels.read_bytes()[:-1])


def other_labels(about, pixels):
    found = json.loads(about.read_bytes())
    found["labels"][0] = 1
    about.write_text(json.dumps(found))


def other_key(about, pixels):
    about.write_text(json.dumps(json.loads(about.read_bytes()) | {"key": "0" * 64}))


def changed(**more):
    """Change what is said of the pixels; None leaves a name out."""

    def change(about, pixels):
        found = json.loads(about.read_bytes()) | more
        about.write_text(json.dumps({name: value for name, value in found.items() if value is not None}))

    return change


def signed_anew(**more):
    """Change it and sign it, as who does not know what readers rely on would."""

    def change(about, pixels):
        found = json.loads(about.read_bytes()) | more
        about.write_text(json.dumps(found | {"signature": _signature(found)}))

    return change


DAMAGES = [
    (changed(skipped=[["n01/0.jpg", "made up"]]), "is damaged"),
    (changed(skipped=None), "is damaged"),
    (changed(signature=None), "is damaged"),
    (signed_anew(skipped={}), "is damaged"),
    (signed_anew(skipped=[1]), "is damaged"),
    (signed_anew(skipped=[["n01/0.jpg"]]), "is damaged"),
    (signed_anew(skipped=[["n01/0.jpg", 1]]), "is damaged"),
    (signed_anew(labels="aaaaaaaaaaaa"), "is damaged"),
    (flip_one_byte, "is damaged"),
    (cut, "another length"),
    (other_labels, "is damaged"),
    (other_key, "of other files"),
    (lambda about, pixels: about.write_text("{"), "is damaged"),
    (lambda about, pixels: about.write_text("[1]"), "is damaged"),
    (lambda about, pixels: pixels.unlink(), "nothing is there"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_a_damaged_cache_is_made_again(folder, damage, said):
    good = load(folder)[0]
    pixels = np.array(good.pixels)
    damage(*cache_files(folder))
    found, lines = load(folder)
    assert len(lines) == 1
    assert said in lines[0]
    assert np.array_equal(found.pixels, pixels)
    assert load(folder)[1] == []


def test_a_stale_cache_is_not_taken(folder):
    before = load(folder)[0].sha256
    path = folder / "imagenet10" / "n02-1.tar"
    rng = np.random.default_rng(1)
    write_tar(path, [(f"n02/{i}.jpg", encoded(noise(rng))) for i in range(4)])
    found, lines = load(folder)
    assert lines[0].startswith("decoding 12 pictures")
    assert found.sha256 != before


def test_a_process_that_is_killed_while_it_decodes_leaves_nothing_that_counts(folder, monkeypatch):
    from refmg.data import decoded_cache

    def killed(*arguments):
        yield np.zeros((3, 8, 8), np.uint8)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(decoded_cache, "decoded", killed)
        with pytest.raises(KeyboardInterrupt):
            load(folder)
    assert list((folder.parent / "cache").iterdir()) == []
    assert len(load(folder)[0]) == 12


def test_photographs_need_no_file():
    made = Photographs(np.zeros((2, 3, 4, 4), np.uint8), np.array([0, 1]), ("a", "b"))
    assert made.features(2, np.array([1])).shape == (3, 2, 2, 1)
