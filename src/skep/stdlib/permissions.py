"""Which helpers a program of a type may call, as far as its type and attach type decide it.

Measured: Linux 6.18 was asked to load one call of each helper under each type and attach type, with all rights
(``tests/stdlib/kernel_probe.py`` repeats this and compares). ``UNMEASURED`` says what that kernel was not
configured for; there the documentation of the types was followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skep.objects.kinds import AttachType, ProgramType

_T = ProgramType
_A = AttachType


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What every program may call.
BASE = _names("""
    map_lookup_elem map_update_elem map_delete_elem map_push_elem map_pop_elem map_peek_elem map_lookup_percpu_elem
    for_each_map_elem tail_call ktime_get_ns ktime_get_boot_ns ktime_get_tai_ns jiffies64 get_prandom_u32
    get_smp_processor_id get_numa_node_id get_current_pid_tgid get_current_uid_gid get_current_comm
    get_ns_current_pid_tgid get_current_task get_current_task_btf get_cgroup_classid get_current_cgroup_id
    get_current_ancestor_cgroup_id current_task_under_cgroup perf_event_read perf_event_read_value trace_printk
    trace_vprintk snprintf snprintf_btf strtol strtoul strncmp loop spin_lock spin_unlock timer_init
    timer_set_callback timer_start timer_cancel kptr_xchg per_cpu_ptr this_cpu_ptr send_signal send_signal_thread
    probe_read_user probe_read_kernel probe_read_user_str probe_read_kernel_str copy_from_user copy_from_user_task
    get_task_stack task_pt_regs find_vma get_branch_snapshot ringbuf_output ringbuf_reserve ringbuf_submit
    ringbuf_discard ringbuf_query user_ringbuf_drain ringbuf_reserve_dynptr ringbuf_submit_dynptr
    ringbuf_discard_dynptr dynptr_from_mem dynptr_read dynptr_write dynptr_data task_storage_get task_storage_delete
    cgrp_storage_get cgrp_storage_delete
""")

_SOCKET_CASTS = _names("""
    skc_to_tcp6_sock skc_to_tcp_sock skc_to_tcp_timewait_sock skc_to_tcp_request_sock skc_to_udp6_sock
    skc_to_unix_sock skc_to_mptcp_sock
""")
#: What every networking program may call beyond that.
_NET = _SOCKET_CASTS | _names("ktime_get_coarse_ns")
_SOCKET_LOOKUPS = _names("sk_lookup_tcp sk_lookup_udp sk_release skc_lookup_tcp")
_SYNCOOKIES = _names("""
    tcp_check_syncookie tcp_gen_syncookie tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6
    tcp_raw_check_syncookie_ipv4 tcp_raw_check_syncookie_ipv6
""")
_SOCKET_STORAGE = _names("sk_storage_get sk_storage_delete")
_TC = (
    _NET
    | _SOCKET_LOOKUPS
    | _SYNCOOKIES
    | _SOCKET_STORAGE
    | _names("""
        skb_store_bytes l3_csum_replace l4_csum_replace clone_redirect skb_vlan_push skb_vlan_pop skb_get_tunnel_key
        skb_set_tunnel_key redirect get_route_realm perf_event_output skb_load_bytes csum_diff skb_get_tunnel_opt
        skb_set_tunnel_opt skb_change_proto skb_change_type skb_under_cgroup get_hash_recalc skb_change_tail
        skb_pull_data csum_update set_hash_invalid skb_change_head get_socket_cookie get_socket_uid set_hash
        skb_adjust_room skb_get_xfrm_state skb_load_bytes_relative fib_lookup skb_cgroup_id skb_ancestor_cgroup_id
        sk_fullsock tcp_sock skb_ecn_set_ce get_listener_sock get_netns_cookie sk_assign csum_level
        skb_cgroup_classid redirect_neigh redirect_peer check_mtu skb_set_tstamp
    """)
)
_TUNNEL = _NET | _names("""
    get_route_realm perf_event_output skb_load_bytes csum_diff skb_under_cgroup get_hash_recalc skb_pull_data
