"""BTF is found wherever kernels and those who collect their types keep it."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import os
import random
import struct
import tarfile
import threading
from pathlib import Path

import pytest

from skep.btf import Btf, BtfBuilder
from skep.btf.files import read_btf, section_of
from skep.errors import BtfError, RequestError


def types(byte_order: str = "little") -> Btf:
    builder = BtfBuilder("little" if byte_order == "little" else "big")
    builder.struct("task", [("pid", builder.integer("int", 4, signed=True))])
    return builder.build()


def elf(
    section: bytes, *, bits: int = 64, byte_order: str = "little", machine: int = 62, name: bytes = b".BTF"
) -> bytes:
    """An ELF file that has nothing but one section, as far as it matters."""
    order = "<" if byte_order == "little" else ">"
    wide = bits == 64
    head, entry = (64, 64) if wide else (52, 40)
    names = b"\0" + name + b"\0.shstrtab\0"
    body = section + names
    table = head + len(body)
    identity = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    layout = order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")
    rows = [
        (0, 0, 0, 0),
        (1, 1, head, len(section)),
        (len(name) + 2, 3, head + len(section), len(names)),
    ]
    packed = b"".join(
        struct.pack(order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII"), title, kind, 0, 0, place, size, 0, 0, 1, 0)
        for title, kind, place, size in rows
    )
    header = struct.pack(layout, 2, machine, 1, 0, 0, table, 0, head, 0, 0, entry, len(rows), 2)
    return identity + header + body + packed


def archive(data: bytes, *names: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz") as made:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("bits", "order", "machine"), [*itertools.product((32, 64), ("little", "big"), (3, 62, 183, 22))]
)
def test_an_elf_file_of_any_machine_has_it(tmp_path: Path, bits: int, order: str, machine: int) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(elf(types(order).encode(), bits=bits, byte_order=order, machine=machine))
    found = read_btf(str(file))
    assert list(found) == list(types())
    assert found.byte_order == order


@pytest.mark.parametrize(
    "data",
    [
        types().encode(),
        gzip.compress(types().encode(), mtime=0),
        lzma.compress(elf(types().encode())),
        bz2.compress(types("big").encode()),
        archive(types().encode(), "5.4.0-generic.btf"),
    ],
    ids=["bare", "gzip", "vmlinux in xz", "bzip2", "archive"],
)
def test_it_may_be_bare_or_compressed(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "types"
    file.write_bytes(data)
    assert list(read_btf(str(file))) == list(types())


def test_it_may_come_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(elf(types().encode())))
    writer.start()
    assert list(read_btf(str(pipe))) == list(types())
    writer.join()


def test_a_modules_types_continue_those_of_its_kernel(tmp_path: Path) -> None:
    kernel = types()
    builder = BtfBuilder(base=kernel)
    builder.struct("device", [("task", builder.pointer(kernel.find("task") or 0))])
    file = tmp_path / "module.ko"
    file.write_bytes(elf(builder.build().encode()))
    found = read_btf(str(file), kernel)
    assert found.find("device") == len(kernel) + 1
    assert found.find("task") == kernel.find("task")
    with pytest.raises(BtfError, match=r"module.ko: section .BTF: .*as a module's does"):
        read_btf(str(file))


def test_another_kernels_types_are_no_modules(tmp_path: Path) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(types().encode())
    with pytest.raises(BtfError, match="vmlinux: these types stand alone"):
        read_btf(str(file), types())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "0 bytes long"),
        (b"#!/bin/sh", "not with the magic number"),
        (elf(b"", name=b".text"), "no section .BTF; a kernel has it with CONFIG_DEBUG_INFO_BTF"),
        (elf(types().encode())[:100], "section table does not lie in the file"),
        (b"\x7fELF", "neither 32 nor 64 bit"),
        (gzip.compress(types().encode(), mtime=0)[:20], "starts like gzip and cannot be decompressed"),
        (lzma.compress(types().encode())[:40], "starts like xz and cannot be decompressed"),
        (b"\x28\xb5\x2f\xfd" + bytes(20), "zstd -d"),
        (bytes(0x202) + b"HdrS", "extract-vmlinux"),
        (archive(types().encode(), "a", "b"), "the archive holds 2 files"),
    ],
    ids=[
        "empty",
        "a script",
        "ELF without BTF",
        "ELF cut short",
        "ELF's magic alone",
        "gzip cut short",
        "xz cut short",
        "zstd",
        "a kernel's boot image",
        "an archive of two",
    ],
)
def test_what_is_no_btf_is_said(tmp_path: Path, data: bytes, problem: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    with pytest.raises(BtfError, match=problem) as raised:
        read_btf(str(file))
    assert raised.value.file == str(file)


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(RequestError, match="nowhere: the file cannot be read: No such file"):
        read_btf("nowhere")


def test_damage_of_an_elf_file_ends_in_one_kind_of_error() -> None:
    whole = elf(types().encode())
    random_bytes = random.Random(1)
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(random_bytes.randrange(1, 4)):
            data[random_bytes.randrange(4, len(data))] = random_bytes.randrange(256)
        try:
            section_of(bytes(data[: random_bytes.choice((len(data), random_bytes.randrange(5, len(data))))]))
        except BtfError:
            continue
