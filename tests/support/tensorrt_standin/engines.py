"""The stand-ins' "engines": a header with layers and tensors, then the ONNX graph."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

from tests.support.tensorrt_standin.core import Lib, say

MAGIC = b"STAND-IN ENGINE\0"


def pack(header: dict[str, Any], model: bytes) -> bytes:
    """Return the bytes of an "engine"."""
    text = json.dumps(header).encode()
    body = struct.pack("<QQ", len(text), len(model)) + text + model
    return MAGIC + hashlib.sha256(body).digest() + body


class IHostMemory(bytes):
    """IHostMemory: offers its contents as a buffer, which below Python 3.12 takes a class written in C."""

    nbytes = property(len)


class Runtime:
    """Runtime."""

    def __init__(self, lib: Lib, logger: Any) -> None:
        self.lib, self.logger = lib, logger

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Any:
        content = bytes(serialized_engine)
        start = len(MAGIC) + 32
        body = content[start:]
        if not content.startswith(MAGIC) or hashlib.sha256(body).digest() != content[len(MAGIC) : start]:
            say(self.logger, self.lib, "ERROR", "Serialization assertion magicTagRead == kMAGIC_TAG failed.")
            return None
        text, model = struct.unpack_from("<QQ", body)
        header = json.loads(body[16 : 16 + text])
        if header["version"] != self.lib.version:
            say(
                self.logger,
                self.lib,
                "ERROR",
                "Serialization assertion stdVersionRead == kSERIALIZATION_VERSION failed.",
            )
            return None
        return self.lib.show("ICudaEngine", Engine(self.lib, header, body[16 + text : 16 + text + model]))


class Engine:
    """ICudaEngine. `model` holds the ONNX graph, serialised, for whoever runs it."""

    def __init__(self, lib: Lib, header: dict[str, Any], model: bytes) -> None:
        self.lib, self.header, self.model = lib, header, model
        self.tensors = {entry["name"]: entry for entry in header["io"]}

    num_io_tensors = property(lambda self: len(self.header["io"]))
    num_bindings = property(lambda self: len(self.header["io"]) * len(self.header["profiles"]))
    num_optimization_profiles = property(lambda self: len(self.header["profiles"]))
    num_layers = property(lambda self: len(self.header["layers"]))
    device_memory_size = 1 << 20
    device_memory_size_v2 = 1 << 20

    def get_tensor_name(self, index: int) -> str:
        return self.header["io"][index]["name"]

    def get_tensor_dtype(self, name: str) -> Any:
        return self.lib.enum("DataType", self.tensors[name]["kind"])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.tensors[name]["shape"])

    def get_tensor_mode(self, name: str) -> Any:
        return self.lib.enum("TensorIOMode", "INPUT" if self.tensors[name]["input"] else "OUTPUT")

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        shapes = self.header["profiles"][profile_index]
        fixed = self.tensors[name]["shape"]
        return [tuple(shape) for shape in shapes.get(name, [fixed] * 3)]

    def create_engine_inspector(self) -> Any:
        return self.lib.show("EngineInspector", Inspector(self.lib, self))

    def create_execution_context(self, strategy: Any = None) -> Any:
        # Late: running an engine needs ONNX Runtime, which building does not.
        from tests.support.tensorrt_standin.execution import Context

        return self.lib.show("IExecutionContext", Context(self.lib, self))

    create_execution_context_without_device_memory = create_execution_context

    def serialize(self) -> Any:
        return IHostMemory(pack(self.header, self.model))


class Inspector:
    """EngineInspector. Without a context a dynamic engine's shapes and types are not known to it."""

    def __init__(self, lib: Lib, engine: Engine) -> None:
        self.lib, self.engine = lib, engine
        self.execution_context: Any = None

    def get_engine_information(self, format: Any) -> str:
        layers = self.engine.header["layers"]
        if not self.engine.header["detailed"]:
            return json.dumps({"Layers": [layer["Name"] for layer in layers]})
        dynamic = any(-1 in entry["shape"] for entry in self.engine.header["io"])
        count = len(self.engine.header["profiles"])
        result = []
        for profile in range(count):
            for layer in layers:
                copy = json.loads(json.dumps(layer))
                if profile:
                    copy["Name"] += f" [profile {profile}]"
                for value in copy["Inputs"] + copy["Outputs"]:
                    if dynamic and self.execution_context is None:
                        value["Format/Datatype"] = "N/A due to dynamic shapes"
                    elif dynamic:
                        value["Dimensions"] = [self._people(profile) if n < 0 else n for n in value["Dimensions"]]
                result.append(copy)
        return json.dumps({"Layers": result, "Bindings": list(self.engine.tensors)})

    def _people(self, profile: int) -> int:
        """The one number that a profile of ours gives to every dynamic dimension."""
        entry = next(entry for entry in self.engine.header["io"] if entry["input"] and -1 in entry["shape"])
        return self.engine.get_tensor_profile_shape(entry["name"], profile)[1][entry["shape"].index(-1)]
