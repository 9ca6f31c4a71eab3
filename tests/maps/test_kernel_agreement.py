"""The same operations on a map here and on one of the running kernel: same results, same errors, same contents."""

from __future__ import annotations

import random

import pytest

from skep.errors import MapError
from skep.maps import Map
from skep.objects.kinds import MapType

from .kernel_map import KernelMap, available
from .support import made

pytestmark = pytest.mark.skipif(not available(), reason="this process may not use bpf(2)")


def ours(map: Map, what: str, key: bytes, value: bytes, flags: int) -> bytes | int:
    """What the operation gives here, in the terms of bpf(2)."""
    try:
        if what == "update":
            map.update(key, value, flags)
            return 0
        if what == "delete":
            map.delete(key)
            return 0
        found = map.lookup(key, flags)
    except MapError as error:
        return -(error.errno or 0)
    return -2 if found is None else found


def kernels(map: KernelMap, what: str, key: bytes, value: bytes, flags: int) -> bytes | int:
    if what == "update":
        return map.update(key, value, flags)
    return map.delete(key) if what == "delete" else map.lookup(key, flags)


@pytest.mark.parametrize("value_size", [1, 4, 13])
@pytest.mark.parametrize(("kind", "flags"), [(MapType.HASH, 0), (MapType.HASH, 1), (MapType.ARRAY, 0)])
def test_a_thousand_operations(kind: MapType, flags: int, value_size: int) -> None:
    random_ = random.Random(f"{kind} {flags} {value_size}")
    entries = 5
    with made(kind, 4, value_size, entries, flags) as here, KernelMap(kind, 4, value_size, entries, flags) as there:
        for step in range(1000):
            what = random_.choice(["update", "update", "delete", "lookup"])
            key = random_.randrange(entries + 3).to_bytes(4, "little")
            value = random_.randbytes(value_size)
            given = random_.choice([0, 0, 1, 2, 3, 4, 5, 8]) if what == "update" else random_.choice([0, 0, 4, 1])
            mine, others = (
                ours(here, what, key, value, given),
                kernels(there, what, key, value, given),
            )
            assert mine == others, (step, what, key, given)
        for number in range(entries + 3):
            key = number.to_bytes(4, "little")
            assert ours(here, "lookup", key, b"", 0) == kernels(there, "lookup", key, b"", 0)


@pytest.mark.parametrize("flags", [0x8, 0x10, 0x80, 0x100], ids=["RDONLY", "WRONLY", "RDONLY_PROG", "WRONLY_PROG"])
@pytest.mark.parametrize("kind", [MapType.HASH, MapType.ARRAY], ids=lambda kind: kind.label)
def test_rights_of_user_space(kind: MapType, flags: int) -> None:
    with made(kind, 4, 4, 2, flags) as here, KernelMap(kind, 4, 4, 2, flags) as there:
        for what in ("lookup", "update", "lookup", "delete"):
            assert ours(here, what, bytes(4), b"abcd", 0) == kernels(there, what, bytes(4), b"abcd", 0), what
