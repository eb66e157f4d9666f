"""BGR frames in, people out. Triton's Python backend loads this file as `model.py`."""

import triton_python_backend_utils

from gcpose_trt.triton.python_models import FrameModel


class TritonPythonModel(FrameModel):
    """The name that Triton looks for."""

    utils = triton_python_backend_utils
