"""What programs are attached to: rules that depend on more than one program, or on other types than a kernel's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skep.btf import Btf, BtfBuilder
from skep.btf.types import FunctionPrototype, Parameter
from skep.objects import AttachType, ProgramSpec, ProgramType
from skep.objects.fitting import KernelFacts
from skep.verifier import verify
from skep.verifier.contexts import tracepoints
from tests.verifier.programs import program

PASS = "r0 = 0\nexit"


def traced(name: str, attach: AttachType = AttachType.TRACE_FENTRY, *, sleepable: bool = False) -> ProgramSpec:
    spec = program(PASS, ProgramType.TRACING, attach_type=attach)
    return replace(spec, attach_target=name, sleepable=sleepable)


def kernel(*functions: str) -> KernelFacts:
    """A kernel of functions that take and return a number."""
    builder = BtfBuilder()
    number = builder.integer("int", 4)
    for name in functions:
        builder.function(name, number, [("one", number)])
    btf = builder.build()
    return KernelFacts(lambda: btf)


def test_what_replaces_a_function_asks_for_the_program_that_has_it() -> None:
    report = verify(replace(program(PASS, ProgramType.EXT), attach_target="policy"))
    assert report.verdict == "unsupported"
    assert "--target OBJECT:PROGRAM" in report.message
    assert "not checked here" not in report.explain()


def test_what_watches_a_program_that_is_refused_is_not_decided() -> None:
    refused = program("r0 = r3\nexit")
    report = verify(traced("test"), target=refused)
    assert report.verdict == "unsupported"


@pytest.mark.parametrize("type", [ProgramType.LSM, ProgramType.XDP])
def test_only_tracing_and_replacing_programs_name_another(type: ProgramType) -> None:
    report = verify(program(PASS, type), target=program(PASS))
    assert report.message == "only programs of types ext and tracing can name another program"
    assert report.explanation is not None


def test_where_functions_can_be_made_to_fail_system_calls_let_programs_do_it() -> None:
    name = "__x64_sys_bpf"
    plain, failing = kernel(name), kernel(name, "within_error_injection_list")
    for attach, sleepable, message in (
        (AttachType.MODIFY_RETURN, False, f"{name}() is not modifiable"),
        (AttachType.TRACE_FENTRY, True, f"{name} is not sleepable"),
    ):
        spec = traced(name, attach, sleepable=sleepable)
        assert verify(spec, facts=plain).message == message
        assert verify(spec, facts=failing).accepted


def test_of_other_functions_only_such_a_kernel_itself_knows() -> None:
    spec = traced("open_ctree", AttachType.MODIFY_RETURN)
    report = verify(spec, facts=kernel("open_ctree", "within_error_injection_list"))
    assert report.verdict == "unsupported"
    assert verify(spec, facts=kernel("open_ctree")).message == "open_ctree() is not modifiable"


@pytest.mark.parametrize(
    ("type", "attach"),
    [
        (ProgramType.CGROUP_SKB, AttachType.CGROUP_INET_SOCK_CREATE),
        (ProgramType.CGROUP_SOCK_ADDR, AttachType.CGROUP_INET_INGRESS),
        (ProgramType.SK_LOOKUP, AttachType.XDP),
        (ProgramType.SYSCALL, AttachType.XDP),
    ],
)
def test_attach_types_that_do_not_fit_are_refused(type: ProgramType, attach: AttachType) -> None:
    report = verify(program(PASS, type, attach_type=attach))
    assert report.message == f"programs of type {type.label} cannot be loaded with attach type {attach.label}"


def module_with_a_tracepoint(name: str) -> KernelFacts:
    """A kernel with a module whose tracepoint hands over a structure."""
    builder = BtfBuilder()
    builder.integer("int", 4)
    base = builder.build()
    own = BtfBuilder(base=base)
    struct = own.struct("thing", [("number", 1)])
    own.typedef(
        f"btf_trace_{name}",
        own.pointer(
            own.add(
                FunctionPrototype(parameters=(Parameter("", own.pointer(0)), Parameter("one", own.pointer(struct))))
            )
        ),
    )
    module: Btf = own.build()
    return KernelFacts(lambda: base, lambda: [module])


def test_what_a_tracepoint_of_a_module_hands_over_may_be_null() -> None:
    read = "r2 = *(u64 *)(r1 + 0)\nr3 = *(u32 *)(r2 + 0)\nr0 = 0\nexit"
    spec = program(read, ProgramType.TRACING, attach_type=AttachType.TRACE_RAW_TP)
    for name, message in (("made_up", "R2 invalid mem access 'trusted_ptr_or_null_'"), ("amdtp_packet", "")):
        report = verify(replace(spec, attach_target=name), facts=module_with_a_tracepoint(name))
        assert report.message == message


def test_a_pointer_that_may_be_an_error_number_is_a_number() -> None:
    assert tracepoints.numbers("mr_integ_alloc") == {3}
    assert not tracepoints.numbers("sched_switch")
