"""Map definitions in an object become map specs, whatever style they are written in."""

from __future__ import annotations

import pytest

from skep.btf import Struct, values
from skep.objects import MapType, ProgramType, Spec
from tests.objects.samples import sample


@pytest.fixture(params=["maps", "maps.big"])
def spec(request: pytest.FixtureRequest) -> Spec:
    return sample(request.param)


def test_types_of_key_and_value_give_their_sizes(spec: Spec) -> None:
    typed = spec.maps["typed"]
    assert (typed.type, typed.key_size, typed.value_size, typed.max_entries) == (MapType.HASH, 8, 24, 100)
    assert typed.flags == 1
    assert typed.section == ".maps"
    assert typed.btf is not None
    assert isinstance(typed.btf[typed.key_type_id], Struct)
    assert typed.btf[typed.key_type_id].name == "key"
    order = typed.btf.byte_order
    data = (7).to_bytes(8, order) + (8).to_bytes(8, order) + b"eth0\0\0\0\0"
    assert values.decode(typed.btf, typed.value_type_id, data) == {"packets": 7, "bytes": 8, "name": "eth0"}


def test_sizes_alone_are_enough(spec: Spec) -> None:
    sized = spec.maps["sized"]
    assert (sized.type, sized.key_size, sized.value_size, sized.max_entries) == (MapType.PERCPU_ARRAY, 4, 24, 7)
    assert (sized.key_type_id, sized.value_type_id) == (0, 0)


def test_options_are_kept(spec: Spec) -> None:
    pinned = spec.maps["pinned"]
    assert (pinned.pinning, pinned.numa_node, pinned.flags) == (1, 0, 4)
    assert spec.maps["typed"].numa_node is None
    assert spec.maps["bloom"].map_extra == 3
    events = spec.maps["events"]
    assert (events.type, events.key_size, events.value_size, events.max_entries) == (MapType.RINGBUF, 0, 0, 4096)


def test_a_map_of_maps_knows_its_inner_map_and_its_first_members(spec: Spec) -> None:
    outer = spec.maps["outer"]
    assert outer.type is MapType.ARRAY_OF_MAPS
    assert outer.slots == {0: "first", 2: "second"}
    assert outer.inner is not None
    assert (outer.inner.type, outer.inner.value_size, outer.inner.max_entries) == (MapType.ARRAY, 8, 3)
    inner = spec.maps["outer_hash"].inner
    assert inner is not None
    assert (inner.name, inner.type, inner.max_entries) == ("outer_hash.inner", MapType.HASH, 5)


def test_a_program_array_names_its_first_programs(spec: Spec) -> None:
    assert spec.maps["stages"].slots == {0: "stage_one", 2: "stage_two"}
    assert spec.maps["stages"].key_size == spec.maps["stages"].value_size == 4


def test_a_program_holds_the_maps_it_names_and_what_they_hold(spec: Spec) -> None:
    assert set(spec["stage_one"].maps) == {"outer", "first", "second", "stages"}
    assert set(spec["stage_two"].maps) == {"typed", "sized"}


@pytest.mark.parametrize("name", ["legacy", "legacy.plain"])
def test_older_definitions_are_read(name: str) -> None:
    spec = sample(name)
    counts = spec.maps["counts"]
    assert (counts.type, counts.key_size, counts.value_size, counts.max_entries) == (MapType.HASH, 4, 8, 16)
    assert (counts.flags, counts.section) == (1, "maps")
    assert spec.maps["totals"].max_entries == 2
    assert [getattr(item, "map", None) for item in spec["count"].references.values()].count("totals") == 1
    assert spec.kernel_version == 0x60C00
    assert spec.license == "GPL"


def test_a_struct_ops_variable_is_a_map_of_programs() -> None:
    spec = sample("struct_ops")
    table = spec.maps["skep_cc"]
    assert table.type is MapType.STRUCT_OPS
    assert table.slots == {0: "begin", 8: "threshold"}
    assert table.btf is not None
    assert table.contents is not None
    contents = values.decode(table.btf, table.value_type_id, table.contents)
    assert (contents["flags"], contents["name"]) == (3, "skep")
    assert spec["begin"].type is ProgramType.STRUCT_OPS
    assert spec["begin"].attach_target == "init"


def test_globals_of_an_arena_are_what_it_starts_with() -> None:
    spec = sample("arena")
    arena = spec.maps["arena"]
    assert (arena.type, arena.map_extra, arena.max_entries) == (MapType.ARENA, 0x100000000000, 10)
    assert arena.contents == b"\1\0\0\0\2\0\0\0\3\0\0\0"
    assert (spec.variables["shared"].map, spec.variables["shared"].size) == ("arena", 12)
