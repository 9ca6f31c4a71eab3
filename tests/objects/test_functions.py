"""A program is linked with the subprograms it needs, in an order that depends on the object alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import skep.objects
from skep.objects import FunctionReference, MapReference, ProgramType, Spec, read
from tests.objects.samples import build_text, clangs, sample, sample_bytes

LINKED = {
    "plain": ["plain"],
    "calls_middle": ["calls_middle", "middle", "leaf"],
    "calls_weak": ["calls_weak", "weak_function", "global_function", "middle", "leaf", "hidden_function"],
    "calls_back": ["calls_back", "add_index", "leaf", "global_function", "middle"],
    "traced": ["traced", "leaf"],
}


@pytest.fixture(params=["functions", "functions.big"])
def spec(request: pytest.FixtureRequest) -> Spec:
    return sample(request.param)


def test_every_program_has_the_functions_that_it_reaches(spec: Spec) -> None:
    found = {name: [function.name for function in program.functions] for name, program in spec.programs.items()}
    assert found == LINKED


def test_calls_land_on_the_first_slot_of_a_function(spec: Spec) -> None:
    for program in spec.programs.values():
        starts = {function.start for function in program.functions}
        reached = {0}
        for slot, instruction in enumerate(program.instructions):
            is_call = instruction.opcode == 0x85 and instruction.src == 1
            if is_call or (instruction.opcode == 0x18 and instruction.src == 4):
                reached.add(slot + instruction.imm + 1)
        assert reached == starts


def test_every_function_ends_with_exit(spec: Spec) -> None:
    for program in spec.programs.values():
        ends = [function.start for function in program.functions[1:]] + [len(program.instructions)]
        assert all(program.instructions[end - 1].opcode == 0x95 for end in ends)


def test_a_callback_is_a_reference_to_its_function(spec: Spec) -> None:
    program = spec["calls_back"]
    found = [item for item in program.references.values() if isinstance(item, FunctionReference)]
    assert found == [FunctionReference("add_index")]


def test_references_move_with_their_function(spec: Spec) -> None:
    for program in spec.programs.values():
        for slot, reference in program.references.items():
            assert program.instructions[slot].opcode == 0x18
            if isinstance(reference, MapReference):
                assert reference == MapReference(".bss", 0)


def test_functions_know_their_type_and_whether_they_are_global(spec: Spec) -> None:
    functions = {function.name: function for function in spec["calls_weak"].functions}
    assert [name for name, function in functions.items() if function.is_global] == [
        "calls_weak",
        "weak_function",
        "global_function",
    ]
    assert spec.btf is not None
    assert all(spec.btf[function.type_id].name == name for name, function in functions.items())


def test_lines_move_with_their_function(spec: Spec) -> None:
    program = spec["calls_weak"]
    for function in program.functions:
        line = program.line_of(function.start)
        assert line is not None
        assert line.file.endswith("functions.bpf.c")
    leaf = next(function for function in program.functions if function.name == "leaf")
    texts = [line.text for slot, line in program.lines.items() if slot >= leaf.start]
    assert any("value * 3 + 1" in text for text in texts)


def test_two_readings_are_equal(spec: Spec) -> None:
    assert read(sample_bytes("functions"), "x") == read(sample_bytes("functions"), "x")


def test_without_sections_the_functions_in_text_are_programs() -> None:
    spec = sample("bare")
    assert list(spec.programs) == ["entry"]
    assert [function.name for function in spec["entry"].functions] == ["entry", "mix"]
    assert spec["entry"].type is None


@pytest.mark.skipif(not clangs(), reason="clang is not installed")
def test_a_static_function_in_a_section_is_a_program_unless_it_is_called() -> None:
    source = """
        #include "bpf.h"
        SEC("xdp") static NOINLINE int part(volatile u32 *ctx) { return ctx[3]; }
        SEC("xdp") int whole(u32 *ctx) { return part(ctx) + 1; }
        SEC("tc") static int alone(u32 *ctx) { return 0; }
    """
    spec = read(build_text(source, clangs()[-1], "-g"))
    assert {name: program.type for name, program in spec.programs.items()} == {
        "whole": ProgramType.XDP,
        "alone": ProgramType.SCHED_CLS,
    }
    assert [function.name for function in spec["whole"].functions] == ["whole", "part"]


@pytest.mark.skipif(not clangs(), reason="clang is not installed")
def test_assembly_without_symbol_types_has_functions_too() -> None:
    source = r"""
        __asm__(".section raw,\"ax\",@progbits\n"
                ".globl first\nfirst: r0 = 1\nexit\n"
                ".globl second\nsecond: r0 = 2\nexit");
    """
    spec = read(build_text(source, clangs()[-1]))
    assert {name: (item.type, len(item.instructions)) for name, item in spec.programs.items()} == {
        "first": (ProgramType.RAW, 2),
        "second": (ProgramType.RAW, 2),
    }


@pytest.mark.skipif(not clangs(), reason="clang is not installed")
def test_code_without_any_symbol_is_named_for_its_section() -> None:
    spec = read(build_text(r'__asm__(".section tp/sched/x,\"ax\",@progbits\nr0 = 1\nexit");', clangs()[-1]))
    assert list(spec.programs) == ["tp_sched_x"]
    assert spec["tp_sched_x"].attach_target == "sched/x"


@pytest.mark.skipif(not clangs(), reason="clang is not installed")
def test_of_two_names_for_one_function_the_global_one_counts() -> None:
    source = """
        #include "bpf.h"
        SEC("xdp") static int inner(u32 *ctx) { return 1; }
        int outer(u32 *ctx) __attribute__((alias("inner")));
    """
    assert list(read(build_text(source, clangs()[-1])).programs) == ["outer"]


@pytest.mark.skipif(not clangs() or not shutil.which("bpftool"), reason="clang or bpftool is not installed")
def test_two_static_functions_of_one_name_stay_apart(tmp_path: Path) -> None:
    for number in (1, 2):
        source = f"""
            #include "bpf.h"
            static NOINLINE u32 same(volatile u32 *ctx) {{ return ctx[3] + {number}; }}
            NOINLINE u32 outer_{number}(u32 *ctx) {{ return same(ctx); }}
        """
        (tmp_path / f"{number}.o").write_bytes(build_text(source, clangs()[-1], "-g"))
    source = """
        #include "bpf.h"
        u32 outer_1(u32 *ctx);
        u32 outer_2(u32 *ctx);
        SEC("xdp") int whole(u32 *ctx) { return outer_1(ctx) + outer_2(ctx); }
    """
    (tmp_path / "3.o").write_bytes(build_text(source, clangs()[-1], "-g"))
    inputs = [str(tmp_path / f"{number}.o") for number in (1, 2, 3)]
    subprocess.run(["bpftool", "gen", "object", str(tmp_path / "all.o"), *inputs], check=True)
    program = skep.objects.open(tmp_path / "all.o")["whole"]
    assert [function.name for function in program.functions] == ["whole", "outer_1", "same", "outer_2", "same.2"]
