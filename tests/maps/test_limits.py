"""A definition is refused where, and only where, the kernel refuses it."""

from __future__ import annotations

import pytest

from skep.errors import MapError, UnsupportedError
from skep.maps.limits import LIMITS, check
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec

from .kernel_map import available, create_error

_SIZES = (0, 1, 2, 3, 4, 8, 12, 16, 4096, 32767, 32768, 32769, 1 << 20, 1 << 22, 0xFFFFFFFF)


def _error(spec: MapSpec) -> int:
    try:
        check(spec)
    except MapError as error:
        return -(error.errno or 0)
    return 0


def _value_size(kind: MapType) -> int:
    return (LIMITS[kind].value_sizes or (8,))[0]


@pytest.mark.skipif(not available(), reason="this process may not use bpf(2)")
@pytest.mark.parametrize("kind", LIMITS, ids=lambda kind: kind.label)
class TestAgainstTheKernel:
    def test_every_flag(self, kind: MapType) -> None:
        combinations = [0, *(1 << bit for bit in range(20)), 0x18, 0x180, 0x81, 0x480, 0x1080]
        for flags in combinations:
            kernel = create_error(kind, 4, _value_size(kind), 4, flags)
            assert _error(MapSpec("m", kind, 4, _value_size(kind), 4, flags)) == kernel, hex(flags)

    def test_sizes_of_keys(self, kind: MapType) -> None:
        for size in _SIZES[:12]:
            kernel = create_error(kind, size, _value_size(kind), 4, 0)
            assert _error(MapSpec("m", kind, size, _value_size(kind), 4)) == kernel, size

    def test_sizes_of_values(self, kind: MapType) -> None:
        for size in _SIZES:
            kernel = create_error(kind, 4, size, 1, 0)
            assert _error(MapSpec("m", kind, 4, size, 1)) == kernel, size

    def test_no_entries(self, kind: MapType) -> None:
        assert _error(MapSpec("m", kind, 4, _value_size(kind), 0)) == create_error(kind, 4, _value_size(kind), 0, 0)


def test_the_message_names_map_type_and_flags() -> None:
    with pytest.raises(
        MapError, match=r"map counts of type array cannot be made: .* flag BPF_F_NO_PREALLOC, 0x80000"
    ):
        check(MapSpec("counts", MapType.ARRAY, 4, 8, 4, 0x80001))
    with pytest.raises(UnsupportedError, match="map routes is of type lpm_trie"):
        check(MapSpec("routes", MapType.LPM_TRIE, 8, 8, 4))


def test_contents_must_fit() -> None:
    check(MapSpec("data", MapType.ARRAY, 4, 8, 1, contents=b"12345678"))
    with pytest.raises(MapError, match="initial contents have 9 bytes"):
        check(MapSpec("data", MapType.ARRAY, 4, 8, 1, contents=b"123456789"))
