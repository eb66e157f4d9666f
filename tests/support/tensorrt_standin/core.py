"""What the stand-ins' networks do: parse real ONNX, refuse what a generation refuses, keep types and layers.

Every class here has the union of the generations' names; `surfaces.py` shows each generation its own.
"""

from __future__ import annotations

import ctypes
from typing import Any

import onnx
from onnx import TensorProto

from gcpose_trt.graph.tensors import infer

DOMAIN = "gcpose"
ELEMENT_TYPES = {
    int(TensorProto.FLOAT): "FLOAT",
    int(TensorProto.FLOAT16): "HALF",
    int(TensorProto.INT8): "INT8",
    int(TensorProto.INT32): "INT32",
    int(TensorProto.INT64): "INT64",
    int(TensorProto.UINT8): "UINT8",
    int(TensorProto.BOOL): "BOOL",
}
LAYER_TYPES = {
    "Conv": "CONVOLUTION",
    "ConvTranspose": "DECONVOLUTION",
    "Gemm": "MATRIX_MULTIPLY",
    "MatMul": "MATRIX_MULTIPLY",
    "Constant": "CONSTANT",
    "Cast": "CAST",
    "Shape": "SHAPE",
    "Softmax": "SOFTMAX",
    "TopK": "TOPK",
    "Reshape": "SHUFFLE",
    "Transpose": "SHUFFLE",
    "QuantizeLinear": "QUANTIZE",
    "DequantizeLinear": "DEQUANTIZE",
}
NATIVE_REFUSED = {"NonZero": ("8.5",), "Unique": ("8.5", "8.6", "10.3", "10.16", "11.4")}


class Lib:
    """One generation: its name and the types that its module shows."""

    def __init__(self, generation: str, version: str) -> None:
        self.generation = generation
        self.version = version
        self.types: dict[str, Any] = {}
        self.registry_core = Registry(self)

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def enum(self, kind: str, member: str) -> Any:
        return getattr(self.types[kind], member)

    def has(self, kind: str, member: str) -> bool:
        return hasattr(self.types.get(kind), member)

    def show(self, name: str, core: Any) -> Any:
        """Wrap a core object in the type that the module shows."""
        return self.types[name]._wrap(core)


class LoggerBase:
    """The C++ half of a logger; pybind11 notices when a subclass forgets to make it."""

    def __init__(self, *_: Any) -> None:
        self._made = True


def say(logger: Any, lib: Lib, severity: str, text: str) -> None:
    logger.log(lib.enum("Severity", severity), text)


class Registry:
    """IPluginRegistry. It loads stand-ins of plugin libraries, see native/plugins.c, which only name their creators."""

    def __init__(self, lib: Lib) -> None:
        self.lib = lib
        self.creators: list[Any] = []
        self.error_recorder = None
        self.parent_search_enabled = True
        self.native: Any = None  # 8.5: the C stand-in that keeps what a library registers by itself

    @property
    def all_creators(self) -> list[Any]:
        return [self.lib.show("IPluginCreatorInterface", creator) for creator in self.creators]

    @property
    def plugin_creator_list(self) -> list[Any]:
        names = [] if self.native is None else self.native()
        listed = [*self.creators, *(Creator(name) for name in names)]
        return [self.lib.show("IPluginCreator", creator) for creator in listed]

    def load_library(self, plugin_path: str) -> Any:
        entry = "getPluginCreators" if self.lib.major < 10 else "getCreators"
        library = ctypes.CDLL(plugin_path)
        if not hasattr(library, entry):
            raise RuntimeError(f"Failed to find symbol {entry} in {plugin_path}")
        library.standin_creators.restype = ctypes.c_char_p
        self.creators += [Creator(name) for name in library.standin_creators().decode().split()]
        return object()


