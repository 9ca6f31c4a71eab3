"""BTF read, written and asked: what goes in comes out, and what bpftool reads is what skep reads."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skep.objects
from skep.btf import (
    Array,
    Btf,
    BtfBuilder,
    Composite,
    Const,
    DataSection,
    Enumeration,
    Forward,
    Function,
    FunctionPrototype,
    Int,
    Kind,
    Linkage,
    Member,
    Modifier,
    Pointer,
    Struct,
    Type,
    Typedef,
    Union,
    Variable,
    Void,
)
from skep.errors import BtfError
from tests.btf.strategies import types
from tests.objects.samples import DATA, sample

VMLINUX = Path("/sys/kernel/btf/vmlinux")
needs_vmlinux = pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel offers no BTF of its own")


def built(*items: Type, byte_order: Any = "little", base: Btf | None = None) -> Btf:
    builder = BtfBuilder(byte_order, base)
    for item in items:
        builder.add(item, unique=True)
    return builder.build()


@settings(max_examples=150, deadline=None)
@given(st.lists(types, max_size=10), st.sampled_from(["little", "big"]))
def test_every_type_survives_writing_and_reading(items: list[Type], order: str) -> None:
    btf = built(*items, byte_order=order)
    again = Btf.parse(btf.encode())
    assert list(again) == [Void(), *items]
    assert again.byte_order == order
    assert again.encode() == btf.encode()


@settings(max_examples=50, deadline=None)
@given(st.lists(types, max_size=10))
def test_the_other_byte_order_means_the_same(items: list[Type]) -> None:
    btf = built(*items)
    big = Btf.parse(btf.encode("big"))
    assert big.byte_order == "big"
    assert list(big) == list(btf)
    assert big.encode("little") == btf.encode()


@settings(max_examples=50, deadline=None)
@given(st.lists(types, min_size=1, max_size=6), st.lists(types, min_size=1, max_size=6))
def test_split_btf_continues_its_base(below: list[Type], above: list[Type]) -> None:
    base = built(*below)
    split = Btf.parse(built(*above, base=base).encode(), base)
    assert list(split) == [Void(), *below, *above]
    for name in {item.name for item in (*below, *above)} - {""}:
        assert split.find_all(name) == tuple(
            number for number, item in enumerate((*below, *above), 1) if item.name == name
        )


def test_equal_types_get_one_id() -> None:
    builder = BtfBuilder()
    first = builder.integer("int", 4, signed=True)
    assert builder.integer("int", 4, signed=True) == first
    assert builder.pointer(first) != first
    assert builder.add(Int("int", 4, 32, signed=True), unique=True) != first


def test_structs_are_laid_out_as_c_does_it() -> None:
    builder = BtfBuilder()
    u8, u32, u64 = (builder.integer(f"u{8 * size}", size) for size in (1, 4, 8))
    struct = builder.struct("s", [("a", u8), ("b", u32, 3), ("c", u32, 30), ("d", u64), ("e", u8)])
    btf = builder.build()
    places = [(member.name, member.bit_offset, member.bit_size) for member in btf.members(struct)]
    assert places == [("a", 0, 0), ("b", 8, 3), ("c", 32, 30), ("d", 64, 0), ("e", 128, 0)]
    assert btf.size_of(struct) == 24
    assert btf.align_of(struct) == 8


def test_typedefs_and_qualifiers_are_looked_through() -> None:
    btf = built(
        Int("int", 4, 32, signed=True), Const("", 1), Typedef("number", 2), Array("", 3, 1, 5), Pointer("", 4)
    )
    assert btf.resolve(3) == btf[1]
    assert btf.resolve_id(3) == 1
    assert (btf.size_of(3), btf.size_of(4), btf.size_of(5)) == (4, 20, 8)
    assert btf.align_of(4) == 4


def test_members_of_anonymous_structs_belong_to_the_outer_one() -> None:
    btf = built(
        Int("int", 4, 32, signed=True),
        Struct("", 8, (Member("x", 1, 0), Member("y", 1, 32, 7))),
        Struct("outer", 12, (Member("first", 1, 0), Member("", 2, 32))),
        Typedef("alias", 3),
    )
    found = btf.member(4, "y")
    assert found is not None
    assert (found.type, found.bit_offset, found.bit_size) == (1, 64, 7)
    assert btf.member(4, "z") is None
    assert btf.member(1, "x") is None
    assert [member.name for member in btf.members(4)] == ["first", ""]


def test_names_are_found_by_kind() -> None:
    btf = built(Struct("x"), Typedef("x", 1), Int("prefix_x", 4, 32), Forward("x"))
    assert btf.find("x") == 1
    assert btf.find("x", Kind.TYPEDEF) == 2
    assert btf.find_all("x", Kind.STRUCT, Kind.FWD) == (1, 4)
    assert btf.find("prefix_x", Kind.STRUCT) is None
    assert btf.find("missing") is None


@pytest.mark.parametrize(
    ("items", "type_id", "problem"),
    [
        ((Typedef("a", 1),), 1, "refers to itself"),
        ((Array("", 1, 1, 2),), 1, "refers to itself"),
        ((Forward("f"),), 1, "has no size"),
        ((Pointer("", 9),), 1, None),
        ((Const("", 9),), 1, "there is no type 9; types 0 to 1 exist"),
    ],
)
def test_types_that_make_no_sense_are_refused_when_asked(
    items: tuple[Type, ...], type_id: int, problem: str | None
) -> None:
    btf = built(*items)
    if problem is None:
        assert btf.size_of(type_id) == 8
        return
    with pytest.raises(BtfError, match=problem):
        btf.size_of(type_id)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: data[:1], "too short"),
        (lambda data: data[:20], "too short for its header"),
        (lambda data: b"\0" + data[1:], "not with the magic number 0xeb9f"),
        (lambda data: data[:2] + b"\2" + data[3:], "version 2 is unknown"),
        (lambda data: data[:-1], "the data is cut or damaged"),
        (lambda data: data[:24] + b"\0\0\0\0\0\0\0\x1f" + data[32:], "the unknown kind 31; kinds 1 to 19"),
        (lambda data: data[:24] + b"\0\0\0\0\xff\xff\0\4" + data[32:], "reaches beyond the type section"),
        (lambda data: data[:-1] + b"x", "does not end in a zero byte"),
    ],
)
def test_damaged_btf_is_refused(change: Any, problem: str) -> None:
    data = built(Int("int", 4, 32), Struct("s", 4, (Member("m", 1, 0),))).encode()
    with pytest.raises(BtfError, match=problem):
        Btf.parse(change(data))


def test_the_section_sizes_that_compilers_leave_out_are_filled_in() -> None:
    btf = built(DataSection(".bss"), DataSection(".data", 8), byte_order="big")
    filled = btf.with_section_sizes({".bss": 40, ".data": 9})
    assert [section.size for section in filled if isinstance(section, DataSection)] == [40, 8]


@needs_vmlinux
def test_a_kernel_opens_fast() -> None:
    data = VMLINUX.read_bytes()

    def seconds() -> float:
        start = time.process_time()
        Btf.parse(data).find("task_struct", Kind.STRUCT)
        return time.process_time() - start

    assert min(seconds() for _ in range(3)) < 0.15


@needs_vmlinux
def test_a_kernel_is_read_as_it_is_written() -> None:
    data = VMLINUX.read_bytes()
    btf = Btf.parse(data)
    assert btf.encode() == data
    task = btf.find("task_struct", Kind.STRUCT)
    assert task is not None
    pid = btf.member(task, "pid")
    assert pid is not None
    assert btf.resolve(pid.type) == Int("int", 4, 32, signed=True)


def as_bpftool(type_id: int, item: Type, btf: Btf) -> dict[str, Any]:
    """A type in the words that ``bpftool -j btf dump`` has for it."""
    found: dict[str, Any] = {"id": type_id, "kind": item.kind.name, "name": item.name or "(anon)"}
    match item:
        case Int():
            found |= {"size": item.size, "bits_offset": item.bit_offset, "nr_bits": item.bits,
                      "encoding": "SIGNED" if item.signed else "BOOL" if item.is_bool else "(none)"}  # fmt: skip
        case Pointer() | Modifier():
            found |= {"type_id": item.target}
        case Array():
            found |= {"type_id": item.element, "index_type_id": item.index, "nr_elems": item.length}
        case Composite():
            members = []
            for member in item.members:
                entry = {"name": member.name or "(anon)", "type_id": member.type, "bits_offset": member.bit_offset}
                members.append(entry | ({"bitfield_size": member.bit_size} if member.bit_size else {}))
            found |= {"size": item.size, "vlen": len(members), "members": members}
        case Enumeration():
            values = [{"name": value.name, "val": value.value} for value in item.values]
            found |= {"size": item.size, "encoding": "SIGNED" if item.signed else "UNSIGNED",
                      "vlen": len(values), "values": values}  # fmt: skip
        case Function():
            found |= {"type_id": item.prototype, "linkage": item.linkage.name.lower()}
        case FunctionPrototype():
            parameters = [{"name": entry.name or "(anon)", "type_id": entry.type} for entry in item.parameters]
            parameters += [{"name": "(anon)", "type_id": 0}] * item.variadic
            found |= {"ret_type_id": item.result, "vlen": len(parameters), "params": parameters}
        case Variable():
            linkage = {Linkage.GLOBAL: "global", Linkage.STATIC: "static", Linkage.EXTERN: "extern"}[item.linkage]
            found |= {"type_id": item.type, "linkage": linkage}
        case DataSection():
            variables = [{"type_id": entry.variable, "size": entry.size} for entry in item.variables]
            found |= {"vlen": len(variables), "vars": variables}
        case Forward():
            found |= {"fwd_kind": "union" if item.is_union else "struct"}
    return found


def without_places(entry: dict[str, Any]) -> dict[str, Any]:
    """What bpftool prints, without what it leaves to the loader and skep has filled in."""
    if entry["kind"] == "DATASEC":
        entry = {key: value for key, value in entry.items() if key != "size"}
        entry["vars"] = [{key: item[key] for key in ("type_id", "size")} for item in entry["vars"]]
    return entry


@pytest.mark.skipif(not shutil.which("bpftool"), reason="bpftool is not installed")
@pytest.mark.parametrize("name", ["maps", "data", "functions", "externs", "core", "struct_ops"])
def test_bpftool_reads_the_same(name: str) -> None:
    command = ["bpftool", "-j", "btf", "dump", "file", str(DATA / f"{name}.bpf.o")]
    printed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["types"]
    btf = sample(name).btf
    assert btf is not None
    own = [as_bpftool(number, btf[number], btf) for number in range(1, len(btf))]
    assert own == [without_places(entry) for entry in printed]


@pytest.mark.skipif(not shutil.which("bpftool"), reason="bpftool is not installed")
def test_bpftool_reads_what_was_written(tmp_path: Path) -> None:
    btf = sample("maps").btf
    assert btf is not None
    builder = BtfBuilder()
    for number in range(1, len(btf)):
        builder.add(btf[number], unique=True)
    path = tmp_path / "own.btf"
    path.write_bytes(builder.build().encode())
    result = subprocess.run(["bpftool", "-j", "btf", "dump", "file", str(path)], check=True, capture_output=True)
    printed = json.loads(result.stdout)["types"]
    assert [without_places(entry) for entry in printed] == [
        as_bpftool(number, btf[number], btf) for number in range(1, len(btf))
    ]


def test_objects_have_their_btf() -> None:
    assert skep.objects.open(DATA / "maps.bpf.o").btf is not None


def test_a_name_that_longer_names_end_in_is_found_as_quickly() -> None:
    builder = BtfBuilder()
    names = [f"{start}file" for start in ("", *"abcdefgh")]
    ids = {name: builder.struct(name, []) for name in names[::-1]}
    again = builder.add(Union("file", 0, ()))
    btf = builder.build()
    assert btf.find_all("file") == (ids["file"], again)
    assert btf.find_all("file", Kind.UNION) == (again,)
    assert [btf.find(name) for name in names] == [ids[name] for name in names]
    assert btf.find_all("ile") == ()
