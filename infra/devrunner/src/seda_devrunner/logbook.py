"""What the programs print: one file each, one merged file, and the terminal when asked."""

import os
import sys
from collections import deque
from pathlib import Path

FILE_BYTES_MAX = 5_000_000
LINES_REMEMBERED = 20
MERGED = "all"


class LogBook:
    """Lines of all programs. A full file becomes `name.log.1`, replacing the one before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _RotatingFile] = {}
        self._tails: dict[str, deque[str]] = {}
        self.echo = False
        """Whether lines also go to this terminal."""

    def write(self, name: str, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        self._tails.setdefault(name, deque(maxlen=LINES_REMEMBERED)).append(text)
        prefixed = f"{name:13} | {text}\n"
        self._file(name).write(f"{text}\n")
        self._file(MERGED).write(prefixed)
        if self.echo:
            sys.stdout.write(prefixed)
            sys.stdout.flush()

    def tail(self, name: str) -> str:
        return "\n".join(self._tails.get(name, ()))

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _file(self, name: str) -> "_RotatingFile":
        if name not in self._files:
            self._files[name] = _RotatingFile(self._folder / f"{name}.log")
        return self._files[name]


class _RotatingFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a")

    def write(self, text: str) -> None:
        if self._file.tell() > FILE_BYTES_MAX:
            self._file.close()
            os.replace(self._path, f"{self._path}.1")
            self._file = self._path.open("a")
        self._file.write(text)
        self._file.flush()

    def close(self) -> None:
        self._file.close()