class Creator:
    """A plugin creator."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.plugin_version = "1"
        self.plugin_namespace = ""


class Tensor:
    """ITensor."""

    def __init__(self, lib: Lib, name: str, kind: str, shape: tuple[int, ...]) -> None:
        self.lib = lib
        self.name = name
        self.kind = kind
        self.shape = shape
        self.is_shape_tensor = False

    @property
    def dtype(self) -> Any:
        return self.lib.enum("DataType", self.kind)


class Layer:
    """ILayer."""

    def __init__(
        self, lib: Lib, node: onnx.NodeProto, inputs: list[Tensor], outputs: list[Tensor], plugin: bool
    ) -> None:
        kind = LAYER_TYPES.get(node.op_type, "ELEMENTWISE")
        if plugin:
            kind = "PLUGIN_V3" if lib.major >= 10 else "PLUGIN_V2"
        if not lib.has("LayerType", kind):
            kind = "IDENTITY"
        self.lib, self.inputs, self.outputs = lib, inputs, outputs
        self.name = node.name or f"(Unnamed Layer* {node.op_type})"
        self.type = lib.enum("LayerType", kind)
        self.set_precision: str | None = None
        self.output_types: dict[int, str] = {}

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    @property
    def num_outputs(self) -> int:
        return len(self.outputs)

    def get_input(self, index: int) -> Any:
        return self.lib.show("ITensor", self.inputs[index])

    def get_output(self, index: int) -> Any:
        return self.lib.show("ITensor", self.outputs[index])

    @property
    def precision(self) -> Any:
        return self.lib.enum("DataType", self.set_precision or "FLOAT")

    @precision.setter
    def precision(self, value: Any) -> None:
        self.set_precision = value.name

    def set_output_type(self, index: int, dtype: Any) -> None:
        self.output_types[index] = dtype.name


class Network:
    """INetworkDefinition."""

    def __init__(self, lib: Lib, flags: int) -> None:
        self.lib, self.flags = lib, flags
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.layers: list[Layer] = []
        self.model: onnx.ModelProto | None = None

    def flag(self, name: str) -> bool:
        lib = self.lib
        kind = "NetworkDefinitionCreationFlag"
        return lib.has(kind, name) and bool(self.flags >> int(lib.enum(kind, name)) & 1)

    num_inputs = property(lambda self: len(self.inputs))
    num_outputs = property(lambda self: len(self.outputs))
    num_layers = property(lambda self: len(self.layers))

    def get_input(self, index: int) -> Any:
        return self.lib.show("ITensor", self.inputs[index])

    def get_output(self, index: int) -> Any:
        return self.lib.show("ITensor", self.outputs[index])

    def get_layer(self, index: int) -> Any:
        return self.lib.show("ILayer", self.layers[index])


class ParserError:
    """IParserError."""

    def __init__(self, text: str, node: int) -> None:
        self.text, self.index = text, node

    def desc(self) -> str:
        return self.text

    def node(self) -> int:
        return self.index


class Parser:
    """OnnxParser."""

    def __init__(self, lib: Lib, network: Network, logger: Any) -> None:
        self.lib, self.network, self.logger = lib, network, logger
        self.errors: list[ParserError] = []

    num_errors = property(lambda self: len(self.errors))

    def get_error(self, index: int) -> Any:
        return self.lib.show("ParserError", self.errors[index])

    def parse_from_file(self, model: str) -> bool:
        try:
            return self.take(onnx.load(model))
        except Exception as error:
            return self.fail(f"Failed to parse the file: {error}", -1)

    def parse(self, model: bytes, path: str | None = None) -> bool:
        return self.take(onnx.load_from_string(model))

    def fail(self, text: str, node: int) -> bool:
        self.errors.append(ParserError(text, node))
        say(self.logger, self.lib, "ERROR", f"ModelImporter: {text}")
        return False

    def take(self, model: onnx.ModelProto) -> bool:
        if self.lib.major < 10 and not self.network.flag("EXPLICIT_BATCH"):
            return self.fail("In the current version, ONNX parser requires explicit batch", -1)
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:
            return self.fail(str(error), -1)
        bodies = {function.name for function in model.functions}
        creators = {creator.name for creator in self.lib.registry_core.creators}
        if self.lib.registry_core.native is not None:
            creators |= set(self.lib.registry_core.native())
        for index, node in enumerate(model.graph.node):
            if self.lib.generation in NATIVE_REFUSED.get(node.op_type, ()):
                return self.fail(f"No importer registered for op: {node.op_type}", index)
            if node.domain == DOMAIN and node.op_type not in (bodies if self.lib.major >= 9 else set()) | creators:
                return self.fail(
                    f"Plugin not found, are the plugin name, version, and namespace correct? ({node.op_type})", index
                )
        self._fill(model, creators)
        return True

    def _fill(self, model: onnx.ModelProto, creators: set[str]) -> None:
        """Make tensors and layers."""
        tensors: dict[str, Tensor] = {}
        for name, info in infer(model).items():
            kind = ELEMENT_TYPES.get(info.kind, "FLOAT")
            shape = tuple(side if isinstance(side, int) else -1 for side in info.shape or ())
            tensors[name] = Tensor(self.lib, name, self._native_kind(kind), shape)
        for node in model.graph.node:
            known = [tensors.setdefault(name, Tensor(self.lib, name, "FLOAT", ())) for name in node.input if name]
            made = [tensors.setdefault(name, Tensor(self.lib, name, "FLOAT", ())) for name in node.output if name]
            plugin = node.domain == DOMAIN and node.op_type in creators
            self.network.layers.append(Layer(self.lib, node, known, made, plugin))
        self.network.inputs = [tensors[value.name] for value in model.graph.input]
        self.network.outputs = [tensors[value.name] for value in model.graph.output]
        self.network.model = model

    def _native_kind(self, kind: str) -> str:
        return "INT32" if kind == "INT64" and not self.lib.has("DataType", "INT64") else kind
