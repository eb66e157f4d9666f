"""A text file that is complete after every write, whatever happens next."""

from __future__ import annotations

import contextlib
import errno
import os
from io import FileIO
from pathlib import Path

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import check_writable


class LineFile:
    """Whole lines, one unbuffered write each: a reader never sees half of one, and closing cannot fail.

    Args:
        path: the file; made anew at the first write.
        head: comes before everything else.

    Raises:
        GcposeError: the file cannot be written.
    """

    def __init__(self, path: Path, head: bytes = b"") -> None:
        self.path = check_writable(path)
        self._head = head
        self._stream: FileIO | None = None
        self._size = 0
        self._full = False

    def write(self, lines: bytes) -> None:
        """Append `lines`, which end with a line break.

        Raises:
            GcposeError: the disk is full, or gone. What was written before stays complete.
        """
        try:
            if self._stream is None:  # not before: a source that cannot be read must not cost an older file
                self._stream = self.path.open("wb", buffering=0)
                lines = self._head + lines
            written = self._stream.write(lines)
            if written != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size += len(lines)
        except OSError as error:
            self._full = True
            with contextlib.suppress(OSError):
                if self._stream is not None:
                    self._stream.truncate(self._size)
            raise GcposeError(f"cannot write {self.path} ({error.strerror}); free some space") from error

    def close(self, *, keep: bool) -> None:
        """Close the file and, unless `keep`, remove it.

        It stays where its own disk was full: days of lines before that are worth having.
        """
        if self._stream is None:
            return
        self._stream.close()
        if not (keep or (self._full and self._size)):
            self.path.unlink(missing_ok=True)
