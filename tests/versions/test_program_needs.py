"""What is found that a program needs: of each area one program that uses it, and the example objects as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import skep
from skep.objects import AttachType, FunctionReference, KfuncReference, MapSpec, MapType, ProgramSpec, ProgramType
from skep.versions import KernelVersion, Need, needs_of
from skep.versions.addresses import context_accesses, varies_stack_pointers
from skep.versions.loops import first_back_edge
from tests.verifier.programs import program

ROOT = Path(__file__).parents[2]


def need(spec: ProgramSpec, area: str, name: str) -> Need:
    found = {(one.area, one.name): one for one in needs_of(spec).all}
    assert (area, name) in found, found
    return found[area, name]  # type: ignore[index]


def test_a_program_of_the_first_days_needs_nothing_new() -> None:
    needs = needs_of(program("r0 = 0\nexit", ProgramType.SOCKET_FILTER))
    assert [one.title for one in needs.all] == ["program type socket_filter"]
    assert str(needs.lowest) == "4.9"
    assert needs.missing(KernelVersion(4, 9)) == ()


def test_a_helper_is_told_with_every_place_and_what_to_use_instead() -> None:
    found = need(
        program("call bpf_ktime_get_boot_ns\nr6 = r0\ncall bpf_ktime_get_boot_ns\nr0 = 0\nexit"),
        "helper",
        "bpf_ktime_get_boot_ns",
    )
    assert str(found.since) == "5.8"
    assert found.places == (0, 2)
    assert found.complaint == "invalid func unknown#125"
    assert found.advice == "Use bpf_ktime_get_ns, which does not count time in suspend"


@pytest.mark.parametrize(
    ("text", "name", "since", "complaint"),
    [
        ("if r1 < 5 goto +0", "jumps if less (jlt, jle, jslt, jsle)", "4.14", "invalid BPF_JMP opcode a0"),
        ("if w1 == 5 goto +0", "32-bit jumps", "5.1", "unknown opcode 16"),
        ("if w1 s<= 5 goto +0", "32-bit jumps", "5.1", "unknown opcode d6"),
        ("lock *(u64 *)(r10 - 8) |= r1", "atomic operations beyond add", "5.12", "BPF_XADD uses reserved fields"),
        ("r1 = atomic_fetch_add((u64 *)(r10 - 8), r1)", "atomic operations beyond add", "5.12", ""),
        ("r1 s/= r1", "signed division", "6.6", "BPF_ALU uses reserved fields"),
        ("r1 = (s8)r1", "sign-extending move", "6.6", "BPF_MOV uses reserved fields"),
        ("r1 = *(s8 *)(r10 - 8)", "sign-extending load", "6.6", "BPF_LDX uses reserved fields"),
        ("r1 = bswap16 r1", "unconditional byte swap", "6.6", "unknown opcode d7"),
        ("gotol +0", "long jump (gotol)", "6.6", "unknown opcode 06"),
        ("may_goto +0", "may_goto", "6.9", "unknown opcode e5"),
        ("w1 s>>= 3", "32-bit arithmetic shift right", "5.0", "BPF_ARSH not supported for 32 bit ALU"),
        ("r1 = load_acquire((u64 *)(r10 - 8))", "load-acquire", "6.15", "BPF_ATOMIC uses invalid atomic opcode 100"),
        ("r1 = load_acquire((u8 *)(r10 - 8))", "load-acquire", "6.15", "unknown opcode d3"),
    ],
)
def test_an_instruction_is_told_with_what_older_kernels_say_to_it(
    text: str, name: str, since: str, complaint: str
) -> None:
    found = need(program(f"{text}\nr0 = 0\nexit"), "instruction", name)
    assert str(found.since) == since
    assert found.complaint == complaint or not complaint


def test_an_add_without_result_is_as_old_as_maps() -> None:
    spec = program("lock *(u64 *)(r10 - 8) += r1\nr0 = 0\nexit")
    assert [one for one in needs_of(spec).all if one.area == "instruction"] == []


def test_functions_callbacks_and_tail_calls_beside_them() -> None:
    text = """
        r6 = r1
        call inner
        r1 = r6
        r2 = map[jumps] ll
        r3 = 0
        call bpf_tail_call
        r0 = 0
        exit
    inner:
        r0 = 0
        exit
    """
    spec = program(text)
    assert str(need(spec, "instruction", "calls of functions").since) == "4.16"
    beside = need(spec, "function", "tail calls beside functions")
    assert str(beside.since) == "5.10"
    assert beside.instruction == 6
    spec = replace(spec, references={**spec.references, 2: FunctionReference("inner")})
    assert str(need(spec, "instruction", "callbacks").since) == "5.13"


def test_loops_and_length() -> None:
    found = need(program("r0 = 10\nagain:\nr0 += -1\nif r0 != 0 goto again\nexit"), "loop", "loops")
    assert (str(found.since), found.complaint) == ("5.3", "back-edge from insn 2 to 1")
    long = program("r0 = 0\n" * 4096 + "exit")
    found = need(long, "size", "program of more than 4,096 instructions")
    assert found.lacking_in(KernelVersion(4, 19)) == "Linux 4.19 takes no program of more than 4,096 instructions"


def test_the_first_jump_back_is_the_one_that_is_met_first() -> None:
    text = """
        r0 = 4
    outer:
        r1 = 4
    inner:
        r1 += -1
        if r1 != 0 goto inner
        r0 += -1
        if r0 != 0 goto outer
        exit
    """
    # Straight on comes first, so that the outer loop is closed before the inner one.
    assert first_back_edge(program(text).instructions) == (5, 1)
    assert first_back_edge(program("if r1 > 3 goto +1\nr0 = 1\nr0 = 0\nexit").instructions) is None
    recursive = program("call again\nexit\nagain:\nr0 = 0\ncall again\nexit")
    assert first_back_edge(recursive.instructions) == (3, 2)


@pytest.mark.parametrize(
    ("map", "since", "what"),
    [
        (MapSpec("m", MapType.RINGBUF, 0, 0, 4096), "5.8", "map type ringbuf"),
        (MapSpec("m", MapType.ARENA, 0, 0, 1), "6.9", "map type arena"),
        (MapSpec("m", MapType.HASH, 4, 4, 1, flags=1 << 6), "5.0", "map flag BPF_F_ZERO_SEED"),
        (
            MapSpec("m", MapType.ARRAY_OF_MAPS, 4, 4, 1, inner=MapSpec("i", MapType.LPM_TRIE, 8, 4, 1, flags=1)),
            "4.12",
            "map type array_of_maps",
        ),
    ],
)
def test_maps_are_told_by_type_and_flags(map: MapSpec, since: str, what: str) -> None:
    spec = replace(program("r0 = 0\nexit", ProgramType.SOCKET_FILTER), maps={"m": map})
    needs = needs_of(spec)
    assert str(needs.lowest) == since
    first = needs.required[0]
    assert (first.title, first.place) == (what, "map m")
    assert first.complaint == "map m: Invalid argument (EINVAL)"


def test_what_programs_are_loaded_as() -> None:
    spec = program("r0 = 0\nexit", ProgramType.TRACING, attach_type=AttachType.MODIFY_RETURN, flags=1 << 4)
    titles = [(str(one.since), one.title) for one in needs_of(spec).all]
    assert titles[:3] == [
        ("5.10", "load flag BPF_F_SLEEPABLE"),
        ("5.7", "attach type modify_return"),
        ("5.5", "program type tracing"),
    ]
    spec = program("r0 = 0\nexit", ProgramType.KPROBE, attach_type=AttachType.TRACE_KPROBE_MULTI)
    assert need(spec, "attach type", "trace_kprobe_multi").complaint == "attaching: Invalid argument (EINVAL)"
    sleepable = program("r0 = 0\nexit", ProgramType.KPROBE, flags=1 << 4)
    assert str(need(sleepable, "load flag", "BPF_F_SLEEPABLE").since) == "6.0"


def test_what_loaders_leave_out_is_not_required() -> None:
    needs = needs_of(program("r0 = 2\nexit", attach_type=AttachType.XDP))
    assert [(one.title, one.otherwise) for one in needs.all if not one.is_required] == [
        ("attach type xdp", "loaders leave it out")
    ]
    assert str(needs.lowest) == "4.9"
    read = needs_of(program("call bpf_probe_read_kernel\nr0 = 0\nexit", ProgramType.KPROBE))
    assert str(read.lowest) == "4.9"
    assert read.all[0].otherwise == "libbpf puts bpf_probe_read in its place"


def test_kernel_functions_are_as_old_as_they_are_for_the_program_s_type() -> None:
    def calling(name: str, type: ProgramType, *, weak: bool = False) -> ProgramSpec:
        spec = program("call kfunc[1]\nr0 = 0\nexit", type)
        return replace(spec, references={0: KfuncReference(name, weak)})

    acquire = need(calling("bpf_cpumask_create", ProgramType.TRACING), "kernel function", "bpf_cpumask_create")
    assert str(acquire.since) == "6.3"
    assert acquire.complaint == "extern (func ksym) 'bpf_cpumask_create': not found in kernel or module BTFs"
    later = need(calling("bpf_cpumask_create", ProgramType.PERF_EVENT), "kernel function", "bpf_cpumask_create")
    assert str(later.since) == "6.12"
    common = need(calling("bpf_rcu_read_lock", ProgramType.PERF_EVENT), "kernel function", "bpf_rcu_read_lock")
    assert str(common.since) == "6.2"
    weak = needs_of(calling("bpf_xdp_pull_data", ProgramType.XDP, weak=True))
    assert not next(one for one in weak.all if one.area == "kernel function").is_required
    assert weak.asks == "weak symbols"
    assert needs_of(calling("my_module_function", ProgramType.XDP)).unknown == ("my_module_function",)


@pytest.mark.parametrize(
    ("text", "type", "name", "since"),
    [
        ("r0 = *(u32 *)(r1 + 20)", ProgramType.XDP, "egress_ifindex of struct xdp_md", "5.8"),
        ("r6 = r1\nr0 = *(u32 *)(r6 + 8)", ProgramType.XDP, "data_meta of struct xdp_md", "4.15"),
        ("r0 = *(u32 *)(r1 + 164)", ProgramType.SCHED_CLS, "gso_segs of struct __sk_buff", "5.1"),
        ("*(u64 *)(r1 + 152) = r1", ProgramType.SCHED_CLS, "tstamp of struct __sk_buff", "5.0"),
        ("r0 = *(u8 *)(r1 + 0)", ProgramType.SCHED_CLS, "part of len", "4.13"),
    ],
)
def test_fields_of_the_context_are_told(text: str, type: ProgramType, name: str, since: str) -> None:
    assert str(need(program(f"{text}\nr0 = 0\nexit", type), "field", name).since) == since


def test_an_access_counts_only_where_the_register_surely_holds_the_context() -> None:
    text = """
        r6 = r1
        if r2 > 3 goto other
        r6 = r10
        r6 += -8
    other:
        r0 = *(u32 *)(r6 + 4)
        r0 = *(u32 *)(r1 + 8)
        call bpf_ktime_get_ns
        r0 = *(u32 *)(r1 + 12)
        exit
    """
    assert [(one.slot, one.offset) for one in context_accesses(program(text).instructions)] == [(5, 8)]
    called = program("call inner\nexit\ninner:\nr0 = *(u32 *)(r1 + 8)\nexit")
    assert [(one.slot, one.offset) for one in context_accesses(called.instructions)] == [(2, 8)]


def test_a_number_added_to_the_address_of_the_stack_is_seen() -> None:
    moved = program("r2 = r10\nr2 += -16\nr2 += r1\nr0 = 0\nexit")
    assert varies_stack_pointers(moved.instructions)
    fixed = program("r2 = r10\nr2 += -16\nr3 = r1\nr3 += r2\nr0 = 0\nexit")
    assert not varies_stack_pointers(fixed.instructions)


@pytest.mark.parametrize(
    ("path", "program", "lowest", "for_what"),
    [
        ("examples/shorten.bpf.o", "shorten", "5.2", "map flag BPF_F_RDONLY_PROG"),
        ("examples/rate_limiter.bpf.o", "limit", "5.2", "map flag BPF_F_RDONLY_PROG"),
        ("tests/data/shipped/conntrack.v4.bpf.o", "from_inside", "6.6", "unconditional byte swap"),
        ("tests/data/shipped/conntrack.v3.bpf.o", "from_inside", "5.15", "helper bpf_timer_cancel"),
        ("tests/data/shipped/fair_queue.v3.bpf.o", "enqueue", "6.4", "kernel function bpf_rbtree_add_impl"),
        ("tests/data/shipped/tcp_life.v3.bpf.o", "table", "5.8", "attach type trace_iter"),
        ("tests/data/shipped/tcp_life.v3.bpf.o", "connecting", "4.9", None),
        ("tests/data/shipped/congestion.v3.bpf.o", "begin", "5.6", "type tcp_congestion_ops"),
    ],
)
def test_objects_as_clang_builds_them(path: str, program: str, lowest: str, for_what: str | None) -> None:
    needs = needs_of(skep.open(str(ROOT / path))[program])
    assert str(needs.lowest) == lowest
    forcing = [one for one in needs.required if one.since == needs.lowest]
    assert (forcing[0].title if forcing else None) == for_what


def test_helpers_that_a_type_could_call_only_later_than_others() -> None:
    found = need(
        program("call bpf_get_current_cgroup_id\nr0 = 0\nexit", ProgramType.SCHED_CLS),
        "helper",
        "bpf_get_current_cgroup_id in sched_cls",
    )
    assert (str(found.since), str(found.surely), found.age) == ("6.2", "6.12", "6.2 to 6.12")
    assert found.complaint_of(KernelVersion(4, 17)) == "invalid func unknown#80"
    assert found.complaint_of(KernelVersion(4, 18)) == "unknown func bpf_get_current_cgroup_id#80"
    assert found.complaint_of(KernelVersion(6, 11)) == (
        "program of this type cannot use helper bpf_get_current_cgroup_id#80"
    )
    needs = needs_of(program("call bpf_get_current_cgroup_id\nr0 = 0\nexit", ProgramType.SCHED_CLS))
    assert str(needs.lowest) == "6.12"
    assert [one.title for one in needs.doubtful(KernelVersion(6, 6))] == [found.title]
    assert needs.missing(KernelVersion(6, 1)) == (found,)
    assert needs.missing(KernelVersion(6, 6)) == needs.doubtful(KernelVersion(6, 12)) == ()
    as_before = needs_of(program("call bpf_get_current_cgroup_id\nr0 = 0\nexit", ProgramType.KPROBE))
    assert str(as_before.lowest) == "4.18"
