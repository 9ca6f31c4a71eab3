"""Hypothesis strategies for BTF: types that refer to each other, layouts that C could have, values that fit."""

from __future__ import annotations

from hypothesis import strategies as st

from skep.btf import (
    Array,
    Btf,
    BtfBuilder,
    Const,
    DataSection,
    DeclTag,
    Enum,
    Enum64,
    Enumerator,
    Float,
    Forward,
    Function,
    FunctionPrototype,
    Int,
    Linkage,
    Member,
    Parameter,
    Pointer,
    Restrict,
    SectionVariable,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Variable,
    Volatile,
)
from skep.btf.values import Value

u32 = st.integers(0, 0xFFFFFFFF)
ids = st.integers(0, 40)
names = st.sampled_from(["", "a", "b", "first", "a_longer_name", "st", "größe"]) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8
)
booleans = st.booleans()
linkages = st.sampled_from(Linkage)


def _members() -> st.SearchStrategy[tuple[Member, ...]]:
    plain = st.builds(Member, names, ids, u32)
    fields = st.builds(Member, names, ids, st.integers(0, 0xFFFFFF), st.integers(1, 255))
    mixed = st.builds(Member, names, ids, st.integers(0, 0xFFFFFF))
    return st.lists(plain, max_size=5).map(tuple) | st.lists(fields | mixed, max_size=5).map(tuple)


#: The last parameter is not one without name and type, which is how BTF writes "...".
_parameters = st.lists(st.builds(Parameter, names, st.integers(1, 40)), max_size=4).map(tuple)

types: st.SearchStrategy[Type] = st.one_of(
    st.builds(Int, names, u32, st.integers(0, 255), st.integers(0, 255), booleans, booleans, booleans),
    st.builds(Float, names, u32),
    st.builds(Pointer, names, ids),
    st.builds(Array, names, ids, ids, u32),
    st.builds(Struct, names, u32, _members()),
    st.builds(Union, names, u32, _members()),
    st.builds(
        Enum, names, u32, st.just(True),
        st.lists(st.builds(Enumerator, names, st.integers(-(1 << 31), (1 << 31) - 1)), max_size=4).map(tuple),
    ),
    st.builds(Enum, names, u32, st.just(False), st.lists(st.builds(Enumerator, names, u32), max_size=4).map(tuple)),
    st.builds(
        Enum64, names, u32, st.just(True),
        st.lists(st.builds(Enumerator, names, st.integers(-(1 << 63), (1 << 63) - 1)), max_size=4).map(tuple),
    ),
    st.builds(
        Enum64, names, u32, st.just(False),
        st.lists(st.builds(Enumerator, names, st.integers(0, (1 << 64) - 1)), max_size=4).map(tuple),
    ),
    st.builds(Forward, names, booleans),
    *(st.builds(kind, names, ids) for kind in (Typedef, Volatile, Const, Restrict)),
    st.builds(TypeTag, names, ids, booleans),
    st.builds(DeclTag, names, ids, st.integers(-1, 10), booleans),
    st.builds(Function, names, ids, linkages),
    st.builds(FunctionPrototype, names, ids, _parameters, booleans),
    st.builds(Variable, names, ids, linkages),
    st.builds(DataSection, names, u32, st.lists(st.builds(SectionVariable, ids, u32, u32), max_size=4).map(tuple)),
)  # fmt: skip


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Btf, int]:
    """BTF and the id of a struct in it that C could have: numbers, bit fields, arrays, structs within, and so on."""
    order = draw(st.sampled_from(["little", "big"]))
    builder = BtfBuilder(order)  # type: ignore[arg-type]
    number_names = {1: ["signed char", "unsigned char"], 2: ["short", "unsigned short"], 4: ["int", "unsigned int"],
                    8: ["long long", "unsigned long long"]}  # fmt: skip
    numbers = [
        builder.integer(name, size, signed=not name.startswith("unsigned"))
        for size, pair in number_names.items()
        for name in pair
    ]
    others = [
        builder.integer("_Bool", 1, is_bool=True),
        builder.pointer(),
        builder.add(Float("double", 8)),
        builder.enum("color", {"RED": 0, "GREEN": 1, "BLUE": 1000}),
        builder.enum("large", {"NONE": -1, "SOME": 1 << 40}, size=8),
        builder.array(builder.integer("char", 1, signed=True), 8),
    ]
    pool = numbers + others
    for index in range(draw(st.integers(1, 4))):
        members: list[tuple[str, int] | tuple[str, int, int]] = []
        for position in range(draw(st.integers(1, 6))):
            name = f"m{position}"
            if draw(booleans):
                type_id = draw(st.sampled_from(numbers))
                size = builder.build().size_of(type_id)
                members.append((name, type_id, draw(st.integers(1, 8 * size))))
            else:
                type_id = draw(st.sampled_from(pool))
                if draw(st.integers(0, 3)) == 0:
                    type_id = builder.array(type_id, draw(st.integers(1, 3)))
                members.append((name, type_id))
        if draw(st.integers(0, 4)) == 0:
            pool.append(builder.union(f"u{index}", [(item[0], item[1]) for item in members]))
        else:
            pool.append(builder.struct(f"s{index}", members))
    return builder.build(), pool[-1]


def values_of(btf: Btf, type_id: int, bits: int = 0) -> st.SearchStrategy[Value]:
    """Values that the type can hold and that decoding gives back as they are."""
    match type := btf.resolve(type_id):
        case Int() if type.is_bool:
            return booleans
        case Int():
            width = bits or 8 * type.size
            return (
                st.integers(-(1 << width - 1), (1 << width - 1) - 1)
                if type.signed
                else st.integers(0, (1 << width) - 1)
            )
        case Pointer():
            return st.integers(0, (1 << 64) - 1)
        case Float():
            return st.floats(allow_nan=False, width=64)
        case Enum() | Enum64():
            return st.sampled_from([value.name for value in type.values])
        case Array() if btf.resolve(type.element).name == "char":
            return st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=type.length)
        case Array():
            return st.lists(values_of(btf, type.element), min_size=type.length, max_size=type.length)
        case Struct():
            return st.fixed_dictionaries(
                {member.name: values_of(btf, member.type, member.bit_size) for member in type.members}
            )
        case Union():
            # Only one member can be chosen; the others are what its bytes happen to mean.
            return st.one_of(
                *(values_of(btf, member.type).map(lambda value, name=member.name: {name: value})  # type: ignore[misc]
                  for member in type.members)
            )  # fmt: skip
    raise AssertionError(type)
