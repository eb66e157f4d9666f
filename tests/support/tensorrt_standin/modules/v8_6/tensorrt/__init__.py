"""Stand-in for the Python module of TensorRT 8.6; see tests.support.tensorrt_standin. NOT TensorRT."""

from tests.support.tensorrt_standin.surfaces import names

globals().update(names("8.6"))
