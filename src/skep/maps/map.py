"""A map as Python sees it: raw bytes by :meth:`Map.lookup` and kin, values of its BTF types by ``map[key]``.

The operations are those of bpf(2) and fail for the same reasons with the same error numbers. Programs run while they
are used: a lookup copies a value that a program may be changing, as it does in Linux; BPF_F_LOCK takes the value's
lock first.
"""

from __future__ import annotations

import errno
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NoReturn

from skep.errors import MapError, RequestError
from skep.maps.limits import MapFlag
from skep.memory import AddressSpace, Region, RegionKind, allocate_zeroed
from skep.objects.spec import MapSpec

#: Flags of an update: make or replace, make only, replace only, and hold the value's lock meanwhile.
ANY, NOEXIST, EXIST, LOCK = 0, 1, 2, 4

#: Why an operation is refused, by the kernel's error number, where one sentence serves all maps.
_REASONS = {
    errno.ENOENT: "the key is not there",
    errno.EEXIST: "the key is there already and BPF_NOEXIST was given",
    errno.E2BIG: "the map is full or the index beyond its last entry",
    errno.EINVAL: "the flags or the operation do not fit this type of map",
    errno.EPERM: "the map's flags (or its being frozen) forbid it",
    errno.EBUSY: "the map is being changed",
    errno.ENOMEM: "there is no memory for it",
}


