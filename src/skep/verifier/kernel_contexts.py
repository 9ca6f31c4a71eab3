"""The structures behind a program's context: the one that programs see, and the kernel's own.

Source: docs.ebpf.io's pages of the program types, and ``bpf_cast_to_kern_ctx``, which Linux 6.18 was asked for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skep.objects.kinds import ProgramType

_T = ProgramType
_SKB = ("__sk_buff", "sk_buff")

#: By program type: the name that a program's context has for it, and the kernel's.
CONTEXT_STRUCTURES: Mapping[ProgramType, tuple[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                _T.SOCKET_FILTER,
                _T.SCHED_CLS,
                _T.SCHED_ACT,
                _T.CGROUP_SKB,
                _T.LWT_IN,
                _T.LWT_OUT,
                _T.LWT_XMIT,
                _T.LWT_SEG6LOCAL,
                _T.SK_SKB,
            ),
            _SKB,
        ),
        _T.XDP: ("xdp_md", "xdp_buff"),
        _T.CGROUP_SOCK: ("bpf_sock", "sock"),
        _T.CGROUP_SOCK_ADDR: ("bpf_sock_addr", "bpf_sock_addr_kern"),
        _T.SOCK_OPS: ("bpf_sock_ops", "bpf_sock_ops_kern"),
        _T.SK_MSG: ("sk_msg_md", "sk_msg"),
        _T.FLOW_DISSECTOR: ("__sk_buff", "bpf_flow_dissector"),
        _T.KPROBE: ("bpf_user_pt_regs_t", "pt_regs"),
        _T.PERF_EVENT: ("bpf_perf_event_data", "bpf_perf_event_data_kern"),
        _T.CGROUP_DEVICE: ("bpf_cgroup_dev_ctx", "bpf_cgroup_dev_ctx"),
        _T.CGROUP_SYSCTL: ("bpf_sysctl", "bpf_sysctl_kern"),
        _T.CGROUP_SOCKOPT: ("bpf_sockopt", "bpf_sockopt_kern"),
        _T.SK_REUSEPORT: ("sk_reuseport_md", "sk_reuseport_kern"),
        _T.SK_LOOKUP: ("bpf_sk_lookup", "bpf_sk_lookup_kern"),
        _T.NETFILTER: ("bpf_nf_ctx", "bpf_nf_ctx"),
        _T.RAW_TRACEPOINT: ("bpf_raw_tracepoint_args", ""),
        _T.RAW_TRACEPOINT_WRITABLE: ("bpf_raw_tracepoint_args", ""),
    }
)
