"""A file on its way to the server, which may have to be sent again."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

FileLike = str | os.PathLike[str] | bytes | BinaryIO


class Upload:
    """
    `with Upload(file, name) as upload`.

    Args:
        file: A path, what a file holds, or a file that was opened in binary; that one stays open.
        name: Its ending says what it is, `.csv` or `.npz`; needed where the file has none.

    Raises:
        ValueError: There is no name.
    """

    def __init__(self, file: FileLike, name: str | None = None) -> None:
        is_path = isinstance(file, (str, os.PathLike))
        known = os.fspath(file) if isinstance(file, (str, os.PathLike)) else getattr(file, "name", None)
        if name is None and not isinstance(known, str):
            raise ValueError("filename is needed, with .csv or .npz at its end")
        self.name = name or Path(str(known)).name
        self._mine = is_path
        self._file: BinaryIO
        if isinstance(file, (str, os.PathLike)):
            self._file = open(file, "rb")  # noqa: SIM115
        else:
            self._file = io.BytesIO(file) if isinstance(file, bytes) else file
        self._start = self._file.tell() if self._file.seekable() else None

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mine:
            self._file.close()

    def again(self) -> BinaryIO:
        """The file from where it began; httpx reads it piece by piece."""
        if self._start is not None:
            self._file.seek(self._start)
        return self._file
