"""Where BTF lies in files: bare, as in ``/sys/kernel/btf``; in the section ``.BTF`` of an ELF file; either of them
compressed, or packed into an archive, as collections of kernels' types are.

An ELF file may be for any machine, of 32 or 64 bits and either byte order, stripped or not: nothing of it is read but
its header, the section table, the names of sections and the one section, so that a kernel with all its debug
information costs no more than a small one. Sources: the System V ABI, chapter 4; RFC 1952; the formats of xz and tar.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import mmap
import struct
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from skep.btf.btf import Btf
from skep.errors import BtfError, RequestError, SkepError

_ELF = b"\x7fELF"
#: What a decompressed file may hold at most: a kernel with all its debug information has half of it.
_MOST = 1 << 30
#: Of a section table: more sections than any linker makes, and a name far longer than ``.BTF``.
_MOST_SECTIONS, _LONGEST_NAME = 1 << 20, 64
_NOBITS, _COMPRESSED = 8, 0x800
#: Where a tar archive says that it is one.
_TAR_PLACE, _TAR_MAGIC = 257, b"ustar"
#: Where the image that a boot loader starts says so (Documentation/arch/x86/boot.rst).
_BOOT_PLACE, _BOOT_MAGIC = 0x202, b"HdrS"


@dataclass(frozen=True, slots=True)
class _Packing:
    """A way to compress: how such data starts, its name, and what reads at most so many bytes of it."""

    start: bytes
    name: str
    unpack: Callable[[IO[bytes], int], bytes]


def _gzip(stream: IO[bytes], most: int) -> bytes:
    with gzip.GzipFile(fileobj=stream) as packed:
        return packed.read(most)


def _xz(stream: IO[bytes], most: int) -> bytes:
    with lzma.LZMAFile(stream) as packed:
        return packed.read(most)


def _bzip2(stream: IO[bytes], most: int) -> bytes:
    with bz2.BZ2File(stream) as packed:
        return packed.read(most)


_PACKINGS = (
    _Packing(b"\x1f\x8b", "gzip", _gzip),
    _Packing(b"\xfd7zXZ\0", "xz", _xz),
    _Packing(b"BZh", "bzip2", _bzip2),
)
_ZSTANDARD = b"\x28\xb5\x2f\xfd"

#: By ELF class: the header's fields behind its identification, the place of those that matter in them, and a section
#: header's fields, of which the same are wanted in both: name, type, flags, place, size.
_HEADERS = {1: ("HHIIIIIHHHHHH", "IIIIIIIIII"), 2: ("HHIQQQIHHHHHH", "IIQQQQIIQQ")}
_TABLE, _ENTRY_SIZE, _ENTRIES, _NAMES = 5, 10, 11, 12


def read_btf(file: str, base: Btf | None = None) -> Btf:
    """The BTF in ``file``. ``base`` is what it continues, if it is that of a module.

    Raises RequestError or BtfError, which name the file.
    """
    try:
        with Path(file).open("rb") as stream:
            return _parse(stream if stream.seekable() else io.BytesIO(stream.read(_MOST)), base)
    except OSError as error:
        raise RequestError(f"the file cannot be read: {error.strerror or error}", file=file) from None
    except SkepError as error:
        error.file = file
        raise


def section_of(data: bytes | mmap.mmap) -> bytes:
    """The bytes of the section ``.BTF`` of an ELF file. Raises BtfError where it has none or is damaged."""
    order = {1: "<", 2: ">"}.get(data[5]) if len(data) > 5 else None
    formats = _HEADERS.get(data[4]) if len(data) > 4 else None
    if order is None or formats is None:
        raise BtfError("the ELF header says neither 32 nor 64 bit, or no byte order; the file is damaged", offset=4)
    try:
        header = struct.unpack_from(order + formats[0], data, 16)
        start, size, count, names = (header[place] for place in (_TABLE, _ENTRY_SIZE, _ENTRIES, _NAMES))
        entry = struct.Struct(order + formats[1])
        if start and size == entry.size and not count:
            # More sections than the header has room for: the first entry says how many.
            count = entry.unpack_from(data, start)[5]
        if not start or size != entry.size or not 0 < count < _MOST_SECTIONS or names >= count:
            raise BtfError("the ELF file has no table of sections to look for .BTF in", offset=16)
        table = [entry.unpack_from(data, start + index * size) for index in range(count)]
        strings = table[names][4]
    except (struct.error, OverflowError):
        raise BtfError("the section table does not lie in the file; it is cut or damaged", offset=16) from None
    for name, kind, flags, _, place, length, *_ in table:
        text = data[strings + name : strings + name + _LONGEST_NAME].partition(b"\0")[0]
        if text != b".BTF" or kind == _NOBITS or not length:
            continue
        if flags & _COMPRESSED:
            raise BtfError("the section is compressed; decompress it with objcopy --decompress-debug-sections")
        if place + length > len(data):
            raise BtfError(f"the section ends at byte {place + length} of {len(data)}; the file is cut or damaged")
        return bytes(data[place : place + length])
    raise BtfError(
        "the ELF file has no section .BTF; a kernel has it with CONFIG_DEBUG_INFO_BTF, an object when clang got -g"
    )


def _parse(stream: IO[bytes], base: Btf | None) -> Btf:
    start = stream.read(_BOOT_PLACE + len(_BOOT_MAGIC))
    stream.seek(0)
    if start.startswith(_ELF) and not isinstance(stream, io.BytesIO):
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            return _from_elf(whole, base)
    packing = next((one for one in _PACKINGS if start.startswith(one.start)), None)
    if packing is None:
        return _from_bytes(stream.read(_MOST), base)
    try:
        data = packing.unpack(stream, _MOST + 1)
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, OSError):
        raise BtfError(f"the file starts like {packing.name} and cannot be decompressed; it is damaged") from None
    if len(data) > _MOST:
        raise BtfError(f"the file has over {_MOST} bytes when decompressed; no kernel is that large")
    return _from_bytes(data, base)


def _from_bytes(data: bytes, base: Btf | None) -> Btf:
    """From what is not compressed, or no longer."""
    if data.startswith(_ELF):
        return _from_elf(data, base)
    if data[_TAR_PLACE : _TAR_PLACE + len(_TAR_MAGIC)] == _TAR_MAGIC:
        return _from_bytes(_only_member(data), base)
    if data.startswith(_ZSTANDARD):
        raise BtfError("the file is compressed with zstandard; decompress it first (zstd -d)")
    if data[_BOOT_PLACE : _BOOT_PLACE + len(_BOOT_MAGIC)] == _BOOT_MAGIC:
        raise BtfError(
            "this is a kernel as it is booted, compressed; take the vmlinux out with the kernel's extract-vmlinux"
        )
    found = Btf.parse(data, base)
    # The strings of types that stand alone begin with the empty one; what continues others finds that in them.
    if base is not None and found.stands_alone:
        raise BtfError("these types stand alone, as a kernel's do; a module's would continue those named before")
    return found


def _from_elf(data: bytes | mmap.mmap, base: Btf | None) -> Btf:
    section = section_of(data)
    try:
        return _from_bytes(section, base)
    except BtfError as error:
        error.section = error.section or ".BTF"
        raise


def _only_member(data: bytes) -> bytes:
    """What an archive of one file holds."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            files = [one for one in archive.getmembers() if one.isfile()]
            if len(files) != 1:
                raise BtfError(f"the archive holds {len(files)} files; one with BTF is needed")
            stream = archive.extractfile(files[0])
            assert stream is not None
            inside = stream.read()
    except tarfile.TarError:
        raise BtfError("the archive cannot be read; it is damaged") from None
    if inside[_TAR_PLACE : _TAR_PLACE + len(_TAR_MAGIC)] == _TAR_MAGIC:
        raise BtfError("the archive holds another archive; unpack it first")
    return inside
