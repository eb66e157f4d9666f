"""Other people's models: finding the adapter that makes one a contender.

Adapters are single files, see `contender.Adapter`: those of this project in `benchmarks/peers` of a clone or
`gcpose_trt/benchmark_files/peers` of a wheel, and any .py file of the user's own. They are loaded by path, wherever the
command is run, so they import what is installed and not each other.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError

_PACKAGE = Path(__file__).resolve().parents[1]
FOLDERS = (_PACKAGE / "benchmark_files" / "peers", _PACKAGE.parent / "benchmarks" / "peers")
_FIELDS = ("backend", "precision", "size", "device", "min_score")
_FORM = "NAME=WEIGHTS or FILE.py=WEIGHTS, then KEY=VALUE after commas"


def parse(text: str, threads: int | None = None) -> ContenderSpec:
    """Read a peer as the command line and suites name it.

    Args:
        text: "movenet=weights/movenet.onnx", "movenet=movenet.onnx,size=448", "my_adapter.py=model.pt,tracker=off".
            Keys are fields of `ContenderSpec` (backend, precision, size, device, min_score) or the peer's own options.
        threads: CPU threads.

    Raises:
        GcposeError: not of that form, or there is no such peer.
    """
    head, *rest = text.split(",")
    peer, _, model = head.partition("=")
    pairs = dict(item.partition("=")[::2] for item in rest)
    if not peer or not all(name and value for name, value in pairs.items()):
        raise GcposeError(f"{text!r} is not a peer; write {_FORM}")
    adapter_path(peer)
    own: dict[str, Any] = {name: pairs.pop(name) for name in _FIELDS if name in pairs}
    if "min_score" in own:
        try:
            own["min_score"] = float(own["min_score"])
        except ValueError:
            raise GcposeError(
                f"min_score {own['min_score']!r} of {peer} is no number; choose one from 0 to 1"
            ) from None
    return ContenderSpec(model=model, peer=peer, threads=threads, options=pairs, **{"backend": "", **own})


def bare(text: str) -> str:
    """Return a peer's words without folders of this machine."""
    words = []
    for word in text.split(","):
        name, equals, value = word.partition("=")
        words.append(f"{Path(name).name}{equals}{Path(value).name}")
    return ",".join(words)


def known() -> list[str]:
    """Return the names of the adapters that come with the project."""
    found = {path.stem for folder in FOLDERS for path in folder.glob("*.py")}
    return sorted(name for name in found if not name.startswith("_"))


def adapter_path(peer: str) -> Path:
    """Return the file of an adapter.

    Args:
        peer: its name, or the path of a .py file.

    Raises:
        GcposeError: there is none.
    """
    if peer.endswith(".py"):
        if not Path(peer).is_file():
            raise GcposeError(f"no adapter {peer}; check the path")
        return Path(peer).resolve()
    if peer in known():
        return next(folder / f"{peer}.py" for folder in FOLDERS if (folder / f"{peer}.py").is_file())
    names = ", ".join(known()) or "none in this installation"
    raise GcposeError(f"no peer is called {peer!r}; choose from {names}, or give the path of an adapter's .py file")


def load(peer: str) -> Any:
    """Import an adapter.

    Raises:
        GcposeError: there is none, it cannot be imported, or it is no adapter.
    """
    path = adapter_path(peer)
    name = f"gcpose_peer_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except GcposeError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise GcposeError(f"the adapter {path.name} cannot be imported ({why}); put it right") from error
    lacking = [name for name in ("TITLE", "NEEDS", "missing", "open") if not hasattr(module, name)]
    if lacking:
        raise GcposeError(
            f"{path.name} is no adapter, it has no {', '.join(lacking)}; see gcpose_trt.benchmark.contender.Adapter"
        )
    return module


def missing(spec: ContenderSpec) -> str | None:
    """Return why a peer cannot run here, ending with what to do; None if it can.

    Raises:
        GcposeError: there is no such peer.
    """
    try:
        reason = load(spec.peer).missing(spec)
    except GcposeError:
        raise
    except Exception as error:
        return f"its adapter fails ({type(error).__name__}: {' '.join(str(error).split())}); put {spec.peer} right"
    return None if reason is None else " ".join(str(reason).split())
