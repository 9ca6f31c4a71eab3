"""A spec in the kernel: its maps made and filled, its references resolved, and nothing left when it is closed."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skep.btf.btf import Btf
from skep.btf.builder import BtfBuilder
from skep.btf.kinds import Kind
from skep.engines.kernel import Kernel, KernelMap, loading
from skep.engines.kernel.features import why_no_program_type
from skep.engines.kernel.symbols import has_symbol
from skep.engines.kernel.system_types import find_type
from skep.errors import KernelError, LoadError, MapError, RequestError
from skep.isa import Instruction, Instructions
from skep.objects import (
    FunctionReference,
    FunctionSpec,
    KfuncReference,
    KsymReference,
    MapReference,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
    SourceLine,
)

pytestmark = pytest.mark.usefixtures("nothing_left")

EXIT = Instruction(0x95)
PACKET = bytes(64)


def move(register: int, value: int) -> Instruction:
    return Instruction(0xB7, register, imm=value)


def wide(register: int, value: int = 0) -> Instructions:
    return Instruction(0x18, register, imm=value), Instruction(0)


def call(helper: int) -> Instruction:
    return Instruction(0x85, imm=helper)


def program(*code: Instruction, **rest: Any) -> ProgramSpec:
    return ProgramSpec("it", "xdp", ProgramType.XDP, code, license="GPL", **rest)


def key(value: int) -> bytes:
    return struct.pack("=I", value)


#: Looks up element 0 of a map in slot 4 and returns its first four bytes, 99 without one.
LOOK_UP = (
    move(0, 0),
    Instruction(0x63, 10, 0, -4),
    Instruction(0xBF, 2, 10),
    Instruction(0x07, 2, imm=-4),
    *wide(1),
    call(1),
    Instruction(0x55, 0, 0, 2),
    move(0, 99),
    EXIT,
    Instruction(0x61, 0, 0, 0),
    EXIT,
)


def looking_up(spec: MapSpec) -> ProgramSpec:
    return program(*LOOK_UP, references={4: MapReference(spec.name)}, maps={spec.name: spec})


def test_maps_are_made_and_can_be_read_while_it_is_loaded() -> None:
    with Kernel().load(looking_up(MapSpec("table", MapType.ARRAY, 4, 4, 1))) as loaded:
        loaded.maps["table"].update(key(0), key(123))
        assert loaded.run(PACKET).retval == 123
    with pytest.raises(RequestError, match="has been closed"):
        loaded.run(PACKET)


def test_maps_that_are_given_are_used_and_stay_open() -> None:
    spec = MapSpec("table", MapType.ARRAY, 4, 4, 1)
    with KernelMap.create(spec) as given:
        with Kernel().load(looking_up(spec), maps={"table": given}) as first:
            given.update(key(0), key(7))
            assert first.run(PACKET).retval == 7
        assert given.lookup(key(0)) == key(7)


def test_globals_have_their_initial_values() -> None:
    data = MapSpec(".data", MapType.ARRAY, 4, 8, 1, contents=key(5) + key(6))
    code = (*wide(1), Instruction(0x61, 0, 1, 0), EXIT)
    spec = program(*code, references={0: MapReference(".data", 4)}, maps={".data": data})
    with Kernel().load(spec) as loaded:
        assert loaded.run(PACKET).retval == 6


def test_constants_are_known_to_the_verifier_and_read_only() -> None:
    constants = MapSpec(".rodata", MapType.ARRAY, 4, 8, 1, contents=key(1) + key(0), frozen=True)
    # The branch not taken reads a register that was never written: only a known constant makes that acceptable.
    code = (
        *wide(1),
        Instruction(0x61, 0, 1, 0),
        Instruction(0x55, 0, 0, 1),
        Instruction(0xBF, 0, 5),
        EXIT,
    )
    spec = program(*code, references={0: MapReference(".rodata", 0)}, maps={".rodata": constants})
    with Kernel().load(spec) as loaded:
        assert loaded.run(PACKET).retval == 1
        with pytest.raises(KernelError):
            loaded.maps[".rodata"].update(key(0), bytes(8))


def function_types(*functions: tuple[str, int]) -> tuple[Btf, list[int]]:
    """BTF with a function of each name, which takes so many integers and returns one."""
    builder = BtfBuilder()
    integer = builder.integer("int", 4, signed=True)
    ids = [builder.function(name, integer, [(f"a{n}", integer) for n in range(count)]) for name, count in functions]
    return builder.build(), ids


def with_callback() -> ProgramSpec:
    """Calls a function ten times through ``bpf_loop``; it adds its index to a number on the caller's stack."""
    btf, ids = function_types(("it", 1), ("add", 2))
    code = (
        Instruction(0x7A, 10, offset=-8, imm=0),
        move(1, 10),
        *wide(2),
        Instruction(0xBF, 3, 10),
        Instruction(0x07, 3, imm=-8),
        move(4, 0),
        call(181),
        Instruction(0x79, 0, 10, -8),
        EXIT,
        Instruction(0x79, 0, 2, 0),
        Instruction(0x0F, 0, 1),
        Instruction(0x7B, 2, 0, 0),
        move(0, 0),
        EXIT,
    )
    return program(
        *code,
        references={2: FunctionReference("add")},
        functions=(FunctionSpec("it", 0, ids[0], is_global=True), FunctionSpec("add", 10, ids[1])),
        lines={
            0: SourceLine("loop.c", 1, 1, "int it(struct xdp_md *context)"),
            10: SourceLine("loop.c", 12, 5, "int add(int index, long *sum)"),
        },
        btf=btf,
    )


