"""A stand-in for the package pycuda: the names, arguments and context rules of pycuda 2026.1 that the runtime uses.

It calls whatever libcuda.so.1 is found, in tests the stand-in driver. Put `FOLDER` on the path to import it as pycuda.
Where the real pycuda is installed, the tests use that as well, and check that it has every name given here.
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "modules"
