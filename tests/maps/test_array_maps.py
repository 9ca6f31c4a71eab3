"""Arrays, program arrays and redirect targets from Python and from the functions that programs call."""

from __future__ import annotations

import ctypes
import errno
from typing import Any

import pytest

from skep.btf import BtfBuilder
from skep.errors import MapError, UnsupportedError
from skep.lang.target import HOST
from skep.locks import lock_for
from skep.maps import EXIST, LOCK, NOEXIST, create
from skep.maps.functions import delete_any, delete_function, lookup_any, lookup_function, update_any, update_function
from skep.maps.lock_field import lock_offset
from skep.memory import AddressSpace, CpuBlock, RegionKind
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec

from .support import locked_spec, made, spec
from .test_hash_map import refused


def pointer(data: bytes) -> Any:
    return ctypes.create_string_buffer(data, len(data))


@pytest.mark.parametrize("kind", [MapType.ARRAY, MapType.PERCPU_ARRAY])
@pytest.mark.parametrize("value_size", [1, 4, 12, 64])
def test_rules_of_updates(kind: MapType, value_size: int) -> None:
    with made(kind, 4, value_size, 3) as map:
        value = bytes(range(1, value_size + 1))
        last, behind = (2).to_bytes(4, "little"), (3).to_bytes(4, "little")
        assert map.lookup(behind) is None
        assert not any(map.lookup(last) or b"x")
        assert refused(map.update, last, value, NOEXIST) == errno.EEXIST
        assert refused(map.update, behind, value) == errno.E2BIG
        assert refused(map.update, last, value, 3) == errno.EINVAL
        assert refused(map.update, last, value, LOCK) == errno.EINVAL
        assert refused(map.delete, last) == errno.EINVAL
        map.update(last, value, EXIST)
        assert map.lookup(last) == (value if kind is MapType.ARRAY else value.ljust(map.stride, b"\0") * 2)
        assert len(map) == len(list(map.items())) == 3
        map.clear()
        assert not any(map.lookup(last) or b"x")


def test_contents_of_a_data_section_and_freezing() -> None:
    data = MapSpec(".rodata", MapType.ARRAY, 4, 6, 1, 0x80, contents=b"abcdef", frozen=True)
    with AddressSpace() as space, create(data, 1, space) as map:
        assert map.lookup(bytes(4)) == b"abcdef"
        assert map.values_address is not None
        region = space.find(map.values_address, 6)
        assert region is not None
        assert (region.kind, region.writable) == (RegionKind.MAP_VALUE, False)
        assert space.find(map.values_address, 7) is None
        with pytest.raises(MapError, match="EPERM"):
            map.update(bytes(4), b"ABCDEF")


def test_the_lock_in_a_value_is_no_part_of_what_is_copied() -> None:
    with AddressSpace() as space, create(locked_spec(MapType.ARRAY), 1, space) as map:
        value = bytes(range(1, 17))
        map.update(bytes(4), value)
        without = value[:8] + bytes(4) + value[12:]
        assert map.lookup(bytes(4)) == map.lookup(bytes(4), LOCK) == without
        map.update(bytes(4), value[::-1], LOCK)
        assert map.lookup(bytes(4), LOCK) == value[::-1][:8] + bytes(4) + value[::-1][12:]
        assert map[0] == {"before": 0x090A0B0C0D0E0F10, "lock": {"val": 0}, "after": 0x01020304}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [("member", 8), ("nested", 12), ("typedef", None), ("array", None), ("union", None), ("value", None)],
)
def test_where_linux_sees_a_lock(shape: str, expected: int | None) -> None:
    builder = BtfBuilder()
    u32 = builder.integer("unsigned int", 4)
    lock = builder.struct("bpf_spin_lock", [("val", u32)])
    held = {
        "member": lambda: lock,
        "nested": lambda: builder.struct("inner", [("other", u32), ("lock", lock)]),
        "typedef": lambda: builder.typedef("lock_t", lock),
        "array": lambda: builder.array(lock, 2),
        "union": lambda: builder.union("either", [("lock", lock), ("word", u32)]),
        "value": lambda: u32,
    }[shape]()
    value = lock if shape == "value" else builder.struct("value", [("a", u32), ("b", u32), ("held", held)])
    size = builder.build().size_of(value)
    assert lock_offset(MapSpec("m", MapType.ARRAY, 4, size, 1, value_type_id=value, btf=builder.build())) == expected


def test_two_locks_are_one_too_many() -> None:
    builder = BtfBuilder()
    lock = builder.struct("bpf_spin_lock", [("val", builder.integer("unsigned int", 4))])
    value = builder.struct("value", [("a", lock), ("b", lock)])
    with pytest.raises(MapError, match="more than one bpf_spin_lock"):
        lock_offset(MapSpec("m", MapType.ARRAY, 4, 8, 1, value_type_id=value, btf=builder.build()))


