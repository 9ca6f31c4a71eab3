"""Hash maps from Python: plain and per CPU, and the hash of interfaces (``devmap_hash``).

All work is done by the functions that programs use, compiled once a process without a map's sizes as constants; so
Python and running programs may use a map at the same time.
"""

from __future__ import annotations

import ctypes
import errno
import secrets
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from skep.lang import Function, Ptr, address_of, compile_host, function, i64, size_of, u8, u32, u64, view
from skep.lang.target import HOST
from skep.locks.arch import lock_for
from skep.maps import hash_export, hash_table
from skep.maps.array_map import fill_head
from skep.maps.geometry import geometry, padded, shards
from skep.maps.hash_layout import SLOTS, Bucket, HashMap, Shard
from skep.maps.limits import MapFlag
from skep.maps.lock_field import LOCK_SIZE
from skep.maps.map import LOCK, Map
from skep.maps.value import LockFunction
from skep.memory import AddressSpace, Region, RegionKind, allocate_zeroed
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec


@function
def _update(
    map: Ptr[HashMap],
    key: Ptr[u8],
    value: Ptr[u8],
    flags: u64,
    per_cpu: bool,
    acquire: LockFunction,
    release: LockFunction,
) -> i64:
    head = address_of(map.head)
    stride = map.element_stride
    if per_cpu:
        return hash_table.update_per_cpu(
            u32(0), map, key, value, flags, head.key_size, head.value_size, stride, head.stride, True
        )
    return hash_table.update(
        u32(0),
        map,
        key,
        value,
        flags,
        head.key_size,
        head.value_size,
        stride,
        head.lock_offset,
        acquire,
        release,
    )


@function
def _delete(map: Ptr[HashMap], key: Ptr[u8]) -> i64:
    return hash_table.delete(u32(0), map, key, map.head.key_size, map.element_stride)


class _Native(NamedTuple):
    """Machine code of the operations of one kind of hash map."""

    update: Function[..., Any]
    delete: Function[..., Any]
    copy_out: Function[..., Any]
    copy_out_locked: Function[..., Any]
    export_bucket: Function[..., Any]
    next_used: Function[..., Any]


@cache
def _native(per_cpu: bool) -> _Native:
    lock = lock_for(HOST.arch)
    made = _Native(
        _update.specialise(per_cpu=per_cpu, acquire=lock.lock_outside, release=lock.unlock),
        _delete,
        hash_export.copy_out.specialise(per_cpu=per_cpu),
        hash_export.copy_out_locked.specialise(acquire=lock.lock_outside, release=lock.unlock),
        hash_export.export_bucket.specialise(per_cpu=per_cpu),
        hash_export.next_used,
    )
    compile_host(made)
    return made


class HashTableMap(Map):
    """Values by key; entries come and go."""

    def __init__(self, spec: MapSpec, cpus: int, space: AddressSpace) -> None:
        self.is_per_cpu = spec.type is MapType.PERCPU_HASH
        super().__init__(spec, cpus, space)
        self._sizes = sizes = geometry(spec)
        lists = shards(cpus)
        elements = 1 + spec.max_entries + lists
        descriptor = self._allocate(spec.name, size_of(HashMap), RegionKind.MAP)
        self.address = descriptor.address
        map: Any = view(HashMap, self.address)
        element_bytes = elements * sizes.element_stride
        map.elements = self._memory(element_bytes)
        values = self._allocate_values(int(map.elements), elements)
        fill_head(map.head, spec, cpus, sizes, values)
        map.buckets = self._memory(size_of(Bucket) << sizes.bucket_bits)
        # Chains have no holes, so that no more overflow buckets than this can be in use; number 0 is not used.
        map.overflow = self._memory(size_of(Bucket) * (2 + spec.max_entries // SLOTS))
        map.links = self._memory(4 * elements)
        map.shards = self._memory(size_of(Shard) * lists)
        map.seed = 0 if sizes.is_zero_seeded else secrets.randbits(64)
        map.shift = 64 - sizes.bucket_bits
        map.shard_count = lists
        map.element_stride = sizes.element_stride
        map.overflow_fresh = 1
        for number in range(lists):
            shard: Any = view(Shard, int(map.shards) + number * size_of(Shard))
            shard.fresh = 1 + spec.max_entries * number // lists
            shard.fresh_end = 1 + spec.max_entries * (number + 1) // lists
            shard.spare = 1 + spec.max_entries + number
        self._entry_value = padded(spec.key_size)
        self._entry_size = self._entry_value + padded(self.value_bytes)

    def _memory(self, size: int) -> int:
        address, owner = allocate_zeroed(size, 128)
        self._keep.append(owner)
        return address

    def _allocate_values(self, elements: int, count: int) -> int:
        """Make the values known as regions; return where those of a per-CPU map are, 0 for others."""
        sizes, spec = self._sizes, self.spec
        if self.is_per_cpu:
            return self._allocate_per_cpu(count, sizes.stride, sizes.cpu_stride)
        start = elements + sizes.value_offset
        self._regions.append(
            self._space.add(
                Region(
                    spec.name,
                    start,
                    count * sizes.element_stride - sizes.value_offset,
                    RegionKind.MAP_VALUE,
                    not spec.flags & MapFlag.RDONLY_PROG,
                    sizes.element_stride,
                    spec.value_size,
                )
            )
        )
        return 0

    def _read(self, key: bytes, flags: int) -> bytes | None:
        lock = self._sizes.lock_offset
        if flags and lock is None:
            self.refuse("lookup", errno.EINVAL)
        target = ctypes.create_string_buffer(padded(self.value_bytes))
        native = _native(self.is_per_cpu)
        copy = native.copy_out_locked if flags & LOCK else native.copy_out
        if not copy(self.address, ctypes.create_string_buffer(key, len(key)), target, self._sizes.element_stride):
            return None
        return self._without_lock(target.raw[: self.value_bytes])

    def _without_lock(self, value: bytes) -> bytes:
        lock = self._sizes.lock_offset
        return value if lock is None else value[:lock] + bytes(LOCK_SIZE) + value[lock + LOCK_SIZE :]

    def _write(self, key: bytes, value: bytes, flags: int) -> int:
        if self.spec.type is MapType.DEVMAP_HASH and not any(value[:4]):
            return -errno.EINVAL
        error: int = _native(self.is_per_cpu).update(
            self.address,
            ctypes.create_string_buffer(key, len(key)),
            ctypes.create_string_buffer(value, len(value)),
            flags,
        )
        return error

    def _remove(self, key: bytes) -> int:
        error: int = _native(self.is_per_cpu).delete(self.address, ctypes.create_string_buffer(key, len(key)))
        return error

    def _entries(self) -> Iterator[tuple[bytes, bytes]]:
        export, next_used = _native(self.is_per_cpu).export_bucket, _native(self.is_per_cpu).next_used
        size, key_size, start = self._entry_size, self.spec.key_size, self._entry_value
        capacity = 4 * SLOTS
        target = ctypes.create_string_buffer(capacity * size)
        number, end = 0, 1 << self._sizes.bucket_bits
        while (number := next_used(self.address, number, end)) < end:
            count = export(self.address, number, target, capacity, size, self._sizes.element_stride)
            while count > capacity:
                capacity = 2 * count
                target = ctypes.create_string_buffer(capacity * size)
                count = export(self.address, number, target, capacity, size, self._sizes.element_stride)
            data = target.raw[: count * size]
            for place in range(0, count * size, size):
                value = data[place + start : place + start + self.value_bytes]
                yield data[place : place + key_size], self._without_lock(value)
            number += 1
