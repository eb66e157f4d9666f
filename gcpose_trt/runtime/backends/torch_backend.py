"""Running a model in PyTorch, on the CPU or on CUDA: a built module or a checkpoint."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.runtime.backends import Detections
from gcpose_trt.runtime.info import FORMAT, ModelInfo

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class TorchBackend:
    """A GCPoseRCNN behind the runtime's protocol.

    In half precision, convolutions, linear layers and attention take float16 and add up in float32 (CUDA); boxes,
    scores, suppression, softmax, pooling geometry and the decode of keypoints stay float32. Maps then lie channels
    last. On CUDA our own kernels run in place of their PyTorch references where their library is built
    (`gcpose_trt.model.ops.native`).

    Args:
        model: a built module (used as it is, on the device where it lies, unless `device`, `half` or `compiled` asks
            for a copy), a checkpoint of ours, a shipped name, the folder of an exported model, or the name of another
            architecture, which then has random weights.
        threads: PyTorch's threads, which are the whole process's; None leaves them alone.
        device: "cpu", "cuda", "cuda:1"; None is where the module lies, the CPU for all else.
        half: compute in half precision. None does where `device` asks for CUDA. It works on the CPU too, slowly, and
            serves to see what half precision does to a model.
        compiled: run backbone, pyramid and keypoint head through torch.compile: True, or a `backend` of
            torch.compile. What cannot be compiled runs as it is, with a warning. The first frame of each size takes
            long.

    Raises:
        MissingDependencyError: PyTorch is not installed.
        GcposeError: no such architecture, the checkpoint does not fit, or there is no such device.
    """

    name = "torch"
    batch_limit: int | None = None

    def __init__(
        self,
        model: Any,
        threads: int | None = None,
        device: str | None = None,
        half: bool | None = None,
        compiled: bool | str | Callable[..., Any] = False,
    ) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingDependencyError("torch", "train", "the PyTorch backend") from error
        if threads is not None:
            torch.set_num_threads(threads)
        self._torch = torch
        # Before the weights are read: a device that is not there should show at once.
        wanted = None if device is None else _check_device(torch, device)
        from gcpose_trt.model import load_model

        loaded = isinstance(model, (str, os.PathLike))
        module = load_model(model) if loaded else model
        lies = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
        self._device = wanted or lies
        self.half = half if half is not None else wanted is not None and wanted.type == "cuda"
        with self._errors():
            if not loaded and (self.half or compiled or self._device != lies):
                module = copy.deepcopy(module)  # the caller's stays as it is
            self._model = self._prepare(module.eval(), compiled)
        self.precision = "fp16" if self.half else "fp32"
        # PyTorch's "cuda" is whichever GPU is current, which is the first unless somebody chose another.
        self.device_name = f"cuda:{self._device.index or 0}" if self._device.type == "cuda" else str(self._device)
        # A module takes any size, and has no second file that it must match.
        record = {"format": FORMAT, "size": None, "weights_sha256": "", **self._model.metadata()}
        self.info = ModelInfo.from_dict(record, "the PyTorch model")
        if self._device.type == "cuda":
            from gcpose_trt.model.ops import native

            native.load()

    def _prepare(self, module: Any, compiled: bool | str | Callable[..., Any]) -> Any:
        """Bring a module to the device, and to the types and layout that are fast there."""
        torch = self._torch
        if self._device.type == "cuda" and self.half:
            module = module.to(self._device, memory_format=torch.channels_last)
        else:
            module = module.to(self._device)
        if self.half:
            # Autocast would cast the weights of these at every frame.
            for layer in module.modules():
                if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)):
                    layer.half()
        if compiled:
            options: dict[str, Any] = {} if compiled is True else {"backend": compiled}
            module.features = _Compiled(torch.compile(module.features, **options), module.features, "features")
            head = module.keypoint_head
            head.logits = _Compiled(torch.compile(head.logits, **options), head.logits, "keypoint logits")
        return module

    @property
    def module(self) -> Any:
        """The network as it runs, on `device`; enter `inference()` around its calls."""
        return self._model

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return self._device

    def detect(self, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> Detections:
        """See `Backend.detect`; `p2` stays a tensor on the model's device."""
        with self.inference():
            found = self._model.detect(self.tensor(image), self.tensor(image_size))
            return Detections(found.p2, _numpy(found.boxes), _numpy(found.scores), _numpy(found.count))

    def pose(self, p2: Tensor, boxes: NDArray[np.float32], batch_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Backend.pose`."""
        with self.inference():
            return _numpy(self._model.pose(p2, self.tensor(boxes), self.tensor(batch_index)))

    def close(self) -> None:
        """Drop the module; one that the caller built stays theirs."""
        del self._model

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Return an array as a tensor on the model's device; the copy to a GPU runs beside the CPU."""
        tensor = self._torch.from_numpy(np.ascontiguousarray(array))
        if self._device.type != "cuda":
            return tensor.to(self._device)
        # Only a copy from pinned memory is asynchronous; PyTorch keeps the memory until the copy has ended.
        return tensor.pin_memory().to(self._device, non_blocking=True)

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Set the modes in which the network runs, and turn what it raises into our errors."""
        torch = self._torch
        with self._errors(), ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self._device.type == "cuda":
                stack.enter_context(torch.cuda.device(self._device))
            if self.half:
                stack.enter_context(torch.autocast(self._device.type, dtype=torch.float16))
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        torch = self._torch
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise GcposeError(
                f"out of memory in PyTorch ({_first_line(error)}); choose a smaller size or fewer people"
            ) from error
        except RuntimeError as error:
            text = _first_line(error)
            if "can't allocate memory" in text or "out of memory" in text:
                raise GcposeError(
                    f"out of memory in PyTorch ({text}); choose a smaller size or fewer people"
                ) from error
            if isinstance(error, getattr(torch, "AcceleratorError", ())) or "CUDA error" in text:
                raise GcposeError(
                    f"CUDA failed in PyTorch ({text}); check the GPU with gcpose-trt doctor, then start again"
                ) from error
            raise


class _Compiled:
    """A compiled function that gives way to the plain one for good when it cannot be compiled."""

    def __init__(self, compiled: Callable[..., Any], plain: Callable[..., Any], name: str) -> None:
        self._function, self._plain, self._name = compiled, plain, name

    def __call__(self, *args: Any) -> Any:
        if self._function is self._plain:
            return self._plain(*args)
        try:
            return self._function(*args)
        except Exception as error:
            # A fault of the network itself, or of memory, shows again here; the compilers have no common exception.
            result = self._plain(*args)
            self._function = self._plain
            warnings.warn(
                f"torch.compile failed on {self._name} ({type(error).__name__}: {_first_line(error)[:200]}); "
                "it runs without",
                RuntimeWarning,
                stacklevel=2,
            )
            return result


def _check_device(torch: Any, name: str) -> torch.device:
    """Return the device that a user names.

    Raises:
        GcposeError: it is no device of PyTorch's, or CUDA cannot be used; one line with what to install.
    """
    try:
        device: torch.device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise GcposeError(f"no device is called {name!r}; choose cpu, cuda or cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise GcposeError(f"device {name!r} is not served; choose cpu, cuda or cuda:1")
    if device.type == "cpu":
        return device
    if torch.version.cuda is None:
        raise GcposeError(
            f"device {name!r} needs CUDA, but torch {torch.__version__} is built without it; install a CUDA build "
            "(desktop: pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu130; Jetson: "
            "NVIDIA's own wheel for the JetPack) or choose cpu"
        )
    with warnings.catch_warnings():  # torch warns of a missing driver in several lines
        warnings.simplefilter("ignore")
        if not torch.cuda.is_available():
            raise GcposeError(
                f"device {name!r} needs an NVIDIA GPU and a driver for CUDA {torch.version.cuda}, PyTorch finds none; "
                "check with nvidia-smi, install or update the driver, or choose cpu"
            )
        count = torch.cuda.device_count()
    if (device.index or 0) >= count:
        raise GcposeError(f"there is no device {name!r}; choose one of {', '.join(f'cuda:{i}' for i in range(count))}")
    return device


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _numpy(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.cpu().numpy()
    return array
