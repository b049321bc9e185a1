"""Matrix-free CPU kernels, compiled by Numba; importing this package loads Numba."""
