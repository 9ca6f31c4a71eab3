"""Members of tables that the kernel calls (struct_ops): the kernel's verdict on programs made at random, and rules
that hold for tables which the running kernel may not have.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from skep.isa import assemble
from skep.objects import AttachType, FunctionSpec, ProgramSpec, ProgramType
from skep.objects.fitting import KernelFacts
from skep.stdlib.kfuncs import KFUNCS
from skep.verifier import Report, verify
from skep.verifier.contexts.program_tables import TABLES
from skep.verifier.kernel.kernel_types import carried_types
from tests.verifier.programs import ask_kernel, kernel_is_there
from tests.verifier.random_kfuncs import names
from tests.verifier.random_tables import random_member, table_with

_DISTRIBUTION = KernelFacts(carried_types)


def verdict(text: str, table: str, member: str, *, sleepable: bool = False, license: str = "GPL") -> Report:
    """On a member of a table, by the types of a distribution's kernel."""
    spec = ProgramSpec(
        "test",
        "test",
        ProgramType.STRUCT_OPS,
        assemble(text).instructions,
        AttachType.STRUCT_OPS,
        None,
        sleepable,
        functions=(FunctionSpec("test", 0),),
        license=license,
        tables=(table_with(table, member, "test"),),
    )
    return verify(spec, facts=_DISTRIBUTION)


@pytest.mark.skipif(kernel_is_there() is not None, reason=str(kernel_is_there()))
def test_random_members_get_the_kernels_verdict() -> None:
    known = names()
    wrong = []
    for seed in range(250):
        spec = random_member(seed, known)
        report, answer = verify(spec), ask_kernel(spec)
        if (report.verdict, report.message) != (answer.verdict, answer.message):
            wrong.append((seed, report.verdict, report.message, answer.verdict, answer.message))
    assert wrong == []


@pytest.mark.parametrize("table", TABLES)
def test_members_of_every_table_get_a_verdict(table: str) -> None:
    types = carried_types()
    structure = next(iter(types.find_all(table)))
    for member in types.members(structure):
        report = verdict("r0 = 0\nexit", table, member.name)
        assert report.verdict != "unsupported", (member.name, report.message)


def test_a_structure_that_is_no_table_of_the_kernel_takes_no_programs() -> None:
    report = verdict("r0 = 0\nexit", "seq_operations", "start")
    assert report.verdict == "reject"
    assert re.fullmatch(r"attach_btf_id \d+ is not a supported struct", report.message)
    assert report.explanation is not None
    assert "--btf distribution" in report.explanation.suggestion


@pytest.mark.parametrize(
    ("table", "member", "permitted"),
    [
        ("sched_ext_ops", "init", True),
        ("sched_ext_ops", "tick", False),
        ("hid_bpf_ops", "hid_device_event", False),
        ("hid_bpf_ops", "hid_hw_request", True),
        ("Qdisc_ops", "reset", True),
        ("tcp_congestion_ops", "init", True),
        ("bpf_dummy_ops", "test_1", False),
        ("bpf_dummy_ops", "test_sleepable", True),
    ],
)
def test_some_members_may_sleep(table: str, member: str, permitted: bool) -> None:
    report = verdict("r0 = 0\nexit", table, member, sleepable=True)
    message = "" if permitted else f"attach to unsupported member {member} of struct {table}"
    assert report.message == message


def test_a_member_has_a_licence() -> None:
    report = verdict("r0 = 0\nexit", "sched_ext_ops", "tick", license="MIT")
    assert report.message == "struct ops programs must have a GPL compatible license"


@pytest.mark.parametrize(("size", "permitted"), [(32, True), (64, False)])
def test_what_ends_inside_a_member_may_be_written(size: int, permitted: bool) -> None:
    types = carried_types()
    (queue,) = types.find_all("Qdisc")
    limit = types.member(queue, "limit")
    assert limit is not None
    place = limit.bit_offset // 8
    text = f"r2 = *(u64 *)(r1 + 0)\n*(u{size} *)(r2 + {place}) = 1\nr0 = 0\nexit"
    message = f"write access at off {place} with size 8 beyond the member of Qdisc ended at {place + 4}"
    assert verdict(text, "Qdisc_ops", "init").message == ("" if permitted else message)


def test_the_number_of_a_member_may_pass_for_an_attach_type() -> None:
    # The 26th member of the table: what a program of the attach type of that number would find behind the arguments.
    text = "r0 = *(u64 *)(r1 + 24)\nexit"
    assert verdict(text, "sched_ext_ops", "cgroup_prep_move").accepted
    assert not verdict("r0 = *(u64 *)(r1 + 16)\nexit", "sched_ext_ops", "yield").accepted


def test_functions_are_for_some_members() -> None:
    drop = KFUNCS["bpf_qdisc_skb_drop"]
    assert drop.permitted(ProgramType.STRUCT_OPS, None, ("Qdisc_ops", "enqueue"))
    assert not drop.permitted(ProgramType.STRUCT_OPS, None, ("Qdisc_ops", "dequeue"))
    assert not drop.permitted(ProgramType.STRUCT_OPS, None, ("sched_ext_ops", "enqueue"))
    assert not drop.permitted(ProgramType.SCHED_CLS, None)


def test_a_refused_store_that_linux_says_nothing_of_is_refused() -> None:
    report = verdict("r2 = *(u64 *)(r1 + 0)\n*(u8 *)(r2 + 0) = 1\nr0 = 0\nexit", "sched_ext_ops", "tick")
    assert (report.verdict, report.message) == ("reject", "")
    assert report.explanation is not None


def test_a_program_of_no_table_gets_no_verdict() -> None:
    known = names()
    spec = replace(random_member(1, known), tables=())
    assert verify(spec).verdict == "unsupported"