def test_callbacks_functions_and_lines_reach_the_kernel() -> None:
    with Kernel().load(with_callback(), log_level=2) as loaded:
        assert loaded.run(PACKET).retval == 45
        assert len(loaded.program.information().functions) == 2
        assert "; int add(int index, long *sum) @ loop.c:12" in loaded.log


def test_a_missing_function_is_named_with_its_place() -> None:
    with pytest.raises(LoadError) as caught:
        Kernel().load(replace(with_callback(), references={2: FunctionReference("gone")}, file="loop.o"))
    assert str(caught.value) == (
        "loop.o: section xdp, instruction 2, loop.c:1: program 'it': function 'gone' is not linked into the program"
    )


def test_what_the_kernel_takes_no_types_of_is_kept_from_it() -> None:
    builder = BtfBuilder()
    integer = builder.integer("int", 4, signed=True)
    from skep.btf.types import DataSection, Linkage, SectionVariable

    outside = builder.variable("jiffies", integer, Linkage.EXTERN)
    builder.add(DataSection(".ksyms", 0, (SectionVariable(outside, 0, 4),)))
    it = builder.function("it", integer, [("context", integer)])
    spec = program(move(0, 3), EXIT, functions=(FunctionSpec("it", 0, it, is_global=True),), btf=builder.build())
    with Kernel().load(spec) as loaded:
        assert loaded.program.information().btf_id
        assert loaded.run(PACKET).retval == 3


def test_a_program_array_holds_its_programs() -> None:
    jumps = MapSpec("jumps", MapType.PROG_ARRAY, 4, 4, 2, slots={1: "other"})
    first = program(
        *wide(2),
        move(3, 1),
        call(12),
        move(0, 1),
        EXIT,
        references={0: MapReference("jumps")},
        maps={"jumps": jumps},
    )
    other = replace(program(move(0, 44), EXIT), name="other")
    with Kernel().load(first, programs={"other": other}) as loaded:
        assert loaded.run(PACKET).retval == 44
    with pytest.raises(RequestError, match="holds program 'other'"):
        Kernel().load(first)


def test_a_map_of_maps_holds_its_maps() -> None:
    inner = MapSpec("inner", MapType.ARRAY, 4, 4, 1, contents=key(8))
    outer = MapSpec("outer", MapType.ARRAY_OF_MAPS, 4, 4, 1, inner=inner, slots={0: "inner"})
    code = (
        *LOOK_UP[:7],
        Instruction(0x55, 0, 0, 2),
        move(0, 99),
        EXIT,
        Instruction(0xBF, 1, 0),
        Instruction(0xBF, 2, 10),
        Instruction(0x07, 2, imm=-4),
        call(1),
        Instruction(0x55, 0, 0, 2),
        move(0, 98),
        EXIT,
        Instruction(0x61, 0, 0, 0),
        EXIT,
    )
    spec = program(*code, references={4: MapReference("outer")}, maps={"outer": outer, "inner": inner})
    with Kernel().load(spec) as loaded:
        assert loaded.run(PACKET).retval == 8


def test_a_kernel_function_is_called_by_name() -> None:
    # bpf_rcu_read_lock() and _unlock() take nothing and may be called from XDP.
    code = (Instruction(0x85, src=2), Instruction(0x85, src=2), move(0, 6), EXIT)
    references = {0: KfuncReference("bpf_rcu_read_lock"), 1: KfuncReference("bpf_rcu_read_unlock")}
    with Kernel().load(program(*code, references=references)) as loaded:
        assert loaded.run(PACKET).retval == 6


def test_a_missing_kernel_function_is_named_unless_it_is_weak() -> None:
    strong = program(Instruction(0x85, src=2), move(0, 0), EXIT, references={0: KfuncReference("bpf_not_there")})
    with pytest.raises(LoadError, match="the kernel has no function 'bpf_not_there' for programs"):
        Kernel().load(strong)
    weak = KfuncReference("bpf_not_there", weak=True)
    guarded = program(
        *wide(1),
        Instruction(0x15, 1, 0, 1),
        Instruction(0x85, src=2),
        move(0, 7),
        EXIT,
        references={0: weak, 3: weak},
    )
    with Kernel().load(guarded) as loaded:
        assert loaded.run(PACKET).retval == 7


