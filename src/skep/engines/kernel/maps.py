"""Maps of the running kernel: make them, read and write them one element or many at a time, iterate, freeze, pin.

Keys and values are bytes in native byte order. A value of a per-CPU map is what the kernel copies to user space: one
piece for every possible CPU, each rounded up to a multiple of eight bytes, one after the other.
Source: bpf(2), Documentation/bpf/maps.rst and map_*.rst of Linux 6.18.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from ctypes import Array, addressof, c_char, create_string_buffer
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from skep.engines.kernel import handle
from skep.engines.kernel.attributes import Command, MapBatch, MapCreate, MapElement
from skep.engines.kernel.cpus import possible_cpus
from skep.engines.kernel.handle import Handle
from skep.engines.kernel.information import MapInformation, map_information
from skep.engines.kernel.syscall import attempt, refusal, request
from skep.errors import MapError, RequestError
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec

if TYPE_CHECKING:
    from skep.engines.kernel.types import KernelBtf

#: Update only what is not there, only what is there; hold the value's spin lock while copying.
NOEXIST = 1
EXIST = 2
LOCK = 4

#: Creation flag: the map's memory lies on the NUMA node that the request names.
_NUMA_NODE = 1 << 2

PER_CPU = frozenset(
    {
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_PERCPU_HASH,
        MapType.PERCPU_CGROUP_STORAGE,
    }
)

#: Maps whose elements have no key: values go in and come out in an order of their own.
KEYLESS = frozenset({MapType.QUEUE, MapType.STACK, MapType.BLOOM_FILTER})

#: Maps whose types the kernel looks for in BTF; any other may name none.
_NO_TYPES = frozenset(
    {
        MapType.PERF_EVENT_ARRAY,
        MapType.CGROUP_ARRAY,
        MapType.STACK_TRACE,
        MapType.ARRAY_OF_MAPS,
        MapType.HASH_OF_MAPS,
        MapType.DEVMAP,
        MapType.DEVMAP_HASH,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.SOCKMAP,
        MapType.SOCKHASH,
        MapType.PROG_ARRAY,
        MapType.QUEUE,
        MapType.STACK,
        MapType.RINGBUF,
        MapType.USER_RINGBUF,
    }
)

#: Memory that the kernel reads or writes.
Buffer = Array[c_char]

#: Flags that the kernel adds of itself: programs never write to a map of devices.
IMPLIED_FLAGS = {MapType.DEVMAP: 1 << 7, MapType.DEVMAP_HASH: 1 << 7}

#: How many elements a batch asks for when the map has more.
_BATCH = 4096


def object_name(name: str) -> bytes:
    """``name`` as the kernel takes it: 15 bytes of letters, digits, dot and underscore."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._") else "_" for c in name)
    return kept.encode("ascii")[:15]


