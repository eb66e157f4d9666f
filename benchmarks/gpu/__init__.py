"""Checks and timings of the CUDA kernels, for a machine with a GPU."""
