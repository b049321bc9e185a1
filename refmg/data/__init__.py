"""Labelled images: IDX files, the digits that need no download, divisions and coarse images."""

from refmg.data.digits import load_digits
from refmg.data.download import fetch_mnist
from refmg.data.idx import load_idx_folder, read_idx
from refmg.data.images import Images
from refmg.data.pyramid import restrict_images
from refmg.data.source import load_images
from refmg.data.split import split_images

__all__ = [
    "Images",
    "fetch_mnist",
    "load_digits",
    "load_idx_folder",
    "load_images",
    "read_idx",
    "restrict_images",
    "split_images",
]
