"""Every command of the README is run, in its order, as a newcomer would: one shell, from the clone onwards.

A fenced block is bash or python and is run, or the line above it says why not:
`<!-- not run by the tests: REASON -->`. Anything else fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.cli import COMMANDS
from tests.support.clips import make_clip, read_clip

REPOSITORY = Path(__file__).resolve().parent.parent
README = REPOSITORY / "README.md"
FENCE = "```"
COMMAND = [sys.executable, "-m", "gcpose_trt"]
EXCUSE = re.compile(r"<!-- not run by the tests: (\S.{10,}) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block of the README: its first line's number, language, content, and why it is not run (or None)."""

    line: int
    language: str
    text: str
    excuse: str | None


def blocks(markdown: str) -> list[Block]:
    """Return all fenced blocks.

    Raises:
        ValueError: a block is not closed, its language cannot be run, or an excuse stands before no block.
    """
    found: list[Block] = []
    excuse: str | None = None
    start: int | None = None
    lines = markdown.splitlines()
    for number, line in enumerate(lines, start=1):
        if start is not None:
            if line.strip() == FENCE:
                language = lines[start - 1].strip().removeprefix(FENCE)
                found.append(Block(start, language, "\n".join(lines[start : number - 1]), excuse))
                start = excuse = None
        elif line.strip().startswith(FENCE):
            start = number
        elif excuse is not None:
            raise ValueError(f"line {number - 1}: an excuse, but no block follows")
        elif match := EXCUSE.fullmatch(line.strip()):
            excuse = match[1]
        elif "not run by" in line:
            raise ValueError(f"line {number}: not an excuse with a reason")
    if start is not None:
        raise ValueError(f"line {start}: the block is not closed")
    for block in found:
        if block.excuse is None and block.language not in ("bash", "python"):
            raise ValueError(f"line {block.line}: a block of {block.language or 'no language'} cannot be run")
        if block.excuse is None and block.language == "bash" and re.search(r"&&|\|\|", block.text):
            # Bash goes on after `a && b` whose a fails, even under set -e.
            raise ValueError(f"line {block.line}: give each command a line of its own")
    return found


def script(markdown: str) -> str:
    """Return one bash script of all blocks that are run; it stops at the first failure and has told the line."""
    parts = ["set -euo pipefail"]
    for block in blocks(markdown):
        if block.excuse is not None:
            continue
        parts.append(f"echo 'README.md, block of line {block.line}' >&2")
        if block.language == "bash":
            parts += ["set -x", block.text, "{ set +x; } 2>/dev/null"]
        else:
            parts.append(f"python - <<'END_OF_PYTHON'\n{block.text}\nEND_OF_PYTHON")
    return "\n".join(parts) + "\n"


