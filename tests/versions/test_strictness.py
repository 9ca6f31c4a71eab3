"""What older verifiers are stricter about, each by a program that touches it and one that does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skep.btf import BtfBuilder, Function, FunctionPrototype, Int, Linkage, Parameter, Pointer
from skep.objects import FunctionSpec, ProgramType
from skep.versions import KernelVersion
from skep.versions.strictness import stricter
from tests.verifier.programs import program


@pytest.mark.parametrize(
    ("text", "without", "until"),
    [
        ("if r1 > 3 goto +0", "goto +0", "5.3"),
        ("r2 = map[constants][0] + 0 ll", "r2 = map[array][0] + 0 ll", "5.5"),
        ("w2 += 3", "r2 += 3", "5.7"),
        ("r3 = r10\nr3 += r1", "r3 = r10\nr3 += -8", "5.12"),
        ("*(u32 *)(r10 - 8) = r1", "*(u64 *)(r10 - 8) = r1", "5.16"),
        ("call bpf_dynptr_data", "call bpf_ktime_get_ns", "6.3"),
        ("r1 *= r2", "r1 *= 2", "6.8"),
        ("call bpf_get_current_task_btf", "r1 = 0", "6.12"),
    ],
)
def test_a_rule_is_told_until_the_version_that_relaxed_it(text: str, without: str, until: str) -> None:
    version = KernelVersion.of(until)
    before = KernelVersion(version.major, version.minor - 1)

    def told(code: str, kernel: KernelVersion) -> bool:
        spec = program(f"{code}\nr0 = 0\nexit", ProgramType.SOCKET_FILTER)
        return any(f"before {until} " in note for note in stricter(spec, kernel))

    assert told(text, before)
    assert not told(text, version)
    assert not told(without, before)


def test_global_functions_that_take_pointers_are_told() -> None:
    builder = BtfBuilder()
    number = builder.add(Int("int", size=4, signed=True))
    pointer = builder.add(Pointer(target=number))
    taking = {
        name: builder.add(
            Function(
                name,
                prototype=builder.add(
                    FunctionPrototype(result=number, parameters=(Parameter("a", number), Parameter("b", type)))
                ),
                linkage=Linkage.GLOBAL,
            )
        )
        for name, type in (("number", number), ("address", pointer))
    }
    plain = program("call +1\nexit\nr0 = 0\nexit")

    def told(name: str, *, is_global: bool = True) -> bool:
        functions = (*plain.functions, FunctionSpec(name, 2, taking[name], is_global))
        spec = replace(plain, functions=functions, btf=builder.build())
        return any("a global function took no pointers" in note for note in stricter(spec, KernelVersion(5, 10)))

    assert told("address")
    assert not told("number")
    assert not told("address", is_global=False)
