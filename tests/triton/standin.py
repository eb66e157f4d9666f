"""What Triton's Python backend gives a model, as far as ours use it, in one process and without a server."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from google.protobuf import text_format
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import model_config_pb2

MODULE = "triton_python_backend_utils"


class Tensor:
    def __init__(self, name: str, array: Any) -> None:
        self._name, self._array = name, np.array(array)

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> Any:
        return self._array


class TritonError:
    INVALID_ARG, INTERNAL = 3, 1

    def __init__(self, text: str, code: int = 1) -> None:
        self.text, self.code = text, code

    def message(self) -> str:
        return self.text


class TritonModelException(Exception):  # noqa: N818  # Triton's name
    pass


class Response:
    def __init__(self, output_tensors: Sequence[Tensor], error: TritonError | None = None) -> None:
        self._tensors, self._error = list(output_tensors), error

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error

    def arrays(self) -> dict[str, Any]:
        return {tensor.name(): tensor.as_numpy() for tensor in self._tensors}


class Request:
    """A request as a model gets it."""

    def __init__(self, inputs: Mapping[str, Any], parameters: Mapping[str, Any] | None = None) -> None:
        self.tensors = {name: Tensor(name, array) for name, array in inputs.items()}
        self._parameters = parameters

    def parameters(self) -> str:
        return json.dumps(self._parameters) if self._parameters else ""


def config_of(path: Path) -> Any:
    """Return the ModelConfig message of a config.pbtxt."""
    return text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())


class Server:
    """The models of a repository whose networks run in the Python backend.

    Args:
        repository: its folder.
        monkeypatch: puts the stand-in where `model.py` imports it.
    """

    def __init__(self, repository: Path, monkeypatch: Any) -> None:
        self.repository = repository
        self.models: dict[str, Any] = {}
        self.calls: list[tuple[str, int]] = []
        self.down: str | None = None
        monkeypatch.setitem(sys.modules, MODULE, self._module())
        for folder in sorted(path for path in repository.iterdir() if path.is_dir()):
            self.models[folder.name] = self.load(folder)

    def load(self, folder: Path) -> Any:
        """Return an initialised model."""
        spec = importlib.util.spec_from_file_location(f"served_{folder.name}", folder / "1" / "model.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        model = module.TritonPythonModel()
        config = MessageToDict(config_of(folder / "config.pbtxt"), preserving_proto_field_name=True)
        model.initialize(
            {
                "model_config": json.dumps(config),
                "model_name": folder.name,
                "model_repository": str(folder),
                "model_version": "1",
            }
        )
        return model

    def execute(self, model: str, requests: Sequence[Request]) -> list[Response]:
        """Run a model on requests that were gathered."""
        self.calls.append((model, len(requests)))
        found: list[Response] = self.models[model].execute(requests)
        assert len(found) == len(requests)
        return found

    def _module(self) -> ModuleType:
        module: Any = ModuleType(MODULE)
        module.Tensor, module.TritonError, module.InferenceResponse = Tensor, TritonError, Response
        module.TritonModelException = TritonModelException
        module.TRITONSERVER_MEMORY_CPU = 0
        module.PreferredMemory = lambda kind, device=0: (kind, device)
        module.get_input_tensor_by_name = lambda request, name: request.tensors[name]
        module.InferenceRequest = self._call
        return module  # type: ignore[no-any-return]

    def _call(
        self, model_name: str, requested_output_names: list[str], inputs: list[Tensor], preferred_memory: Any
    ) -> SimpleNamespace:
        def execute() -> Response:
            if self.down == model_name:
                raise TritonModelException("Server not ready\nat line 3")
            request = Request({tensor.name(): tensor.as_numpy() for tensor in inputs})
            response = self.execute(model_name, [request])[0]
            if response.has_error():
                return response
            return Response([tensor for tensor in response.output_tensors() if tensor.name() in requested_output_names])

        run: Callable[[], Response] = execute
        return SimpleNamespace(exec=run)