class KernelMap(Handle):
    """A map of the kernel. ``spec`` is what it was made from, or for one that was opened, what the kernel tells."""

    noun = "map"

    def __init__(self, fd: int, spec: MapSpec) -> None:
        super().__init__(fd)
        self.spec = spec
        step = (spec.value_size + 7) // 8 * 8
        self.per_cpu = spec.type in PER_CPU
        self._value_bytes = step * possible_cpus() if self.per_cpu else spec.value_size
        self._key_bytes = spec.key_size

    @classmethod
    def create(
        cls, spec: MapSpec, *, btf: KernelBtf | None = None, inner: KernelMap | None = None, kernel_type_id: int = 0
    ) -> Self:
        """Make a new map. ``btf`` holds the types that the spec names; ``inner`` is the template of a map of maps;
        ``kernel_type_id`` is the kernel's own type of the values of a struct_ops map, which needs ``btf`` too.

        Raises KernelError naming the map and, where that is the cause, the missing right.
        """
        flags = spec.flags | (_NUMA_NODE if spec.numa_node is not None else 0)
        what = f"creating map {spec.name!r} ({spec.type.label})"
        attribute = MapCreate(
            map_type=spec.type,
            key_size=spec.key_size,
            value_size=spec.value_size,
            max_entries=spec.max_entries,
            map_flags=flags,
            inner_map_fd=inner.fileno() if inner is not None else 0,
            numa_node=spec.numa_node or 0,
            map_name=object_name(spec.name),
            map_extra=spec.map_extra,
            btf_vmlinux_value_type_id=kernel_type_id,
        )
        if btf is not None and kernel_type_id:
            attribute.btf_fd = btf.fileno()
        elif btf is not None and spec.type not in _NO_TYPES:
            attribute.btf_fd = btf.fileno()
            attribute.btf_key_type_id = spec.key_type_id
            attribute.btf_value_type_id = spec.value_type_id
        fd, number = attempt(Command.MAP_CREATE, attribute)
        if number and attribute.btf_fd and not kernel_type_id:
            # Types are for people and for special fields (locks, timers); a map without them works as well, and where
            # the program needs a special field the verifier says so by name.
            attribute.btf_fd = attribute.btf_key_type_id = attribute.btf_value_type_id = 0
            fd, retried = attempt(Command.MAP_CREATE, attribute)
            if not retried:
                number = 0
        if number:
            raise refusal(number, what, spec.type)
        return cls(fd, spec)

    @classmethod
    def from_fd(cls, fd: int) -> Self:
        """Take over an open descriptor; its definition is asked of the kernel."""
        try:
            return cls(fd, map_information(fd).spec)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def open_id(cls, identity: int) -> Self:
        """Open the loaded map with that id; raises KernelError if there is none."""
        return cls.from_fd(handle.open_by_id(Command.MAP_GET_FD_BY_ID, identity, cls.noun))

    @classmethod
    def open_pinned(cls, path: str, spec: MapSpec | None = None) -> Self:
        """Open the map pinned at ``path``; raises MapError if its definition differs from ``spec``."""
        opened = cls.from_fd(handle.open_pinned(path, cls.noun))
        if spec is not None and (difference := _difference(opened.spec, spec)):
            opened.close()
            raise MapError(
                f"the map pinned at {path} differs from map {spec.name!r}: {difference}; remove the pin or rename one"
            )
        return opened

    def information(self) -> MapInformation:
        """What the kernel tells of this map."""
        return map_information(self.fileno())

    def pin(self, path: str) -> None:
        """Give it a name in a BPF file system; raises KernelError."""
        handle.pin(self, path)

    def freeze(self) -> None:
        """Forbid user space to change it from now on; programs still may, unless its flags say otherwise."""
        request(Command.MAP_FREEZE, MapElement(map_fd=self.fileno()), self._doing("freezing"), self.spec.type)

    def lookup(self, key: bytes, flags: int = 0) -> bytes | None:
        """The value of ``key``, or None if there is none. A keyless map takes an empty key and shows the next
        value.
        """
        return self._read(Command.MAP_LOOKUP_ELEM, key, flags, "looking up")

    def take(self, key: bytes, flags: int = 0) -> bytes | None:
        """The value of ``key``, removed from the map in the same step; None if there is none."""
        return self._read(Command.MAP_LOOKUP_AND_DELETE_ELEM, key, flags, "taking")

    def contains(self, value: bytes) -> bool:
        """Whether a Bloom filter may hold ``value``."""
        place = self._value(value)
        attribute = MapElement(map_fd=self.fileno(), value=_address(place))
        _, number = attempt(Command.MAP_LOOKUP_ELEM, attribute)
        if number and number != errno.ENOENT:
            raise refusal(number, self._doing("looking up"))
        return not number

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        """Store ``value``; raises KernelError with ENOSPC/E2BIG when full, EEXIST or ENOENT as ``flags`` ask."""
        key_place, value_place = self._key(key), self._value(value)
        attribute = MapElement(
            map_fd=self.fileno(), key=_address(key_place), value=_address(value_place), flags=flags
        )
        request(Command.MAP_UPDATE_ELEM, attribute, self._doing("updating"), self.spec.type)

    def push(self, value: bytes, flags: int = 0) -> None:
        """Add ``value`` to a queue, stack or Bloom filter."""
        self.update(b"", value, flags)

    def delete(self, key: bytes) -> bool:
        """Remove ``key``; whether it was there."""
        place = self._key(key)
        _, number = attempt(Command.MAP_DELETE_ELEM, MapElement(map_fd=self.fileno(), key=_address(place)))
        if number and number != errno.ENOENT:
            raise refusal(number, self._doing("deleting from"), self.spec.type)
        return not number

    def next_key(self, key: bytes | None) -> bytes | None:
        """The key after ``key`` in the map's own order (None: the first one); None at the end."""
        following = create_string_buffer(max(self._key_bytes, 1))
        place = self._key(key) if key is not None else None
        attribute = MapElement(map_fd=self.fileno(), key=_address(place), value=addressof(following))
        _, number = attempt(Command.MAP_GET_NEXT_KEY, attribute)
        if number == errno.ENOENT:
            return None
        if number:
            raise refusal(number, self._doing("iterating over"), self.spec.type)
        return following.raw[: self._key_bytes]

    def keys(self) -> Iterator[bytes]:
        """Every key once, as long as nobody deletes meanwhile; no more than twice the map's size in any case."""
        key: bytes | None = None
        # A key that is deleted under the iteration makes the kernel start again: without a bound that can go on for
        # ever.
        for _ in range(2 * max(self.spec.max_entries, 1)):
            key = self.next_key(key)
            if key is None:
                return
            yield key

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key with its value; what disappears meanwhile is left out."""
        for key in self.keys():
            value = self.lookup(key)
            if value is not None:
                yield key, value

    def lookup_batch(self, *, delete: bool = False) -> dict[bytes, bytes]:
        """All elements in few calls, removed as they are read if ``delete``; raises KernelError if the map cannot."""
        command = Command.MAP_LOOKUP_AND_DELETE_BATCH if delete else Command.MAP_LOOKUP_BATCH
        room = min(max(self.spec.max_entries, 1), _BATCH)
        # The position is the map's own: a key for most, four bytes for a hash; a hash also wants room for its
        # fullest bucket.
        position = create_string_buffer(max(self._key_bytes, 8))
        started = False
        found: dict[bytes, bytes] = {}
        while True:
            keys = create_string_buffer(room * self._key_bytes)
            values = create_string_buffer(room * self._value_bytes)
            attribute = MapBatch(
                in_batch=addressof(position) if started else 0,
                out_batch=addressof(position),
                keys=addressof(keys),
                values=addressof(values),
                count=room,
                map_fd=self.fileno(),
            )
            _, number = attempt(command, attribute)
            if number == errno.ENOSPC:
                room *= 2
                continue
            if number and number != errno.ENOENT:
                raise refusal(number, self._doing("reading all of"), self.spec.type)
            found.update(
                zip(
                    _pieces(keys.raw, self._key_bytes, attribute.count),
                    _pieces(values.raw, self._value_bytes, attribute.count),
                    strict=True,
                )
            )
            if number == errno.ENOENT:
                return found
            started = True

    def update_batch(self, items: Mapping[bytes, bytes], flags: int = 0) -> None:
        """Store many elements in one call."""
        for key, value in items.items():
            self._key(key)
            self._value(value)
        self._batch(Command.MAP_UPDATE_BATCH, list(items), list(items.values()), flags, "updating many elements of")

    def delete_batch(self, keys: Sequence[bytes]) -> None:
        """Remove many elements in one call; raises KernelError with ENOENT at the first that is not there."""
        for key in keys:
            self._key(key)
        self._batch(Command.MAP_DELETE_BATCH, keys, (), 0, "deleting many elements of")

    def per_cpu_values(self, value: bytes) -> list[bytes]:
        """A value of a per-CPU map in its pieces, one a CPU, without the rounding."""
        step = len(value) // possible_cpus()
        return [value[start : start + self.spec.value_size] for start in range(0, len(value), step)]

    def _batch(
        self, command: Command, keys: Sequence[bytes], values: Sequence[bytes], flags: int, doing: str
    ) -> None:
        if not keys:
            return
        key_places, value_places = _buffer(b"".join(keys)), _buffer(b"".join(values))
        attribute = MapBatch(
            keys=_address(key_places),
            values=_address(value_places),
            count=len(keys),
            map_fd=self.fileno(),
            elem_flags=flags,
        )
        request(command, attribute, self._doing(doing), self.spec.type)

    def _read(self, command: Command, key: bytes, flags: int, doing: str) -> bytes | None:
        place = self._key(key)
        value = create_string_buffer(max(self._value_bytes, 1))
        attribute = MapElement(map_fd=self.fileno(), key=_address(place), value=addressof(value), flags=flags)
        _, number = attempt(command, attribute)
        if number == errno.ENOENT:
            return None
        if number:
            raise refusal(number, self._doing(doing), self.spec.type)
        return value.raw[: self._value_bytes]

    def _doing(self, verb: str) -> str:
        return f"{verb} map {self.spec.name!r} ({self.spec.type.label})"

    def _key(self, key: bytes) -> Buffer | None:
        if len(key) != self._key_bytes:
            raise RequestError(f"a key of map {self.spec.name!r} is {self._key_bytes} bytes, not {len(key)}")
        return _buffer(key)

    def _value(self, value: bytes) -> Buffer | None:
        if len(value) != self._value_bytes:
            pieces = f" ({possible_cpus()} CPUs, each a multiple of 8)" if self.per_cpu else ""
            raise RequestError(
                f"a value of map {self.spec.name!r} is {self._value_bytes} bytes{pieces}, not {len(value)}"
            )
        return _buffer(value)


def _buffer(data: bytes) -> Buffer | None:
    """Memory that holds ``data``; the kernel wants no address at all where there is none."""
    return create_string_buffer(data, len(data)) if data else None


def _address(place: Buffer | None) -> int:
    return addressof(place) if place is not None else 0


def _pieces(data: bytes, size: int, count: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, size * count, size)]


def _difference(pinned: MapSpec, wanted: MapSpec) -> str:
    """How two definitions differ, as "max_entries is 8, not 16", empty if they agree."""
    wanted = replace(wanted, flags=wanted.flags | IMPLIED_FLAGS.get(wanted.type, 0))
    for name in ("type", "key_size", "value_size", "max_entries", "flags", "map_extra"):
        there, here = getattr(pinned, name), getattr(wanted, name)
        if there != here:
            return f"its {name} is {getattr(there, 'label', there)}, not {getattr(here, 'label', here)}"
    return ""
