"""Download of MNIST, each file checked against its sha256 before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refmg_backends import RefmgError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


def fetch_mnist(folder: str | Path, mirrors: Sequence[str] = MIRRORS) -> Path:
    """Download the four files of MNIST that are not yet in a folder.

    Parameters
    ----------
    folder : path
        Where to put them; made if missing. Files that are there and right are left alone.
    mirrors : sequence of str
        Addresses to try in turn, each ending with ``/``.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    RefmgError
        If pooch is not installed, or no mirror gave a file with the right sha256.
    """
    try:
        import pooch
    except ImportError as error:
        raise RefmgError("downloads need pooch, which is not installed: pip install 'refmg[demo]'") from error
    pooch.get_logger().setLevel("ERROR")
    for name, digest in SHA256.items():
        _fetch(pooch.retrieve, name, digest, Path(folder), mirrors)
    return Path(folder)


def _fetch(retrieve: object, name: str, digest: str, folder: Path, mirrors: Sequence[str]) -> None:
    reasons = []
    for mirror in mirrors:
        try:
            retrieve(mirror + name, known_hash=f"sha256:{digest}", fname=name, path=folder)  # type: ignore[operator]
            return
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong hash is a ValueError
            reasons.append(f"{mirror}: {type(error).__name__}")
    raise RefmgError(
        f"could not download {name} ({'; '.join(reasons)}); without a network put the four MNIST files "
        f"into a folder and name it with --data or REFMG_DATA, or use the 5,000 digits that need none"
    )
