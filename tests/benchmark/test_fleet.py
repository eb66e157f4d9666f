"""Contenders in processes of their own: real children, most of them with a fake peer in it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gcpose_trt.benchmark import peers
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.fleet import ContenderFailed, Fleet, environment
from gcpose_trt.benchmark.opening import open_contender, physical_cores, runs_on_gpu


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """No child outlives a test."""
    with Fleet() as opened:
        yield opened


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_child_answers_whatever_its_libraries_print(fleet: Fleet, fake: str, pictures: Path) -> None:
    """The fake prints lines that look like answers, and bytes that are no text, to stdout."""
    member = fleet.member(peers.parse(fake, threads=3))
    assert member.info["backend"] == "fake" and member.info["bytes"] > 0 and "files" not in member.info
    assert member.info["version"] == "fake with 3 threads, OMP 3"
    assert set(member.opened) == {"process", "import", "load"} and min(member.opened.values()) >= 0
    answer = member.ask("frames", clip=str(pictures), indices=[1, 3])
    assert answer["people"] == [1, 1] and len(answer["run"]) == 2
    # The first frame of a turn ran once untimed: these are the second and the third call.
    assert answer["stages"] == {"preprocess": [0.25, 0.25], "network": [3.0, 2.0]}
    assert fleet.member(member.spec) is member


def test_without_a_number_of_threads_all_get_the_same(fleet: Fleet, fake: str) -> None:
    """One a physical core, told to the peer and to libraries that read the environment."""
    count = physical_cores()
    assert fleet.member(peers.parse(fake)).info["version"] == f"fake with {count} threads, OMP {count}"


def test_an_error_is_one_line_and_the_child_lives_on(fleet: Fleet, fake: str, pictures: Path) -> None:
    """What an adapter raises is that request's failure."""
    member = fleet.member(peers.parse(f"{fake},raise=2"))
    with pytest.raises(ContenderFailed, match=r"^ValueError: the network is not in the mood$"):
        member.ask("frames", clip=str(pictures), indices=[0])
    assert member.ask("frames", clip=str(pictures), indices=[0])["people"] == [1]
    with pytest.raises(ContenderFailed, match="No module named"):
        member.ask("no_such_operation")


def test_a_killed_child_is_told_as_such(fleet: Fleet, fake: str, pictures: Path) -> None:
    """It is not started again, and the others go on."""
    other = fleet.member(peers.parse(fake))
    spec = peers.parse(f"{fake},die=1")
    member = fleet.member(spec)
    for _ in range(2):
        with pytest.raises(ContenderFailed, match="killed, as Linux does when memory runs out"):
            member.ask("frames", clip=str(pictures), indices=[0])
    with pytest.raises(ContenderFailed, match="killed"):
        fleet.member(spec)
    assert "killed" in fleet.failures[spec.id]
    assert other.ask("frames", clip=str(pictures), indices=[0])["people"] == [1]


def test_a_child_that_ends_itself_leaves_its_last_words(fleet: Fleet, fake: str, pictures: Path) -> None:
    """The exit code and the last line that it printed."""
    member = fleet.member(peers.parse(f"{fake},exit=1"))
    with pytest.raises(ContenderFailed, match=r"ended with code 3 \(cannot allocate the thing\)"):
        member.ask("frames", clip=str(pictures), indices=[0])


def test_a_contender_that_cannot_be_opened(fleet: Fleet, fake: str) -> None:
    """Its own words are the reason, whatever raised them; it is not tried twice."""
    refused = peers.parse(f"{fake},refuse=yes")
    for _ in range(2):
        with pytest.raises(ContenderFailed, match=r"^it does not want to be opened; ask nicely$"):
            fleet.member(refused)
    with pytest.raises(ContenderFailed, match="no model 'nobody'"):
        fleet.member(ContenderSpec("nobody"))


def test_all_children_end_with_the_fleet(fake: str) -> None:
    """Those of one's own too, and after an error at once."""
    spec = peers.parse(fake)
    with Fleet() as fleet:
        own = fleet.fresh(spec)
        shared = fleet.member(spec)
        assert own.pid != shared.pid
        fleet.end(own)
        assert _gone(own.pid) and not _gone(shared.pid)
        fleet.end_all()
        assert _gone(shared.pid)
        again = fleet.member(spec)
        assert again.pid != shared.pid
    assert _gone(again.pid)


@pytest.mark.parametrize("awake", [True, False], ids=["main-thread", "other-thread"])
def test_an_interrupt_ends_a_busy_child(fake: str, pictures: Path, awake: bool) -> None:
    """Ctrl-C while a child works reaches the parent only, which ends it without waiting for its answer.

    A signal that another thread takes leaves the main thread's system calls alone, as one does that comes right before
    such a call.
    """
    fleet = Fleet()
    member = fleet.member(peers.parse(fake))
    os.kill(member.pid, signal.SIGSTOP)  # busy for good
    asked = threading.Event()

    def interrupt() -> None:
        asked.wait()
        target = threading.main_thread() if awake else threading.current_thread()
        assert target.ident is not None
        signal.pthread_kill(target.ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt), fleet:
        asked.set()
        member.ask("frames", clip=str(pictures), indices=[0])
    assert _gone(member.pid)


def test_environments_bound_threads_of_the_processor_only() -> None:
    """What runs on a GPU keeps the user's environment."""
    assert environment(ContenderSpec("mobile", threads=5))["OMP_NUM_THREADS"] == "5"
    on_gpu = ContenderSpec("mobile", backend="torch", device="cuda:0")
    assert runs_on_gpu(on_gpu)
    assert environment(on_gpu).get("OMP_NUM_THREADS") == os.environ.get("OMP_NUM_THREADS")


def test_hardware_threads_of_a_core_count_once(tmp_path: Path) -> None:
    """As the kernel tells which are siblings; without its word every processor is a core."""
    usable = sorted(os.sched_getaffinity(0))
    assert physical_cores(tmp_path) == len(usable)
    for number in usable:
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text("0-63\n")
    assert physical_cores(tmp_path) == 1


def test_ours_says_what_it_is() -> None:
    """Weights, files, version and size of the shipped model; its stages are the estimator's."""
    contender, times = open_contender(ContenderSpec("mobile", precision="int8", size="128"))
    info = contender.info
    assert (info.backend, info.precision, info.device, info.size) == ("onnxruntime", "int8", "cpu", "long side 128")
    assert info.version.startswith("onnxruntime ") and len(info.weights_sha256) == 64
    assert [Path(name).parent.name for name in info.files] == ["mobile-int8", "mobile-int8"]
    assert times["load"] > 0 and times["import"] >= 0
    contender.close()


@pytest.mark.slow  # imports PyTorch
def test_all_backends_of_a_model_have_the_same_weights() -> None:
    """By which parity knows them; PyTorch reads its weights from the same files."""
    infos = []
    for backend in ("onnxruntime", "torch"):
        contender, _ = open_contender(ContenderSpec("mobile", backend=backend, size="128", threads=1))
        infos.append(contender.info)
        contender.close()
    onnx, torch = infos
    assert onnx.weights_sha256 == torch.weights_sha256 and list(onnx.files) == list(torch.files)
    assert (torch.backend, torch.precision, torch.device) == ("torch", "fp32", "cpu")
    assert torch.version.startswith("torch ") and torch.size == onnx.size
