"""Verdicts for kernels older than the one whose rules are applied: what they lack, and what is left open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skep.errors import RequestError
from skep.objects import AttachType, KfuncReference, KsymReference, MapSpec, MapType, ProgramSpec, ProgramType
from skep.verifier import Report, verify
from skep.versions import KernelVersion, needs_of
from skep.versions.refusals import newer_rule
from tests.verifier.programs import program

LOOP = "r0 = 10\nagain:\nr0 += -1\nif r0 != 0 goto again\nexit"


def judged(spec: ProgramSpec, kernel: str) -> Report:
    report = verify(spec, kernel=kernel)
    assert report.kernel == kernel
    assert report.other_kernel is not None
    return report


@pytest.mark.parametrize(
    ("text", "type", "kernel", "message", "slot"),
    [
        ("call bpf_ktime_get_boot_ns\nr0 = 0\nexit", ProgramType.XDP, "5.7", "invalid func unknown#125", 0),
        ("r0 = 1\nr0 s/= 3\nexit", ProgramType.XDP, "6.5", "BPF_ALU uses reserved fields", 1),
        ("r0 = bswap16 r0\nr0 = 0\nexit", ProgramType.SOCKET_FILTER, "6.1", "unknown opcode d7", 0),
        (LOOP, ProgramType.XDP, "5.2", "back-edge from insn 2 to 1", 2),
        ("r0 = 0\nexit", ProgramType.TRACING, "5.4", "Invalid argument (EINVAL)", None),
        ("r0 = *(u32 *)(r1 + 16)\nexit", ProgramType.XDP, "4.15", "invalid bpf_context access off=16 size=4", 0),
        (
            "r0 = 0\n" * 4096 + "exit",
            ProgramType.SOCKET_FILTER,
            "5.1",
            "Argument list too long (E2BIG)",
            None,
        ),
        ("call inner\nexit\ninner:\nr0 = 0\nexit", ProgramType.XDP, "4.15", "BPF_CALL uses reserved fields", 0),
    ],
)
def test_what_a_kernel_lacks_it_refuses(
    text: str, type: ProgramType, kernel: str, message: str, slot: int | None
) -> None:
    if "bswap16 r0" in text:
        text = f"r0 = 5\n{text}"
        slot = 1
    report = judged(program(text, type), kernel)
    assert (report.verdict, report.message, report.instruction) == ("reject", message, slot)
    assert report.explanation is not None
    assert report.explanation.category == "kernel version"
    assert f"Linux {kernel} " in report.explanation.problem


def test_a_refusal_says_what_it_is_since_when_it_exists_and_what_to_do() -> None:
    text = """
        r1 = map[ring] ll
        r2 = 8
        r3 = 0
        call bpf_ringbuf_reserve
        if r0 == 0 goto end
        r1 = r0
        r2 = 0
        call bpf_ringbuf_discard
    end:
        r0 = 0
        exit
    """
    report = judged(program(text), "5.4")
    assert report.message == "map ring: Invalid argument (EINVAL)"
    explanation = report.explanation
    assert explanation is not None
    assert explanation.problem == "Linux 5.4 has no map type ringbuf, which came with 5.8."
    assert explanation.reason == (
        "The program needs that (map ring), and helper bpf_ringbuf_reserve (5.8), helper bpf_ringbuf_discard (5.8). "
        "The first version with all that it needs is 5.8."
    )
    assert explanation.suggestion == "Use PERF_EVENT_ARRAY (4.3); or deploy it to Linux 5.8 or later."
    assert report.other_kernel is not None
    assert str(report.other_kernel.lowest) == "5.8"


def test_a_kernel_speaks_first_of_what_it_meets_first() -> None:
    # Maps are made before the program is loaded, and instructions are looked at before calls are followed.
    spec = program("call bpf_ktime_get_boot_ns\nr0 = 1\nr0 s/= 3\nexit")
    assert judged(spec, "5.4").message == "BPF_ALU uses reserved fields"
    with_map = replace(spec, maps={"m": MapSpec("m", MapType.BLOOM_FILTER, 0, 4, 1)})
    assert judged(with_map, "5.4").message == "map m: Invalid argument (EINVAL)"
    assert judged(spec, "6.1").message == "BPF_ALU uses reserved fields"


def test_what_needs_nothing_newer_is_left_open_with_what_may_be_stricter() -> None:
    text = """
        r2 = 5
        *(u32 *)(r10 - 4) = r2
        w3 = 1
        w3 += 2
        r0 = 0
        if r2 > r3 goto +0
        exit
    """
    report = judged(program(text, ProgramType.SOCKET_FILTER), "5.1")
    assert report.verdict == "unsupported"
    assert report.message == (
        "nothing that the program uses is newer than Linux 5.1, and the rules of 6.18 accept it; "
        "the verifier of 5.1 may be stricter"
    )
    assert report.other_kernel is not None
    notes = report.other_kernel.notes
    assert notes[0].startswith("before 5.2 at most 131,072 instructions were followed; by the rules of 6.18 ")
    assert [note[:11] for note in notes[1:]] == ["before 5.3 ", "before 5.7 ", "before 5.16"]
    assert "cannot be decided: nothing that the program uses" in report.explain()
    plain = judged(program("r0 = 0\nexit", ProgramType.SOCKET_FILTER), "5.15")
    assert (plain.verdict, plain.other_kernel.notes if plain.other_kernel else None) == ("unsupported", ())


def test_what_is_known_only_to_lie_between_two_versions_is_told_so() -> None:
    spec = program("call bpf_get_current_comm\nr0 = 0\nexit".replace("call", "r1 = r10\nr1 += -16\nr2 = 16\ncall"))
    sure = judged(spec, "6.12")
    assert (sure.verdict, sure.message) == (
        "reject",
        "program of this type cannot use helper bpf_get_current_comm#16",
    )
    assert sure.explanation is not None
    assert sure.explanation.problem == (
        "Linux 6.12 has no helper bpf_get_current_comm in xdp, which came between 6.13 and 6.16."
    )
    assert sure.explanation.suggestion == (
        "Deploy it to Linux 6.16 or later, or leave helper bpf_get_current_comm in xdp out."
    )
    open_ = judged(spec, "6.14")
    assert open_.verdict == "unsupported"
    assert open_.message.startswith("nothing is known to be newer than Linux 6.14, and the rules of 6.18 accept it")
    assert open_.other_kernel is not None
    assert open_.other_kernel.notes == (
        "it is not known whether 6.14 has helper bpf_get_current_comm in xdp, which came between 6.13 and 6.16",
    )


def test_the_version_whose_rules_are_applied_is_no_other_kernel() -> None:
    for kernel in ("6.18", "v6.18", "6.18.3", "6.18.0-generic"):
        report = verify(program("r0 = 2\nexit"), kernel=kernel)
        assert (report.verdict, report.kernel, report.other_kernel) == ("accept", "6.18", None)


def test_nonsense_is_refused_before_anything_is_verified() -> None:
    for kernel in ("nonsense", "7.9", "3.18", "5.33"):
        with pytest.raises(RequestError):
            verify(program("r0 = 2\nexit"), kernel=kernel)


def test_what_the_newest_rules_refuse_stays_refused_with_a_note() -> None:
    report = judged(program("call bpf_ktime_get_boot_ns\nr0 = *(u64 *)(r0 + 0)\nexit"), "5.4")
    assert (report.verdict, report.message) == ("reject", "R0 invalid mem access 'scalar'")
    assert report.other_kernel is not None
    assert report.other_kernel.notes == (
        "this is refused by the rules of 6.18, with those of 5.4 where they are known to differ",
        "Linux 5.4 has no helper bpf_ktime_get_boot_ns (5.8)",
    )
    assert report.explanation is not None
    assert report.explanation.category != "kernel version"
    assert "  on Linux 5.4\n    - this is refused" in report.explain()


def test_what_is_not_checked_stays_unsupported() -> None:
    spec = replace(program("r0 = 2\nexit"), type=None)
    report = judged(spec, "5.4")
    assert report.verdict == "unsupported"
    assert report.message == "it depends on a program of unknown type (section test), which is not checked here yet"
    assert report.explain().startswith("  cannot be decided: it depends on a program of unknown type")


def test_a_program_that_asks_what_there_is_may_do_without() -> None:
    text = "r1 = 0 ll\nif r1 == 0 goto end\ncall bpf_ktime_get_boot_ns\nend:\nr0 = 0\nexit"
    spec = replace(program(text), references={0: KsymReference("bpf_nothing", weak=True)})
    report = judged(spec, "5.4")
    assert report.verdict == "unsupported"
    assert report.message == (
        "Linux 5.4 has no helper bpf_ktime_get_boot_ns (5.8); whether the program does without, "
        "it finds out by weak symbols"
    )
    # What the kernel looks at without following anything is refused all the same.
    strange = replace(program(f"r1 = bswap16 r1\n{text}"), references={1: KsymReference("bpf_nothing", weak=True)})
    assert judged(strange, "5.4").verdict == "reject"


def test_what_is_never_reached_does_no_harm_where_constants_are_known() -> None:
    text = """
        r1 = map[constants][0] + 0 ll
        r1 = *(u8 *)(r1 + 0)
        if r1 == 1 goto end
        call bpf_ktime_get_boot_ns
    end:
        r0 = 0
        exit
    """
    assert judged(program(text), "5.7").verdict == "unsupported"
    assert judged(program(text), "5.4").message == "invalid func unknown#125"


def test_a_weak_function_and_a_left_out_attach_type_are_not_missing() -> None:
    spec = program("call kfunc[1]\nr0 = 2\nexit", attach_type=AttachType.XDP)
    spec = replace(spec, references={0: KfuncReference("bpf_xdp_pull_data", weak=True)})
    report = judged(spec, "5.4")
    assert report.other_kernel is not None
    assert report.other_kernel.missing == ()


def test_the_report_as_json_has_what_is_missing() -> None:
    report = judged(program("call bpf_ktime_get_boot_ns\nr0 = 0\nexit"), "5.4").as_json()
    assert (report["kernel"], report["lowest_kernel"]) == ("5.4", "5.8")
    (missing,) = report["missing"]
    assert missing == {
        "area": "helper",
        "name": "bpf_ktime_get_boot_ns",
        "since": "5.8",
        "surely_since": "5.8",
        "required": True,
        "instruction": 0,
        "map": None,
        "source": None,
        "otherwise": "",
        "advice": "Use bpf_ktime_get_ns, which does not count time in suspend",
    }
    assert "missing" not in verify(program("r0 = 2\nexit")).as_json()


def test_what_is_judged_by_the_rules_of_a_version_is_accepted_where_these_are_known() -> None:
    report = judged(program("r0 = 2\nexit"), "6.12")
    assert report.other_kernel is not None
    assert (report.verdict, report.other_kernel.notes) == ("accept", ())
    between = judged(program("r0 = 2\nexit"), "6.5")
    assert between.other_kernel is not None
    assert (between.verdict, between.other_kernel.notes) == (
        "accept",
        ("no 6.5 was asked: its rules are known from the versions beside it (6.1, 6.12, 6.16, 6.17, 6.18)",),
    )
    assert judged(program("r0 = 2\nexit"), "6.0").verdict == "unsupported"


@pytest.mark.parametrize(
    ("text", "last", "message"),
    [
        ("r1 = r10\nr1 = *(u64 *)(r1 - 8)\nr0 = 0\nexit", "6.2", "invalid read from stack off -8+0 size 8"),
        ("*(u32 *)(r1 + 8) = 5\nr0 = 0\nexit", "6.3", "BPF_ST stores into R1 ctx is not allowed"),
        (
            "*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = map[array] ll\ncall bpf_map_lookup_elem\n"
            "r0 = *(u32 *)(r0 + 0)\nr0 = 0\nexit",
            "6.13",
            "R0 invalid mem access 'map_value_or_null'",
        ),
        (
            "call bpf_get_prandom_u32\nr0 &= 3\nr0 = -r0\nr0 += 3\nr1 = r10\nr1 += -8\nr1 += r0\n"
            "*(u8 *)(r1 + 0) = 1\nr0 = 0\nexit",
            "6.16",
            "math between fp pointer and register with unbounded min value is not allowed",
        ),
    ],
)
def test_what_came_later_is_refused_as_it_was(text: str, last: str, message: str) -> None:
    spec = program(text, ProgramType.SCHED_CLS)
    version = KernelVersion.of(last)
    report = judged(spec, last)
    assert (report.verdict, report.message) == ("reject", message)
    assert judged(spec, f"{version.major}.{version.minor + 1}").message != message
    assert verify(spec).accepted


def test_what_6_18_refuses_by_a_rule_that_is_younger_is_left_open() -> None:
    text = "r1 = 0\nr2 = 0\nr3 = 0\ncall bpf_timer_set_callback\nr0 = 0\nexit"
    needs = needs_of(program(text))
    message = "helper call might sleep in a non-sleepable prog"
    assert newer_rule(needs, message, KernelVersion(6, 12)).startswith("before 6.18 what a timer calls")
    assert newer_rule(needs, message, KernelVersion(6, 18)) == ""
    assert newer_rule(needs_of(program("r0 = 0\nexit")), message, KernelVersion(6, 12)) == ""