class Map(ABC):
    """One map: ``spec`` its definition, ``address`` its descriptor, ``values_address`` element 0 where there is one.

    ``cpus`` is how many CPUs have values of their own in a per-CPU map. Where ``is_per_cpu``, the bytes of a value
    are those of all CPUs, each padded to a multiple of eight as in Linux; an update may also give one value for all.
    """

    is_per_cpu = False

    def __init__(self, spec: MapSpec, cpus: int, space: AddressSpace) -> None:
        self.spec = spec
        self.cpus = cpus
        self.frozen = False
        self.address = 0
        self.values_address: int | None = None
        self._space = space
        self._regions: list[Region] = []
        #: Memory that belongs to no region as a whole.
        self._keep: list[object] = []

    def __enter__(self) -> Map:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<map {self.spec.name}: {self.spec.type.label}, {self.spec.max_entries} entries>"

    @property
    def name(self) -> str:
        """The name that the object file gives it."""
        return self.spec.name

    @property
    def stride(self) -> int:
        """How many bytes one CPU's value takes in :meth:`lookup`: padded to eight where there are several."""
        return (self.spec.value_size + 7) // 8 * 8 if self.is_per_cpu else self.spec.value_size

    @property
    def value_bytes(self) -> int:
        """How many bytes :meth:`lookup` returns."""
        return self.stride * self.cpus if self.is_per_cpu else self.spec.value_size

    # What each type implements, its arguments checked.

    @abstractmethod
    def _read(self, key: bytes, flags: int) -> bytes | None: ...

    @abstractmethod
    def _write(self, key: bytes, value: bytes, flags: int) -> int:
        """0 or a negative error number; ``value`` has ``value_bytes`` bytes."""

    @abstractmethod
    def _remove(self, key: bytes) -> int: ...

    @abstractmethod
    def _entries(self) -> Iterator[tuple[bytes, bytes]]: ...

    # What people and programs in Python call.

    def lookup(self, key: bytes, flags: int = ANY) -> bytes | None:
        """The value of ``key``, or None. BPF_F_LOCK reads it under its lock."""
        self._check_key(key)
        if self.spec.flags & MapFlag.WRONLY:
            self.refuse("lookup", errno.EPERM)
        if flags & ~LOCK:
            self.refuse("lookup", errno.EINVAL, f"{flags:#x} is no flag of a lookup")
        return self._read(key, flags)

    def update(self, key: bytes, value: bytes, flags: int = ANY) -> None:
        """Store ``value`` for ``key`` under the kernel's rules: ANY, NOEXIST, EXIST, each or'ed with LOCK."""
        self._check_key(key)
        self._check_change("update")
        if self.is_per_cpu and len(value) == self.spec.value_size:
            value = value.ljust(self.stride, b"\0") * self.cpus
        if len(value) != self.value_bytes:
            raise RequestError(f"a value of map {self.name} has {self.value_bytes} bytes, not {len(value)}")
        error = self._write(key, value, flags)
        if error:
            self.refuse("update", -error)

    def delete(self, key: bytes) -> None:
        """Remove ``key``; raises MapError (ENOENT) if it is not there, (EINVAL) where entries cannot be removed."""
        self._check_key(key)
        self._check_change("delete")
        error = self._remove(key)
        if error:
            self.refuse("delete", -error)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values as bytes: every entry that is there from start to end, others perhaps."""
        if self.spec.flags & MapFlag.WRONLY:
            self.refuse("lookup", errno.EPERM)
        return self._entries()

    def keys(self) -> Iterator[bytes]:
        """All keys, as :meth:`items` has them."""
        return (key for key, _ in self.items())

    def clear(self) -> None:
        """Remove every entry; where entries cannot be removed, make every value zero."""
        self._check_change("delete")
        for key in list(self.keys()):
            error = self._remove(key)
            if error == -errno.EINVAL:
                error = self._write(key, bytes(self.value_bytes), ANY)
            if error not in (0, -errno.ENOENT):
                self.refuse("delete", -error)

    def freeze(self) -> None:
        """Forbid changes from Python from now on; programs keep their rights."""
        self.frozen = True

    def set_program(self, index: int, address: int) -> None:
        """Let a program array's ``index`` lead to the native code at ``address`` (0: to nothing)."""
        self.refuse("set_program", errno.EINVAL, f"a map of type {self.spec.type.label} holds no programs at {index}")

    def close(self) -> None:
        """Release the memory; no program may use the map any more. May be called twice."""
        regions, self._regions = self._regions, []
        for region in regions:
            self._space.remove(region)
        self._keep.clear()

    # Keys and values of their BTF types.

    def __len__(self) -> int:
        """How many entries there are; every one of an array."""
        return sum(1 for _ in self._entries())

    def __bool__(self) -> bool:
        """A map is a map, be it empty."""
        return True

    def __iter__(self) -> Iterator[object]:
        return (self.decode_key(key) for key in self.keys())

    def __contains__(self, key: object) -> bool:
        return self._read(self.encode_key(key), ANY) is not None

    def __getitem__(self, key: object) -> object:
        """The value of ``key`` decoded through BTF; of a per-CPU map a list, one value a CPU. KeyError if absent."""
        found = self.lookup(self.encode_key(key))
        if found is None:
            raise KeyError(key)
        return self.decode_value(found)

    def __setitem__(self, key: object, value: object) -> None:
        self.update(self.encode_key(key), self.encode_value(value))

    def __delitem__(self, key: object) -> None:
        self.delete(self.encode_key(key))

    def decoded(self) -> Iterator[tuple[object, object]]:
        """All keys and values, decoded as ``map[key]`` does."""
        return ((self.decode_key(key), self.decode_value(value)) for key, value in self.items())

    def encode_key(self, key: object) -> bytes:
        """The bytes of a key given as bytes, as an integer, or as its BTF type demands."""
        return self._encode("key", key, self.spec.key_type_id, self.spec.key_size)

    def encode_value(self, value: object) -> bytes:
        """The bytes of a value; for a per-CPU map of a list with one value a CPU, or of one value for all."""
        size = self.spec.value_size
        if isinstance(value, bytes | bytearray | memoryview) and len(value) == self.value_bytes:
            return bytes(value)
        if not self.is_per_cpu:
            return self._encode("value", value, self.spec.value_type_id, size)
        values: Iterable[object] = value if isinstance(value, list | tuple) else [value] * self.cpus
        parts = [
            self._encode("value", one, self.spec.value_type_id, size).ljust(self.stride, b"\0") for one in values
        ]
        if len(parts) != self.cpus:
            raise RequestError(f"a value of map {self.name} needs {self.cpus} values, one a CPU, not {len(parts)}")
        return b"".join(parts)

    def decode_key(self, key: bytes) -> object:
        """A key as its BTF type shows it; as an integer if it has none and up to eight bytes."""
        return self._decode(key, self.spec.key_type_id)

    def decode_value(self, value: bytes) -> object:
        """A value as its BTF type shows it; of a per-CPU map a list with one a CPU."""
        if not self.is_per_cpu:
            return self._decode(value, self.spec.value_type_id)
        size, stride = self.spec.value_size, self.stride
        return [
            self._decode(value[start : start + size], self.spec.value_type_id)
            for start in range(0, self.value_bytes, stride)
        ]

    def _decode(self, data: bytes, type_id: int) -> object:
        if self.spec.btf is not None and type_id:
            from skep.btf.values import decode

            return decode(self.spec.btf, type_id, data)
        return int.from_bytes(data, sys.byteorder) if len(data) <= 8 else data

    def _encode(self, what: str, value: object, type_id: int, size: int) -> bytes:
        if isinstance(value, bytes | bytearray | memoryview):
            data = bytes(value)
        elif self.spec.btf is not None and type_id:
            from skep.btf.values import encode

            data = encode(self.spec.btf, type_id, value)
        elif isinstance(value, int):
            if not -(1 << 8 * size - 1) <= value < 1 << 8 * size:
                raise RequestError(f"{value} does not fit the {size} bytes of a {what} of map {self.name}")
            data = (value & (1 << 8 * size) - 1).to_bytes(size, sys.byteorder)
        else:
            raise RequestError(
                f"map {self.name} has no BTF for its {what}: give bytes or an integer, not {type(value).__name__}"
            )
        if len(data) != size:
            raise RequestError(f"a {what} of map {self.name} has {size} bytes, not {len(data)}")
        return data

    def refuse(self, operation: str, number: int, reason: str | None = None) -> NoReturn:
        """Raise the MapError for error ``number`` of ``operation``."""
        name = errno.errorcode.get(number, str(number))
        raise MapError(
            f"map {self.name} refuses {operation} ({name}): {reason or _REASONS.get(number) or os.strerror(number)}",
            errno=number,
        )

    def _check_key(self, key: bytes) -> None:
        if len(key) != self.spec.key_size:
            raise RequestError(f"a key of map {self.name} has {self.spec.key_size} bytes, not {len(key)}")

    def _check_change(self, operation: str) -> None:
        if self.frozen or self.spec.flags & MapFlag.RDONLY:
            self.refuse(operation, errno.EPERM)

    def _allocate(self, what: str, size: int, kind: RegionKind, *, stride: int = 0, element_size: int = 0) -> Region:
        """Memory that lives as long as the map; of elements ``stride`` bytes apart if that is given."""
        writable = kind is RegionKind.MAP_VALUE and not self.spec.flags & MapFlag.RDONLY_PROG
        region = self._space.allocate(
            what, size, kind, writable=writable, align=128, stride=stride, element_size=element_size
        )
        self._regions.append(region)
        return region

    def _allocate_per_cpu(self, count: int, stride: int, cpu_stride: int) -> int:
        """Memory for ``count`` values of each CPU, those of one CPU together: the address of CPU 0's first.

        Each CPU's part is a region of its own, because values need not divide the distance between the parts.
        """
        start, owner = allocate_zeroed(self.cpus * cpu_stride, 256)
        self._keep.append(owner)
        writable = not self.spec.flags & MapFlag.RDONLY_PROG
        for number in range(self.cpus):
            name = f"{self.name} of CPU {number}"
            place = start + number * cpu_stride
            kind, size = RegionKind.MAP_VALUE, count * stride
            region = Region(name, place, size, kind, writable, stride, self.spec.value_size)
            self._regions.append(self._space.add(region))
        return start
