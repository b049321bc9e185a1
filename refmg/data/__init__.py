"""Labelled images: IDX files, photographs, the digits that need no download, divisions and coarse images."""

from refmg.data.augmentation import flip_and_shift
from refmg.data.decoding import decode
from refmg.data.digits import load_digits
from refmg.data.download import fetch_mnist
from refmg.data.idx import load_idx_folder, read_idx
from refmg.data.images import Images
from refmg.data.photographs import Photographs, load_photographs
from refmg.data.picture_files import PictureFile, PictureSet, find_pictures
from refmg.data.prefetch import prefetched
from refmg.data.pyramid import restrict_images
from refmg.data.source import load_images
from refmg.data.split import split_images, split_numbers

__all__ = [
    "Images",
    "Photographs",
    "PictureFile",
    "PictureSet",
    "decode",
    "fetch_mnist",
    "find_pictures",
    "flip_and_shift",
    "load_digits",
    "load_idx_folder",
    "load_images",
    "load_photographs",
    "prefetched",
    "read_idx",
    "restrict_images",
    "split_images",
    "split_numbers",
]
