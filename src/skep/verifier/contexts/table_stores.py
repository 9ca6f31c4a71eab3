"""Stores to kernel objects by programs of struct_ops tables: each table permits a few members, and no others.

Which they are was asked of Linux 6.18, offset by offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.verifier.contexts.attachment import member_of
from skep.verifier.kernel.kernel_types import KernelType
from skep.verifier.rejection import NotCovered, Rejection

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer

#: Members of ``tcp_sock`` that a congestion control may write, from their start on.
_TCP_MEMBERS: Final = (
    "inet_conn.icsk_inet.sk.sk_pacing_status",
    "inet_conn.icsk_inet.sk.sk_pacing_rate",
    "inet_conn.icsk_ack.pending",
    "inet_conn.icsk_ca_priv",
    "snd_cwnd",
    "snd_cwnd_cnt",
    "snd_cwnd_stamp",
    "snd_ssthresh",
    "ecn_flags",
    "app_limited",
)
#: The one that holds what the program likes, and may be written anywhere inside.
_PRIVATE: Final = "inet_conn.icsk_ca_priv"
_DUMMY_STATE: Final = "bpf_dummy_ops_state"


def check_store(explorer: Explorer, type: KernelType, offset: int, size: int) -> None:
    """Refuse to store ``size`` bytes at ``offset`` of an object unless the program's table permits it."""
    table, _ = member_of(explorer.context.spec)
    if table == "bpf_dummy_ops":
        _check_dummy(type, offset, size)
    elif table == "tcp_congestion_ops":
        _check_tcp(type, offset, size)
    else:
        raise NotCovered(f"stores to kernel objects in programs of {table}")


def _check_dummy(type: KernelType, offset: int, size: int) -> None:
    if type.name != _DUMMY_STATE:
        raise Rejection(f"only access to {_DUMMY_STATE} is supported", type=type.name)
    if offset + size > type.size:
        raise Rejection(f"write access at off {offset} with size {size}", type=type.name)


def _check_tcp(type: KernelType, offset: int, size: int) -> None:
    if type.name != "tcp_sock":
        raise Rejection("only read is supported", type=type.name)
    for path in _TCP_MEMBERS:
        start, end = _place(type, path)
        if not (start <= offset < end if path == _PRIVATE else offset == start):
            continue
        if offset + size > end:
            raise Rejection(
                f"write access at off {offset} with size {size} beyond the member of tcp_sock ended at {end}",
                type=type.name,
            )
        return
    raise Rejection(f"no write support to tcp_sock at off {offset}", type=type.name)


def _place(type: KernelType, path: str) -> tuple[int, int]:
    """Where a member starts and ends in a structure."""
    bits, here, length = 0, type.id, 0
    for name in path.split("."):
        member = type.btf.member(here, name)
        if member is None:
            return -1, -1
        bits += member.bit_offset
        here = member.type
        # A bit field has no size of its own: it is written with the byte that it starts in.
        length = -(-member.bit_size // 8) if member.bit_size else type.btf.size_of(here)
    return bits // 8, bits // 8 + length
