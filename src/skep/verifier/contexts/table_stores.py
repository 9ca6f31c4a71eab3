"""Stores to kernel objects by programs of struct_ops tables: each table permits a few members, and no others.

Which they are was asked of Linux 6.18, offset by offset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from skep.verifier.contexts.program_tables import member_of
from skep.verifier.kernel.kernel_types import KernelType
from skep.verifier.rejection import NotCovered, Rejection

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer

#: By table and structure, the members that a program may write: from their start on, those behind ``*`` anywhere
#: inside.
_MEMBERS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "tcp_congestion_ops": MappingProxyType(
            {
                "tcp_sock": (
                    "inet_conn.icsk_inet.sk.sk_pacing_status",
                    "inet_conn.icsk_inet.sk.sk_pacing_rate",
                    "inet_conn.icsk_ack.pending",
                    "*inet_conn.icsk_ca_priv",
                    "snd_cwnd",
                    "snd_cwnd_cnt",
                    "snd_cwnd_stamp",
                    "snd_ssthresh",
                    "ecn_flags",
                    "app_limited",
                )
            }
        ),
        "Qdisc_ops": MappingProxyType(
            {
                "Qdisc": ("limit", "q.qlen", "*qstats"),
                "sk_buff": ("tstamp", "*cb.data"),
            }
        ),
    }
)
#: What the bytes that a structure keeps for others are to a table's programs: by structure and member, the structure
#: in it.
_SEEN_AS: Final = {("sk_buff", "cb"): "qdisc_skb_cb"}
_DUMMY_STATE: Final = "bpf_dummy_ops_state"
_TASK_MEMBERS: Final = ("scx.slice", "scx.dsq_vtime", "scx.disallow")
#: Texts of a device may be written but for the last byte, which ends them.
_DEVICE_MEMBERS: Final = {"hid_device": ("name", "uniq", "phys"), "hid_bpf_ctx": ("retval",)}


def check_store(explorer: Explorer, type: KernelType, offset: int, size: int) -> None:
    """Refuse to store ``size`` bytes at ``offset`` of an object unless the program's table permits it."""
    table, _ = member_of(explorer.context.spec)
    check = _CHECKS.get(table)
    if check is not None:
        check(type, offset, size)
    elif table in _MEMBERS:
        _check_members(_MEMBERS[table], type, offset, size)
    else:
        raise NotCovered(f"stores to kernel objects in programs of {table}")


def _check_members(permitted: Mapping[str, tuple[str, ...]], type: KernelType, offset: int, size: int) -> None:
    if type.name not in permitted:
        raise Rejection("only read is supported", type=type.name)
    for path in permitted[type.name]:
        start, end = _place(type, path.removeprefix("*"))
        if not (start <= offset < end if path.startswith("*") else offset == start):
            continue
        if offset + size > end:
            raise Rejection(
                f"write access at off {offset} with size {size} beyond the member of {type.name} ended at {end}",
                type=type.name,
            )
        return
    raise Rejection(f"no write support to {type.name} at off {offset}", type=type.name)


def _check_dummy(type: KernelType, offset: int, size: int) -> None:
    if type.name != _DUMMY_STATE:
        raise Rejection(f"only access to {_DUMMY_STATE} is supported", type=type.name)
    if offset + size > type.size:
        raise Rejection(f"write access at off {offset} with size {size}", type=type.name)


def _check_scheduler(type: KernelType, offset: int, size: int) -> None:
    if type.name == "task_struct":
        for path in _TASK_MEMBERS:
            start, end = _place(type, path)
            if start <= offset and offset + size <= end:
                return
    # Linux says nothing of it.
    raise Rejection("", type=type.name)


def _check_device(type: KernelType, offset: int, size: int) -> None:
    """Of a device its texts, of a context what comes back to the kernel."""
    permitted = _DEVICE_MEMBERS.get(type.name)
    if permitted is None:
        raise Rejection("write access to this struct is not supported", type=type.name)
    if offset + size > type.size:
        raise Rejection(f"write access for struct {type.name} at off {offset} with size {size}", type=type.name)
    for name in permitted:
        start, end = _place(type, name)
        if start <= offset and offset + size <= end - (name != "retval"):
            return
    raise Rejection(f"write access at off {offset} with size {size} on read-only part of {type.name}", type=type.name)


_CHECKS: Final[Mapping[str, Callable[[KernelType, int, int], None]]] = MappingProxyType(
    {"bpf_dummy_ops": _check_dummy, "sched_ext_ops": _check_scheduler, "hid_bpf_ops": _check_device}
)


def _place(type: KernelType, path: str) -> tuple[int, int]:
    """Where a member starts and ends in a structure, -1 where it has none of that name."""
    bits, here, length = 0, type.id, 0
    owner = type.name
    for name in path.split("."):
        field = type.btf.member(here, name)
        if field is None:
            return -1, -1
        bits += field.bit_offset
        seen_as = _SEEN_AS.get((owner, name))
        here = field.type if seen_as is None else type.table.struct(seen_as).id
        # A bit field has no size of its own: it is written with the byte that it starts in.
        length = -(-field.bit_size // 8) if field.bit_size else type.btf.size_of(here)
        owner = name
    return bits // 8, bits // 8 + length
