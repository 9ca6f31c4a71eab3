"""What an answer says: the path that led there, the change that helps, the lines around; and that it is readable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import skep
from skep.objects import ProgramSpec, ProgramType, SourceLine
from skep.verifier import Report, verify
from skep.verifier.answers.layout import lines_of
from skep.verifier.explaining import investigation
from tests.verifier import programs
from tests.verifier.programs import program

ROOT = Path(__file__).parents[2]
REJECTED = [case for case in programs.cases() if case.verdict == "reject"]

PACKET = """
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 14
    if r4 > r3 goto end
    r0 = *(u8 *)(r2 + 23)
    end: r0 = 0
    exit
"""

INDEX = """
    r6 = *(u32 *)(r1 + 16)
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = map[array] ll
    call bpf_map_lookup_elem
    if r0 == 0 goto end
    if r6 > 12 goto end
    r6 <<= 2
    r0 += r6
    r0 = *(u32 *)(r0 + 0)
    end: exit
"""


def told(report: Report) -> list[tuple[int, str]]:
    assert report.explanation is not None
    return [(step.instruction, step.what) for step in report.explanation.path]


def suggestion(report: Report) -> str:
    assert report.explanation is not None
    return report.explanation.suggestion


@pytest.mark.parametrize("case", REJECTED, ids=lambda case: case.name)
def test_every_rejection_of_the_corpus_has_an_explanation_and_a_path(case: programs.Case) -> None:
    report = verify(case.spec)
    assert report.explanation is not None
    if report.instruction is not None and report.processed:
        path = report.explanation.path
        assert path
        assert path[-1].instruction == report.instruction
    for line in lines_of(report, 80):
        assert len(line.text) <= 80 or line.text.startswith("    ") or " " not in line.text.strip()


def test_the_path_says_where_a_bound_came_from_and_what_is_missing() -> None:
    report = verify(program(PACKET))
    assert told(report) == [
        (0, "r2 is loaded from the context: the packet"),
        (4, "the jump is not taken, so r2 is the packet, with 14 bytes known to be there"),
        (5, "here r2 is the packet, with 14 bytes known to be there"),
    ]
    assert suggestion(report) == (
        "The comparison at instruction 4 covers 14 bytes, and byte 23 is accessed: compare 24 bytes "
        "(if (p + 24 > data_end) return ...;)."
    )


def test_the_suggestion_names_register_bound_and_place() -> None:
    report = verify(program(INDEX))
    assert report.message == "R0 max value is outside of the allowed memory range"
    assert suggestion(report) == (
        "Compare r6 with 12, unsigned, before instruction 9, which is multiplied by 4: if (index >= 12) return ...; "
        "or mask it: index &= 0x7; a value of map array has 48 bytes."
    )
    assert (8, "the jump is not taken, so r6 is a number from 0 to 12") in told(report)


def test_a_loop_that_walks_on_to_the_end_of_the_packet_is_told_to_count() -> None:
    report = verify(
        program(
            """
            r2 = *(u32 *)(r1 + 4)
            r1 = *(u32 *)(r1 + 0)
            r0 = 0
            next: r1 += 1024
            if r1 > r2 goto end
            r3 = *(u8 *)(r1 - 8)
            goto next
            end: exit
            """
        )
    )
    assert report.message == "R1 offset is outside of the packet"
    assert suggestion(report).startswith("A comparison with data_end counts for 65,535 bytes of the packet at most")
    assert "give the loop a fixed number of rounds" in suggestion(report)


#: A loop that ends when the kernel has had enough of it, with a value of the array in r6.
UNCOUNTED = """
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = map[array] ll
    call bpf_map_lookup_elem
    if r0 == 0 goto end
    r6 = r0
    r7 = 0
    next: may_goto end
    {body}
    goto next
    end: r0 = 0
    exit