def test_variables_of_the_kernel_are_found() -> None:
    address = program(*wide(0), Instruction(0x77, 0, imm=32), EXIT, references={0: KsymReference("bpf_prog_load")})
    with Kernel().load(replace(address, references={0: KsymReference("_text")})) as loaded:
        assert loaded.run(PACKET).retval == 0xFFFFFFFF
    absent = program(*wide(0), EXIT, references={0: KsymReference("not_there", weak=True)})
    with Kernel().load(absent) as loaded:
        assert loaded.run(PACKET).retval == 0
    with pytest.raises(LoadError, match="variable 'not_there' is not in /proc/kallsyms"):
        Kernel().load(replace(absent, references={0: KsymReference("not_there")}))


def test_a_typed_variable_of_the_kernel_is_read_in_place() -> None:
    # r1 = &variable, one a CPU; r0 = bpf_this_cpu_ptr(r1); return *r0.
    code = (*wide(1), call(154), Instruction(0x61, 0, 0, 0), EXIT)
    spec = program(*code, references={0: KsymReference("bpf_prog_active", type_id=1)})
    if find_type("bpf_prog_active", Kind.VAR) is None:
        pytest.skip("this kernel does not describe its variables")
    if not has_symbol("bpf_prog_active"):
        with pytest.raises(KernelError, match="failed to find the address for kernel symbol 'bpf_prog_active'"):
            Kernel().load(spec)
        return
    with Kernel().load(spec) as loaded:
        assert loaded.run(PACKET).retval < 16


def test_a_type_that_the_kernel_has_not_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "why_no_map_type", lambda type: "refused")
    odd = MapSpec("odd", MapType.ARRAY, 3, 4, 1)
    with pytest.raises(KernelError, match=r"^map 'odd': this kernel \(Linux .*\) has no maps of type array"):
        Kernel().create_map(odd)
    lirc = replace(program(move(0, 0), EXIT), type=ProgramType.LIRC_MODE2)
    if why_no_program_type(ProgramType.LIRC_MODE2):
        with pytest.raises(KernelError, match=r"program 'it': this kernel \(.*\) has no programs of type lirc_mode2"):
            Kernel().load(lirc)


def test_a_program_without_a_type_asks_for_one() -> None:
    spec = replace(program(move(0, 2), EXIT), type=None, section="odd")
    with pytest.raises(LoadError, match="section 'odd' is not a known one; say which it is"):
        Kernel().load(spec)
    with Kernel().load(spec, type=ProgramType.SOCKET_FILTER) as loaded:
        assert loaded.program.type is ProgramType.SOCKET_FILTER


@pytest.fixture
def pins(tmp_path: Path) -> Iterator[Path]:
    """A BPF file system of the test's own."""
    place = tmp_path / "pins"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "bpf", "bpf", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a BPF file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_pinned_map_outlives_its_program_and_is_found_again(pins: Path) -> None:
    spec = looking_up(MapSpec("table", MapType.ARRAY, 4, 4, 1, pinning=1))
    engine = Kernel(pins=str(pins))
    with engine.load(spec) as first:
        first.maps["table"].update(key(0), key(31))
    with engine.load(spec) as second:
        assert second.run(PACKET).retval == 31
    larger = MapSpec("table", MapType.ARRAY, 4, 4, 2, pinning=1)
    with pytest.raises(MapError, match="differs from map 'table': its max_entries is 1, not 2"):
        engine.load(looking_up(larger))
    with pytest.raises(KernelError, match="File exists"), KernelMap.create(larger) as other:
        other.pin(str(pins / "table"))


def test_a_pinned_program_is_opened_by_its_path(pins: Path) -> None:
    from skep.engines.kernel import KernelProgram

    with Kernel().load(program(move(0, 2), EXIT)) as loaded:
        loaded.program.pin(str(pins / "it"))
    with KernelProgram.open_pinned(str(pins / "it")) as found:
        assert found.run(PACKET).retval == 2
    (pins / "it").unlink()


def test_a_verdict_says_yes_with_what_it_took() -> None:
    verdict = Kernel().verdict(with_callback(), log_level=4)
    assert verdict.accepted
    assert verdict.message == ""
    assert verdict.processed > 10
    assert verdict.states >= verdict.peak_states >= 0
    assert verdict.stack[0] >= 8
    assert Kernel().verdict(program(move(0, 2), EXIT)).processed == 2


def test_a_verdict_says_no_and_why() -> None:
    verdict = Kernel().verdict(program(EXIT))
    assert not verdict.accepted
    assert verdict.message == "R0 !read_ok"
    assert verdict.processed == 1
    assert "0: (95) exit" in verdict.log


def test_without_an_answer_there_is_no_verdict() -> None:
    with pytest.raises(KernelError, match="creating map 'odd'"):
        Kernel().verdict(looking_up(MapSpec("odd", MapType.ARRAY, 3, 4, 1)))
