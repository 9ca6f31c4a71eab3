"""Array maps from Python: plain and per-CPU arrays, program arrays, and the arrays of redirect targets."""

from __future__ import annotations

import ctypes
import errno
import struct
import sys
from collections.abc import Iterator
from typing import Any

from skep.lang import size_of, view
from skep.lang.target import HOST
from skep.locks.arch import lock_for
from skep.maps.geometry import PROGRAM_SLOT, Geometry, geometry
from skep.maps.layout import NO_LOCK, MapHead
from skep.maps.lock_field import LOCK_SIZE
from skep.maps.map import EXIST, LOCK, NOEXIST, Map
from skep.maps.target import FILLED_OFFSET
from skep.memory import AddressSpace, RegionKind
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec


def fill_head(head: Any, spec: MapSpec, cpus: int, sizes: Geometry, values: int) -> None:
    """Write the :class:`MapHead` that all descriptors begin with."""
    head.type = int(spec.type)
    head.key_size = spec.key_size
    head.value_size = spec.value_size
    head.max_entries = spec.max_entries
    head.flags = spec.flags
    head.cpus = cpus
    head.lock_offset = NO_LOCK if sizes.lock_offset is None else sizes.lock_offset
    head.stride = sizes.stride
    head.cpu_stride = sizes.cpu_stride
    head.values = values


class _IndexedMap(Map):
    """What all maps with an index as key share: a descriptor and a row of slots."""

    def __init__(self, spec: MapSpec, cpus: int, space: AddressSpace) -> None:
        super().__init__(spec, cpus, space)
        self._sizes = geometry(spec)
        stride = self._sizes.stride
        descriptor = self._allocate(spec.name, size_of(MapHead), RegionKind.MAP)
        self.address = descriptor.address
        self.values_address = self._place(stride)
        fill_head(view(MapHead, self.address), spec, cpus, self._sizes, self.values_address)

    def _place(self, stride: int) -> int:
        """Allocate the slots and return the address of the first."""
        return self._allocate(
            self.spec.name,
            self.spec.max_entries * stride,
            RegionKind.MAP_VALUE,
            stride=stride,
            element_size=self.spec.value_size,
        ).address

    def _slot(self, key: bytes) -> int | None:
        """The address of the slot with that index, None behind the last."""
        index = int.from_bytes(key, sys.byteorder)
        if index >= self.spec.max_entries:
            return None
        assert self.values_address is not None
        return self.values_address + index * self._sizes.stride

    def _keys(self) -> Iterator[bytes]:
        return (index.to_bytes(4, sys.byteorder) for index in range(self.spec.max_entries))

    def _entries(self) -> Iterator[tuple[bytes, bytes]]:
        for key in self._keys():
            value = self._read(key, 0)
            if value is not None:
                yield key, value

    def _write(self, key: bytes, value: bytes, flags: int) -> int:
        if flags & ~LOCK > EXIST or (flags & LOCK and self._sizes.lock_offset is None):
            return -errno.EINVAL
        slot = self._slot(key)
        if slot is None:
            return -errno.E2BIG
        if flags & NOEXIST:
            return -errno.EEXIST
        return self._store(slot, value, flags)

    def _store(self, slot: int, value: bytes, flags: int) -> int:
        ctypes.memmove(slot, value, len(value))
        return 0

    def _remove(self, key: bytes) -> int:
        return -errno.EINVAL


class ArrayMap(_IndexedMap):
    """Values by index, every one of them there from the start, zero. Deleting is refused."""

    def __init__(self, spec: MapSpec, cpus: int, space: AddressSpace) -> None:
        super().__init__(spec, cpus, space)
        if spec.contents is not None:
            assert self.values_address is not None
            ctypes.memmove(self.values_address, spec.contents, len(spec.contents))
        self.frozen = spec.frozen

    def __len__(self) -> int:
        return self.spec.max_entries

    def _read(self, key: bytes, flags: int) -> bytes | None:
        lock = self._sizes.lock_offset
        if flags & LOCK and lock is None:
            self.refuse("lookup", errno.EINVAL)
        slot = self._slot(key)
        if slot is None:
            return None
        if lock is None:
            return ctypes.string_at(slot, self.spec.value_size)
        if flags & LOCK:
            lock_for(HOST.arch).lock_outside(slot + lock)
        value = ctypes.string_at(slot, self.spec.value_size)
        if flags & LOCK:
            lock_for(HOST.arch).unlock(slot + lock)
        return value[:lock] + bytes(LOCK_SIZE) + value[lock + LOCK_SIZE :]

    def _store(self, slot: int, value: bytes, flags: int) -> int:
        lock = self._sizes.lock_offset
        if lock is None:
            return super()._store(slot, value, flags)
        if flags & LOCK:
            lock_for(HOST.arch).lock_outside(slot + lock)
        rest = lock + LOCK_SIZE
        ctypes.memmove(slot, value, lock)
        ctypes.memmove(slot + rest, value[rest:], len(value) - rest)
        if flags & LOCK:
            lock_for(HOST.arch).unlock(slot + lock)
        return 0


