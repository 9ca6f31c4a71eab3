"""CO-RE: what each relocation comes to in another layout, how instructions take it, and what is poisoned or refused.

The numbers of ``relocation/*.bpf.o`` are those of libbpf 1.1, which was given the same two files.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.btf import Btf, BtfBuilder, CoreKind, CoreRelocation
from skep.btf.compatibility import essential_name, fields_compatible, types_compatible, types_match
from skep.btf.minimise import minimise
from skep.btf.relocation import POISON, Resolver, relocate
from skep.btf.types import Forward, Member, Struct
from skep.errors import BtfError, SkepError
from skep.isa import Instruction, Instructions, wide_immediate
from skep.objects import Spec, read

HERE = Path(__file__).parent / "relocation"

#: By program: each relocation in words, and what it comes to in the other layout; None is poison.
EXPECTED: dict[str, list[tuple[str, int | None]]] = {
    "fields": [
        ("offset of struct outer.first", 112),
        ("offset of struct outer.in.b", 32),
        ("offset of struct outer.in.list[2]", 56),
        ("offset of struct outer.pointer", 72),
        ("offset of struct outer.bits2", 100),
        ("offset of struct outer.or", 104),
        ("offset of struct outer.bytes[3]", 123),
        ("offset of struct outer.many[1].list[1]", 212),
        ("size of struct outer.number", 8),
        ("size of struct outer.bits1", 4),
        ("size of struct outer.in", 48),
        ("size of struct outer.bytes", 8),
        ("signedness of struct outer.number", 0),
        ("signedness of struct outer.widened", 1),
        ("signedness of struct outer.signed_bits", 1),
        ("left shift of struct outer.bits2", 54),
        ("right shift of struct outer.bits2", 55),
        ("left shift of struct outer.widened", 0),
        ("right shift of struct outer.signed_bits", 58),
        ("existence of struct outer.gone", 0),
        ("existence of struct outer___other.only_new", 1),
        ("existence of struct outer___other.renamed", 0),
        ("existence of struct missing.x", 0),
        ("offset of struct outer___other.only_new", 376),
        ("offset of struct outer.gone", None),
        ("offset of struct outer___other.number", 88),
        ("offset of struct outer.rest[5]", 385),
    ],
    "types": [
        ("local id of struct outer", 7),
        ("kernel's id of struct outer", 2),
        ("kernel's id of struct missing", 0),
        ("existence of struct outer", 1),
        ("existence of struct missing", 0),
        ("size of struct outer", 384),
        ("size of struct missing", 0),
        ("match of struct matches", 1),
        ("match of struct differs", 0),
        ("existence of typedef nameless", 1),
        ("size of typedef nameless", 16),
        ("existence of enum color", 1),
        ("match of enum color", 0),
        ("size of struct outer___other", 384),
    ],
    "enumerators": [
        ("existence of enum color::RED", 1),
        ("value of enum color::GREEN", 20),
        ("existence of enum color::BLUE", 0),
        ("value of enum color::BLUE", None),
        ("value of enum large::HUGE", 0xABCDEF0123456789),
    ],
}


@pytest.fixture(scope="module")
def program() -> Spec:
    return read((HERE / "program.bpf.o").read_bytes())


@pytest.fixture(scope="module")
def kernel() -> Btf:
    btf = read((HERE / "kernel.bpf.o").read_bytes()).btf
    assert btf is not None
    return btf


def numbers(code: Instructions, slots: list[int]) -> list[int | None]:
    """What the instructions at ``slots`` hold now."""
    found: list[int | None] = []
    for slot in slots:
        if code[slot].imm == POISON:
            found.append(None)
        elif code[slot].is_wide:
            found.append(wide_immediate(code[slot], code[slot + 1]))
        else:
            found.append(code[slot].imm)
    return found


@pytest.mark.parametrize("name", EXPECTED)
def test_relocations_come_to_what_the_reference_loader_says(name: str, program: Spec, kernel: Btf) -> None:
    spec = program[name]
    assert spec.btf is not None
    resolver = Resolver(spec.btf, kernel)
    slots = sorted(spec.core_relocations)
    resolved = [resolver.resolve(spec.core_relocations[slot]) for slot in slots]
    assert [(each.text, each.target.number) for each in resolved] == EXPECTED[name]
    relocated = relocate(spec.instructions, spec.core_relocations, spec.btf, kernel)
    assert numbers(relocated.instructions, slots) == [number for _, number in EXPECTED[name]]
    poisoned = [slot for slot, (_, number) in zip(slots, EXPECTED[name], strict=True) if number is None]
    assert list(relocated.unresolved) == poisoned


def test_loads_and_stores_follow_offset_and_size(program: Spec, kernel: Btf) -> None:
    spec = program["accesses"]
    assert spec.btf is not None
    relocated = relocate(spec.instructions, spec.core_relocations, spec.btf, kernel)
    number, pointer, sign_widened, first, byte = (
        relocated.instructions[slot] for slot in sorted(spec.core_relocations)
    )
    assert (number.opcode, number.offset) == (0x79, 88)  # u32 became u64: the load is of eight bytes
    assert (pointer.opcode, pointer.offset) == (0x79, 72)
    assert sign_widened == Instruction(0x85, imm=POISON)  # a sign would be lost
    assert (first.opcode, first.offset) == (0x63, 112)
    assert (byte.opcode, byte.offset) == (0x71, 125)
    assert "only pointers and unsigned integers can be read in another size" in "".join(relocated.unresolved.values())


def test_the_same_types_change_nothing(program: Spec) -> None:
    spec = program["enumerators"]
    assert spec.btf is not None
    relocated = relocate(spec.instructions, spec.core_relocations, spec.btf, spec.btf)
    assert relocated.instructions == spec.instructions
    assert not relocated.unresolved


def one(kind: CoreKind, type_id: int, access: str = "0") -> dict[int, CoreRelocation]:
    return {0: CoreRelocation(0, kind, type_id, access)}


def pair(*members: tuple[str, str, int], name: str = "thing") -> tuple[Btf, int]:
    """BTF with one struct of integers: name of the member, name of its type, its size."""
    builder = BtfBuilder()
    made = builder.struct(name, [(member, builder.integer(type, size)) for member, type, size in members])
    return builder.build(), made


LOCAL, THING = pair(("a", "int", 4), ("b", "int", 4))
MOVED, _ = pair(("pad", "long", 8), ("b", "int", 4), ("a", "int", 4))
MOVE_4 = Instruction(0xB7, 1, imm=4)


def test_members_are_found_through_anonymous_ones() -> None:
    builder = BtfBuilder()
    integer = builder.integer("int", 4)
    inner = builder.struct("", [("x", integer), ("b", integer)])
    middle = builder.union("", [("y", integer), ("", inner)])
    builder.struct("thing", [("a", integer), ("", middle)])
    found = relocate((MOVE_4,), one(CoreKind.FIELD_BYTE_OFFSET, THING, "0:1"), LOCAL, builder.build())
    assert found.instructions[0].imm == 8


def test_flavours_are_views_of_one_type() -> None:
    local, flavoured = pair(("b", "int", 4), name="thing___old")
    code = (Instruction(0xB7, 1, imm=0),)
    assert relocate(code, one(CoreKind.FIELD_BYTE_OFFSET, flavoured, "0:0"), local, MOVED).instructions[0].imm == 8
    target, _ = pair(("b", "int", 4), ("a", "int", 4), name="thing___of_the_kernel")
    assert relocate((MOVE_4,), one(CoreKind.FIELD_BYTE_OFFSET, THING, "0:1"), LOCAL, target).instructions[0].imm == 0


@pytest.mark.parametrize(
    ("name", "essential"),
    [
        ("task_struct", "task_struct"),
        ("task_struct___old", "task_struct"),
        ("a___b___c", "a___b"),
        ("a____b", "a____b"),
        ("___b", "___b"),
        ("a___", "a___"),
        ("a___b____", "a"),
        ("a____b___c", "a____b"),
        ("", ""),
    ],
)
def test_a_flavour_stands_behind_three_underscores(name: str, essential: str) -> None:
    assert essential_name(name) == essential


def test_candidates_that_disagree_are_ambiguous() -> None:
    builder = BtfBuilder()
    integer, long = builder.integer("int", 4), builder.integer("long", 8)
    builder.struct("thing", [("a", integer), ("b", integer)])
    same = builder.build()
    builder.struct("thing", [("a", long), ("b", integer)])
    both = builder.build()
    assert relocate((MOVE_4,), one(CoreKind.FIELD_BYTE_OFFSET, THING, "0:1"), LOCAL, same).instructions[0].imm == 4
    with pytest.raises(
        BtfError, match=r"offset of struct thing\.b: types 3 and 4 of the kernel .* \(4 at bit 32, 8 at bit 64\)"
    ):
        relocate((MOVE_4,), one(CoreKind.FIELD_BYTE_OFFSET, THING, "0:1"), LOCAL, both)


def test_modules_are_asked_only_for_what_the_kernel_has_not() -> None:
    base, _ = pair(("z", "int", 4), name="other")
    builder = BtfBuilder(base=base)
    integer = builder.integer("int", 4)
    builder.struct("thing", [("b", integer)])
    module = builder.build()
    found = relocate((MOVE_4,), one(CoreKind.FIELD_BYTE_OFFSET, THING, "0:1"), LOCAL, base, lambda: [module])
    assert found.instructions[0].imm == 0

    def refuse() -> list[Btf]:
        raise AssertionError("the kernel has it")

    relocate((MOVE_4,), one(CoreKind.FIELD_BYTE_OFFSET, THING, "0:1"), LOCAL, MOVED, refuse)


def test_both_slots_of_a_wide_load_are_poisoned() -> None:
    code = (Instruction(0x18, 1, imm=4), Instruction(0))
    target, _ = pair(("a", "int", 4))
    relocated = relocate(code, one(CoreKind.FIELD_BYTE_OFFSET, THING, "0:1"), LOCAL, target)
    assert relocated.instructions == (Instruction(0x85, imm=POISON),) * 2
    assert relocated.unresolved == {0: "offset of struct thing.b: the kernel's types do not have it"}


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ((Instruction(0xB7, 1, imm=5),), "the instruction holds 5, where the compiler should have put 4"),
        ((Instruction(0xBF, 1, 2),), "an instruction with opcode 0xbf holds nothing to relocate"),
        ((Instruction(0x18, 1, imm=4),), "opcode 0x18 holds nothing to relocate"),
        ((Instruction(0x69, 1, 2, 4),), None),
        ((), "a relocation of slot 0, and the program has 0"),
    ],
)
def test_an_instruction_that_does_not_fit_is_refused(code: Instructions, problem: str | None) -> None:
    request = one(CoreKind.FIELD_BYTE_OFFSET, THING, "0:1")
    if problem is None:
        # The same size on both sides: whatever the load's own width, only its offset follows.
        assert relocate(code, request, LOCAL, MOVED).instructions[0] == Instruction(0x69, 1, 2, 8)
        return
    with pytest.raises(BtfError, match=problem) as caught:
        relocate(code, request, LOCAL, MOVED)
    assert caught.value.instruction == 0


def test_an_offset_that_a_load_cannot_hold_is_refused() -> None:
    builder = BtfBuilder()
    integer = builder.integer("int", 4)
    builder.struct("thing", [("pad", builder.array(integer, 10_000)), ("b", integer)])
    with pytest.raises(BtfError, match="offset 40000 does not fit the 16 bits of a load or store"):
        relocate((Instruction(0x61, 1, 2, 4),), one(CoreKind.FIELD_BYTE_OFFSET, THING, "0:1"), LOCAL, builder.build())


@pytest.mark.parametrize(
    ("kind", "access"),
    [
        (CoreKind.FIELD_BYTE_OFFSET, "0:7"),
        (CoreKind.FIELD_BYTE_OFFSET, "0:0:0"),
        (CoreKind.FIELD_BYTE_OFFSET, "0:-1"),
        (CoreKind.FIELD_BYTE_OFFSET, ""),
        (CoreKind.FIELD_BYTE_OFFSET, "a:b"),
        (CoreKind.TYPE_SIZE, "0:1"),
        (CoreKind.TYPE_EXISTS, "3"),
        (CoreKind.ENUMVAL_VALUE, "0"),
        (CoreKind.FIELD_SIGNED, "0"),
    ],
)
def test_a_damaged_access_is_refused(kind: CoreKind, access: str) -> None:
    with pytest.raises(BtfError) as caught:
        relocate((MOVE_4,), one(kind, THING, access), LOCAL, MOVED)
    assert caught.value.instruction == 0


def test_an_array_without_length_at_the_end_holds_any_element() -> None:
    def made(*before: str) -> tuple[Btf, int]:
        builder = BtfBuilder()
        integer = builder.integer("int", 4)
        members = [(name, integer) for name in before]
        return_id = builder.struct("thing", [*members, ("rest", builder.array(integer, 0))])
        return builder.build(), return_id

    local, thing = made("a")
    target, _ = made("a", "b")
    code = (Instruction(0xB7, 1, imm=4 + 36),)
    assert relocate(code, one(CoreKind.FIELD_BYTE_OFFSET, thing, "0:1:9"), local, target).instructions[0].imm == 44


def test_behind_a_pointer_a_declaration_stands_for_a_struct() -> None:
    def made(other: str) -> tuple[Btf, int]:
        builder = BtfBuilder()
        integer = builder.integer("int", 4)
        kinds = {
            "struct": lambda: builder.struct("other", [("x", integer)]),
            "union": lambda: builder.union("other", [("x", integer)]),
            "declared struct": lambda: builder.add(Forward("other")),
            "declared union": lambda: builder.add(Forward("other", is_union=True)),
            "another name": lambda: builder.struct("stranger", [("x", integer)]),
            "int": lambda: integer,
        }
        thing = builder.struct("thing", [("to", builder.pointer(kinds[other]()))])
        return builder.build(), thing

    def match(one: str, other: str) -> bool:
        return types_match(*made(one), *made(other))

    assert match("struct", "struct")
    assert match("struct", "declared struct")
    assert match("declared struct", "struct")
    assert match("declared union", "union")
    assert not match("struct", "declared union")
    assert not match("declared struct", "declared union")
    assert not match("struct", "another name")
    assert not match("int", "struct")


def test_types_are_compatible_by_shape_and_match_by_names_too() -> None:
    def made(size: int, name: str, signed: bool = False) -> tuple[Btf, int]:
        builder = BtfBuilder()
        integer = builder.integer(name, size, signed=signed)
        function = builder.function("f", integer, [("x", builder.array(integer, 3)), ("y", builder.pointer(integer))])
        return builder.build(), builder.build()[function].prototype  # type: ignore[attr-defined]

    assert types_compatible(*made(4, "int"), *made(8, "long"))
    assert not types_match(*made(4, "int"), *made(8, "int"))
    assert not types_match(*made(4, "int"), *made(4, "int", signed=True))
    assert not types_match(*made(4, "int"), *made(4, "unsigned"))
    assert types_match(*made(4, "int"), *made(4, "int"))
    assert fields_compatible(*made(4, "int"), *made(4, "int")) is False  # a prototype is no field


def test_a_struct_that_contains_itself_ends() -> None:
    builder = BtfBuilder()
    thing = builder.struct("thing", [("a", builder.integer("int", 4))])
    builder.replace(thing, Struct("thing", 4, (Member("", thing, 0),)))
    target = builder.build()
    with pytest.raises(BtfError, match="nests deeper"):
        types_match(target, thing, target, thing)
    code = (Instruction(0xB7, 1, imm=1),)
    assert relocate(code, one(CoreKind.FIELD_EXISTS, THING, "0:0"), LOCAL, target).instructions[0].imm == 0


def test_types_that_contain_each_other_many_times_end_soon() -> None:
    builder = BtfBuilder()
    inner = builder.integer("int", 4)
    for _ in range(30):
        inner = builder.add(Struct("", 4, tuple(Member("", inner, 0) for _ in range(3))), unique=True)
    thing = builder.add(Struct("thing", 4, (Member("", inner, 0),)))
    target = builder.build()
    code = (Instruction(0xB7, 1, imm=1),)
    assert relocate(code, one(CoreKind.FIELD_EXISTS, THING, "0:0"), LOCAL, target).instructions[0].imm == 0
    other = BtfBuilder()
    inner = other.integer("long", 8)
    for _ in range(30):
        inner = other.add(Struct("", 4, tuple(Member("", inner, 0) for _ in range(3))), unique=True)
    with pytest.raises(BtfError, match="the data is damaged"):
        types_match(other.build(), inner, target, thing - 1)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damaged_types_end_in_an_answer_or_an_error(data: st.DataObject, program: Spec, kernel: Btf) -> None:
    assert program.btf is not None

    def damaged(btf: Btf) -> Btf:
        encoded = bytearray(btf.encode())
        end = 24 + int.from_bytes(encoded[12:16], "little")
        for place in data.draw(st.lists(st.integers(24, end - 1), max_size=3)):
            encoded[place] = data.draw(st.sampled_from((0, 1, 2, 255)))
        return Btf.parse(bytes(encoded))

    with suppress(SkepError):
        local, target = damaged(program.btf), damaged(kernel)
        for spec in program.programs.values():
            with suppress(SkepError):
                relocate(spec.instructions, spec.core_relocations, local, target)
            with suppress(SkepError):
                minimise([(local, list(spec.core_relocations.values()))], target)
