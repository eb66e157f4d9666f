"""Our CUDA plugins from Python: building the library, finding it, and calling its kernels. Imports no torch."""
