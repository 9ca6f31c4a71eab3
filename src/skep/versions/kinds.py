"""Since which version of Linux there are program types, attach types, map types, and flags of maps and programs.

Names are those of the kernel's enumerations, without their prefixes; flags are the numbers that attributes hold.

Source: the commits that added them, as listed by docs.ebpf.io ("eBPF Timeline") up to 6.0; attach types after that
follow the releases' notes. Tests hold the tables against the user-space headers of Linux 4.19, 5.16, 6.1, 6.3, 6.12,
6.13 and later where they are at hand: each shows what existed by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from skep.objects.kinds import AttachType, MapType, ProgramType
from skep.versions.table import by_name
from skep.versions.version import KernelVersion

_PROGRAMS: Final = by_name(
    {
        "3.19": "SOCKET_FILTER",
        "4.1": "KPROBE SCHED_CLS SCHED_ACT",
        "4.7": "TRACEPOINT",
        "4.8": "XDP",
        "4.9": "PERF_EVENT",
        "4.10": "CGROUP_SKB CGROUP_SOCK LWT_IN LWT_OUT LWT_XMIT",
        "4.13": "SOCK_OPS",
        "4.14": "SK_SKB",
        "4.15": "CGROUP_DEVICE",
        "4.17": "SK_MSG RAW_TRACEPOINT CGROUP_SOCK_ADDR",
        "4.18": "LWT_SEG6LOCAL LIRC_MODE2",
        "4.19": "SK_REUSEPORT",
        "4.20": "FLOW_DISSECTOR",
        "5.2": "CGROUP_SYSCTL RAW_TRACEPOINT_WRITABLE",
        "5.3": "CGROUP_SOCKOPT",
        "5.5": "TRACING",
        "5.6": "STRUCT_OPS EXT",
        "5.7": "LSM",
        "5.9": "SK_LOOKUP",
        "5.14": "SYSCALL",
        "6.4": "NETFILTER",
    }
)

_ATTACHES: Final = by_name(
    {
        "4.10": "CGROUP_INET_INGRESS CGROUP_INET_EGRESS CGROUP_INET_SOCK_CREATE",
        "4.13": "CGROUP_SOCK_OPS",
        "4.14": "SK_SKB_STREAM_PARSER SK_SKB_STREAM_VERDICT",
        "4.15": "CGROUP_DEVICE",
        "4.17": (
            "SK_MSG_VERDICT CGROUP_INET4_BIND CGROUP_INET6_BIND CGROUP_INET4_CONNECT CGROUP_INET6_CONNECT "
            "CGROUP_INET4_POST_BIND CGROUP_INET6_POST_BIND"
        ),
        "4.18": "CGROUP_UDP4_SENDMSG CGROUP_UDP6_SENDMSG LIRC_MODE2",
        "4.20": "FLOW_DISSECTOR",
        "5.2": "CGROUP_SYSCTL CGROUP_UDP4_RECVMSG CGROUP_UDP6_RECVMSG",
        "5.3": "CGROUP_GETSOCKOPT CGROUP_SETSOCKOPT",
        "5.5": "TRACE_RAW_TP TRACE_FENTRY TRACE_FEXIT",
        "5.7": "MODIFY_RETURN LSM_MAC",
        "5.8": (
            "TRACE_ITER CGROUP_INET4_GETPEERNAME CGROUP_INET6_GETPEERNAME CGROUP_INET4_GETSOCKNAME "
            "CGROUP_INET6_GETSOCKNAME XDP_DEVMAP"
        ),
        "5.9": "CGROUP_INET_SOCK_RELEASE XDP_CPUMAP SK_LOOKUP XDP",
        "5.13": "SK_SKB_VERDICT",
        "5.14": "SK_REUSEPORT_SELECT SK_REUSEPORT_SELECT_OR_MIGRATE",
        "5.15": "PERF_EVENT",
        "5.18": "TRACE_KPROBE_MULTI",
        "6.0": "LSM_CGROUP",
        "6.4": "STRUCT_OPS NETFILTER",
        "6.6": "TCX_INGRESS TCX_EGRESS TRACE_UPROBE_MULTI",
        "6.7": (
            "CGROUP_UNIX_CONNECT CGROUP_UNIX_SENDMSG CGROUP_UNIX_RECVMSG CGROUP_UNIX_GETPEERNAME "
            "CGROUP_UNIX_GETSOCKNAME NETKIT_PRIMARY NETKIT_PEER"
        ),
        "6.10": "TRACE_KPROBE_SESSION",
        "6.13": "TRACE_UPROBE_SESSION",
    }
)

_MAPS: Final = by_name(
    {
        "3.19": "HASH ARRAY",
        "4.2": "PROG_ARRAY",
        "4.3": "PERF_EVENT_ARRAY",
        "4.6": "PERCPU_HASH PERCPU_ARRAY STACK_TRACE",
        "4.8": "CGROUP_ARRAY",
        "4.10": "LRU_HASH LRU_PERCPU_HASH",
        "4.11": "LPM_TRIE",
        "4.12": "ARRAY_OF_MAPS HASH_OF_MAPS",
        "4.14": "DEVMAP SOCKMAP",
        "4.15": "CPUMAP",
        "4.18": "XSKMAP SOCKHASH",
        "4.19": "CGROUP_STORAGE REUSEPORT_SOCKARRAY",
        "4.20": "PERCPU_CGROUP_STORAGE QUEUE STACK",
        "5.2": "SK_STORAGE",
        "5.4": "DEVMAP_HASH",
        "5.6": "STRUCT_OPS",
        "5.8": "RINGBUF",
        "5.10": "INODE_STORAGE",
        "5.11": "TASK_STORAGE",
        "5.16": "BLOOM_FILTER",
        "6.1": "USER_RINGBUF",
        "6.2": "CGRP_STORAGE",
        "6.9": "ARENA",
    }
)

PROGRAM_TYPES: Final[Mapping[ProgramType, KernelVersion]] = MappingProxyType(
    {ProgramType[name]: since for name, since in _PROGRAMS.items()}
)
ATTACH_TYPES: Final[Mapping[AttachType, KernelVersion]] = MappingProxyType(
    {AttachType[name]: since for name, since in _ATTACHES.items()}
)
MAP_TYPES: Final[Mapping[MapType, KernelVersion]] = MappingProxyType(
    {MapType[name]: since for name, since in _MAPS.items()}
)

#: Attach types without which the program loads and means the same, and what is done there.
LEFT_OUT: Final[Mapping[AttachType, str]] = MappingProxyType(
    {
        AttachType.XDP: "loaders leave it out",
        AttachType.SK_REUSEPORT_SELECT: "older kernels do not look at it",
        AttachType.PERF_EVENT: "perf events attach without it",
        AttachType.STRUCT_OPS: "a table is registered without a link",
        AttachType.TCX_INGRESS: "the program can be attached as a filter of clsact",
        AttachType.TCX_EGRESS: "the program can be attached as a filter of clsact",
    }
)
#: Attach types of which the kernel is told when the program is attached, and not when it is loaded.
WHEN_ATTACHED: Final = frozenset(
    {
        AttachType.CGROUP_INET_INGRESS,
        AttachType.CGROUP_INET_EGRESS,
        AttachType.CGROUP_SOCK_OPS,
        AttachType.CGROUP_DEVICE,
        AttachType.CGROUP_SYSCTL,
        AttachType.FLOW_DISSECTOR,
        AttachType.LIRC_MODE2,
        AttachType.NETFILTER,
        AttachType.NETKIT_PEER,
        AttachType.NETKIT_PRIMARY,
        AttachType.SK_MSG_VERDICT,
        AttachType.SK_SKB_STREAM_PARSER,
        AttachType.SK_SKB_STREAM_VERDICT,
        AttachType.SK_SKB_VERDICT,
        AttachType.TRACE_KPROBE_MULTI,
        AttachType.TRACE_KPROBE_SESSION,
        AttachType.TRACE_UPROBE_MULTI,
        AttachType.TRACE_UPROBE_SESSION,
    }
)

#: Flags with which a map is made: bit, name (without BPF_F_) and version.
MAP_FLAGS: Final = tuple(
    (1 << bit, name, KernelVersion.of(since))
    for bit, name, since in (
        (0, "NO_PREALLOC", "4.6"),
        (1, "NO_COMMON_LRU", "4.10"),
        (2, "NUMA_NODE", "4.14"),
        (3, "RDONLY", "4.15"),
        (4, "WRONLY", "4.15"),
        (5, "STACK_BUILD_ID", "4.17"),
        (6, "ZERO_SEED", "5.0"),
        (7, "RDONLY_PROG", "5.2"),
        (8, "WRONLY_PROG", "5.2"),
        (9, "CLONE", "5.4"),
        (10, "MMAPABLE", "5.5"),
        (11, "PRESERVE_ELEMS", "5.10"),
        (12, "INNER_MAP", "5.10"),
        (13, "LINK", "6.4"),
        (14, "PATH_FD", "6.5"),
        (15, "VTYPE_BTF_OBJ_FD", "6.9"),
        (16, "TOKEN_FD", "6.9"),
        (17, "SEGV_ON_FAULT", "6.9"),
        (18, "NO_USER_CONV", "6.9"),
    )
)

#: Flags with which a program is loaded: bit, name (without BPF_F_) and version.
LOAD_FLAGS: Final = tuple(
    (1 << bit, name, KernelVersion.of(since))
    for bit, name, since in (
        (0, "STRICT_ALIGNMENT", "4.12"),
        (1, "ANY_ALIGNMENT", "5.0"),
        (2, "TEST_RND_HI32", "5.3"),
        (3, "TEST_STATE_FREQ", "5.4"),
        (4, "SLEEPABLE", "5.10"),
        (5, "XDP_HAS_FRAGS", "5.18"),
        (6, "XDP_DEV_BOUND_ONLY", "6.3"),
        (7, "TEST_REG_INVARIANTS", "6.8"),
    )
)

#: Program types whose programs could be made sleepable only later than the flag: uprobes.
SLEEPABLE: Final[Mapping[ProgramType, KernelVersion]] = MappingProxyType({ProgramType.KPROBE: KernelVersion(6, 0)})
