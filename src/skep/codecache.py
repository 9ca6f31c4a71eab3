"""Compiled code kept on disk between processes, for the JIT and for functions of the language.

One file an entry, in the user's cache directory (``$XDG_CACHE_HOME/skep``, ``~/.cache/skep``); ``SKEP_CACHE`` names
another directory, or is ``off``. Code read from here is run, so the directory must belong to the user and be closed
to others, and every entry carries a digest of its contents: what does not match is as good as missing. Entries are
written to a temporary name and renamed, so that no reader sees half of one. When the directory grows beyond its limit
the entries that were not used for longest go.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

#: Bytes that the entries of one directory may take together.
LIMIT = 256 << 20
_DIGEST_SIZE = 20
_SUFFIX = ".code"
#: An entry's time of use is renewed when it is older than this many seconds.
_STALE = 24 * 3600
#: Writes of one process between two looks at the size of the directory.
_WRITES_PER_LOOK = 64


class CodeCache:
    """The entries of one directory. ``get`` and ``put`` never raise: without a cache all is slower, nothing else."""

    def __init__(self, directory: Path, *, limit: int = LIMIT) -> None:
        self.directory = directory
        self.limit = limit
        self._usable: bool | None = None
        self._writes = 0

    def get(self, key: str) -> bytes | None:
        """The data kept under ``key``, or None where there is none or it is damaged."""
        if not self._ready():
            return None
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                content = file.read()
                age = os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        digest, data = content[:_DIGEST_SIZE], content[_DIGEST_SIZE:]
        if digest != _digest(key, data):
            with suppress(OSError):
                os.unlink(path)
            return None
        _renew(path, age)
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``."""
        if not self._ready():
            return
        temporary = None
        try:
            with tempfile.NamedTemporaryFile(dir=self.directory, prefix="new-", delete=False) as file:
                temporary = file.name
                file.write(_digest(key, data) + data)
            os.replace(temporary, self._path(key))
        except OSError:
            if temporary is not None:
                with suppress(OSError):
                    os.unlink(temporary)
            return
        self._writes += 1
        if self._writes % _WRITES_PER_LOOK == 1:
            self._trim()

    def _path(self, key: str) -> str:
        return os.path.join(self.directory, key + _SUFFIX)

    def _ready(self) -> bool:
        if self._usable is None:
            self._usable = _private(self.directory)
        return self._usable

    def _trim(self) -> None:
        entries: list[tuple[float, int, str]] = []
        with suppress(OSError), os.scandir(self.directory) as found:
            for entry in found:
                if entry.name.endswith(_SUFFIX) or entry.name.startswith("new-"):
                    with suppress(OSError):
                        state = entry.stat(follow_symlinks=False)
                        entries.append((state.st_mtime, state.st_size, entry.path))
        excess = sum(size for _, size, _ in entries) - self.limit
        for _, size, path in sorted(entries):
            if excess <= 0:
                return
            with suppress(OSError):
                os.unlink(path)
            excess -= size


@cache
def default() -> CodeCache | None:
    """The cache of this user, None if the environment switches it off or there is no place for one."""
    asked = os.environ.get("SKEP_CACHE", "")
    if asked.lower() in ("off", "0", "no"):
        return None
    if asked:
        return CodeCache(Path(asked))
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return CodeCache(Path(base) / "skep")
    with suppress(RuntimeError):
        return CodeCache(Path.home() / ".cache" / "skep")
    return None


@cache
def state_of_sources() -> str:
    """What tells these sources of skep from others, which is more than a version says: newest change and size."""
    newest = count = 0
    for directory, _, files in os.walk(Path(__file__).parent):
        for file in files:
            if file.endswith((".py", ".so")):
                state = os.stat(os.path.join(directory, file))
                newest = max(newest, state.st_mtime_ns)
                count += state.st_size
    return f"{newest} {count}"


def _digest(key: str, data: bytes) -> bytes:
    return hashlib.blake2b(key.encode() + b"\0" + data, digest_size=_DIGEST_SIZE).digest()


def _private(directory: Path) -> bool:
    """Whether ``directory`` is there, or can be made, as a directory of this user that nobody else may write to."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        state = os.lstat(directory)
    except OSError:
        return False
    mine = state.st_uid == os.geteuid()
    return stat.S_ISDIR(state.st_mode) and mine and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _renew(path: str, modified: float) -> None:
    import time

    if time.time() - modified > _STALE:
        with suppress(OSError):
            os.utime(path)