@pytest.mark.parametrize(
    ("markdown", "message"),
    [
        ("```bash\nls", "line 1: the block is not closed"),
        ("```\nls\n```", "no language cannot be run"),
        ("```sh\nls\n```", "a block of sh cannot be run"),
        ("<!-- not run by the tests: a long enough reason -->\n\n```bash\nls\n```", "no block follows"),
        ("```bash\ncd /nowhere && ls\n```", "a line of its own"),
        ("<!-- not run by the tests: -->\n```bash\nls\n```", "not an excuse with a reason"),
        ("<!-- not run by us: for a good reason -->\n```bash\nls\n```", "not an excuse with a reason"),
    ],
)
def test_a_block_cannot_be_left_out_silently(markdown: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        script(markdown)


@pytest.mark.parametrize("command", ["false", "false | true", "echo $NO_SUCH_VARIABLE", "gcpose-trt-no-such"])
def test_a_failing_command_fails_the_script(command: str) -> None:
    markdown = f"```bash\n{command}\n```\n```bash\necho went on\n```"
    done = subprocess.run(["bash"], input=script(markdown), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "went on" not in done.stdout
    assert "block of line 1" in done.stderr


def test_excused_blocks_and_only_those_are_left_out() -> None:
    markdown = (
        "<!-- not run by the tests: it needs a camera -->\n```bash\nexit 7\n```\n"
        "```bash\ncd /\nname=value\n```\n```python\nprint('python ran')\n```\n```bash\necho $PWD $name\n```"
    )
    done = subprocess.run(
        ["bash"], input=script(markdown), capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stdout == "python ran\n/ value\n", "one shell from the first block to the last"


def test_every_option_of_the_readme_exists() -> None:
    """Blocks that are not run are held to the command's own help."""
    for block in blocks(README.read_text()):
        for line in block.text.splitlines():
            words = line.split()
            if "gcpose-trt" not in words[:1] or len(words) < 2:
                continue
            command = words[1:3] if " ".join(words[1:3]) in COMMANDS else words[1:2]
            done = subprocess.run([*COMMAND, *command, "--help"], capture_output=True, text=True, check=True)
            for option in re.findall(r"(?<!\S)--[a-z-]+", line):
                assert option in done.stdout, f"README.md line {block.line}: {' '.join(command)} has no {option}"


@pytest.mark.slow(150)
def test_every_command_of_the_readme(tmp_path: Path) -> None:
    readme = README.read_text()
    clone = re.search(r"git clone (\S+)", readme)
    assert clone is not None
    origin = copy_of_repository(tmp_path / "origin")
    make_files(tmp_path / "files")
    # What the commands after the two first ones read lies in the clone by then, as a newcomer's own files would.
    commands = script(readme).replace("\nmake demo\n", f"\nmake demo\ncp -r '{tmp_path}/files/.' .\n", 1)
    # git takes our copy for the address in the README.
    address = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{origin}.insteadOf", "GIT_CONFIG_VALUE_0": clone[1]}
    home = tmp_path / "home"
    home.mkdir()
    settings = environment() | address | {"PIP_NO_COMPILE": "1"}  # most of what is installed is never imported here
    done = subprocess.run(["bash"], input=commands, cwd=home, capture_output=True, text=True, check=False, env=settings)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

    here = home / "gcpose-trt"
    found = [len(json.loads(line)["people"]) for line in (here / "output/demo.jsonl").read_text().splitlines()]
    assert len(found) == len(read_clip(here / "output/demo.mp4")[0]) == 230
    assert 1 <= np.mean(found) <= 3, "there are two people in most of the clip"
    assert 10_000 < (here / "output/demo.mp4").stat().st_size < 10e6
    assert str(here / "output/demo.mp4") in done.stdout, "make demo says where the result is"
    assert (here / "walk_poses.mp4").stat().st_size > 1000
    assert len((here / "walk.jsonl").read_text().splitlines()) >= 30
    assert json.loads((here / "ap.json").read_text())["images"] == 2
    assert json.loads((here / "report/report.json").read_text())["complete"] is True


def environment() -> dict[str, str]:
    """Return the environment of the README's shell: `gcpose-trt` and `python` are those that run this test."""
    # The make that started the tests must not hand its options and variables to the one inside.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTEST"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def copy_of_repository(folder: Path) -> Path:
    """Return a repository with one commit that has the working tree's tracked files."""
    git = shutil.which("git")
    if git is None or not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout: nothing to clone")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    for command in (["init", "-q"], ["add", "--all", "--force"], [*identity, "commit", "-q", "-m", "The working tree"]):
        subprocess.run([git, *command], cwd=folder, check=True)
    return folder


def make_files(folder: Path) -> None:
    """Put there what the README's commands read: a clip, two photographs, a COCO data set of two images."""
    (folder / "photos").mkdir(parents=True)
    (folder / "coco/val2017").mkdir(parents=True)
    (folder / "coco/annotations").mkdir()
    clip = REPOSITORY / "gcpose_trt/assets/sample.mp4"
    make_clip(folder / "walk.mp4", read_clip(clip)[0][:36])
    capture = cv2.VideoCapture(str(clip))
    for number in (1, 2):
        read, frame = capture.read()
        assert read
        cv2.imwrite(str(folder / f"photos/{number}.jpg"), frame)
        cv2.imwrite(str(folder / f"coco/val2017/{number}.jpg"), frame)
    height, width = frame.shape[:2]
    joints = np.stack([np.linspace(10, width - 10, 17), np.linspace(10, height - 10, 17), np.full(17, 2)], 1)
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, width - 10, height - 10], "iscrowd": 0}
    person |= {"area": 0.5 * width * height, "num_keypoints": 17, "keypoints": joints.astype(int).ravel().tolist()}
    images = [{"id": number, "file_name": f"{number}.jpg", "width": width, "height": height} for number in (1, 2)]
    document = {"images": images, "annotations": [person], "categories": [{"id": 1, "name": "person"}]}
    (folder / "coco/annotations/person_keypoints_val2017.json").write_text(json.dumps(document))
