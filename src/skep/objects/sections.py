"""What a program's section name says: SEC("xdp"), SEC("kprobe/do_unlinkat"), SEC("cgroup/connect4") and so on.

A row is the name that people write and what it means. ``target`` says that a slash and what the program attaches to
may follow. A name with no row has no meaning and its program no type. The names, and the older habit of taking
``xdp_anything`` for XDP, are documented by libbpf ("Program Types and ELF Sections", Linux 6.18).
"""

from __future__ import annotations

from dataclasses import dataclass

from skep.objects.kinds import AttachType as A
from skep.objects.kinds import ProgramType as P

#: BPF_F_SLEEPABLE and BPF_F_XDP_HAS_FRAGS of ``enum bpf_prog_load`` flags.
SLEEPABLE = 1 << 4
XDP_HAS_FRAGS = 1 << 5


@dataclass(frozen=True, slots=True)
class SectionMeaning:
    """A row: the program's type, its attach type, whether a target may follow, and load flags."""

    type: P
    attach_type: A | None = None
    target: bool = False
    flags: int = 0


_M = SectionMeaning

#: Section name, without what follows where ``target`` is set, to its meaning.
SECTIONS: dict[str, SectionMeaning] = {
    "socket": _M(P.SOCKET_FILTER),
    "sk_reuseport": _M(P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT),
    "sk_reuseport/migrate": _M(P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT_OR_MIGRATE),
    "kprobe": _M(P.KPROBE, None, True),
    "kretprobe": _M(P.KPROBE, None, True),
    "kprobe.multi": _M(P.KPROBE, A.TRACE_KPROBE_MULTI, True),
    "kretprobe.multi": _M(P.KPROBE, A.TRACE_KPROBE_MULTI, True),
    "kprobe.session": _M(P.KPROBE, A.TRACE_KPROBE_SESSION, True),
    "ksyscall": _M(P.KPROBE, None, True),
    "kretsyscall": _M(P.KPROBE, None, True),
    "uprobe": _M(P.KPROBE, None, True),
    "uprobe.s": _M(P.KPROBE, None, True, SLEEPABLE),
    "uretprobe": _M(P.KPROBE, None, True),
    "uretprobe.s": _M(P.KPROBE, None, True, SLEEPABLE),
    "uprobe.multi": _M(P.KPROBE, A.TRACE_UPROBE_MULTI, True),
    "uprobe.multi.s": _M(P.KPROBE, A.TRACE_UPROBE_MULTI, True, SLEEPABLE),
    "uretprobe.multi": _M(P.KPROBE, A.TRACE_UPROBE_MULTI, True),
    "uretprobe.multi.s": _M(P.KPROBE, A.TRACE_UPROBE_MULTI, True, SLEEPABLE),
    "uprobe.session": _M(P.KPROBE, A.TRACE_UPROBE_SESSION, True),
    "uprobe.session.s": _M(P.KPROBE, A.TRACE_UPROBE_SESSION, True, SLEEPABLE),
    "usdt": _M(P.KPROBE, None, True),
    "usdt.s": _M(P.KPROBE, None, True, SLEEPABLE),
    "tc": _M(P.SCHED_CLS),
    "tc/ingress": _M(P.SCHED_CLS, A.TCX_INGRESS),
    "tc/egress": _M(P.SCHED_CLS, A.TCX_EGRESS),
    "tcx/ingress": _M(P.SCHED_CLS, A.TCX_INGRESS),
    "tcx/egress": _M(P.SCHED_CLS, A.TCX_EGRESS),
    "netkit/primary": _M(P.SCHED_CLS, A.NETKIT_PRIMARY),
    "netkit/peer": _M(P.SCHED_CLS, A.NETKIT_PEER),
    "classifier": _M(P.SCHED_CLS),
    "action": _M(P.SCHED_ACT),
    "tracepoint": _M(P.TRACEPOINT, None, True),
    "tp": _M(P.TRACEPOINT, None, True),
    "raw_tracepoint": _M(P.RAW_TRACEPOINT, None, True),
    "raw_tp": _M(P.RAW_TRACEPOINT, None, True),
    "raw_tracepoint.w": _M(P.RAW_TRACEPOINT_WRITABLE, None, True),
    "raw_tp.w": _M(P.RAW_TRACEPOINT_WRITABLE, None, True),
    "tp_btf": _M(P.TRACING, A.TRACE_RAW_TP, True),
    "fentry": _M(P.TRACING, A.TRACE_FENTRY, True),
    "fentry.s": _M(P.TRACING, A.TRACE_FENTRY, True, SLEEPABLE),
    "fexit": _M(P.TRACING, A.TRACE_FEXIT, True),
    "fexit.s": _M(P.TRACING, A.TRACE_FEXIT, True, SLEEPABLE),
    "fmod_ret": _M(P.TRACING, A.MODIFY_RETURN, True),
    "fmod_ret.s": _M(P.TRACING, A.MODIFY_RETURN, True, SLEEPABLE),
    "freplace": _M(P.EXT, None, True),
    "lsm": _M(P.LSM, A.LSM_MAC, True),
    "lsm.s": _M(P.LSM, A.LSM_MAC, True, SLEEPABLE),
    "lsm_cgroup": _M(P.LSM, A.LSM_CGROUP, True),
    "iter": _M(P.TRACING, A.TRACE_ITER, True),
    "iter.s": _M(P.TRACING, A.TRACE_ITER, True, SLEEPABLE),
    "syscall": _M(P.SYSCALL, None, False, SLEEPABLE),
    "xdp": _M(P.XDP, A.XDP),
    "xdp.frags": _M(P.XDP, A.XDP, False, XDP_HAS_FRAGS),
    "xdp/devmap": _M(P.XDP, A.XDP_DEVMAP),
    "xdp.frags/devmap": _M(P.XDP, A.XDP_DEVMAP, False, XDP_HAS_FRAGS),
    "xdp/cpumap": _M(P.XDP, A.XDP_CPUMAP),
    "xdp.frags/cpumap": _M(P.XDP, A.XDP_CPUMAP, False, XDP_HAS_FRAGS),
    # As they were written before libbpf 1.0.
    "xdp_devmap": _M(P.XDP, A.XDP_DEVMAP, True),
    "xdp_cpumap": _M(P.XDP, A.XDP_CPUMAP, True),
    "perf_event": _M(P.PERF_EVENT),
    "lwt_in": _M(P.LWT_IN),
    "lwt_out": _M(P.LWT_OUT),
    "lwt_xmit": _M(P.LWT_XMIT),
    "lwt_seg6local": _M(P.LWT_SEG6LOCAL),
    "sockops": _M(P.SOCK_OPS, A.CGROUP_SOCK_OPS),
    "sk_skb": _M(P.SK_SKB),
    "sk_skb/stream_parser": _M(P.SK_SKB, A.SK_SKB_STREAM_PARSER),
    "sk_skb/stream_verdict": _M(P.SK_SKB, A.SK_SKB_STREAM_VERDICT),
    "sk_skb/verdict": _M(P.SK_SKB, A.SK_SKB_VERDICT),
    "sk_msg": _M(P.SK_MSG, A.SK_MSG_VERDICT),
    "sk_lookup": _M(P.SK_LOOKUP, A.SK_LOOKUP),
    "lirc_mode2": _M(P.LIRC_MODE2, A.LIRC_MODE2),
    "flow_dissector": _M(P.FLOW_DISSECTOR, A.FLOW_DISSECTOR),
    "netfilter": _M(P.NETFILTER, A.NETFILTER),
    "struct_ops": _M(P.STRUCT_OPS, A.STRUCT_OPS, True),
    "struct_ops.s": _M(P.STRUCT_OPS, A.STRUCT_OPS, True, SLEEPABLE),
    "cgroup/skb": _M(P.CGROUP_SKB),
    "cgroup_skb/ingress": _M(P.CGROUP_SKB, A.CGROUP_INET_INGRESS),
    "cgroup_skb/egress": _M(P.CGROUP_SKB, A.CGROUP_INET_EGRESS),
    "cgroup/dev": _M(P.CGROUP_DEVICE, A.CGROUP_DEVICE),
    "cgroup/sysctl": _M(P.CGROUP_SYSCTL, A.CGROUP_SYSCTL),
    "cgroup/getsockopt": _M(P.CGROUP_SOCKOPT, A.CGROUP_GETSOCKOPT),
    "cgroup/setsockopt": _M(P.CGROUP_SOCKOPT, A.CGROUP_SETSOCKOPT),
    "cgroup/sock": _M(P.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE),
    "cgroup/sock_create": _M(P.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE),
    "cgroup/sock_release": _M(P.CGROUP_SOCK, A.CGROUP_INET_SOCK_RELEASE),
    "cgroup/post_bind4": _M(P.CGROUP_SOCK, A.CGROUP_INET4_POST_BIND),
    "cgroup/post_bind6": _M(P.CGROUP_SOCK, A.CGROUP_INET6_POST_BIND),
    "cgroup/bind4": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_BIND),
    "cgroup/bind6": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_BIND),
    "cgroup/connect4": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_CONNECT),
    "cgroup/connect6": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_CONNECT),
    "cgroup/connect_unix": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_CONNECT),
    "cgroup/sendmsg4": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_UDP4_SENDMSG),
    "cgroup/sendmsg6": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_UDP6_SENDMSG),
    "cgroup/sendmsg_unix": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_SENDMSG),
    "cgroup/recvmsg4": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_UDP4_RECVMSG),
    "cgroup/recvmsg6": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_UDP6_RECVMSG),
    "cgroup/recvmsg_unix": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_RECVMSG),
    "cgroup/getpeername4": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_GETPEERNAME),
    "cgroup/getpeername6": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_GETPEERNAME),
    "cgroup/getpeername_unix": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_GETPEERNAME),
    "cgroup/getsockname4": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_GETSOCKNAME),
    "cgroup/getsockname6": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_GETSOCKNAME),
    "cgroup/getsockname_unix": _M(P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_GETSOCKNAME),
    # skep's own: a program over plain memory.
    "raw": _M(P.RAW),
}

#: Names that loaders before libbpf 1.0 took by their beginning, whatever followed: SEC("xdp_drop"), SEC("tc_main").
_LOOSE = ("classifier", "socket", "xdp", "tc", "action", "lwt_in", "lwt_out", "lwt_xmit", "perf_event", "sockops")


@dataclass(frozen=True, slots=True)
class SectionName:
    """A section name taken apart; ``autoload`` is False where it starts with ``?``."""

    meaning: SectionMeaning | None
    target: str | None
    autoload: bool


def read_section_name(name: str) -> SectionName:
    """What ``name`` says about its programs; the longest row that fits is the one that counts."""
    autoload = not name.startswith("?")
    name = name.removeprefix("?")
    if (meaning := SECTIONS.get(name)) is not None:
        return SectionName(meaning, None, autoload)
    head, slash, target = name.partition("/")
    meaning = SECTIONS.get(head)
    if slash and meaning is not None and meaning.target:
        return SectionName(meaning, target or None, autoload)
    for start in _LOOSE:
        if name.startswith(start) and not name[len(start)].isalnum():
            return SectionName(SECTIONS[start], None, autoload)
    return SectionName(None, None, autoload)
