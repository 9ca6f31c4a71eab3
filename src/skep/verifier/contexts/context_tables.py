"""Contexts and sockets that only the verifier knows: which bytes may be read and written, in which sizes.

Source: Linux 6.18 was asked for every offset, size and direction of each type and attach type. A rule is written as
it was found: ``r4 0-8 24-40`` permits loads of four bytes that start at 0, 4, 24, 28, 32 and 36.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from skep.objects.kinds import AttachType, ProgramType
from skep.verifier.states.register import MAYBE_NULL, TRUSTED, Kind

_T, _A = ProgramType, AttachType


@dataclass(frozen=True, slots=True)
class Table:
    """What may be accessed: (is a store, size) to the offsets permitted, and offset to the pointer found there."""

    permitted: Mapping[tuple[bool, int], frozenset[int]]
    pointers: Mapping[int, tuple[Kind, int]]

    def permits(self, offset: int, size: int, *, store: bool) -> bool:
        """Whether ``size`` bytes at ``offset`` may be loaded, or stored."""
        return offset in self.permitted.get((store, size), ())


def _table(text: str, **pointers: str) -> Table:
    permitted: dict[tuple[bool, int], frozenset[int]] = {}
    for rule in text.split(";"):
        how, *spans = rule.split()
        size = int(how[1])
        offsets: set[int] = set()
        for span in spans:
            start, end = span.split("-")
            offsets.update(range(int(start), int(end), size))
        permitted[how[0] == "w", size] = frozenset(offsets)
    found = {int(name[2:]): _POINTERS[kind] for name, kind in pointers.items()}
    return Table(MappingProxyType(permitted), MappingProxyType(found))


_POINTERS: dict[str, tuple[Kind, int]] = {
    "packet": (Kind.PACKET, 0),
    "packet_end": (Kind.PACKET_END, 0),
    "socket": (Kind.SOCKET, 0),
    "socket_or_null": (Kind.SOCKET, MAYBE_NULL),
    "sock_common_or_null": (Kind.SOCK_COMMON, MAYBE_NULL),
    "object": (Kind.OBJECT, TRUSTED),
    "buffer": (Kind.TRACEPOINT_BUFFER, 0),
}


def _every(start: int, end: int, *, store: bool = False) -> str:
    return ";".join(f"{how}{size} {start}-{end}" for how in ("rw" if store else "r") for size in (1, 2, 4, 8))


_CGROUP_SOCK = _table(
    "r1 4-5 8-9 12-13 48-50 52-73 76-77; r2 4-6 8-10 12-14 48-50 52-74 76-78; r4 0-24 48-80; w4 0-4 16-24"
)
_ADDRESS_4 = _table("r1 4-8 24-28; r2 4-8 24-28; r4 0-8 24-40; r8 64-72; w4 4-8 24-28", at64="socket")
_ADDRESS_6 = _table("r1 8-28; r2 8-28; r4 0-4 8-40; r8 8-24 64-72; w4 8-28; w8 8-24", at64="socket")
_ADDRESS_UNIX = _table("r1 24-28; r2 24-28; r4 0-4 24-40; r8 64-72; w4 24-28", at64="socket")

#: By program type; for some it depends on the attach type, and ``_BY_ATTACH`` goes first.
_TABLES: Mapping[ProgramType, Table] = MappingProxyType(
    {
        _T.KPROBE: _table(_every(0, 168)),
        _T.TRACEPOINT: _table(_every(8, 8192)),
        _T.PERF_EVENT: _table("r1 168-184; r2 168-184; r4 168-184; r8 0-184"),
        _T.RAW_TRACEPOINT: _table(_every(0, 96)),
        _T.RAW_TRACEPOINT_WRITABLE: _table("r1 1-96; r2 2-96; r4 4-96; r8 0-96", at0="buffer"),
        _T.SOCK_OPS: _table(
            "r1 212-213; r2 212-214; r4 0-168 208-216; r8 168-208 216-224; w4 4-8 164-168",
            at184="socket_or_null",
            at192="packet",
            at200="packet_end",
        ),
        _T.SK_SKB: _table(
            "r1 0-8 12-72 84-92 132-140 164-168 176-180; r2 0-8 12-72 84-92 132-140 164-168 176-180;"
            "r4 0-8 12-72 76-140 164-168 176-180; r8 48-64 168-176; w4 32-36 44-48",
            at76="packet",
            at80="packet_end",
            at168="sock_common_or_null",
        ),
        _T.CGROUP_DEVICE: _table("r1 0-4; r2 0-4; r4 0-12"),
        _T.SK_MSG: _table("r4 16-72; r8 0-16 72-80", at0="packet", at8="packet_end", at72="socket"),
        _T.SK_REUSEPORT: _table(
            "r1 16-20 24-32; r2 16-32; r4 16-36; r8 0-16 40-56",
            at0="packet",
            at8="packet_end",
            at40="socket",
            at48="sock_common_or_null",
        ),
        _T.CGROUP_SYSCTL: _table("r1 0-8; r2 0-8; r4 0-8; w4 4-8"),
        _T.SK_LOOKUP: _table("r1 8-68; r2 8-68; r4 8-68; r8 0-8", at0="socket_or_null"),
        _T.NETFILTER: _table("r8 0-16", at0="object", at8="object"),
        _T.SYSCALL: _table(_every(0, 65535, store=True)),
        _T.CGROUP_SOCK: _CGROUP_SOCK,
    }
)

_BY_ATTACH: Mapping[tuple[ProgramType, AttachType], Table] = MappingProxyType(
    {
        (_T.CGROUP_SOCKOPT, _A.CGROUP_GETSOCKOPT): _table(
            "r4 24-40; r8 0-24; w4 32-40", at0="socket", at8="packet", at16="packet_end"
        ),
        (_T.CGROUP_SOCKOPT, _A.CGROUP_SETSOCKOPT): _table(
            "r4 24-36; r8 0-24; w4 24-36", at0="socket", at8="packet", at16="packet_end"
        ),
        (_T.CGROUP_SOCK, _A.CGROUP_INET4_POST_BIND): _table(
            "r1 4-5 8-9 12-13 24-28 44-45 48-50 52-73 76-77; r2 4-6 8-10 12-14 24-28 44-46 48-50 52-74 76-78;"
            "r4 4-16 24-28 44-80"
        ),
        (_T.CGROUP_SOCK, _A.CGROUP_INET6_POST_BIND): _table(
            "r1 4-5 8-9 12-13 28-45 48-50 52-73 76-77; r2 4-6 8-10 12-14 28-46 48-50 52-74 76-78; r4 4-16 28-80"
        ),
        **{
            (_T.CGROUP_SOCK_ADDR, attach): table
            for table, attaches in (
                (
                    _ADDRESS_4,
                    (
                        _A.CGROUP_INET4_BIND,
                        _A.CGROUP_INET4_CONNECT,
                        _A.CGROUP_UDP4_RECVMSG,
                        _A.CGROUP_INET4_GETPEERNAME,
                        _A.CGROUP_INET4_GETSOCKNAME,
                    ),
                ),
                (
                    _ADDRESS_6,
                    (
                        _A.CGROUP_INET6_BIND,
                        _A.CGROUP_INET6_CONNECT,
                        _A.CGROUP_UDP6_RECVMSG,
                        _A.CGROUP_INET6_GETPEERNAME,
                        _A.CGROUP_INET6_GETSOCKNAME,
                    ),
                ),
                (
                    _ADDRESS_UNIX,
                    (
                        _A.CGROUP_UNIX_CONNECT,
                        _A.CGROUP_UNIX_SENDMSG,
                        _A.CGROUP_UNIX_RECVMSG,
                        _A.CGROUP_UNIX_GETPEERNAME,
                        _A.CGROUP_UNIX_GETSOCKNAME,
                    ),
                ),
            )
            for attach in attaches
        },
        (_T.CGROUP_SOCK_ADDR, _A.CGROUP_UDP4_SENDMSG): _table(
            "r1 4-8 24-28 40-44; r2 4-8 24-28 40-44; r4 0-8 24-44; r8 64-72; w4 4-8 24-28 40-44", at64="socket"
        ),
        (_T.CGROUP_SOCK_ADDR, _A.CGROUP_UDP6_SENDMSG): _table(
            "r1 8-28 44-60; r2 8-28 44-60; r4 0-4 8-40 44-60; r8 8-24 48-56 64-72; w4 8-28 44-60; w8 8-24 48-56",
            at64="socket",
        ),
    }
)

#: The kernel's structure behind each pointer of kind OBJECT, by program type and offset.
OBJECTS: Mapping[tuple[ProgramType, int], str] = MappingProxyType(
    {(_T.NETFILTER, 0): "nf_hook_state", (_T.NETFILTER, 8): "sk_buff"}
)

#: By kind of socket.
SOCKETS: Mapping[Kind, Table] = MappingProxyType(
    {
        Kind.SOCK_COMMON: _table("r1 4-5 24-45 48-50 52-73 76-77; r2 4-6 24-46 48-50 52-74 76-78; r4 0-8 24-80"),
        Kind.SOCKET: _table(
            "r1 4-5 8-9 12-13 24-45 48-50 52-73 76-77; r2 4-6 8-10 12-14 24-46 48-50 52-74 76-78; r4 0-80"
        ),
        Kind.TCP_SOCK: _table("r4 0-80 96-112; r8 80-96"),
        Kind.XDP_SOCK: _table("r4 0-4"),
    }
)


def table_of(program: ProgramType, attach_type: AttachType | None) -> Table | None:
    """The table of a type's context, or None where there is none here."""
    if attach_type is not None and (program, attach_type) in _BY_ATTACH:
        return _BY_ATTACH[program, attach_type]
    return _TABLES.get(program)


def all_tables() -> list[tuple[ProgramType, AttachType | None]]:
    """Every program type, and attach type where it matters, that has a table of its own."""
    return [*_BY_ATTACH, *((program, None) for program in _TABLES)]
