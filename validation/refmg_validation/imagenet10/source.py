"""Where the photographs come from, and the files that ranks map into memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from refmg.data import Photographs, load_photographs
from refmg.data.coarse_cache import mapped_means
from refmg_validation.ranks import first_before_others, ranks


@dataclass(frozen=True)
class Source:
    """Where the photographs come from.

    Parameters
    ----------
    data : pathlib.Path, optional
        As in :func:`refmg.data.find_pictures`.
    cache : pathlib.Path
        Folder for the decoded ones.
    strict : bool
        Fail if one cannot be read.
    """

    data: Path | None
    cache: Path
    strict: bool = False

    def load(self, size: int, tell: Callable[[str], None]) -> Photographs:
        """Return the photographs at this size."""
        return load_photographs(self.data, self.cache, size, strict=self.strict, tell=tell)

    def mapped(
        self, photographs: Photographs, sizes: Sequence[int], tell: Callable[[str], None]
    ) -> dict[int, NDArray[Any]]:
        """Return the photographs on every grid in files, which ranks map into memory; none for one alone."""
        if ranks().size == 1:
            return {}

        def on(size: int) -> NDArray[Any]:
            if size == photographs.size:
                return photographs.pixels
            return first_before_others(lambda: mapped_means(photographs, self.cache, size, tell))

        return {size: on(size) for size in sizes}
