"""The one family of errors that the toolkit raises on bad input.

Every message is one line: what is wrong, then what to do next. The command line prints it and exits non-zero.
"""

from __future__ import annotations


class GcposeError(Exception):
    """Something the user can put right; the message says how."""


class MissingDependencyError(GcposeError):
    """A package of an optional extra is not installed.

    Args:
        package: the distribution that is missing, as pip names it.
        extra: the extra of gcpose-trt that brings it.
        purpose: what it is needed for, as a noun phrase ("training").
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package}: pip install 'gcpose-trt[{extra}]'")
