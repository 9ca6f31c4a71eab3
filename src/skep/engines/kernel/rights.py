"""Which right a process lacks when the kernel answers "operation not permitted".

The kernel says only EPERM. What it looked at can be read back: the capabilities of the process, whether they count
(in a user namespace they do not), ``kernel.unprivileged_bpf_disabled``, and the lockdown mode. Sources:
capabilities(7), bpf(2), Documentation/admin-guide/sysctl/kernel.rst; which program types need which capability was
measured by loading one of each type with the capabilities taken away one by one.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from skep.objects.kinds import MapType, ProgramType

CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21
CAP_PERFMON = 38
CAP_BPF = 39

#: Types that act on the network: CAP_NET_ADMIN beside CAP_BPF.
NETWORK = frozenset(
    {
        ProgramType.SCHED_CLS,
        ProgramType.SCHED_ACT,
        ProgramType.XDP,
        ProgramType.LWT_IN,
        ProgramType.LWT_OUT,
        ProgramType.LWT_XMIT,
        ProgramType.LWT_SEG6LOCAL,
        ProgramType.SK_SKB,
        ProgramType.SK_MSG,
        ProgramType.FLOW_DISSECTOR,
        ProgramType.CGROUP_DEVICE,
        ProgramType.CGROUP_SOCK,
        ProgramType.CGROUP_SOCK_ADDR,
        ProgramType.CGROUP_SOCKOPT,
        ProgramType.CGROUP_SYSCTL,
        ProgramType.SOCK_OPS,
        ProgramType.EXT,
        ProgramType.NETFILTER,
    }
)

#: Types that look into the kernel: CAP_PERFMON beside CAP_BPF.
TRACING = frozenset(
    {
        ProgramType.KPROBE,
        ProgramType.TRACEPOINT,
        ProgramType.PERF_EVENT,
        ProgramType.RAW_TRACEPOINT,
        ProgramType.RAW_TRACEPOINT_WRITABLE,
        ProgramType.TRACING,
        ProgramType.LSM,
        ProgramType.STRUCT_OPS,
        ProgramType.EXT,
    }
)

#: Maps that hold devices or sockets: CAP_NET_ADMIN beside CAP_BPF.
NETWORK_MAPS = frozenset(
    {
        MapType.DEVMAP,
        MapType.DEVMAP_HASH,
        MapType.SOCKMAP,
        MapType.SOCKHASH,
        MapType.XSKMAP,
        MapType.REUSEPORT_SOCKARRAY,
    }
)


class Reach(Enum):
    """Requests that reach further than one program or map."""

    #: Looking at objects that other processes made.
    OTHERS = "looking at what others have loaded"


#: What a request is about, which decides the rights that it needs.
Kind = ProgramType | MapType | Reach | None


def capabilities() -> int | None:
    """The effective capabilities of this process as a bit mask, or None where ``/proc`` does not say."""
    for line in _read("/proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return None


def unprivileged_bpf_disabled() -> int | None:
    """The setting of that name: 0 anyone may use bpf(2), 1 or 2 not; None where it cannot be read."""
    text = _read("/proc/sys/kernel/unprivileged_bpf_disabled").strip()
    return int(text) if text.isdecimal() else None


def missing_right(kind: Kind = None) -> str | None:
    """What this process lacks for bpf(2), or for a program or map of ``kind``, half a sentence; None if nothing."""
    held = capabilities()
    if held is None:
        return "this process lacks the rights (CAP_BPF or root), and /proc is not there to say more"

    def lacks(*any_of: int) -> bool:
        return not any(held >> bit & 1 for bit in any_of)

    if lacks(CAP_BPF, CAP_SYS_ADMIN):
        setting = unprivileged_bpf_disabled()
        because = f", because kernel.unprivileged_bpf_disabled is {setting}" if setting else ""
        return f"this process lacks CAP_BPF{because}; run as root or grant it CAP_BPF"
    if _in_user_namespace():
        return (
            "the capabilities of this process are those of a user namespace (a rootless container, say), "
            "which bpf(2) does not honour; run it on the host as root"
        )
    if isinstance(kind, Reach):
        return f"this process lacks CAP_SYS_ADMIN, which {kind.value} needs" if lacks(CAP_SYS_ADMIN) else None
    for capability, name in _needed(kind):
        if kind is not None and lacks(capability, CAP_SYS_ADMIN):
            noun = "programs" if isinstance(kind, ProgramType) else "maps"
            return f"this process lacks {name}, which {noun} of type {kind.label} need beside CAP_BPF"
    mode = lockdown_mode()
    if mode not in ("", "none"):
        return f"the kernel is locked down (/sys/kernel/security/lockdown says {mode})"
    return None


def _needed(kind: ProgramType | MapType | None) -> list[tuple[int, str]]:
    """The capabilities that ``kind`` needs beside CAP_BPF: numbers and names."""
    if isinstance(kind, ProgramType):
        network, tracing = kind in NETWORK, kind in TRACING
    else:
        network, tracing = kind in NETWORK_MAPS, False
    return [(CAP_NET_ADMIN, "CAP_NET_ADMIN")] * network + [(CAP_PERFMON, "CAP_PERFMON")] * tracing


def lockdown_mode() -> str:
    """The kernel's lockdown mode ("none", "integrity", "confidentiality"), empty where it has none."""
    _, bracket, rest = _read("/sys/kernel/security/lockdown").partition("[")
    return rest.partition("]")[0] if bracket else ""


def _in_user_namespace() -> bool:
    """Whether this process lives in a user namespace of its own: the first one maps every user to itself."""
    rows = [line.split() for line in _read("/proc/self/uid_map").splitlines()]
    return bool(rows) and rows != [["0", "0", str(2**32 - 1)]]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