def test_a_lock_stands_only_where_linux_takes_it() -> None:
    with AddressSpace() as space, pytest.raises(MapError, match="which maps of type percpu_array may not"):
        create(locked_spec(MapType.PERCPU_ARRAY), 1, space)


class TestWhatProgramsCall:
    """The functions for one map and those for every map do the same."""

    @pytest.mark.parametrize("known", [True, False], ids=["one map", "every map"])
    @pytest.mark.parametrize("kind", [MapType.ARRAY, MapType.PERCPU_ARRAY, MapType.HASH, MapType.PERCPU_HASH])
    def test_look_up_update_delete(self, kind: MapType, known: bool) -> None:
        definition = spec(kind, 4, 8, 4)
        with AddressSpace() as space, create(definition, 2, space) as map:
            cpus = CpuBlock(2)
            given = {"cpu": cpus.address(1), "values": map.values_address}
            lock = lock_for(HOST.arch)
            functions = (
                (lookup_function(definition), update_function(definition, HOST.arch), delete_function(definition))
                if known
                else (lookup_any, update_any.specialise(acquire=lock.lock_outside, release=lock.unlock), delete_any)
            )

            def call(function: Any, *arguments: Any) -> int:
                leading = [given[name] for name, _ in function.parameters if name in given]
                result: int = function(*leading, map.address, *arguments)
                return result

            lookup, update, delete = functions
            key, value = pointer(b"\1\0\0\0"), pointer(b"12345678")
            is_array = "ARRAY" in kind.name
            assert bool(call(lookup, key)) == is_array
            assert call(update, key, value, 7) == -errno.EINVAL
            assert call(update, key, value, EXIST) == (0 if is_array else -errno.ENOENT)
            assert call(update, key, value, 0) == 0
            assert call(update, key, value, NOEXIST) == -errno.EEXIST
            place = call(lookup, key)
            assert ctypes.string_at(place, 8) == b"12345678"
            assert space.find(place, 8) is not None
            assert space.find(place, 9) is None
            assert map.lookup(b"\1\0\0\0") == (bytes(8) if map.is_per_cpu else b"") + b"12345678"
            assert call(delete, key) == (-errno.EINVAL if is_array else 0)
            if is_array:
                assert call(lookup, pointer(b"\4\0\0\0")) == 0
                assert call(update, pointer(b"\4\0\0\0"), value, 0) == -errno.E2BIG
            else:
                assert call(delete, key) == -errno.ENOENT
                assert call(lookup, key) == 0

    def test_what_a_type_does_not_do_is_named(self) -> None:
        programs = spec(MapType.PROG_ARRAY, 4, 4, 4)
        with pytest.raises(
            UnsupportedError, match="bpf_map_lookup_elem does not work on map m, which is of type prog"
        ):
            lookup_function(programs)
        with pytest.raises(UnsupportedError, match="bpf_map_update_elem"):
            update_function(programs, HOST.arch)


def test_programs_are_set_and_removed() -> None:
    with made(MapType.PROG_ARRAY, 4, 4, 4) as map:
        map.set_program(2, 0x1234)
        assert map.values_address is not None
        assert ctypes.c_uint64.from_address(map.values_address + 16).value == 0x1234
        assert [key for key, _ in map.items()] == [(2).to_bytes(4, "little")]
        map.delete((2).to_bytes(4, "little"))
        assert len(map) == 0
        assert refused(map.delete, (2).to_bytes(4, "little")) == errno.ENOENT
        with pytest.raises(MapError, match="index 4 is beyond its 4 slots"):
            map.set_program(4, 1)
    with made(MapType.ARRAY, 4, 4, 4) as array, pytest.raises(MapError, match="holds no programs"):
        array.set_program(0, 1)


@pytest.mark.parametrize("kind", [MapType.DEVMAP, MapType.CPUMAP, MapType.XSKMAP, MapType.DEVMAP_HASH])
def test_redirect_targets_are_there_once_they_are_set(kind: MapType) -> None:
    definition = spec(kind, 4, 4, 4)
    with AddressSpace() as space, create(definition, 1, space) as map:
        key = pointer(b"\1\0\0\0")
        lookup = lookup_function(definition)
        given = {"cpu": CpuBlock(1).address(0), "values": map.values_address}
        leading = [given[name] for name, _ in lookup.parameters if name in given]
        assert map.lookup(b"\1\0\0\0") is None
        anything: Any = lookup_any
        assert lookup(*leading, map.address, key) == anything(given["cpu"], map.address, key) == 0
        map[1] = 9
        assert map[1] == 9
        found = lookup(*leading, map.address, key)
        assert ctypes.string_at(found, 4) == b"\t\0\0\0"
        assert len(map) == 1
        del map[1]
        assert map.lookup(b"\1\0\0\0") is None
