"""Helpers that programs of some types could call later than others: since when at the earliest, and at the latest.

Source: which helpers each program type is given by the sources of Linux 6.1 and 6.12, against those of 6.18 (the
table of permissions of ``skep.stdlib``), and what 6.16 answers to a call of each that came between; what came
between two of these is known to that much. Exact versions are those of commits: lookups of sockets by XDP
(c8123ead13a5), socket storage and cookies in tracing (8e4597c627fb, c5dbb89fc2ac), task storage in tracing
(a10787e6d58c), cookies of raw tracepoints (68ca5d4eebb8). What changed for a type before 6.1 is not told beyond
that.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from skep.objects.kinds import ProgramType
from skep.versions.version import KernelVersion

_SOCKETS: Final = (
    "SOCKET_FILTER SCHED_CLS SCHED_ACT XDP CGROUP_SKB LWT_IN LWT_OUT LWT_XMIT SOCK_OPS SK_SKB LWT_SEG6LOCAL "
    "SK_REUSEPORT FLOW_DISSECTOR SK_LOOKUP"
)
_CGROUPS: Final = "CGROUP_SOCK CGROUP_DEVICE CGROUP_SOCK_ADDR CGROUP_SYSCTL CGROUP_SOCKOPT"
_TRACING: Final = "KPROBE TRACEPOINT PERF_EVENT RAW_TRACEPOINT RAW_TRACEPOINT_WRITABLE TRACING"

#: At the earliest, at the latest, helpers (without bpf_), program types.
_ROWS: Final = (
    ("5.0", "5.0", "sk_lookup_tcp sk_lookup_udp sk_release", "XDP"),
    ("5.11", "5.11", "sk_storage_get sk_storage_delete", "TRACING"),
    ("5.12", "5.12", "get_socket_cookie", "TRACING"),
    ("5.12", "5.12", "task_storage_get task_storage_delete", _TRACING),
    ("6.10", "6.10", "get_attach_cookie", "RAW_TRACEPOINT RAW_TRACEPOINT_WRITABLE"),
    ("6.2", "6.12", "get_current_ancestor_cgroup_id get_current_cgroup_id get_current_pid_tgid", _SOCKETS),
    ("6.2", "6.12", "get_ns_current_pid_tgid", f"{_SOCKETS} {_CGROUPS} SK_MSG"),
    ("6.2", "6.12", "current_task_under_cgroup", _CGROUPS),
    (
        "6.13",
        "6.16",
        "copy_from_user copy_from_user_task find_vma get_branch_snapshot get_task_stack perf_event_read "
        "perf_event_read_value send_signal send_signal_thread task_storage_delete task_storage_get",
        f"{_SOCKETS} {_CGROUPS} SK_MSG NETFILTER",
    ),
    ("6.13", "6.16", "current_task_under_cgroup get_current_comm", f"{_SOCKETS} SK_MSG NETFILTER"),
    ("6.13", "6.16", "get_current_uid_gid", f"{_SOCKETS} NETFILTER"),
    (
        "6.13",
        "6.16",
        "get_cgroup_classid",
        f"{_TRACING} SOCKET_FILTER XDP CGROUP_SKB SOCK_OPS SK_SKB SK_REUSEPORT FLOW_DISSECTOR LSM SK_LOOKUP SYSCALL "
        "NETFILTER",
    ),
    ("6.13", "6.16", "get_netns_cookie", "SOCKET_FILTER SCHED_CLS SCHED_ACT CGROUP_SKB"),
)

#: By type and helper: since when at the earliest, and since when for sure.
LATER: Final[Mapping[tuple[ProgramType, str], tuple[KernelVersion, KernelVersion]]] = MappingProxyType(
    {
        (ProgramType[type], helper): (KernelVersion.of(earliest), KernelVersion.of(latest))
        for earliest, latest, helpers, types in _ROWS
        for helper in helpers.split()
        for type in types.split()
    }
)
