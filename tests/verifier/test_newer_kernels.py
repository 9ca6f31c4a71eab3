"""Verdicts for kernels newer than the one whose rules are applied: that of 6.18, and how often it holds."""

from __future__ import annotations

from dataclasses import replace

from skep.objects import KfuncReference
from skep.verifier import verify
from tests.verifier.programs import program


def test_the_verdict_is_that_of_6_18_and_says_how_often_it_holds() -> None:
    report = verify(program("r0 = 2\nexit"), kernel="7.2.12")
    assert (report.verdict, report.kernel) == ("accept", "7.2")
    assert report.other_kernel is not None
    assert report.other_kernel.notes == (
        "by the rules of 6.18: of 2,385 programs that they accept, 7.2 accepts 2,362",
    )
    assert "\n  on Linux 7.2\n    - by the rules of 6.18: of 2,385 programs" in report.explain()
    report = verify(program("r0 = r1\nr0 = *(u64 *)(r0 + 99)\nexit"), kernel="7.0")
    assert report.verdict == "reject"
    assert report.other_kernel is not None
    assert report.other_kernel.notes == (
        "by the rules of 6.18: of 2,837 programs that they refuse, 7.0 refuses 2,789",
    )


def test_a_kernel_function_that_is_gone_is_missed() -> None:
    spec = program("call kfunc[1]\nr0 = 2\nexit")
    called = replace(spec, references={0: KfuncReference("bpf_wq_set_callback_impl")})
    report = verify(called, kernel="7.1")
    assert (report.verdict, report.instruction) == ("reject", 0)
    assert report.message == "extern (func ksym) 'bpf_wq_set_callback_impl': not found in kernel or module BTFs"
    assert report.explanation is not None
    assert report.explanation.problem == (
        "Linux 7.1 has no kernel function bpf_wq_set_callback_impl, which is gone since 7.0."
    )
    assert "gone" not in str(verify(called, kernel="6.19").explanation)
    weak = replace(spec, references={0: KfuncReference("bpf_wq_set_callback_impl", weak=True)})
    assert "not found in kernel" not in verify(weak, kernel="7.1").message


def test_rules_that_6_18_was_given_by_updates_6_19_does_not_have() -> None:
    text = "r1 = map[arena] ll\nr2 = 5\nr2 = addr_space_cast(r2, 0, 1)\nr3 = 1\nr3 <<= r2\nr0 = 0\nexit"
    assert verify(program(text)).accepted
    assert verify(program(text), kernel="7.0").accepted
    assert verify(program(text), kernel="6.19").message == "R3 pointer arithmetic on arena prohibited"
