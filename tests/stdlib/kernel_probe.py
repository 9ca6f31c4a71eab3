"""Asks the running kernel what it knows of its helpers: who may call each, and which arguments it accepts.

One small program a question. ``permitted`` loads a bare call under a program type and reads whether the verifier
refuses the helper itself. ``complaint`` loads a call with given arguments: the verifier checks them in order, so
an argument was accepted if the complaint is about a later one that was left uninitialised, or if there is none.

Run as a script it prints the permissions as measured: ``python -m tests.stdlib.kernel_probe [--without-perfmon]``.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from skep.isa.instruction import Instruction
from skep.objects.kinds import AttachType, MapType, ProgramType
from skep.stdlib import prototypes
from tests.programs import kernel_oracle as kernel

Code = tuple[Instruction, ...]
_CAPABILITY_VERSION = 0x20080522
_CAP_NET_ADMIN, _CAP_BPF = 12, 39
_READ_ONLY_FOR_PROGRAMS = 1 << 7
_SLEEPABLE = 1 << 4
_FUNC, _STRUCT, _TYPEDEF = 12, 4, 8
EXIT: Code = (Instruction(0xB7, 0, 0, 0, 1), Instruction(0x95))


def call(number: int) -> Instruction:
    return Instruction(0x85, 0, 0, 0, number)


@dataclass(frozen=True, slots=True)
class Site:
    """How to load a program of a type: with which attach type and flags, and which kernel type it is attached to."""

    program: ProgramType
    attach: AttachType | None = None
    flags: int = 0
    target: tuple[int, str] | None = None

    def load(self, code: Sequence[Instruction], license: str = "GPL", log_level: int = 1) -> kernel.Answer:
        answer = kernel.load(
            self.program,
            code,
            attach_type=self.attach or 0,
            attach_btf_id=_type_id(*self.target) if self.target else 0,
            flags=self.flags,
            license=license,
            log_level=log_level,
        )
        if answer.accepted:
            os.close(answer.fd)
        return answer


def _sites() -> Iterator[Site]:
    plain = (
        "SOCKET_FILTER KPROBE SCHED_CLS SCHED_ACT TRACEPOINT XDP PERF_EVENT CGROUP_SKB CGROUP_SOCK LWT_IN LWT_OUT "
        "LWT_XMIT SOCK_OPS SK_SKB SK_MSG RAW_TRACEPOINT LWT_SEG6LOCAL SK_REUSEPORT FLOW_DISSECTOR "
        "RAW_TRACEPOINT_WRITABLE"
    )
    for name in plain.split():
        yield Site(ProgramType[name])
    for program, prefixes in (
        (ProgramType.CGROUP_SOCK_ADDR, r"CGROUP_(INET|UDP|UNIX).*(BIND|CONNECT|MSG|NAME)$(?<!POST_BIND)"),
        (ProgramType.CGROUP_SOCKOPT, r"CGROUP_[GS]ETSOCKOPT"),
        (ProgramType.CGROUP_DEVICE, r"CGROUP_DEVICE"),
        (ProgramType.CGROUP_SYSCTL, r"CGROUP_SYSCTL"),
        (ProgramType.SK_LOOKUP, r"SK_LOOKUP"),
        (ProgramType.NETFILTER, r"NETFILTER"),
        (ProgramType.SCHED_CLS, r"TCX_.*|NETKIT_.*"),
        (ProgramType.XDP, r"XDP_.*"),
    ):
        for attach in AttachType:
            if re.fullmatch(prefixes, attach.name):
                yield Site(program, attach)
    yield Site(ProgramType.TRACING, AttachType.TRACE_ITER, target=(_FUNC, "bpf_iter_tcp"))
    yield Site(ProgramType.TRACING, AttachType.TRACE_RAW_TP, target=(_TYPEDEF, "btf_trace_sched_switch"))
    yield Site(ProgramType.STRUCT_OPS, target=(_STRUCT, "tcp_congestion_ops"))
    yield Site(ProgramType.SYSCALL, flags=_SLEEPABLE)


SITES = tuple(_sites())


@functools.cache
def _type_ids() -> dict[tuple[int, str], int]:
    """The ids of the kernel's named types by BTF kind and name."""
    data = Path("/sys/kernel/btf/vmlinux").read_bytes()
    header, type_start, type_size, string_start = struct.unpack_from("<4xIIII", data)
    tails = {1: 4, 3: 12, 14: 4, 17: 4, 19: 0}
    elements = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
    ids, at, strings = {}, header + type_start, header + string_start
    identity = 1
    while at < header + type_start + type_size:
        name, info = struct.unpack_from("<II", data, at)
        kind, count = info >> 24 & 0x1F, info & 0xFFFF
        if kind in (_FUNC, _STRUCT, _TYPEDEF):
            end = data.index(b"\0", strings + name)
            ids[kind, data[strings + name : end].decode()] = identity
        at += 12 + tails.get(kind, 0) + elements.get(kind, 0) * count
        identity += 1
    return ids


def _type_id(kind: int, name: str) -> int:
    return _type_ids().get((kind, name), 0)


def permitted(site: Site, number: int) -> bool | None:
    """Whether the kernel lets such a program call the helper; None if it does not load such programs at all."""
    answer = site.load((call(number), *EXIT))
    if answer.accepted:
        return True
    if "program of this type cannot use helper" in answer.log or "invalid func" in answer.log:
        return False
    return True if "call" in answer.log or "!read_ok" in answer.log or "At program exit" in answer.log else None


