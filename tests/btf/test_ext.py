"""BTF.ext read and written: what types say about instructions."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.btf import BtfBuilder, BtfExt, CoreKind, CoreRelocation, FunctionInfo, LineInfo
from skep.errors import BtfError

slots = st.integers(0, 1 << 20)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
sections = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=8)
type_ids = st.integers(0, 1 << 20)


def groups(records: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(sections, st.lists(records, min_size=1, max_size=4).map(tuple), max_size=3)


exts = st.builds(
    BtfExt,
    functions=groups(st.builds(FunctionInfo, slots, type_ids)),
    lines=groups(st.builds(LineInfo, slots, texts, texts, st.integers(0, (1 << 22) - 1), st.integers(0, 1023))),
    core_relocations=groups(st.builds(CoreRelocation, slots, st.sampled_from(CoreKind), type_ids, texts)),
)


@settings(max_examples=100, deadline=None)
@given(exts, st.sampled_from(["little", "big"]))
def test_records_survive_writing_and_reading(ext: BtfExt, order: str) -> None:
    builder = BtfBuilder(order)  # type: ignore[arg-type]
    data = ext.encode(builder.string, order)  # type: ignore[arg-type]
    assert BtfExt.parse(data, builder.build()) == ext


def test_all_kinds_of_relocation_have_the_kernels_numbers() -> None:
    assert [kind.name for kind in CoreKind] == [
        "FIELD_BYTE_OFFSET", "FIELD_BYTE_SIZE", "FIELD_EXISTS", "FIELD_SIGNED", "FIELD_LSHIFT_U64",
        "FIELD_RSHIFT_U64", "TYPE_ID_LOCAL", "TYPE_ID_TARGET", "TYPE_EXISTS", "TYPE_SIZE", "ENUMVAL_EXISTS",
        "ENUMVAL_VALUE", "TYPE_MATCHES",
    ]  # fmt: skip
    assert list(CoreKind) == list(range(13))


def sample() -> tuple[bytes, BtfBuilder]:
    builder = BtfBuilder()
    ext = BtfExt(
        functions={"xdp": (FunctionInfo(0, 1),)},
        lines={"xdp": (LineInfo(0, "a.c", "x", 1, 2),)},
        core_relocations={"xdp": (CoreRelocation(0, CoreKind.TYPE_SIZE, 1, "0"),)},
    )
    return ext.encode(builder.string), builder


@pytest.mark.parametrize(
    ("at", "value", "problem"),
    [
        (0, 0, "not with the magic number"),
        (2, 9, "version 9 is unknown"),
        (4, 4096, "the header of BTF.ext claims 4096 bytes"),
        (12, 1 << 30, "the function information ends at byte"),
        (32, 2, "a function record of 2 bytes is impossible"),
        (40, 1 << 30, "claims 1073741824 records"),
        (44, 3, "speaks of byte 3, inside an instruction"),
        (36, 1 << 30, "string offset"),
    ],
)
def test_damage_is_refused(at: int, value: int, problem: str) -> None:
    data, builder = sample()
    changed = bytearray(data)
    width = {0: 2, 2: 1}.get(at, 4)
    changed[at : at + width] = value.to_bytes(width, "little")
    with pytest.raises(BtfError, match=problem):
        BtfExt.parse(bytes(changed), builder.build())


def test_an_unknown_relocation_is_refused() -> None:
    data, builder = sample()
    with pytest.raises(BtfError, match="relocation kind 77 is unknown"):
        BtfExt.parse(data[:-4] + struct.pack("<I", 77), builder.build())


def test_a_header_without_relocations_is_read() -> None:
    builder = BtfBuilder()
    assert BtfExt.parse(struct.pack("<HBBI4I", 0xEB9F, 1, 0, 24, 0, 0, 0, 0), builder.build()) == BtfExt()
