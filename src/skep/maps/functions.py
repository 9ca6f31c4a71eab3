"""Which function serves a map: for one map with its sizes as constants, or for every map through its descriptor.

The parameters say what an engine passes: a leading ``cpu``, then ``values`` (the address of element 0, only where the
map is known), then the BPF arguments, of which the first is the map's descriptor.
"""

from __future__ import annotations

import errno
from typing import Any

from skep.errors import UnsupportedError
from skep.lang import Function, Ptr, cast, function, i64, null, u8, u32, u64
from skep.locks.arch import lock_for
from skep.maps import array, hash_table, target
from skep.maps.geometry import geometry
from skep.maps.hash_layout import HashMap
from skep.maps.layout import NO_LOCK, MapHead
from skep.maps.limits import check
from skep.maps.value import LockFunction
from skep.memory.cpu import Cpu
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec


@function(inline="never")
def _hash_update(
    cpu: Ptr[Cpu],
    map: Ptr[HashMap],
    key: Ptr[u8],
    value: Ptr[u8],
    flags: u64,
    key_size: u32,
    value_size: u32,
    stride: u32,
    lock_offset: u32,
    acquire: LockFunction,
    release: LockFunction,
) -> i64:
    return hash_table.update(
        cpu.id, map, key, value, flags, key_size, value_size, stride, lock_offset, acquire, release
    )


@function(inline="never")
def _hash_update_per_cpu(
    cpu: Ptr[Cpu],
    map: Ptr[HashMap],
    key: Ptr[u8],
    value: Ptr[u8],
    flags: u64,
    key_size: u32,
    value_size: u32,
    stride: u32,
    value_stride: u32,
) -> i64:
    return hash_table.update_per_cpu(
        cpu.id, map, key, value, flags, key_size, value_size, stride, value_stride, False
    )


@function(inline="never")
def _hash_delete(cpu: Ptr[Cpu], map: Ptr[HashMap], key: Ptr[u8], key_size: u32, stride: u32) -> i64:
    return hash_table.delete(cpu.id, map, key, key_size, stride)


def lookup_function(spec: MapSpec) -> Function[..., Any]:
    """The function that finds a value of this map: ``([cpu,] [values,] map, key)`` to an address, null if absent."""
    check(spec)
    sizes = geometry(spec)
    match spec.type:
        case MapType.ARRAY:
            return array.lookup.specialise(max_entries=spec.max_entries, stride=sizes.stride)
        case MapType.PERCPU_ARRAY:
            return array.lookup_per_cpu.specialise(
                max_entries=spec.max_entries, stride=sizes.stride, cpu_stride=sizes.cpu_stride
            )
        case MapType.HASH | MapType.PERCPU_HASH | MapType.DEVMAP_HASH:
            return hash_table.lookup.specialise(
                key_size=spec.key_size,
                stride=sizes.element_stride,
                value_stride=sizes.stride,
                per_cpu=spec.type is MapType.PERCPU_HASH,
            )
        case MapType.DEVMAP | MapType.CPUMAP | MapType.XSKMAP:
            return target.lookup.specialise(max_entries=spec.max_entries)
    raise _unsupported(spec, "bpf_map_lookup_elem")


def update_function(spec: MapSpec, arch: str) -> Function[..., Any]:
    """The function that stores a value: ``([cpu,] [values,] map, key, value, flags)`` to 0 or a negative error
    number.
    """
    check(spec)
    sizes = geometry(spec)
    lock = lock_for(arch)
    lock_offset = NO_LOCK if sizes.lock_offset is None else sizes.lock_offset
    match spec.type:
        case MapType.ARRAY:
            return array.update.specialise(
                max_entries=spec.max_entries,
                stride=sizes.stride,
                value_size=spec.value_size,
                lock_offset=lock_offset,
                acquire=lock.lock_outside,
                release=lock.unlock,
            )
        case MapType.PERCPU_ARRAY:
            return array.update_per_cpu.specialise(
                max_entries=spec.max_entries,
                stride=sizes.stride,
                cpu_stride=sizes.cpu_stride,
                value_size=spec.value_size,
            )
        case MapType.HASH:
            return _hash_update.specialise(
                key_size=spec.key_size,
                value_size=spec.value_size,
                stride=sizes.element_stride,
                lock_offset=lock_offset,
                acquire=lock.lock_outside,
                release=lock.unlock,
            )
        case MapType.PERCPU_HASH:
            return _hash_update_per_cpu.specialise(
                key_size=spec.key_size,
                value_size=spec.value_size,
                stride=sizes.element_stride,
                value_stride=sizes.stride,
            )
    raise _unsupported(spec, "bpf_map_update_elem")


