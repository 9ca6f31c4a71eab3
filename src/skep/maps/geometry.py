"""How much memory a map takes and how it is divided: numbers that follow from its definition alone.

Code that is made for one map has them as constants; the descriptor carries them for code that is not.
"""

from __future__ import annotations

from dataclasses import dataclass

from skep.maps.limits import MapFlag
from skep.maps.lock_field import lock_offset
from skep.maps.target import SLOT_SIZE
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec

#: Slots of a program array hold the 8-byte address of native code.
PROGRAM_SLOT = 8

#: So many entries a bucket of eleven has on average at most; with 7 one bucket in twelve overflows.
_LOAD = 7

_MAX_SHARDS = 64

ARRAYS = (MapType.ARRAY, MapType.PERCPU_ARRAY)
HASHES = (MapType.HASH, MapType.PERCPU_HASH, MapType.DEVMAP_HASH)
TARGETS = (MapType.DEVMAP, MapType.CPUMAP, MapType.XSKMAP)
PER_CPU = (MapType.PERCPU_ARRAY, MapType.PERCPU_HASH)


def padded(size: int, unit: int = 8) -> int:
    """``size`` rounded up to a multiple of ``unit``."""
    return -(-size // unit) * unit


@dataclass(frozen=True, slots=True)
class Geometry:
    """Bytes and counts of one map; values are ``stride`` apart, elements of a hash map ``element_stride``."""

    stride: int
    cpu_stride: int
    element_stride: int
    value_offset: int
    bucket_bits: int
    lock_offset: int | None
    is_zero_seeded: bool


def geometry(spec: MapSpec) -> Geometry:
    """The geometry of a map; its definition has been checked."""
    entries = spec.max_entries
    if spec.type in TARGETS:
        stride = SLOT_SIZE
    elif spec.type is MapType.PROG_ARRAY:
        stride = PROGRAM_SLOT
    else:
        stride = padded(spec.value_size)
    element, bits = 0, 0
    if spec.type in HASHES:
        # One element more than entries and spares, because they count from 1.
        entries += 1 + _MAX_SHARDS
        element = _element_stride(padded(spec.key_size) + (0 if spec.type in PER_CPU else stride))
        bits = max(1, (-(-spec.max_entries // _LOAD) - 1).bit_length())
    return Geometry(
        stride=stride,
        cpu_stride=padded(entries * stride, 256) if spec.type in PER_CPU else 0,
        element_stride=element,
        value_offset=padded(spec.key_size),
        bucket_bits=bits,
        lock_offset=lock_offset(spec),
        is_zero_seeded=bool(spec.flags & MapFlag.ZERO_SEED),
    )


def shards(cpus: int) -> int:
    """How many lists of free elements so many CPUs get: a power of two."""
    return min(_MAX_SHARDS, 1 << (cpus - 1).bit_length())


def _element_stride(size: int) -> int:
    """Small elements grow to a power of two if a third more is enough, so that none lies across two cache lines."""
    power = 1 << (size - 1).bit_length()
    return power if power <= 64 and 3 * power <= 4 * size else size
