"""The error family."""

from __future__ import annotations

from gcpose_trt.errors import GcposeError, MissingDependencyError


def test_missing_dependency_names_the_extra() -> None:
    error = MissingDependencyError("torch", "train", "training")
    assert isinstance(error, GcposeError)
    assert str(error) == "training needs the package torch: pip install 'gcpose-trt[train]'"
