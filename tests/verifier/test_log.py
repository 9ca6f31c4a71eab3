"""Logs of levels 1, 2 and 4 read as the kernel's do."""

from __future__ import annotations

import pytest

from skep.verifier import verify
from tests.verifier import c_programs, logs, programs, shipped
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


def test_level_2_tells_how_a_number_is_followed_back() -> None:
    log = verify(program("r6 = 4\nr7 = r6\nr2 = r10\nr2 += r7\nr0 = 0\nexit"), log_level=2).log
    assert (
        "3: (0f) r2 += r7\n"
        "mark_precise: frame0: last_idx 3 first_idx 0 subseq_idx -1 \n"
        "mark_precise: frame0: regs=r7 stack= before 2: (bf) r2 = r10\n"
        "mark_precise: frame0: regs=r7 stack= before 1: (bf) r7 = r6\n"
        "mark_precise: frame0: regs=r6 stack= before 0: (b7) r6 = 4\n"
        "4: R2=fp4 R7=4\n"
    ) in log


def test_a_number_is_followed_through_the_stack_and_a_function() -> None:
    log = verify(
        program(
            """
            r6 = 4
            *(u64 *)(r10 - 8) = r6
            r1 = r10
            call load
            r1 = r10
            r1 -= r0
            r0 = 0
            exit
            load: r0 = *(u64 *)(r1 - 8)
            exit
            """
        ),
        log_level=2,
    ).log
    walk = [line.removeprefix("mark_precise: ").strip() for line in log.splitlines() if "mark_precise" in line]
    assert walk == [
        "frame0: last_idx 5 first_idx 0 subseq_idx -1",
        "frame0: regs=r0 stack= before 4: (bf) r1 = r10",
        "frame0: regs=r0 stack= before 9: (95) exit",
        "frame1: regs=r0 stack= before 8: (79) r0 = *(u64 *)(r1 -8)",
        "frame1: regs= stack= before 3: (85) call pc+4",
        "frame0: regs= stack=-8 before 2: (bf) r1 = r10",
        "frame0: regs= stack=-8 before 1: (7b) *(u64 *)(r10 -8) = r6",
        "frame0: regs=r6 stack= before 0: (b7) r6 = 4",
    ]


def test_level_2_tells_what_is_learnt_of_the_stack() -> None:
    log = verify(program("*(u64 *)(r10 - 8) = 1\nr0 = *(u64 *)(r10 - 8)\nr0 = 0\nexit"), log_level=2).log
    assert log.splitlines()[-4:-1] == [
        "(0) frame 0 insn 1 +live -8 ",
        "(0) frame 0 insn 0 +written -8 ",
        "(0) live stack update done in 2 iterations",
    ]


LOOP = """
    r2 = *(u32 *)(r1 + 16)
    r3 = 0
    again: r3 += 1
    if r3 > 3 goto end
    r0 = *(u64 *)(r10 - 16)
    if r2 == 0 goto again
    r0 = *(u64 *)(r10 - 24)
    goto again
    end: r0 = 0
    exit
"""


def test_level_2_tells_of_loops() -> None:
    log = verify(program(LOOP), log_level=2).log
    assert "\n  1   2: ..23...... (07) r3 += 1\n" in log
    assert "\nSCC enter (1)\n2: (07) r3 += 1                       ; R3=2\n" in log
    assert "\n9: (95) exit\nSCC exit (1)\n(0) frame 0 insn 6 +live -24 \n" in log


def test_what_nobody_asked_for_is_not_recorded() -> None:
    assert "mark_precise" not in verify(program(LOOP), log_level=1 | 4).log


@needs_kernel
@pytest.mark.parametrize("level", [1, 2])
def test_logs_are_the_kernels_over_the_corpus(level: int) -> None:
    compared = list(logs.of_corpus(level))
    assert sum(one.same for one in compared) >= 0.999 * sum(one.lines for one in compared)


@needs_kernel
@pytest.mark.skipif(c_programs.missing() is not None, reason=str(c_programs.missing()))
@pytest.mark.parametrize("level", [1, 2])
def test_logs_are_the_kernels_over_the_programs_in_c(level: int) -> None:
    compared = list(logs.of_c_programs(level, every=5))
    assert sum(one.same for one in compared) >= 0.995 * sum(one.lines for one in compared)


@needs_kernel
def test_sums_are_the_kernels_over_programs_that_people_ship() -> None:
    for file in shipped.objects():
        for one in shipped.programs(file):
            ours, theirs = logs.of_skep(one, 4), logs.of_kernel(one, 4)
            if ours and theirs:
                assert ours[-2:] == theirs[-2:], (file, one.name)
