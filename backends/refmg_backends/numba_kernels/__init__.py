"""Matrix-free CPU kernels, compiled by Numba; importing this package loads Numba."""

from refmg_backends.numba_kernels.cache import keyed_by_sources
from refmg_backends.numba_kernels.shared_cache import share_safely

share_safely()
# All kernels at once: Numba decides where compiled code is kept when a function is defined.
with keyed_by_sources():
    from refmg_backends.numba_kernels import (  # noqa: F401
        activate,
        by_frequency,
        classifier,
        codes,
        convolve,
        descent,
        fixed_features,
        frequencies,
        gradient,
        memory,
        network,
        normalize,
        pieces,
        pointwise,
        pool,
        readout,
        tiles,
        vectors,
        winograd,
    )