"""


def test_a_pointer_that_an_uncounted_loop_moves_on_is_told_to_count() -> None:
    report = verify(program(UNCOUNTED.format(body="*(u64 *)(r6 + 0) = 1\n r6 += 8")))
    assert report.message.endswith("is outside of the allowed memory range")
    assert (9, "the loop goes round, and its rounds are not counted") in told(report)
    assert suggestion(report) == (
        "r6 moves on by 8 at instruction 11 in each round of the loop at instruction 9, whose rounds are not "
        "counted: count them, and compare before the access: if (i >= 6) break; a value of map array has 48 bytes."
    )


def test_an_index_that_an_uncounted_loop_moves_on_is_told_to_be_compared() -> None:
    report = verify(program(UNCOUNTED.format(body="r1 = r6\n r1 += r7\n r2 = *(u8 *)(r1 + 0)\n r7 += 2")))
    assert suggestion(report).startswith(
        "r7 moves on by 2 at instruction 13 in each round of the loop at instruction 9"
    )
    assert "if (i >= 24) break;" in suggestion(report)


def test_a_number_that_an_uncounted_loop_made_any_is_told() -> None:
    inside = UNCOUNTED.format(body="r7 += 1\n r9 = 1").replace("r7 = 0", "r7 = 0\n r9 = 0")
    inside = inside.replace("if r0 == 0 goto end", "if r0 == 0 goto out")
    behind = inside.replace("end: r0 = 0", "end: if r9 == 0 goto out\n r6 += r7\n r0 = *(u8 *)(r6 + 0)\n out: r0 = 0")
    report = verify(program(behind))
    assert "may be any number in the next" in " ".join(what for _, what in told(report))
    assert suggestion(report).startswith("The rounds of the loop at instruction 10 are not counted")


def test_a_value_that_was_compared_and_loaded_again_is_told() -> None:
    report = verify(
        program(
            """
            *(u32 *)(r10 - 4) = 0
            r2 = r10
            r2 += -4
            r1 = map[array] ll
            call bpf_map_lookup_elem
            if r0 == 0 goto end
            r1 = *(u32 *)(r0 + 0)
            if r1 > 40 goto end
            r1 = *(u32 *)(r0 + 0)
            r0 += r1
            r0 = *(u8 *)(r0 + 0)
            end: r0 = 0
            exit
            """
        )
    )
    assert (8, "this compares what was loaded at instruction 7, from the same place") in told(report)
    assert suggestion(report).startswith(
        "It is loaded again at instruction 9, behind the comparison at instruction 8"
    )


def test_an_operation_that_loses_the_bound_is_told() -> None:
    report = verify(
        program(
            """
            r6 = *(u32 *)(r1 + 16)
            *(u32 *)(r10 - 4) = 0
            r2 = r10
            r2 += -4
            r1 = map[array] ll
            call bpf_map_lookup_elem
            if r0 == 0 goto end
            r6 %= 40
            r0 += r6
            r0 = *(u8 *)(r0 + 0)
            end: r0 = 0
            exit
            """
        )
    )
    assert (8, "here the bound is lost: r6 is now any number") in told(report)
    assert suggestion(report).startswith("The verifier does not follow % at instruction 8: compare its result again")


def test_a_value_is_followed_through_the_stack_and_calls() -> None:
    report = verify(
        program(
            """
            r0 = 5
            *(u64 *)(r10 - 8) = r0
            r1 = r10
            r1 += -8
            call follow
            exit
            follow: r2 = *(u64 *)(r1 + 0)
            r0 = *(u8 *)(r2 + 0)
            exit
            """
        )
    )
    assert told(report) == [
        (0, "r0 is set to the number 5"),
        (6, "r2 is loaded back from the stack"),
        (7, "here r2 is the number 5"),
    ]


def test_a_leak_names_who_acquired_and_what_releases() -> None:
    report = verify(
        program(
            """
            r6 = *(u32 *)(r1 + 16)
            r1 = map[ring] ll
            r2 = 8
            r3 = 0
            call bpf_ringbuf_reserve
            if r0 == 0 goto end
            if r6 > 4 goto end
            r1 = r0
            r2 = 0
            call bpf_ringbuf_submit
            end: r0 = 0
            exit
            """
        )
    )
    assert suggestion(report) == (
        "Call bpf_ringbuf_submit() or bpf_ringbuf_discard() before instruction 12, on the path shown: return only "
        "after it was released."
    )
    assert told(report)[0] == (
        5,
        "bpf_ringbuf_reserve() acquires a reference, which has to be given back",
    )
    assert (7, "this way: the jump is taken") in told(report)


def test_an_explanation_that_fails_costs_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(investigation, "_story", broken)
    report = verify(program(PACKET))
    assert report.message == "R2 offset is outside of the packet"
    assert report.explanation is not None
    assert not report.explanation.path


def test_the_lines_around_are_shown() -> None:
    lines = {
        0: SourceLine("shown.c", 7, 1, "\tvoid *data = (void *)(long)ctx->data;"),
        2: SourceLine("shown.c", 9, 1, "\tif (data + 14 > end)"),
        5: SourceLine("shown.c", 10, 1, "\t\treturn data[23];"),
    }
    text = verify(replace(program(PACKET), lines=lines)).explain()
    assert "  shown.c:10, instruction 5: r0 = *(u8 *)(r2 + 23)" in text
    assert "     9 |     if (data + 14 > end)" in text
    assert "  > 10 |         return data[23];" in text


def test_accepted_programs_say_what_they_cost() -> None:
    report = verify(program("r1 = 0\nloop: r1 += 1\nr2 = 5\nif r1 < 100 goto loop\nr0 = 0\nexit"))
    costly = report.costliest
    assert costly is not None
    assert (costly.kind, costly.first, costly.last, costly.instructions) == ("loop", 1, 3, 300)
    assert report.hottest[0].times == 100
    text = report.explain()
    assert "303 instructions followed, 0.03% of the limit" in text
    assert "the loop from instruction 1 to 3: 300 instructions" in text


def test_branches_are_charged_with_what_they_caused() -> None:
    report = verify(skep.open("examples/xdp_counter.bpf.o")["xdp_count"])
    assert sum(report.branch_costs.values()) < report.processed
    costly = report.costliest
    assert costly is not None
    assert costly.kind == "branch"


def test_nothing_speaks_of_what_is_inside() -> None:
    for case in REJECTED:
        text = verify(case.spec).explain()
        for word in ("Moment", "Trail", "Explorer", "checkpoint", "None", "object at"):
            assert word not in text, text


def test_json_has_everything() -> None:
    report = verify(program(PACKET), log_level=1)
    answer: dict[str, Any] = json.loads(json.dumps(report.as_json()))
    assert answer["verdict"] == "reject"
    assert answer["explanation"]["path"][1]["instruction"] == 4
    assert answer["log"].endswith("mark_read 0\n")
    documented = (ROOT / "docs" / "json.md").read_text()
    section = documented.partition("## `skep verify`")[2].partition("\n## ")[0]
    for name in (*answer, *answer["explanation"]):
        assert f"`{name}`" in section, name


@pytest.mark.parametrize("type", [ProgramType.RAW, None])
def test_what_linux_does_not_have_is_undecided(type: ProgramType | None) -> None:
    spec: ProgramSpec = replace(program("r0 = 0\nexit"), type=type)
    report = verify(spec)
    assert report.verdict == "unsupported"
    assert report.explain().startswith("  cannot be decided: it depends on")


def test_answers_are_given_before_any_path_is_followed() -> None:
    report = verify(program("loop: r0 = 0\ngoto loop\nr1 = 0\nexit"))
    assert (report.message, report.visits) == ("unreachable insn 2", ())
    assert report.as_json()["costliest"] is None
    assert "unreachable insn 2" in report.explain()


def test_one_byte_is_not_called_several() -> None:
    report = verify(program("*(u8 *)(r10 + 0) = 1\n r0 = 0\n exit"))
    assert "ends 1 byte above the frame pointer" in suggestion(report)


def test_a_packet_load_is_told_to_leave_nothing_in_registers() -> None:
    report = verify(program("r6 = r1\n r4 = 1\n r0 = *(u8 *)skb[0]\n r0 = r4\n exit", ProgramType.SOCKET_FILTER))
    assert report.message == "R4 !read_ok"
    assert suggestion(report).startswith("The packet load at instruction 2 leaves nothing in r1 to r5")
