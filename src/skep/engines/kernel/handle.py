"""A file descriptor that keeps an object of the kernel alive, and closes it when its ``with`` ends."""

from __future__ import annotations

import os
from ctypes import addressof, create_string_buffer
from types import TracebackType
from typing import Self

from skep.engines.kernel.attributes import Command, ObjectId, ObjectPath
from skep.engines.kernel.rights import Kind, Reach
from skep.engines.kernel.syscall import request
from skep.errors import RequestError

#: Descriptors up to this one are the process's standard streams, and 0 means "none" in many fields of bpf(2).
_STANDARD = 2


def _moved_up(fd: int) -> int:
    """Another descriptor for what ``fd`` refers to, beyond the standard streams."""
    import fcntl

    higher = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _STANDARD + 1)
    os.close(fd)
    return higher


class Handle:
    """An open program, map, BTF or link. The kernel drops the object when nothing refers to it any more.

    A handle that is forgotten closes with the object that held it; `close` may be called twice.
    """

    #: What it is, for messages.
    noun = "object"

    def __init__(self, fd: int) -> None:
        self._fd = fd if fd > _STANDARD else _moved_up(fd)

    def fileno(self) -> int:
        """The file descriptor; raises RequestError once it is closed."""
        if self._fd < 0:
            raise RequestError(f"this {self.noun} of the kernel has been closed")
        return self._fd

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._fd < 0

    def close(self) -> None:
        """Give the file descriptor back."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Absent if the constructor of a subclass raised before it had a descriptor.
        if getattr(self, "_fd", -1) >= 0:
            self.close()


def pin(handle: Handle, path: str) -> None:
    """Give the object a name in a BPF file system, under which it lives on; raises KernelError, also if it exists."""
    name = create_string_buffer(os.fsencode(path))
    attribute = ObjectPath(pathname=addressof(name), bpf_fd=handle.fileno())
    request(Command.OBJ_PIN, attribute, f"pinning a {handle.noun} at {path}")


def open_pinned(path: str, noun: str, kind: Kind = None) -> int:
    """The descriptor of what is pinned at ``path``."""
    name = create_string_buffer(os.fsencode(path))
    return request(Command.OBJ_GET, ObjectPath(pathname=addressof(name)), f"opening the pinned {noun} {path}", kind)


def open_by_id(command: Command, identity: int, noun: str) -> int:
    """The descriptor of the object with that id; ``command`` is the …_GET_FD_BY_ID of its kind."""
    return request(command, ObjectId(id=identity), f"opening the {noun} with id {identity}", Reach.OTHERS)