def gpl_only(site: Site, number: int) -> bool:
    return "GPL-restricted" in site.load((call(number), *EXIT), license="Proprietary").log


def might_sleep(site: Site, number: int) -> bool:
    return "might sleep" in site.load((call(number), *EXIT)).log


@dataclass(frozen=True, slots=True)
class Values:
    """What to pass: each makes a register hold one kind of value. Stack from -64 is initialised, below it is not."""

    map_fd: int
    read_only_fd: int

    def _map(self, register: int, fd: int) -> Code:
        return (Instruction(0x18, register, 1, 0, fd), Instruction(0))

    @property
    def prelude(self) -> Code:
        """Context, map value, read-only map value and an unknown number in r6 to r9; r1 to r5 unset."""
        code: list[Instruction] = [Instruction(0xBF, 6, 1)]
        code += [Instruction(0x7A, 10, 0, -8 * slot, 0) for slot in range(1, 9)]
        for register, fd in ((7, self.map_fd), (8, self.read_only_fd)):
            code += self._map(1, fd)
            code += [Instruction(0xBF, 2, 10), Instruction(0x07, 2, 0, 0, -8), call(1)]
            code += [Instruction(0x55, 0, 0, 2), *EXIT, Instruction(0xBF, register, 0)]
        return (*code, Instruction(0x79, 9, 7), call(prototypes.number("get_prandom_u32")))

    def __getitem__(self, name: str) -> Callable[[int], Code]:
        return {
            "context": lambda r: (Instruction(0xBF, r, 6),),
            "map": lambda r: self._map(r, self.map_fd),
            "stack": lambda r: (Instruction(0xBF, r, 10), Instruction(0x07, r, 0, 0, -64)),
            "map value": lambda r: (Instruction(0xBF, r, 7),),
            "read-only": lambda r: (Instruction(0xBF, r, 8),),
            "null": lambda r: (Instruction(0xB7, r),),
            "eight": lambda r: (Instruction(0xB7, r, 0, 0, 8),),
            "unknown": lambda r: (Instruction(0xBF, r, 9),),
        }[name]


@contextmanager
def values() -> Iterator[Values]:
    with (
        kernel.created_map(MapType.ARRAY, 4, 64, 4) as writable,
        kernel.created_map(MapType.ARRAY, 4, 64, 4, _READ_ONLY_FOR_PROGRAMS) as read_only,
    ):
        yield Values(writable, read_only)


def complaint(site: Site, held: Values, number: int, arguments: Sequence[str]) -> str:
    """What the verifier says of a call with these arguments, the others unset; "" if it accepts it."""
    code = list(held.prelude)
    for register, argument in enumerate(arguments, 1):
        code += held[argument](register)
    answer = site.load((*code, call(number), *EXIT))
    if answer.accepted:
        return ""
    lines = [line for line in answer.log.splitlines() if not re.match(r"processed |\d+: \(|from |mark_precise", line)]
    return lines[-1] if lines else os.strerror(-answer.fd)


def returned(site: Site, held: Values, number: int, arguments: Sequence[str]) -> str:
    """The state that the verifier shows where r0 is read right after the call, or its complaint."""
    code = list(held.prelude)
    for register, argument in enumerate(arguments, 1):
        code += held[argument](register)
    answer = site.load((*code, call(number), Instruction(0xBF, 3, 0), *EXIT), log_level=2)
    shown = re.search(r"r3 = r0 +; (R0.*)", answer.log)
    return shown[1] if shown else answer.log.rsplit("call bpf_", 1)[-1]


def use_of_packet_after(site: Site, held: Values, number: int, arguments: Sequence[str], data: int, end: int) -> str:
    """What the verifier says where a packet pointer, checked before a call, is read through after it; "" if nothing.

    ``data`` and ``end`` are the offsets of the two pointers in the context.
    """
    code = [*held.prelude, Instruction(0x61, 9, 6, data), Instruction(0x61, 2, 6, end), Instruction(0xBF, 1, 9)]
    code += [Instruction(0x07, 1, 0, 0, 8), Instruction(0xBD, 1, 2, 2), *EXIT]
    for register, argument in enumerate(arguments, 1):
        code += held[argument](register)
    answer = site.load((*code, call(number), Instruction(0x71, 1, 9), *EXIT))
    lines = [line for line in answer.log.splitlines() if not re.match(r"processed |\d+: |from ", line)]
    return "" if answer.accepted else lines[-1]


def give_up_perfmon() -> None:
    """Leave this process the rights to load programs and nothing more, for good."""
    rights = 1 << _CAP_NET_ADMIN | 1 << _CAP_BPF
    low, high = rights & 0xFFFFFFFF, rights >> 32
    header = struct.pack("<Ii", _CAPABILITY_VERSION, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, struct.pack("<6I", low, low, 0, high, high, 0)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    _type_ids()
    if "--without-perfmon" in sys.argv:
        give_up_perfmon()
    for place in SITES:
        if not place.load(EXIT).accepted:
            continue
        names = sorted(name for number, name in prototypes.NAMES.items() if permitted(place, number))
        print(place.program.label, place.attach.label if place.attach else "-", *names)
