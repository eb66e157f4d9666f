"""The pages' tables are those of the recorded reports, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import tables
from gcpose_trt.errors import GcposeError
from tests.benchmark.samples import sample_report

REPOSITORY = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- table summary of cpu -->", "<!-- end of table -->"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/report.json").write_text(json.dumps(sample_report()))
    return tmp_path


def test_the_pages_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert tables.main(["--check"]) == 0
    assert capsys.readouterr().out == "all tables are up to date\n"
    assert any(tables._BEGIN.search((REPOSITORY / page).read_text()) for page in tables.PAGES)


def test_a_changed_number_is_noticed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "page.md").write_text(f"# Page\n\n{BEGIN}\n{END}\n\nThe end.\n")
    monkeypatch.setattr(tables, "REPOSITORY", root)
    monkeypatch.setattr(tables, "PAGES", ("page.md",))
    monkeypatch.setattr(tables.renewed, "__defaults__", (root,))
    assert tables.main(["--check"]) == 1
    assert tables.main([]) == 0 and tables.main(["--check"]) == 0
    text = (root / "page.md").read_text()
    assert text.startswith(f"# Page\n\n{BEGIN}\n\n|") and text.endswith(f"{END}\n\nThe end.\n")
    (root / "page.md").write_text(text.replace("0.383", "0.393"))
    assert tables.main(["--check"]) == 1


def test_numbers_are_the_reports(root: Path) -> None:
    report = sample_report()
    text = tables.renewed(f"{BEGIN}\n{END}\n", root)
    for contender in report["contenders"]:
        line = next((line for line in text.splitlines() if line.startswith(f"| {contender['label']} |")), None)
        assert (line is not None) == (contender["status"] == "measured")
        if line is not None:
            assert f"{report['accuracy'][contender['id']]['keypoints']['AP']:.3f}" in line
            assert f"{report['latency'][contender['id']]['end_to_end']['median']:.1f}" in line


@pytest.mark.parametrize("kind", ["latency", "stages", "people", "start", "accuracy", "parity"])
def test_other_tables(root: Path, kind: str) -> None:
    lines = tables.renewed(f"<!-- table {kind} of cpu -->\n{END}\n", root).splitlines()
    assert lines[2].startswith("|") and lines[-1] == END


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (f"{BEGIN}\n", "has no end"),
        (f"{BEGIN}\n{BEGIN}\n{END}\n", "has no end"),
        (f"<!-- table beauty of cpu -->\n{END}\n", "no table is called 'beauty'"),
        (f"<!-- table summary of gpu -->\n{END}\n", "gpu"),
        (f"<!-- table sizes of cpu -->\n{END}\n", "did not measure"),
    ],
)
def test_pages_that_cannot_be_made(root: Path, page: str, message: str) -> None:
    with pytest.raises(GcposeError, match=message):
        tables.renewed(page, root)


def test_a_partial_report_makes_no_table(root: Path) -> None:
    (root / "cpu/report.json").write_text(json.dumps({**sample_report(), "complete": False}))
    with pytest.raises(GcposeError, match="partial report"):
        tables.renewed(f"{BEGIN}\n{END}\n", root)
