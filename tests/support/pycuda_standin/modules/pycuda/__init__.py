"""A STAND-IN for pycuda, for tests; see tests/support/pycuda_standin."""
