"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.distribution import arrange

# Tests run side by side, in more processes than there are cores; torch reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests that a shell started in the background ignore Ctrl-C, and so would every command that they interrupt; those that
# nohup started ignore a terminal that is closed.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference tensors, data and weights that developers have and a user's clone does not."""
    folder = Path(os.environ.get("GCPOSE_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "reference").is_dir():
        pytest.skip(
            f"no development data at {folder}; set GCPOSE_SHARED to the folder that has reference/, data/ and weights/"
        )
    return folder


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than cores for `-n auto`: tests that wait for a cluster, a server or a page use none."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have every process begin with its share of the slow tests."""

    def seconds(item: pytest.Item) -> float:
        marker = item.get_closest_marker("slow")
        return 0.0 if marker is None else marker.args[0] if marker.args else 10.0

    processes = int(getattr(config, "workerinput", {}).get("workercount", 1))
    items[:] = arrange(items, seconds, lambda item: item.path, processes)


SCHEDULING = os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Hold tests to leave the process as urgent as it was: one that is real-time starves all others on the machine."""
    if SCHEDULING is not None and os.sched_getscheduler(0) != SCHEDULING:
        os.sched_setscheduler(0, SCHEDULING, os.sched_param(0))
        pytest.fail(
            f"{item.name} left this process with real-time priority; do that in a thread or a process of its own"
        )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # pytest-xdist's processes have no terminal
        config.pluginmanager.register(FailuresAtOnce(config))


class FailuresAtOnce:
    """Says what fails when it fails: a run that is ended from outside never comes to its summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if not report.failed or terminal is None:
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        lines = str(crash.message if crash else report.longrepr).splitlines() or [""]
        terminal.ensure_newline()
        terminal.write_line(f"{report.nodeid} failed: {lines[0]}")
