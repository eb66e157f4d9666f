"""A Ray cluster seen from the machine that a batch is started on: joining it, leaving it, how much fits on it."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gcpose_trt.batch.types import Recipe
from gcpose_trt.batch.worker import explain
from gcpose_trt.errors import GcposeError, MissingDependencyError

_START = "start one with `ray start --head` and, on each further machine, `ray start --address HOST:PORT`"
_TIMEOUT_S = 10.0
_READERS_S = 10.0  # most of a second is what they take
# A network on a CPU takes many times as long for a frame as decoding it does: one decoder keeps this many busy.
_CORES_A_DECODER = 8


@dataclass(frozen=True)
class Shape:
    """How a batch is spread over a cluster.

    Attributes:
        workers: networks at a time, at most.
        start: networks that fit at present; more are started as machines join.
        cpus: cores of each.
        gpus: GPUs of each; may be a fraction.
        decoders: decoding tasks at a time; None leaves it to Ray Data.
        files: planning and finishing tasks at a time.
    """

    workers: int
    start: int
    cpus: float
    gpus: float
    decoders: int | None
    files: int


def load_ray() -> Any:
    """Import Ray.

    Raises:
        MissingDependencyError: it is not installed.
    """
    # Ray would start workers of a program run by `uv run` with a copy of its environment: ours is on every machine.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # What Ray's C++ says of this process goes to the terminal, and nothing of it is of use there.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError("ray[data]", "ray", "--ray") from error
    return ray


@contextlib.contextmanager
def joined(address: str) -> Iterator[Any]:
    """Join a running cluster under a namespace of its own; leave it at the end. It goes on running.

    Args:
        address: "auto" (the cluster of this machine) or HOST:PORT of its head.

    Raises:
        GcposeError: there is no cluster, or this machine is not part of it.
        MissingDependencyError: Ray is not installed.
    """
    ray = load_ray()
    _check_address(address)
    if ray.is_initialized():
        raise GcposeError("this process has joined a Ray cluster already; call ray.shutdown() first")
    with _quiet(ray):
        try:
            with _no_stderr():
                ray.init(
                    address=address,
                    namespace=f"gcpose-trt-{uuid.uuid4().hex[:12]}",
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                )
        except Exception as error:  # Ray's errors have no family: ConnectionError, RuntimeError, ValueError, ...
            ray.shutdown()
            if address == "auto" and isinstance(error, ConnectionError):
                raise GcposeError(f"no Ray cluster runs on this machine; {_START}, or give its address") from error
            raise GcposeError(
                f"cannot join the Ray cluster at {address} ({explain(error)}); run this on a machine of the cluster, "
                "with the same versions of Ray and Python"
            ) from error
        _mute()
        try:
            yield ray
        finally:
            await_readers()
            ray.shutdown()


def await_readers(seconds: float = _READERS_S) -> None:
    """Wait until Ray Data's threads in this process are done, which they are soon after a dataset is closed.

    One that calls Ray after `ray.shutdown()` ends the whole process, with code 1 and without a word.

    Args:
        seconds: to wait for at most.
    """
    deadline = time.monotonic() + seconds
    for thread in threading.enumerate():
        if _reads(thread):
            thread.join(max(deadline - time.monotonic(), 0))


def _reads(thread: threading.Thread) -> bool:
    """Say whether a thread runs code of Ray Data that calls Ray."""
    target = getattr(thread, "_target", None)
    module = str(getattr(target, "__module__", type(thread).__module__))
    # A prefetcher is left behind by a dataset that is closed early, and sleeps for good.
    return module.startswith("ray.data.") and thread.name != "Prefetcher"


def _check_address(address: str) -> None:
    """Fail in seconds where Ray itself would try for minutes."""
    if address == "auto":
        return
    if "://" in address:
        raise GcposeError(
            f"{address} is an address of Ray's client, which Ray Data does not go with; run this on a machine of the "
            "cluster and give auto or HOST:PORT"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise GcposeError(f"{address!r} is no address of a Ray cluster; give auto or HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_S).close()
    except OSError as error:
        raise GcposeError(
            f"no Ray cluster answers at {address} ({error.strerror or error}); {_START}, or correct the address"
        ) from error


@contextlib.contextmanager
def _quiet(ray: Any) -> Iterator[None]:
    """Keep Ray's and Ray Data's bars and logs off the terminal: a batch has its own. Ray's files have them all."""
    context = ray.data.DataContext.get_current()
    settings = {"enable_progress_bars": False, "print_on_execution_start": False, "enable_auto_log_stats": False}
    before = {name: getattr(context, name) for name in settings if hasattr(context, name)}
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data")]
    levels = [logger.level for logger in loggers]
    for name in before:
        setattr(context, name, settings[name])
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Drop what C++ writes to the terminal meanwhile: that it was told to be quiet."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _mute() -> None:
    """Drop the messages about workers that died, which Ray prints whatever `log_to_driver` says.

    There is no public switch: where Ray is built otherwise they are printed.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from ray._private.ray_logging import global_worker_stdstream_dispatcher

        global_worker_stdstream_dispatcher.remove_handler("ray_print_logs")


def choose_shape(
    recipe: Recipe,
    nodes: Sequence[Mapping[str, Any]],
    workers: int | None = None,
    cpus: float | None = None,
    gpus: float | None = None,
    decoders: int | None = None,
) -> Shape:
    """Return how a batch is spread over a cluster.

    Args:
        recipe: says whether networks run on GPUs: backend tensorrt does, torch where the cluster has any.
        nodes: the cluster, as `ray.nodes()` describes it.
        workers: networks at a time; None takes one a GPU, or on CPUs all but one core in eight, which decode.
        cpus: cores of each; None takes `recipe.threads`, 1 beside a GPU.
        gpus: GPUs of each; None takes 1 where networks run on GPUs.
        decoders: decoding tasks at a time, a core each; None leaves it to Ray Data.

    Raises:
        GcposeError: not one network and one decoder fit on the cluster.
    """
    alive = [node.get("Resources", {}) for node in nodes if node.get("Alive")]
    all_gpus = sum(int(node.get("GPU", 0)) for node in alive)
    if gpus is None:
        gpus = 1.0 if recipe.backend == "tensorrt" or (recipe.backend == "torch" and all_gpus) else 0.0
    if cpus is None:
        cpus = 1.0 if gpus else float(recipe.threads or 1)
    all_cpus = sum(float(node.get("CPU", 0)) for node in alive)
    fit = sum(_fit(node, cpus, gpus) for node in alive)
    if fit == 0 or all_cpus < cpus + 1:
        need = f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
        raise GcposeError(
            f"a network with {need} and a decoder with 1 CPU do not fit on the Ray cluster ({all_cpus:g} CPUs and "
            f"{all_gpus} GPUs on {len(alive)} machines); add a machine or ask for less with --cpus-per-worker"
        )
    left = (all_cpus - max(1, decoders or all_cpus // _CORES_A_DECODER)) / cpus if cpus else fit
    room = max(1, min(fit, int(left)))
    wanted = workers or room
    return Shape(wanted, min(wanted, room), cpus, gpus, decoders, max(1, int(all_cpus) // 2))


def _fit(node: Mapping[str, Any], cpus: float, gpus: float) -> int:
    """Return how many networks fit on a machine."""
    rooms = [float(node.get(name, 0)) / each for name, each in (("CPU", cpus), ("GPU", gpus)) if each]
    return int(min(rooms)) if rooms else 1


def address_of_this_node() -> str:
    """Return the address of the machine that a task runs on."""
    import ray

    return str(ray.util.get_node_ip_address())