""")
_SOCK_ADDR = (
    _NET
    | _SOCKET_LOOKUPS
    | _SOCKET_STORAGE
    | _names("""
        perf_event_output get_socket_cookie setsockopt getsockopt bind get_local_storage get_netns_cookie get_retval
        set_retval
    """)
)
_TRACEPOINT = _names("""
    probe_read probe_read_str perf_event_output get_stackid get_stack get_func_ip get_attach_cookie
""")
_SYSTEM = (
    _SOCKET_CASTS
    | _SOCKET_STORAGE
    | _names("""
        probe_read probe_read_str perf_event_output get_stackid get_stack get_func_ip get_socket_cookie skb_output
        xdp_output d_path sock_from_file xdp_get_buff_len
    """)
)
_ITERATOR = _names("seq_printf seq_write seq_printf_btf setsockopt getsockopt")
_TRAMPOLINE = _names("get_func_arg get_func_ret get_func_arg_cnt")

#: Types that the measured kernels had not; programs of EXT may call what those may that they replace.
UNMEASURED: frozenset[ProgramType] = frozenset({_T.LIRC_MODE2, _T.EXT})
#: Helpers that it was not configured for, and who has them where it is.
UNMEASURED_HELPERS: Mapping[str, frozenset[ProgramType]] = MappingProxyType(
    {
        "probe_write_user": frozenset(
            {
                _T.KPROBE,
                _T.TRACEPOINT,
                _T.PERF_EVENT,
                _T.RAW_TRACEPOINT,
                _T.RAW_TRACEPOINT_WRITABLE,
                _T.TRACING,
                _T.LSM,
                _T.SYSCALL,
            }
        ),
        "override_return": frozenset({_T.KPROBE}),
        "get_func_arg": frozenset({_T.TRACING, _T.LSM}),
        "get_func_ret": frozenset({_T.TRACING, _T.LSM}),
        "get_func_arg_cnt": frozenset({_T.TRACING, _T.LSM}),
    }
)

#: What each type may call beyond BASE.
_BEYOND_BASE: Mapping[ProgramType, frozenset[str]] = MappingProxyType(
    {
        _T.RAW: frozenset(),
        _T.SOCKET_FILTER: _NET
        | _names("""
            perf_event_output skb_load_bytes skb_load_bytes_relative get_socket_cookie get_socket_uid get_netns_cookie
        """),
        _T.KPROBE: _TRACEPOINT,
        _T.SCHED_CLS: _TC,
        _T.SCHED_ACT: _TC,
        _T.TRACEPOINT: _TRACEPOINT,
        _T.XDP: _NET
        | _SOCKET_LOOKUPS
        | _SYNCOOKIES
        | _names("""
            redirect redirect_map perf_event_output csum_diff xdp_adjust_head xdp_adjust_meta xdp_adjust_tail
            xdp_get_buff_len xdp_load_bytes xdp_store_bytes fib_lookup check_mtu
        """),
        _T.PERF_EVENT: _TRACEPOINT | _names("perf_prog_read_value read_branch_records"),
        _T.CGROUP_SKB: _NET
        | _SOCKET_LOOKUPS
        | _SOCKET_STORAGE
        | _names("""
            perf_event_output skb_load_bytes skb_load_bytes_relative get_socket_cookie get_socket_uid skb_cgroup_id
            skb_ancestor_cgroup_id get_local_storage sk_fullsock tcp_sock skb_ecn_set_ce get_listener_sock
            get_netns_cookie sk_cgroup_id sk_ancestor_cgroup_id
        """),
        _T.CGROUP_SOCK: _names("""
            perf_event_output get_socket_cookie get_local_storage sk_storage_get get_netns_cookie ktime_get_coarse_ns
            get_retval set_retval
        """),
        _T.LWT_IN: _TUNNEL | _names("lwt_push_encap"),
        _T.LWT_OUT: _TUNNEL,
        _T.LWT_XMIT: _TUNNEL
        | _names("""
            lwt_push_encap skb_store_bytes l3_csum_replace l4_csum_replace clone_redirect skb_get_tunnel_key
            skb_set_tunnel_key redirect skb_get_tunnel_opt skb_set_tunnel_opt skb_change_tail csum_update
            set_hash_invalid skb_change_head csum_level
        """),
        _T.SOCK_OPS: _NET
        | _SOCKET_STORAGE
        | _names("""
            perf_event_output get_socket_cookie setsockopt getsockopt sock_map_update sock_hash_update
            sock_ops_cb_flags_set get_local_storage tcp_sock get_netns_cookie load_hdr_opt store_hdr_opt
            reserve_hdr_opt
        """),
        _T.SK_SKB: _NET
        | _SOCKET_LOOKUPS
        | _names("""
            skb_store_bytes perf_event_output skb_load_bytes skb_change_tail skb_pull_data skb_change_head
            get_socket_cookie get_socket_uid skb_adjust_room sk_redirect_map sk_redirect_hash
        """),
        _T.CGROUP_DEVICE: _names("perf_event_output get_local_storage get_retval set_retval"),
        _T.SK_MSG: _NET
        | _SOCKET_STORAGE
        | _names("""
            perf_event_output msg_redirect_map msg_redirect_hash msg_apply_bytes msg_cork_bytes msg_pull_data
            msg_push_data msg_pop_data get_netns_cookie
        """),
        _T.RAW_TRACEPOINT: _TRACEPOINT,
        _T.CGROUP_SOCK_ADDR: _SOCK_ADDR,
        _T.LWT_SEG6LOCAL: _TUNNEL | _names("lwt_seg6_store_bytes lwt_seg6_adjust_srh lwt_seg6_action"),
        _T.SK_REUSEPORT: _names("""
            skb_load_bytes skb_load_bytes_relative get_socket_cookie sk_select_reuseport ktime_get_coarse_ns
        """),
        _T.FLOW_DISSECTOR: _NET | _names("skb_load_bytes"),
        _T.CGROUP_SYSCTL: _names("""
            perf_event_output get_local_storage sysctl_get_name sysctl_get_current_value sysctl_get_new_value
            sysctl_set_new_value ktime_get_coarse_ns get_retval set_retval
        """),
        _T.RAW_TRACEPOINT_WRITABLE: _TRACEPOINT,
        _T.CGROUP_SOCKOPT: _SOCKET_STORAGE
        | _names("""
            perf_event_output setsockopt getsockopt get_local_storage tcp_sock get_netns_cookie get_retval set_retval
        """),
        _T.TRACING: _SYSTEM | _ITERATOR | _TRAMPOLINE | _names("get_attach_cookie"),
        _T.STRUCT_OPS: _SOCKET_STORAGE | _names("setsockopt getsockopt tcp_send_ack ktime_get_coarse_ns"),
        _T.LSM: _SYSTEM
        | _TRAMPOLINE
        | _names("""
            get_attach_cookie inode_storage_get inode_storage_delete bprm_opts_set ima_inode_hash ima_file_hash
            get_retval set_retval setsockopt getsockopt get_local_storage
        """),
        _T.SK_LOOKUP: _NET | _names("perf_event_output sk_release sk_assign"),
        _T.SYSCALL: _SYSTEM | _names("sys_bpf sys_close btf_find_by_name_kind kallsyms_lookup_name"),
        _T.NETFILTER: frozenset(),
    }
)

#: All that a lirc program may call; the only type that has not BASE.
_LIRC = _names("""
    rc_repeat rc_keydown rc_pointer_rel map_lookup_elem map_update_elem map_delete_elem map_push_elem map_pop_elem
    map_peek_elem ktime_get_ns ktime_get_boot_ns tail_call get_prandom_u32 trace_printk
