"""What Linux demands of a map's definition before it makes one, as a table with a row a map type.

Key and value sizes, numbers of entries and creation flags were read off a running kernel (6.18): every flag and a
ladder of sizes was offered for every type, and ``tests/maps/test_limits.py`` does so again where bpf(2) is allowed.
Two limits are skep's own: Linux refuses what its allocator cannot give, skep what a process should not ask for.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from types import MappingProxyType
from typing import NoReturn

from skep.errors import MapError, UnsupportedError
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec


class MapFlag(IntFlag):
    """The creation flags ``BPF_F_*``."""

    NO_PREALLOC = 1 << 0
    NO_COMMON_LRU = 1 << 1
    NUMA_NODE = 1 << 2
    RDONLY = 1 << 3
    WRONLY = 1 << 4
    STACK_BUILD_ID = 1 << 5
    ZERO_SEED = 1 << 6
    RDONLY_PROG = 1 << 7
    WRONLY_PROG = 1 << 8
    CLONE = 1 << 9
    MMAPABLE = 1 << 10
    PRESERVE_ELEMS = 1 << 11
    INNER_MAP = 1 << 12
    LINK = 1 << 13
    PATH_FD = 1 << 14
    VTYPE_BTF_OBJ_FD = 1 << 15
    TOKEN_FD = 1 << 16
    SEGV_ON_FAULT = 1 << 17
    NO_USER_CONV = 1 << 18


_USER = MapFlag.NUMA_NODE | MapFlag.RDONLY | MapFlag.WRONLY
_ACCESS = MapFlag.RDONLY | MapFlag.WRONLY | MapFlag.RDONLY_PROG | MapFlag.WRONLY_PROG
_HASH = MapFlag.NO_PREALLOC | MapFlag.ZERO_SEED | _ACCESS

#: The largest value of an array: its size rounded up to eight still fits a signed 32-bit integer.
_ARRAY_VALUE = (1 << 31) - 8 - 1
#: Key and value of a hash element share one kernel allocation of at most 4 MiB with the element's header.
_HASH_ELEMENT = (1 << 22) - 512 - 64
#: One CPU's share of a per-CPU value (``PCPU_MIN_UNIT_SIZE``).
_PERCPU_VALUE = 32768
#: skep's own: no single map may ask for more bytes than this.
MAX_BYTES = 1 << 36


@dataclass(frozen=True, slots=True)
class MapLimits:
    """What a map type takes: exact key and value sizes (None: any up to a maximum) and creation flags."""

    flags: MapFlag
    key_sizes: tuple[int, ...] | None = (4,)
    value_sizes: tuple[int, ...] | None = None
    max_value: int = _ARRAY_VALUE
    max_element: int | None = None
    max_entries: int = 0xFFFFFFFF


#: The types of map that skep makes.
LIMITS: Mapping[MapType, MapLimits] = MappingProxyType(
    {
        MapType.HASH: MapLimits(
            _HASH | MapFlag.NUMA_NODE, None, None, _HASH_ELEMENT, _HASH_ELEMENT, max_entries=(1 << 31) - 1
        ),
        MapType.PERCPU_HASH: MapLimits(_HASH, None, None, _PERCPU_VALUE, _HASH_ELEMENT, max_entries=(1 << 31) - 1),
        MapType.ARRAY: MapLimits(_ACCESS | MapFlag.NUMA_NODE | MapFlag.MMAPABLE | MapFlag.INNER_MAP),
        MapType.PERCPU_ARRAY: MapLimits(_ACCESS, max_value=_PERCPU_VALUE),
        MapType.PROG_ARRAY: MapLimits(_USER, value_sizes=(4,)),
        MapType.DEVMAP: MapLimits(_USER, value_sizes=(4, 8)),
        MapType.DEVMAP_HASH: MapLimits(_USER, value_sizes=(4, 8)),
        MapType.CPUMAP: MapLimits(MapFlag.NUMA_NODE, value_sizes=(4, 8)),
        MapType.XSKMAP: MapLimits(_USER, value_sizes=(4,)),
    }
)


def check(spec: MapSpec) -> None:
    """Raise UnsupportedError for a type that skep does not make, MapError for a definition that Linux refuses."""
    limits = LIMITS.get(spec.type)
    if limits is None:
        raise UnsupportedError(
            f"map {spec.name} is of type {spec.type.label}, which skep does not make; "
            f"it makes {', '.join(kind.label for kind in LIMITS)}"
        )
    if spec.max_entries < 1:
        _refuse(spec, f"max_entries is {spec.max_entries} and must be at least 1")
    if spec.max_entries > limits.max_entries:
        _refuse(spec, f"max_entries is {spec.max_entries} and must be at most {limits.max_entries}", errno.E2BIG)
    _check_size(spec, "key_size", spec.key_size, limits.key_sizes)
    _check_size(spec, "value_size", spec.value_size, limits.value_sizes)
    if spec.value_size > limits.max_value:
        _refuse(spec, f"value_size is {spec.value_size} and must be at most {limits.max_value}", errno.E2BIG)
    if limits.max_element is not None and spec.key_size + spec.value_size > limits.max_element:
        _refuse(spec, f"key and value together must have at most {limits.max_element} bytes", errno.E2BIG)
    _check_flags(spec, limits)
    if spec.max_entries * (spec.key_size + spec.value_size) > MAX_BYTES:
        _refuse(spec, f"its entries need more than {MAX_BYTES >> 30} GiB; lower max_entries", errno.ENOMEM)
    if spec.contents is not None and len(spec.contents) > spec.value_size:
        _refuse(spec, f"its initial contents have {len(spec.contents)} bytes, its value only {spec.value_size}")


def _check_size(spec: MapSpec, name: str, size: int, allowed: tuple[int, ...] | None) -> None:
    if allowed is not None and size not in allowed:
        _refuse(spec, f"{name} is {size} and must be {' or '.join(map(str, allowed))}")
    if size < 1:
        _refuse(spec, f"{name} is {size} and must be at least 1")


def _check_flags(spec: MapSpec, limits: MapLimits) -> None:
    strange = spec.flags & ~int(limits.flags)
    if strange:
        known = MapFlag(strange & int(~MapFlag(0)))
        names = [f"BPF_F_{flag.name}" for flag in known]
        rest = strange & ~int(known)
        if rest:
            names.append(f"{rest:#x}")
        _refuse(spec, f"this type does not take the flag {', '.join(names)}")
    for one, other in ((MapFlag.RDONLY, MapFlag.WRONLY), (MapFlag.RDONLY_PROG, MapFlag.WRONLY_PROG)):
        if spec.flags & one and spec.flags & other:
            _refuse(spec, f"BPF_F_{one.name} and BPF_F_{other.name} exclude each other")


def _refuse(spec: MapSpec, problem: str, number: int = errno.EINVAL) -> NoReturn:
    raise MapError(f"map {spec.name} of type {spec.type.label} cannot be made: {problem}", errno=number)
