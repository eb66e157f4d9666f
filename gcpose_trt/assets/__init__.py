"""What comes with the package: the model `mobile` and a sample clip, each with its licence beside it."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SAMPLE = FOLDER / "sample.mp4"
