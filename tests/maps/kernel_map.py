"""The running kernel's maps through bpf(2), just enough to compare with: create, look up, update, delete."""

from __future__ import annotations

import ctypes
import os
from types import TracebackType

_libc = ctypes.CDLL(None, use_errno=True)
_SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine, -1)
_CREATE, _LOOKUP, _UPDATE, _DELETE = range(4)


def _bpf(command: int, attributes: bytes) -> int:
    """The result of bpf(2), or minus the error number."""
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result: int = _libc.syscall(_SYS_BPF, command, buffer, 128)
    return result if result >= 0 else -ctypes.get_errno()


def create_error(map_type: int, key_size: int, value_size: int, max_entries: int, flags: int) -> int:
    """0 if the kernel makes such a map, or the negative error number with which it refuses."""
    result = _create(map_type, key_size, value_size, max_entries, flags)
    if result < 0:
        return result
    os.close(result)
    return 0


def _create(map_type: int, key_size: int, value_size: int, max_entries: int, flags: int) -> int:
    fields = (map_type, key_size, value_size, max_entries, flags)
    return _bpf(_CREATE, b"".join(field.to_bytes(4, "little") for field in fields))


def available() -> bool:
    """Whether this process may create maps in the running kernel."""
    return _SYS_BPF >= 0 and create_error(2, 4, 8, 1, 0) == 0


class KernelMap:
    """One map of the kernel; its methods give what bpf(2) gives, errors as negative numbers."""

    def __init__(self, map_type: int, key_size: int, value_size: int, max_entries: int, flags: int = 0) -> None:
        self._fd = _create(map_type, key_size, value_size, max_entries, flags)
        if self._fd < 0:
            raise OSError(-self._fd, "the kernel does not make this map")
        self._key_size = key_size
        self._value_size = value_size

    def __enter__(self) -> KernelMap:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def _call(self, command: int, key: bytes, other: ctypes.Array[ctypes.c_char] | None, flags: int = 0) -> int:
        key_buffer = ctypes.create_string_buffer(key, len(key))
        words = (
            self._fd,
            ctypes.addressof(key_buffer),
            ctypes.addressof(other) if other is not None else 0,
            flags,
        )
        return _bpf(command, b"".join(word.to_bytes(8, "little") for word in words))

    def update(self, key: bytes, value: bytes, flags: int = 0) -> int:
        return self._call(_UPDATE, key, ctypes.create_string_buffer(value, len(value)), flags)

    def delete(self, key: bytes) -> int:
        return self._call(_DELETE, key, None)

    def lookup(self, key: bytes, flags: int = 0) -> bytes | int:
        value = ctypes.create_string_buffer(self._value_size)
        error = self._call(_LOOKUP, key, value, flags)
        return value.raw if error == 0 else error
