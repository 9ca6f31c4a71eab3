"""Whole objects in the kernel: programs that share maps, arenas, tables of programs, and all the examples."""

from __future__ import annotations

import gc
import mmap
import os
from dataclasses import replace
from pathlib import Path

import pytest

from skep.engines.kernel import Kernel
from skep.errors import KernelError, LoadError
from skep.isa import assemble
from skep.objects import MapReference, MapSpec, MapType, ProgramSpec, ProgramType
from skep.objects import open as open_object
from skep.objects.spec import Reference
from skep.stdlib.prototypes import NUMBERS

pytestmark = pytest.mark.usefixtures("nothing_left")

ROOT = Path(__file__).parents[3]
OBJECTS = ROOT / "tests" / "data" / "objects"
EXAMPLES = sorted((ROOT / "examples").glob("*.bpf.o"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_accepted_with_its_types(path: Path) -> None:
    with Kernel().load_object(open_object(path)) as loaded:
        assert loaded.programs
        for program in loaded.programs.values():
            assert program.program.information().btf_id
            assert program.run(bytes(64)).retval < 16


def test_programs_of_an_object_share_their_maps() -> None:
    spec = open_object(OBJECTS / "maps.bpf.o")
    with Kernel().load_object(spec) as loaded:
        assert set(loaded.programs) >= {name for name, program in spec.programs.items() if program.autoload}
        ids = {map.information().id for map in loaded.maps.values()}
        for program in loaded.programs.values():
            assert set(program.program.information().map_ids) <= ids


def test_an_arena_begins_with_its_globals() -> None:
    try:
        loaded = Kernel().load_object(open_object(OBJECTS / "arena.bpf.o"))
    except KernelError as error:
        if "creating map" in str(error):
            pytest.skip("this kernel has no arenas")
        raise
    with loaded:
        assert [loaded["touch"].run().retval for _ in range(2)] == [3, 4]


def test_tables_of_programs_are_made_and_not_registered() -> None:
    spec = open_object(OBJECTS / "struct_ops.bpf.o")
    try:
        loaded = Kernel().load_object(spec)
    except KernelError as error:
        pytest.skip(f"this kernel takes no tables of programs: {error}")
    with loaded:
        assert set(loaded.programs) == {"begin", "threshold"}
        assert loaded.maps["skep_cc"].spec.type is MapType.STRUCT_OPS
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    assert not available.exists() or "skep" not in available.read_text(encoding="ascii").split()


def test_a_member_of_a_table_loads_alone() -> None:
    assert Kernel().verdict(open_object(OBJECTS / "struct_ops.bpf.o")["threshold"]).accepted


def test_a_member_that_no_table_holds_asks_for_its_object() -> None:
    spec = replace(open_object(OBJECTS / "struct_ops.bpf.o")["threshold"], tables=())
    with pytest.raises(LoadError, match="load the object as a whole"):
        Kernel().load(spec)


def test_an_object_of_the_other_byte_order_is_refused() -> None:
    with pytest.raises(LoadError, match="for big-endian machines, and this kernel is not"):
        Kernel().load(open_object(OBJECTS / "functions.big.bpf.o")["plain"])


def test_a_missing_attach_point_is_named() -> None:
    spec = open_object(OBJECTS / "functions.bpf.o")
    with pytest.raises(LoadError, match="attaches to 'some_function', and the running kernel has no 'some_function'"):
        Kernel().load(spec["traced"])


def test_a_refusal_leaves_nothing_in_the_kernel() -> None:
    spec = open_object(OBJECTS / "functions.bpf.o")
    before = open_files()
    with pytest.raises((LoadError, KernelError)):
        Kernel().load_object(spec)
    gc.collect()
    assert open_files() == before


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _with_map(text: str, map: MapSpec, type: ProgramType) -> ProgramSpec:
    code = assemble(text, helpers=lambda name: NUMBERS.get(name.removeprefix("bpf_")))
    references: dict[int, Reference] = {
        slot: MapReference(map.name, 0 if symbol.kind == "map value" else None)
        for slot, symbol in code.symbols.items()
    }
    return ProgramSpec("test", "test", type, code.instructions, references=references, maps={map.name: map})


def test_the_size_of_a_ring_buffer_is_rounded_up() -> None:
    ring = MapSpec("ring", MapType.RINGBUF, 0, 0, 5000)
    text = "r1 = map[ring] ll\nr2 = 0\ncall bpf_ringbuf_query\nr0 = 0\nexit"
    with Kernel().load(_with_map(text, ring, ProgramType.XDP)) as loaded:
        assert loaded.maps["ring"].information().spec.max_entries == 2 * mmap.PAGESIZE


def test_an_arena_without_contents_has_an_address() -> None:
    arena = MapSpec("arena", MapType.ARENA, 0, 0, 4, flags=1 << 10)
    text = "r1 = map[arena][0] ll\nr1 = addr_space_cast(r1, 0, 1)\n*(u64 *)(r1 + 0) = 1\nr0 = 0\nexit"
    try:
        loaded = Kernel().load(_with_map(text, arena, ProgramType.SYSCALL))
    except KernelError as error:
        if "creating map" in str(error):
            pytest.skip("this kernel has no arenas")
        raise
    loaded.close()
