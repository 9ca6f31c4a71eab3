"""BTF cut down to what programs ask: they get the same answers from it, and it is small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from skep.btf import Btf, BtfBuilder, CoreKind, CoreRelocation
from skep.btf.minimise import minimise
from skep.btf.relocation import Resolver
from skep.objects import Spec, read

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def program() -> Spec:
    return read((HERE / "relocation" / "program.bpf.o").read_bytes())


@pytest.fixture(scope="module")
def kernel() -> Btf:
    btf = read((HERE / "relocation" / "kernel.bpf.o").read_bytes()).btf
    assert btf is not None
    return btf


def asked(spec: Spec) -> Iterator[CoreRelocation]:
    """Every relocation of an object but those that ask for an id, which a smaller BTF cannot keep."""
    for program in spec.programs.values():
        for relocation in program.core_relocations.values():
            if relocation.kind not in (CoreKind.TYPE_ID_LOCAL, CoreKind.TYPE_ID_TARGET):
                yield relocation


def test_every_relocation_has_the_same_answer(program: Spec, kernel: Btf) -> None:
    local = program.btf
    assert local is not None
    relocations = list(asked(program))
    small = minimise([(local, relocations)], kernel)
    before, after = Resolver(local, kernel), Resolver(local, small)
    for relocation in relocations:
        one, other = before.resolve(relocation), after.resolve(relocation)
        assert (one.target.number, one.misfit) == (other.target.number, other.misfit), one.text


def test_each_relocation_alone_has_the_same_answer(program: Spec, kernel: Btf) -> None:
    local = program.btf
    assert local is not None
    whole = Resolver(local, kernel)
    for relocation in asked(program):
        small = minimise([(local, [relocation])], kernel)
        wanted = whole.resolve(relocation)
        assert Resolver(local, small).resolve(relocation).target.number == wanted.target.number, wanted.text
        assert len(small) < len(kernel)


def test_what_nobody_asks_for_is_left_out() -> None:
    builder = BtfBuilder()
    integer = builder.integer("int", 4)
    inner = builder.struct("inner", [("x", integer), ("y", builder.integer("long", 8))])
    thing = builder.struct("thing", [("a", integer), ("in", inner), ("to", builder.pointer(inner))])
    builder.struct("other", [("b", integer)])
    whole = builder.build()
    small = minimise([(whole, [CoreRelocation(0, CoreKind.FIELD_BYTE_OFFSET, thing, "0:1:1")])], whole)
    assert [type.name for type in small][1:] == ["long", "inner", "thing"]
    found = small.find("thing")
    assert found
    assert [member.name for member in small.members(found)] == ["in"]
    assert small.size_of(found) == whole.size_of(thing)


def test_nothing_asked_is_nothing_kept(kernel: Btf) -> None:
    assert len(minimise([], kernel)) == 1