def delete_function(spec: MapSpec) -> Function[..., Any]:
    """The function that removes a key: ``([cpu,] map, key)`` to 0 or a negative error number."""
    check(spec)
    match spec.type:
        case MapType.ARRAY | MapType.PERCPU_ARRAY:
            return array.delete
        case MapType.HASH | MapType.PERCPU_HASH:
            return _hash_delete.specialise(key_size=spec.key_size, stride=geometry(spec).element_stride)
    raise _unsupported(spec, "bpf_map_delete_elem")


def _unsupported(spec: MapSpec, helper: str) -> UnsupportedError:
    return UnsupportedError(f"{helper} does not work on map {spec.name}, which is of type {spec.type.label}")


# Of every map, through its descriptor.

_ARRAY = int(MapType.ARRAY)
_PERCPU_ARRAY = int(MapType.PERCPU_ARRAY)
_HASH = int(MapType.HASH)
_PERCPU_HASH = int(MapType.PERCPU_HASH)
_DEVMAP_HASH = int(MapType.DEVMAP_HASH)
_DEVMAP = int(MapType.DEVMAP)
_CPUMAP = int(MapType.CPUMAP)
_XSKMAP = int(MapType.XSKMAP)
_EINVAL = -errno.EINVAL


@function(inline="never")
def lookup_any(cpu: Ptr[Cpu], map: Ptr[MapHead], key: Ptr[u8]) -> Ptr[u8]:
    """The address of a value in whatever map, or null."""
    kind = map.type
    index = cast(Ptr[u32], key)
    if kind == _HASH or kind == _DEVMAP_HASH:  # noqa: SIM109
        table = cast(Ptr[HashMap], map)
        return hash_table.lookup(cpu, table, key, map.key_size, table.element_stride, map.stride, False)
    if kind == _PERCPU_HASH:
        table = cast(Ptr[HashMap], map)
        return hash_table.lookup(cpu, table, key, map.key_size, table.element_stride, map.stride, True)
    if kind == _ARRAY:
        return array.lookup(map.values, map, index, map.max_entries, map.stride)
    if kind == _PERCPU_ARRAY:
        return array.lookup_per_cpu(cpu, map.values, map, index, map.max_entries, map.stride, map.cpu_stride)
    if kind == _DEVMAP or kind == _CPUMAP or kind == _XSKMAP:  # noqa: SIM109
        return target.lookup(map.values, map, index, map.max_entries)
    return null(u8)


@function(inline="never")
def update_any(
    cpu: Ptr[Cpu],
    map: Ptr[MapHead],
    key: Ptr[u8],
    value: Ptr[u8],
    flags: u64,
    acquire: LockFunction,
    release: LockFunction,
) -> i64:
    """Store a value in whatever map; 0 or a negative error number."""
    kind = map.type
    index = cast(Ptr[u32], key)
    size = map.value_size
    if kind == _HASH:
        table = cast(Ptr[HashMap], map)
        return _hash_update(
            cpu,
            table,
            key,
            value,
            flags,
            map.key_size,
            size,
            table.element_stride,
            map.lock_offset,
            acquire,
            release,
        )
    if kind == _PERCPU_HASH:
        table = cast(Ptr[HashMap], map)
        return _hash_update_per_cpu(
            cpu, table, key, value, flags, map.key_size, size, table.element_stride, map.stride
        )
    if kind == _ARRAY:
        return array.update(
            map.values,
            map,
            index,
            value,
            flags,
            map.max_entries,
            map.stride,
            size,
            map.lock_offset,
            acquire,
            release,
        )
    if kind == _PERCPU_ARRAY:
        return array.update_per_cpu(
            cpu, map.values, map, index, value, flags, map.max_entries, map.stride, map.cpu_stride, size
        )
    return i64(_EINVAL)


@function(inline="never")
def delete_any(cpu: Ptr[Cpu], map: Ptr[MapHead], key: Ptr[u8]) -> i64:
    """Remove a key from whatever map; 0 or a negative error number."""
    if map.type == _HASH or map.type == _PERCPU_HASH:
        table = cast(Ptr[HashMap], map)
        return hash_table.delete(cpu.id, table, key, map.key_size, table.element_stride)
    return i64(_EINVAL)
