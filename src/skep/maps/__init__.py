"""Maps: the memory that programs share with each other and with people, one file a type.

:func:`create` makes the map that a :class:`~skep.objects.spec.MapSpec` defines. Programs reach it through the
functions that :mod:`skep.maps.functions` chooses, Python through :class:`Map`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.maps.limits import MapFlag, check
from skep.maps.map import ANY, EXIST, LOCK, NOEXIST, Map
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec

if TYPE_CHECKING:
    from skep.memory import AddressSpace


def create(spec: MapSpec, cpus: int, space: AddressSpace) -> Map:
    """Make the map that ``spec`` defines, for programs on ``cpus`` CPUs; its memory becomes known to ``space``.

    Raises MapError for a definition that Linux refuses, UnsupportedError for a type of map that is not made here.
    """
    check(spec)
    from skep.maps import array_map, hash_map

    match spec.type:
        case MapType.HASH | MapType.PERCPU_HASH | MapType.DEVMAP_HASH:
            return hash_map.HashTableMap(spec, cpus, space)
        case MapType.PERCPU_ARRAY:
            return array_map.PerCpuArrayMap(spec, cpus, space)
        case MapType.PROG_ARRAY:
            return array_map.ProgramArrayMap(spec, cpus, space)
        case MapType.DEVMAP | MapType.CPUMAP | MapType.XSKMAP:
            return array_map.TargetMap(spec, cpus, space)
    return array_map.ArrayMap(spec, cpus, space)


__all__ = [
    "ANY",
    "EXIST",
    "LOCK",
    "NOEXIST",
    "Map",
    "MapFlag",
    "check",
    "create",
]