""")

#: Helpers that show what goes on in the kernel: whoever loads a call of them needs CAP_PERFMON or CAP_SYS_ADMIN.
NEEDS_PERFMON = _SOCKET_CASTS | _names("""
    trace_printk trace_vprintk snprintf snprintf_btf get_current_comm get_current_task get_current_task_btf
    get_task_stack task_pt_regs find_vma perf_event_read perf_event_read_value probe_read_user probe_read_kernel
    probe_read_user_str probe_read_kernel_str copy_from_user copy_from_user_task send_signal send_signal_thread
    get_branch_snapshot sys_bpf
""")
#: What a type may call without that right all the same.
WITHOUT_PERFMON: Mapping[ProgramType, frozenset[str]] = MappingProxyType({_T.SYSCALL: _SOCKET_CASTS})

_CONNECT_OR_SEND = frozenset(
    {
        _A.CGROUP_INET4_BIND,
        _A.CGROUP_INET6_BIND,
        _A.CGROUP_INET4_CONNECT,
        _A.CGROUP_INET6_CONNECT,
        _A.CGROUP_UNIX_CONNECT,
        _A.CGROUP_UDP4_SENDMSG,
        _A.CGROUP_UDP6_SENDMSG,
        _A.CGROUP_UNIX_SENDMSG,
    }
)
_DEVICE = frozenset({_A.CGROUP_DEVICE})
_SYSCTL = frozenset({_A.CGROUP_SYSCTL})
_SET = frozenset({_A.CGROUP_SETSOCKOPT})
_ITERATED = frozenset({_A.TRACE_ITER})
_WITH_TRAMPOLINE = frozenset({_A.TRACE_FENTRY, _A.TRACE_FEXIT, _A.MODIFY_RETURN})
_LSM_TRAMPOLINE = frozenset({_A.LSM_MAC})
_LSM_CGROUP = frozenset({_A.LSM_CGROUP})

#: Helpers that only some attach types of a program type may call.
ATTACH: Mapping[tuple[ProgramType, str], frozenset[AttachType]] = MappingProxyType(
    {
        (_T.CGROUP_SOCK_ADDR, "bind"): frozenset({_A.CGROUP_INET4_CONNECT, _A.CGROUP_INET6_CONNECT}),
        (_T.CGROUP_SOCK_ADDR, "get_retval"): _CONNECT_OR_SEND,
        (_T.CGROUP_SOCK_ADDR, "set_retval"): _CONNECT_OR_SEND,
        (_T.CGROUP_DEVICE, "get_retval"): _DEVICE,
        (_T.CGROUP_DEVICE, "set_retval"): _DEVICE,
        (_T.CGROUP_SYSCTL, "get_retval"): _SYSCTL,
        (_T.CGROUP_SYSCTL, "set_retval"): _SYSCTL,
        (_T.CGROUP_SOCKOPT, "setsockopt"): _SET,
        (_T.CGROUP_SOCKOPT, "getsockopt"): _SET,
        **{(_T.TRACING, name): _ITERATED for name in sorted(_ITERATOR)},
        **{(_T.TRACING, name): _WITH_TRAMPOLINE for name in sorted(_TRAMPOLINE)},
        (_T.TRACING, "get_attach_cookie"): _WITH_TRAMPOLINE | {_A.TRACE_RAW_TP},
        **{(_T.LSM, name): _LSM_TRAMPOLINE for name in sorted(_TRAMPOLINE)},
        (_T.LSM, "get_attach_cookie"): _LSM_TRAMPOLINE,
        **{
            (_T.LSM, name): _LSM_CGROUP
            for name in ("get_retval", "set_retval", "setsockopt", "getsockopt", "get_local_storage")
        },
    }
)


def _permitted(program: ProgramType) -> frozenset[str]:
    if program is _T.LIRC_MODE2:
        return _LIRC
    unmeasured = {name for name, programs in UNMEASURED_HELPERS.items() if program in programs}
    return BASE | _BEYOND_BASE[program] | unmeasured


#: The names of the helpers that each type may call. EXT is missing: it may call what the program it replaces may.
PERMITTED: Mapping[ProgramType, frozenset[str]] = MappingProxyType(
    {program: _permitted(program) for program in ProgramType if program not in (_T.UNSPEC, _T.EXT)}
)
