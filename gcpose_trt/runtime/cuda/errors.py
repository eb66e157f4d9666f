"""What goes wrong in the CUDA driver, in one line each that says what to do."""

from __future__ import annotations

from gcpose_trt.errors import GcposeError

OUT_OF_MEMORY = 2
_OTHERWISE = "or use backend onnxruntime, which needs no GPU"
_DOCTOR = "gcpose-trt doctor says what is missing"
_BROKEN = "the GPU's state is lost: start the program again, and report it if it returns"

# Codes of CUresult in cuda.h; they never change. Those that are left out read as the driver words them.
_ADVICE = {
    OUT_OF_MEMORY: ("out of GPU memory", "choose a smaller size or fewer people, or end other programs on the GPU"),
    3: ("the CUDA driver is not initialised", _DOCTOR),
    4: ("the CUDA driver is shutting down", "close estimators before the program ends"),
    34: ("the CUDA library found is a stub without a driver", f"take stubs out of LD_LIBRARY_PATH, {_OTHERWISE}"),
    46: ("the GPU is taken by another program or lost", "end that program (nvidia-smi lists it) and try again"),
    100: ("there is no NVIDIA GPU that CUDA can use", f"{_DOCTOR}, {_OTHERWISE}"),
    101: ("there is no such GPU", "nvidia-smi -L lists those there are"),
    201: ("no CUDA context is current, or one of another device", "report this with the lines that led to it"),
    709: ("the CUDA context was destroyed by other code of this process", "leave the primary context alone"),
    803: ("the driver's library does not fit the running driver", "restart the machine after updating the driver"),
    804: ("this GPU does not support forward compatibility", "take cuda-compat out of LD_LIBRARY_PATH"),
    999: ("the CUDA driver fails for an unknown reason", f"restart the machine; {_DOCTOR}"),
    **dict.fromkeys((700, 710, 714, 715, 716, 717, 718, 719), ("a kernel failed on the GPU", _BROKEN)),
    702: ("a kernel took too long", _BROKEN),
}


class CudaError(GcposeError):
    """A call of the CUDA driver that failed.

    Args:
        call: the driver's function.
        code: its CUresult; None where no driver answered.
        text: what the driver says of it.

    Attributes:
        code: see above.
    """

    def __init__(self, call: str, code: int | None, text: str = "") -> None:
        self.code = code
        what, remedy = _ADVICE.get(code or 0, ("CUDA failed", _DOCTOR))
        detail = ", ".join(part for part in (text, f"error {code}" if code is not None else "") if part)
        super().__init__(f"{what} ({call}: {detail}); {remedy}")


def no_driver(reason: object) -> GcposeError:
    """Return the error of a machine without an NVIDIA driver."""
    return GcposeError(f"no NVIDIA driver can be loaded ({_one_line(reason)}); install it ({_DOCTOR}), {_OTHERWISE}")


def no_binding(reason: object = "") -> GcposeError:
    """Return the error of an installation with neither cuda-python nor pycuda."""
    found = f" ({_one_line(reason)})" if reason else ""
    return GcposeError(
        f"neither cuda-python nor pycuda can be imported{found}; pip install 'gcpose-trt[tensorrt]' (cuda-python), "
        "or 'gcpose-trt[pycuda]' where only pycuda builds"
    )


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split())[:200]
