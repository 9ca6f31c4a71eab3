"""The structures that programs see as their context, by the names that kernel functions ask for them.

Source: docs.ebpf.io's pages of the program types; Linux 6.18's functions were tried in each.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skep.objects.kinds import ProgramType

_T = ProgramType

#: By program type, the name that its context has.
CONTEXT_STRUCTURES: Mapping[ProgramType, str] = MappingProxyType(
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
                _T.FLOW_DISSECTOR,
            ),
            "__sk_buff",
        ),
        _T.XDP: "xdp_md",
        _T.CGROUP_SOCK: "bpf_sock",
        _T.CGROUP_SOCK_ADDR: "bpf_sock_addr",
        _T.SOCK_OPS: "bpf_sock_ops",
        _T.SK_MSG: "sk_msg_md",
        _T.KPROBE: "bpf_user_pt_regs_t",
        _T.PERF_EVENT: "bpf_perf_event_data",
        _T.CGROUP_DEVICE: "bpf_cgroup_dev_ctx",
        _T.CGROUP_SYSCTL: "bpf_sysctl",
        _T.CGROUP_SOCKOPT: "bpf_sockopt",
        _T.SK_REUSEPORT: "sk_reuseport_md",
        _T.SK_LOOKUP: "bpf_sk_lookup",
        _T.NETFILTER: "bpf_nf_ctx",
        _T.RAW_TRACEPOINT: "bpf_raw_tracepoint_args",
        _T.RAW_TRACEPOINT_WRITABLE: "bpf_raw_tracepoint_args",
    }
)