class PerCpuArrayMap(_IndexedMap):
    """A value for each CPU by index. Each CPU's values lie together, on cache lines of its own."""

    is_per_cpu = True

    def __len__(self) -> int:
        return self.spec.max_entries

    def _place(self, stride: int) -> int:
        return self._allocate_per_cpu(self.spec.max_entries, stride, self._sizes.cpu_stride)

    def _read(self, key: bytes, flags: int) -> bytes | None:
        slot = self._slot(key)
        if flags:
            self.refuse("lookup", errno.EINVAL)
        if slot is None:
            return None
        size, step = self.stride, self._sizes.cpu_stride
        return b"".join(ctypes.string_at(slot + number * step, size) for number in range(self.cpus))

    def _store(self, slot: int, value: bytes, flags: int) -> int:
        for number in range(self.cpus):
            part = value[number * self.stride : number * self.stride + self.spec.value_size]
            ctypes.memmove(slot + number * self._sizes.cpu_stride, part, len(part))
        return 0


class ProgramArrayMap(_IndexedMap):
    """Programs by index, for tail calls. A slot holds the address of native code; 0 is an empty slot.

    What user space stores in Linux is a file descriptor; here programs are set by :meth:`set_program`, and a value
    is read as 1 where there is a program.
    """

    def _place(self, stride: int) -> int:
        return self._allocate(
            self.spec.name,
            self.spec.max_entries * stride,
            RegionKind.MAP,
            stride=stride,
            element_size=PROGRAM_SLOT,
        ).address

    def _word(self, slot: int) -> ctypes.c_uint64:
        return ctypes.c_uint64.from_address(slot)

    def _read(self, key: bytes, flags: int) -> bytes | None:
        slot = self._slot(key)
        if slot is None or not self._word(slot).value:
            return None
        return (1).to_bytes(4, sys.byteorder)

    def _store(self, slot: int, value: bytes, flags: int) -> int:
        return -errno.EBADF

    def _remove(self, key: bytes) -> int:
        slot = self._slot(key)
        if slot is None:
            return -errno.E2BIG
        if not self._word(slot).value:
            return -errno.ENOENT
        self._word(slot).value = 0
        return 0

    def set_program(self, index: int, address: int) -> None:
        """Let ``index`` lead to the native code at ``address`` (0: to nothing); CPUs that run see it at once."""
        slot = self._slot(index.to_bytes(4, sys.byteorder)) if 0 <= index < self.spec.max_entries else None
        if slot is None:
            self.refuse("set_program", errno.E2BIG, f"index {index} is beyond its {self.spec.max_entries} slots")
        self._word(slot).value = address


class TargetMap(_IndexedMap):
    """Interfaces, CPUs or sockets by index, to redirect packets to. Slots are empty until they are filled.

    As in Linux, an interface or a queue length of 0 empties the slot.
    """

    def _filled(self, slot: int) -> ctypes.c_uint32:
        return ctypes.c_uint32.from_address(slot + FILLED_OFFSET)

    def _read(self, key: bytes, flags: int) -> bytes | None:
        slot = self._slot(key)
        if slot is None or not self._filled(slot).value:
            return None
        return ctypes.string_at(slot, self.spec.value_size)

    def _store(self, slot: int, value: bytes, flags: int) -> int:
        first = struct.unpack_from("=I", value)[0]
        is_filled = bool(first) or self.spec.type is MapType.XSKMAP
        if not is_filled:
            self._filled(slot).value = 0
            return 0
        ctypes.memmove(slot, value.ljust(FILLED_OFFSET, b"\0"), FILLED_OFFSET)
        self._filled(slot).value = 1
        return 0

    def _remove(self, key: bytes) -> int:
        slot = self._slot(key)
        if slot is None:
            return -errno.EINVAL
        self._filled(slot).value = 0
        return 0
