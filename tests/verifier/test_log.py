"""Logs of levels 1, 2 and 4 read as the kernel's do."""

from __future__ import annotations

import pytest

from skep.verifier import verify
from tests.verifier import c_programs, logs, programs
from tests.verifier.programs import program

needs_kernel = pytest.mark.skipif(programs.kernel_is_there() is not None, reason=str(programs.kernel_is_there()))

CHECK = """
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 14
    if r4 > r3 goto end
    r0 = *(u8 *)(r2 + 23)
    end: r0 = 0
    exit
"""


def test_level_1_shows_the_path_that_is_rejected() -> None:
    assert verify(program(CHECK), log_level=1).log == (
        "0: R1=ctx() R10=fp0\n"
        "0: (61) r2 = *(u32 *)(r1 +0)          ; R1=ctx() R2=pkt(r=0)\n"
        "1: (61) r3 = *(u32 *)(r1 +4)          ; R1=ctx() R3=pkt_end()\n"
        "2: (bf) r4 = r2                       ; R2=pkt(r=0) R4=pkt(r=0)\n"
        "3: (07) r4 += 14                      ; R4=pkt(off=14,r=0)\n"
        "4: (2d) if r4 > r3 goto pc+1          ; R3=pkt_end() R4=pkt(off=14,r=14)\n"
        "5: (71) r0 = *(u8 *)(r2 +23)\n"
        "invalid access to packet, off=23 size=1, R2(id=0,off=23,r=14)\n"
        "R2 offset is outside of the packet\n"
        "processed 6 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
    )


def test_an_accepted_program_has_only_sums_at_level_1() -> None:
    assert verify(program("r0 = 0\nexit"), log_level=1).log == (
        "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
    )


def test_level_4_has_the_sums() -> None:
    lines = verify(program("r0 = 0\nexit"), log_level=4).log.splitlines()
    assert lines[0].startswith("verification time ")
    assert lines[1] == "stack depth 0"
    assert lines[2].startswith("processed 2 insns (limit 1000000)")


def test_level_2_shows_all_paths() -> None:
    log = verify(program("r0 = *(u32 *)(r1 + 12)\nif r0 == 0 goto end\nr0 = 1\nend: exit"), log_level=2).log
    assert log.startswith("func#0 @0\nLive regs before insn:\n      0: .1........ (61) r0 = *(u32 *)(r1 +12)\n")
    assert "\nfrom 1 to 3: R0=0 R1=ctx() R10=fp0\n3: R0=0 R1=ctx() R10=fp0\n3: (95) exit\n" in log


@needs_kernel
def test_level_1_is_the_kernels_over_the_corpus() -> None:
    compared = list(logs.of_corpus(1))
    assert sum(one.same for one in compared) >= 0.995 * sum(one.lines for one in compared)


@needs_kernel
@pytest.mark.skipif(c_programs.missing() is not None, reason=str(c_programs.missing()))
def test_level_1_is_the_kernels_over_the_programs_in_c() -> None:
    compared = list(logs.of_c_programs(1, every=5))
    assert sum(one.same for one in compared) >= 0.95 * sum(one.lines for one in compared)
