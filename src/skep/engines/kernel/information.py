"""What the kernel tells of a loaded program, map, BTF or link, and the ids of all that are loaded.

Source: ``bpf_prog_info``, ``bpf_map_info``, ``bpf_btf_info`` and ``bpf_link_info`` in ``include/uapi/linux/bpf.h``.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from ctypes import Array, Structure, addressof, c_char, create_string_buffer, sizeof
from dataclasses import dataclass
from typing import TypeVar

from skep.engines.kernel.attributes import BtfInfo, Command, LinkInfo, MapInfo, ObjectId, ObjectInfo, ProgramInfo
from skep.engines.kernel.rights import Reach
from skep.engines.kernel.syscall import attempt, refusal, request
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec

_Info = TypeVar("_Info", bound=Structure)


@dataclass(frozen=True, slots=True)
class ProgramInformation:
    """A loaded program: ``translated`` is its code after the verifier, ``native`` the JIT's, empty where withheld.

    ``functions`` are the kernel addresses and sizes in bytes of its subprograms in native code. Times are in
    nanoseconds: ``loaded_at`` since boot, ``run_time`` and ``runs`` counted only while kernel.bpf_stats_enabled is
    on.
    """

    id: int
    type: int
    name: str
    tag: bytes
    translated: bytes
    native: bytes
    functions: tuple[tuple[int, int], ...]
    map_ids: tuple[int, ...]
    btf_id: int
    gpl_compatible: bool
    loaded_at: int
    created_by: int
    run_time: int
    runs: int
    recursion_misses: int
    verified_instructions: int


@dataclass(frozen=True, slots=True)
class MapInformation:
    """A loaded map; ``spec`` is its definition as the kernel keeps it."""

    id: int
    spec: MapSpec
    btf_id: int


@dataclass(frozen=True, slots=True)
class BtfInformation:
    """A loaded BTF; ``name`` is ``vmlinux`` or a module where ``of_kernel``, else empty."""

    id: int
    name: str
    of_kernel: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class LinkInformation:
    """An attachment: its type (the kernel's number) and the program that it runs."""

    id: int
    type: int
    program_id: int


#: What can be listed: the command that gives the id after one.
_NEXT_ID = {
    "program": Command.PROG_GET_NEXT_ID,
    "map": Command.MAP_GET_NEXT_ID,
    "btf": Command.BTF_GET_NEXT_ID,
    "link": Command.LINK_GET_NEXT_ID,
}


def loaded_ids(noun: str) -> Iterator[int]:
    """The ids of every ``program``, ``map``, ``btf`` or ``link`` that the kernel holds, rising; needs
    CAP_SYS_ADMIN.
    """
    attribute = ObjectId()
    while True:
        _, number = attempt(_NEXT_ID[noun], attribute)
        if number == errno.ENOENT:
            return
        if number:
            raise refusal(number, f"listing every {noun} of the kernel", Reach.OTHERS)
        attribute.id = attribute.next_id
        yield attribute.next_id


def program_information(fd: int) -> ProgramInformation:
    """What the kernel tells of the program behind ``fd``; raises KernelError."""
    first = _ask(fd, ProgramInfo())
    translated = create_string_buffer(max(first.xlated_prog_len, 1))
    native = create_string_buffer(max(first.jited_prog_len, 1))
    maps = create_string_buffer(max(4 * first.nr_map_ids, 1))
    symbols = create_string_buffer(max(8 * first.nr_jited_ksyms, 1))
    lengths = create_string_buffer(max(4 * first.nr_jited_func_lens, 1))
    info = ProgramInfo(
        xlated_prog_len=first.xlated_prog_len,
        xlated_prog_insns=addressof(translated),
        jited_prog_len=first.jited_prog_len,
        jited_prog_insns=addressof(native),
        nr_map_ids=first.nr_map_ids,
        map_ids=addressof(maps),
        nr_jited_ksyms=first.nr_jited_ksyms,
        jited_ksyms=addressof(symbols),
        nr_jited_func_lens=first.nr_jited_func_lens,
        jited_func_lens=addressof(lengths),
    )
    _ask(fd, info)
    return ProgramInformation(
        id=info.id,
        type=info.type,
        name=info.name.decode("ascii", "replace"),
        tag=bytes(info.tag),
        # The kernel zeroes the pointer instead of filling the buffer when the caller may not see the code.
        translated=translated.raw[: info.xlated_prog_len] if info.xlated_prog_insns else b"",
        native=native.raw[: info.jited_prog_len] if info.jited_prog_insns else b"",
        functions=tuple(
            zip(
                _numbers(symbols, 8, info.nr_jited_ksyms), _numbers(lengths, 4, info.nr_jited_func_lens), strict=False
            )
        ),
        map_ids=_numbers(maps, 4, info.nr_map_ids),
        btf_id=info.btf_id,
        gpl_compatible=bool(info.gpl_compatible & 1),
        loaded_at=info.load_time,
        created_by=info.created_by_uid,
        run_time=info.run_time_ns,
        runs=info.run_cnt,
        recursion_misses=info.recursion_misses,
        verified_instructions=info.verified_insns,
    )


def map_information(fd: int) -> MapInformation:
    """What the kernel tells of the map behind ``fd``; raises KernelError."""
    info = _ask(fd, MapInfo())
    spec = MapSpec(
        name=info.name.decode("ascii", "replace"),
        type=MapType(info.type) if info.type in MapType._value2member_map_ else MapType.UNSPEC,
        key_size=info.key_size,
        value_size=info.value_size,
        max_entries=info.max_entries,
        flags=info.map_flags,
        key_type_id=info.btf_key_type_id,
        value_type_id=info.btf_value_type_id,
        map_extra=info.map_extra,
    )
    return MapInformation(id=info.id, spec=spec, btf_id=info.btf_id)


def btf_information(fd: int, *, with_data: bool = True) -> BtfInformation:
    """What the kernel tells of the BTF behind ``fd``, its bytes included unless ``with_data`` is off."""
    first = _ask(fd, BtfInfo())
    data = create_string_buffer(max(first.btf_size, 1) if with_data else 1)
    name = create_string_buffer(first.name_len + 1)
    info = BtfInfo(name=addressof(name), name_len=len(name))
    if with_data:
        info.btf, info.btf_size = addressof(data), first.btf_size
    _ask(fd, info)
    return BtfInformation(
        id=info.id,
        name=name.value.decode("ascii", "replace"),
        of_kernel=bool(info.kernel_btf),
        data=data.raw[: info.btf_size] if with_data else b"",
    )


def link_information(fd: int) -> LinkInformation:
    """What the kernel tells of the link behind ``fd``."""
    info = _ask(fd, LinkInfo())
    return LinkInformation(id=info.id, type=info.type, program_id=info.prog_id)


def _ask(fd: int, info: _Info) -> _Info:
    attribute = ObjectInfo(bpf_fd=fd, info_len=sizeof(info), info=addressof(info))
    request(Command.OBJ_GET_INFO_BY_FD, attribute, "asking the kernel about an object")
    return info


def _numbers(place: Array[c_char], size: int, count: int) -> tuple[int, ...]:
    return tuple(
        int.from_bytes(place.raw[start : start + size], sys.byteorder) for start in range(0, size * count, size)
    )
