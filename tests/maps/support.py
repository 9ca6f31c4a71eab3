"""Specs for tests of maps, with and without BTF."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from skep.btf import BtfBuilder
from skep.maps import Map, create
from skep.memory import AddressSpace
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec


@contextmanager
def made(
    kind: MapType, key_size: int, value_size: int, max_entries: int, flags: int = 0, cpus: int = 2
) -> Iterator[Map]:
    with AddressSpace() as space, create(spec(kind, key_size, value_size, max_entries, flags), cpus, space) as map:
        yield map


def spec(kind: MapType, key_size: int, value_size: int, max_entries: int, flags: int = 0) -> MapSpec:
    return MapSpec("m", kind, key_size, value_size, max_entries, flags)


def locked_spec(kind: MapType, max_entries: int = 8) -> MapSpec:
    """A map whose value is ``struct { u64 before; struct bpf_spin_lock lock; u32 after; }``."""
    builder = BtfBuilder()
    u32 = builder.integer("unsigned int", 4)
    u64 = builder.integer("unsigned long", 8)
    lock = builder.struct("bpf_spin_lock", [("val", u32)])
    value = builder.struct("value", [("before", u64), ("lock", lock), ("after", u32)])
    return MapSpec("m", kind, 4, 16, max_entries, key_type_id=u32, value_type_id=value, btf=builder.build())
