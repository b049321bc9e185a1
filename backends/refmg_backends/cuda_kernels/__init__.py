"""CUDA kernels of the ``cupy`` backend: their source, their tiles, and how they are compiled and called."""
