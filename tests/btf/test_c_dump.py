"""BTF printed as C compiles, and the compiler lays every type out as BTF says."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings

from skep.btf import (
    Btf,
    BtfBuilder,
    Composite,
    Forward,
    FunctionPrototype,
    Int,
    Kind,
    Member,
    Parameter,
    Pointer,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
)
from skep.btf.c_dump import dump_c
from skep.errors import BtfError
from tests.btf.strategies import layouts
from tests.objects.samples import SAMPLES, clangs, sample

VMLINUX = Path("/sys/kernel/btf/vmlinux")
needs_clang = pytest.mark.skipif(not clangs(), reason="clang is not installed")


def compile_c(text: str) -> None:
    # The names that compilers give to built-in functions may stand in BTF with another type.
    command = [clangs()[-1], "-target", "bpf", "-fsyntax-only", "-Werror", "-fno-builtin", "-x", "c", "-"]
    result = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr[:3000]


def assertions(btf: Btf, type_ids: Iterable[int]) -> str:
    """C that does not compile unless size and members of these types are where BTF has them."""
    lines = []
    for type_id in type_ids:
        type = btf[type_id]
        if not isinstance(type, Composite) or not type.name:
            continue
        name = f"{'struct' if isinstance(type, Struct) else 'union'} {type.name}"
        lines.append(f'_Static_assert(sizeof({name}) == {type.size}, "{name}");')
        for member in type.members:
            if member.name and not member.bit_size:
                where = f"__builtin_offsetof({name}, {member.name})"
                lines.append(f'_Static_assert(8 * {where} == {member.bit_offset}, "{name}.{member.name}");')
    return "\n".join(lines)


@needs_clang
@pytest.mark.parametrize("name", [name for name in SAMPLES if "plain" not in name])
def test_the_types_of_objects_compile(name: str) -> None:
    btf = sample(name).btf
    assert btf is not None
    compile_c(dump_c(btf) + assertions(btf, range(1, len(btf))))


@needs_clang
@pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel offers no BTF of its own")
def test_types_of_the_kernel_compile_with_all_they_need() -> None:
    btf = Btf.parse(VMLINUX.read_bytes())
    names = ("task_struct", "sk_buff", "bpf_prog", "tcp_sock", "inode", "xdp_buff", "bpf_verifier_env", "iphdr")
    type_ids = [found for name in names if (found := btf.find(name, Kind.STRUCT)) is not None]
    compile_c(dump_c(btf, type_ids) + assertions(btf, type_ids))


@needs_clang
@settings(max_examples=25, deadline=None)
@given(layouts())
def test_any_layout_compiles_to_itself(layout: tuple[Btf, int]) -> None:
    btf, _ = layout
    if btf.byte_order == "little":
        compile_c(dump_c(btf) + assertions(btf, range(1, len(btf))))


def dumped(*types: Type) -> str:
    builder = BtfBuilder()
    for type in types:
        builder.add(type, unique=True)
    return dump_c(builder.build())


def test_declarators_read_inside_out() -> None:
    builder = BtfBuilder()
    number = builder.integer("int", 4, signed=True)
    function = builder.add(FunctionPrototype("", number, (Parameter("x", number),)))
    handlers = builder.array(builder.pointer(function), 3)
    row = builder.pointer(builder.array(number, 2))
    builder.struct("s", [("handlers", handlers), ("row", row), ("plain", builder.pointer(builder.pointer()))])
    text = dump_c(builder.build())
    assert "int (*handlers[3])(int x);" in text
    assert "int (*row)[2];" in text
    assert "void **plain;" in text


def test_a_struct_behind_a_pointer_is_only_declared() -> None:
    text = dumped(
        Struct("a", 8, (Member("b", 2, 0),)),
        Pointer("", 3),
        Struct("b", 8, (Member("a", 4, 0),)),
        Pointer("", 1),
    )
    assert text.index("struct b;") < text.index("struct a {") < text.index("struct b {")


def test_a_struct_within_comes_first() -> None:
    text = dumped(
        Struct("outer", 4, (Member("inner", 2, 0),)), Struct("inner", 4, (Member("x", 3, 0),)), Int("int", 4, 32)
    )
    assert text.index("struct inner {") < text.index("struct outer {")


def test_what_c_would_lay_out_otherwise_is_packed_or_filled() -> None:
    u8, u32 = Int("unsigned char", 1, 8), Int("unsigned int", 4, 32)
    text = dumped(u8, u32, Struct("p", 5, (Member("a", 1, 0), Member("b", 2, 8))))
    assert "} __attribute__((packed));" in text
    text = dumped(u8, u32, Struct("f", 16, (Member("a", 1, 0), Member("b", 2, 64))))
    assert "packed" not in text
    assert "unsigned int:32;" in text


def test_names_that_c_cannot_have_twice_are_numbered() -> None:
    text = dumped(Struct("x", 0), Struct("x", 0), Typedef("x", 1), Typedef("x", 2))
    for part in ("struct x {", "struct x___2 {", "typedef struct x x;", "typedef struct x___2 x___2;"):
        assert part in text


def test_names_of_other_languages_become_identifiers() -> None:
    text = dumped(Int("u64", 8, 64), Struct("Option<u64>", 8, (Member("__0", 1, 0),)))
    assert "struct _Option_u64_ {" in text
    assert "unsigned long long __0;" in text


def test_tags_are_attributes() -> None:
    text = dumped(Int("int", 4, 32), TypeTag("user", 1), Pointer("", 2), Struct("s", 8, (Member("p", 3, 0),)))
    assert '__attribute__((btf_type_tag("user"))) int *p;' in text


def test_a_struct_that_contains_itself_is_refused() -> None:
    with pytest.raises(BtfError, match="contains itself"):
        dumped(Struct("s", 4, (Member("s", 1, 0),)))
    with pytest.raises(BtfError, match="the data is damaged"):
        dumped(Typedef("t", 2), Pointer("", 1), Union("u", 8, (Member("t", 1, 0),)))


def test_an_unknown_struct_is_declared() -> None:
    assert "struct f;" in dumped(Forward("f"), Pointer("", 1), Typedef("handle", 2))


@pytest.mark.skipif(not shutil.which("bpftool"), reason="bpftool is not installed")
def test_bpftool_prints_the_same_definitions(tmp_path: Path) -> None:
    btf = sample("data").btf
    assert btf is not None
    path = tmp_path / "own.btf"
    path.write_bytes(btf.encode())
    command = ["bpftool", "btf", "dump", "file", str(path), "format", "c"]
    theirs = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def words(text: str, keyword: str) -> set[str]:
        return {line.split("{")[0].strip() for line in text.splitlines() if line.startswith(keyword)}

    own = dump_c(btf)
    for keyword in ("struct", "enum", "typedef"):
        assert words(own, keyword) - words(theirs, keyword) == set()
