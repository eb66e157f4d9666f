"""The command itself: help, exit codes and errors; the subcommands are stand-ins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from gcpose_trt import __version__
from gcpose_trt.cli import COMMANDS, build_parser, main
from gcpose_trt.errors import GcposeError

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Put a function in the place of `gcpose-trt demo`."""

    def install(function: Callable[[], int]) -> None:
        module = ModuleType("gcpose_trt.cli.demo", "A stand-in.")
        module.add_arguments = lambda parser: parser.add_argument("--size")  # type: ignore[attr-defined]
        module.run = lambda args: function()  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "gcpose_trt.cli.demo", module)

    return install


def raising(error: BaseException) -> Callable[[], int]:
    def function() -> int:
        raise error

    return function


def shell(*arguments: str, code: str = "from gcpose_trt.cli import main; import sys; sys.exit(main())") -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"gcpose-trt {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], *([*name.split(), "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from gcpose_trt.cli import main\n"
        "try: main()\n"
        "except SystemExit as done: assert done.code == 0\n"
        "heavy = {'numpy', 'cv2', 'av', 'onnxruntime', 'torch', 'onnx', 'pycocotools', 'tqdm'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(shell(*arguments, code=code), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(" ".join(["usage: gcpose-trt", *arguments[:-1]]))


def test_only_the_chosen_command_has_options(demo: Callable[[Callable[[], int]], None]) -> None:
    demo(lambda: 0)
    assert build_parser("demo").parse_args(["demo", "--size", "640"]).size == "640"
    assert not hasattr(build_parser().parse_args(["eval"]), "images")


def test_exit_code_of_the_command(demo: Callable[[Callable[[], int]], None]) -> None:
    demo(lambda: 0)
    assert main(["demo"]) == 0
    demo(lambda: 7)
    assert main(["demo"]) == 7


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (GcposeError("no clip; give one"), 2, "no clip; give one"),
        (GcposeError("two\nlines\r\nof advice"), 2, "two lines of advice"),
        (KeyboardInterrupt(), 130, "interrupted; what was written so far is complete and readable"),
        (MemoryError(), 2, "out of memory; choose a smaller --size or fewer people"),
        (OSError(28, "No space left on device", "out.mp4"), 2, "No space left on device: 'out.mp4'; check the path"),
        (ImportError("libGL.so.1: cannot open", name="cv2"), 2, "then pip install opencv-python-headless"),
        (ImportError("No module named 'tqdm'", name="tqdm"), 2, "cannot import tqdm"),
        (ValueError("odd\nvalue"), 1, "unexpected ValueError: odd value; run again with --debug"),
    ],
)
def test_errors_are_one_line(
    demo: Callable[[Callable[[], int]], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    demo(raising(error))
    assert main(["demo"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("gcpose-trt: error: ")
    assert line in err


@pytest.mark.parametrize("arguments", [[], ["fly"], ["--fly"], ["demo", "--fly"], ["demo", "--size"]])
def test_bad_usage_is_one_line(
    demo: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    demo(lambda: 0)
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("gcpose-trt: error: ")
    assert err.endswith("--help\n")


@pytest.mark.parametrize("arguments", [["--debug", "demo"], ["demo", "--debug"]])
def test_debug_option_shows_the_traceback(
    demo: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    demo(raising(GcposeError("no clip")))
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("gcpose-trt: error: no clip\n")


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_debug_variable(
    demo: Callable[[Callable[[], int]], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    shown: bool,
) -> None:
    monkeypatch.setenv("GCPOSE_DEBUG", value)
    demo(raising(GcposeError("no clip")))
    main(["demo"])
    assert ("Traceback" in capsys.readouterr().err) == shown


def test_reader_that_goes_away() -> None:
    code = (
        "import sys, types; from gcpose_trt.cli import main\n"
        "demo = types.ModuleType('demo'); demo.add_arguments = lambda parser: None\n"
        "def run(args):\n"
        "    sys.stdin.readline()\n"
        "    print('x' * 100)\n"
        "    return 0\n"
        "demo.run = run; sys.modules['gcpose_trt.cli.demo'] = demo; sys.exit(main(['demo']))"
    )
    with subprocess.Popen(
        shell(code=code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_ctrl_c_while_starting() -> None:
    # Also before the subcommand runs, an interrupt is no traceback.
    code = (
        "import importlib, os, signal, sys; from gcpose_trt.cli import main\n"
        "importlib.import_module = lambda name: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(main(['demo']))"
    )
    done = subprocess.run(shell(code=code), capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr.count("\n") == 1


def test_python_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gcpose_trt", "--version"], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout == f"gcpose-trt {__version__}\n"
