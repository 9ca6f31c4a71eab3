"""Calls of kernel functions get the running kernel's verdict and message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from skep.objects import FunctionSpec, KfuncReference, ProgramSpec, ProgramType
from skep.stdlib.kfuncs import KFUNCS, KfuncFlag
from skep.verifier import verify
from skep.verifier.calls.kfunc_arguments import arguments_of
from skep.verifier.kernel.kernel_types import carried_types, kernel_table
from tests.verifier.programs import ask_kernel, kernel_is_there, program
from tests.verifier.random_kfuncs import names, random_program

_IS_618 = Path("/proc/sys/kernel/osrelease").exists() and Path("/proc/sys/kernel/osrelease").read_text().startswith(
    "6.18."
)
KERNEL = pytest.mark.skipif(
    kernel_is_there() is not None or not _IS_618 or not Path("/sys/kernel/btf/vmlinux").exists(),
    reason="the running kernel cannot be asked, or is not 6.18 with BTF",
)
_TYPES = (ProgramType.XDP, ProgramType.SOCKET_FILTER, ProgramType.KPROBE, ProgramType.SYSCALL, ProgramType.SK_MSG)


def bare_calls() -> Iterator[tuple[str, ProgramSpec]]:
    """A program of each type that calls each function with nothing in the registers but the context."""
    base = program("call 1\nr0 = 0\nexit").instructions
    code = (type(base[0])(0x85, 0, 2, 0, -1), *base[1:])
    for name in names():
        for kind in _TYPES:
            yield (
                name,
                ProgramSpec(
                    "test",
                    "test",
                    kind,
                    code,
                    functions=(FunctionSpec("test", 0),),
                    references={0: KfuncReference(name)},
                    license="GPL",
                ),
            )


@KERNEL
def test_who_may_call_what() -> None:
    wrong = []
    for name, spec in bare_calls():
        report, answer = verify(spec), ask_kernel(spec)
        if (report.verdict, report.message) != (answer.verdict, answer.message):
            wrong.append((name, spec.type, report.verdict, report.message, answer.message))
    assert wrong == []


@KERNEL
def test_random_calls_get_the_kernels_verdict() -> None:
    known = names()
    wrong = []
    for seed in (*range(250), 4000275):
        spec = random_program(seed, known)
        report, answer = verify(spec), ask_kernel(spec)
        if (report.verdict, report.message) != (answer.verdict, answer.message):
            wrong.append((seed, report.verdict, report.message, answer.verdict, answer.message))
    assert wrong == []


def test_every_carried_function_is_known() -> None:
    table = kernel_table(carried_types())
    tagged = {table.btf[target].name for target in table.tagged("bpf_kfunc")}
    assert tagged <= set(KFUNCS)


def test_suffixes_of_parameters_are_understood() -> None:
    table = kernel_table(carried_types())
    function = table.function("bpf_dynptr_slice")
    assert function is not None
    memory, size = arguments_of(function)[2:]
    assert "opt" in memory.marks
    assert size.marks == {"szk"}


def test_what_acquires_and_what_releases() -> None:
    assert KFUNCS["bpf_task_acquire"].flags == KfuncFlag.ACQUIRE | KfuncFlag.RET_NULL | KfuncFlag.RCU
    assert KFUNCS["bpf_task_release"].flags == KfuncFlag.RELEASE
