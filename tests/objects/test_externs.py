"""What an object expects from the kernel is recognised, by name and kind."""

from __future__ import annotations

import pytest

from skep.btf import CoreKind
from skep.errors import ObjectError
from skep.objects import KfuncReference, KsymReference, MapReference, MapType, read
from tests.objects.samples import build_text, clangs, sample


def test_calls_of_kernel_functions_are_named() -> None:
    program = sample("externs")["uses_kernel"]
    calls = {
        reference.name: (reference.weak, program.instructions[slot].src)
        for slot, reference in program.references.items()
        if isinstance(reference, KfuncReference)
    }
    assert calls == {"task_acquire": (False, 2), "rcu_lock": (True, 2)}


def test_addresses_in_the_kernel_are_named_and_typed() -> None:
    spec = sample("externs")
    found = {
        reference.name: reference
        for reference in spec["uses_kernel"].references.values()
        if isinstance(reference, KsymReference)
    }
    assert set(found) == {"untyped_variable", "typed_variable", "rcu_lock"}
    assert found["untyped_variable"].type_id == 0
    assert spec.btf is not None
    assert spec.btf.resolve(found["typed_variable"].type_id).name == "int"
    assert found["rcu_lock"].weak
    assert spec.btf[found["rcu_lock"].type_id].name == "rcu_lock"


def test_configuration_values_are_a_map_of_their_own() -> None:
    spec = sample("externs")
    configuration = spec.maps[".kconfig"]
    assert (configuration.type, configuration.frozen, configuration.flags) == (MapType.ARRAY, True, 0x480)
    assert configuration.contents == bytes(configuration.value_size)
    places = {name: (variable.offset, variable.size) for name, variable in spec.variables.items()}
    assert places == {
        "CONFIG_HZ": (0, 8),
        "CONFIG_IPV6": (8, 4),
        "LINUX_KERNEL_VERSION": (12, 4),
        "CONFIG_BPF_SYSCALL": (16, 1),
        "CONFIG_CC_VERSION_TEXT": (17, 32),
    }
    read_there = {item.offset for item in spec["uses_kernel"].references.values() if isinstance(item, MapReference)}
    assert read_there == {0, 8, 12, 16, 17}


def test_accesses_that_depend_on_kernel_types_are_kept_by_slot() -> None:
    spec = sample("core")
    found = spec["reads"].core_relocations
    assert all(slot == relocation.slot for slot, relocation in found.items())
    assert {relocation.kind for relocation in found.values()} == set(CoreKind) - {CoreKind.TYPE_MATCHES}
    offsets = [relocation for relocation in found.values() if relocation.kind is CoreKind.FIELD_BYTE_OFFSET]
    assert {relocation.access for relocation in offsets} == {"0:0", "0:3:2", "0:2:1"}
    assert spec.btf is not None
    assert {spec.btf[relocation.type_id].name for relocation in offsets} == {"task_struct"}


@pytest.mark.skipif(not clangs(), reason="clang is not installed")
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("extern int missing(int); SEC(\"xdp\") int p(u32 *c) { return missing(c[0]); }",
         "the function 'missing' is called but not defined here"),
        ("extern volatile int missing; SEC(\"xdp\") int p(u32 *c) { return missing; }",
         "the symbol 'missing' is used but not defined here"),
    ],
)  # fmt: skip
def test_a_symbol_that_nobody_defines_is_named(body: str, problem: str) -> None:
    for options in ((), ("-g",)):
        with pytest.raises(ObjectError) as caught:
            read(build_text(f'#include "bpf.h"\n{body}', clangs()[-1], *options), "broken.o")
        if not options or "function" not in problem:
            assert problem in str(caught.value)
        assert caught.value.file == "broken.o"
        assert caught.value.section == "xdp"
        assert caught.value.instruction is not None
