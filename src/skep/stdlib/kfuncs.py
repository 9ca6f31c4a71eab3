"""The kernel functions that programs may call (kfuncs): what a call does, and which program types may make it.

A kfunc's arguments and result are its prototype in the kernel's BTF; only what the prototype cannot say stands here.
Sources: the kernel's ``Documentation/bpf/kfuncs.rst`` for the meaning of flags, docs.ebpf.io for flags by function,
and running kernels of Linux 6.18, one of a distribution with its modules among them, which every program type and
every member of a table of programs was asked for with every function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from types import MappingProxyType

from skep.objects.kinds import AttachType, ProgramType


class KfuncFlag(Flag):
    """What a kfunc is or does, by the names of the kernel's ``KF_…`` flags."""

    NONE = 0
    #: Its result is a reference that has to be released.
    ACQUIRE = auto()
    #: It takes a reference and releases it.
    RELEASE = auto()
    #: Its result may be null.
    RET_NULL = auto()
    #: Pointers to kernel objects have to be trusted, and unmodified.
    TRUSTED_ARGS = auto()
    #: Pointers to kernel objects have to be trusted, or protected by RCU.
    RCU = auto()
    #: It may sleep.
    SLEEPABLE = auto()
    #: It may bring the machine down: needs CAP_SYS_BOOT.
    DESTRUCTIVE = auto()
    #: It is only called inside an RCU read section.
    RCU_PROTECTED = auto()
    ITER_NEW = auto()
    ITER_NEXT = auto()
    ITER_DESTROY = auto()
    #: It leaves r1 to r5 alone, once the program is compiled.
    FASTCALL = auto()


_F = KfuncFlag
_T = ProgramType
_A = AttachType

_ALL = frozenset(ProgramType) - {_T.UNSPEC, _T.RAW}
_TRACING = frozenset({_T.TRACING, _T.TRACEPOINT, _T.PERF_EVENT, _T.LSM})
_CGROUP = frozenset(
    {
        _T.CGROUP_SKB,
        _T.CGROUP_SOCK,
        _T.CGROUP_DEVICE,
        _T.CGROUP_SOCK_ADDR,
        _T.CGROUP_SOCKOPT,
        _T.CGROUP_SYSCTL,
        _T.SOCK_OPS,
    }
)
_PACKET = frozenset({_T.SCHED_CLS, _T.XDP})
_GENERIC = _TRACING | _PACKET | _CGROUP | {_T.STRUCT_OPS, _T.SYSCALL}
_CPUMASK = _TRACING | {_T.STRUCT_OPS, _T.SYSCALL}
_SKB = frozenset(
    {
        _T.SCHED_CLS,
        _T.SCHED_ACT,
        _T.SK_SKB,
        _T.SOCKET_FILTER,
        _T.LWT_OUT,
        _T.LWT_IN,
        _T.LWT_XMIT,
        _T.LWT_SEG6LOCAL,
        _T.NETFILTER,
        _T.TRACING,
        _T.TRACEPOINT,
        _T.PERF_EVENT,
        _T.LSM,
        *_CGROUP,
    }
)


@dataclass(frozen=True, slots=True)
class Kfunc:
    """One kfunc: ``programs`` may call it, if their attach type is among ``attaches`` where that is not empty.

    Of struct_ops programs those may that are members of ``tables``, each with the members named, or all where none
    is; no table named: of every table.
    """

    name: str
    flags: KfuncFlag
    programs: frozenset[ProgramType]
    attaches: frozenset[AttachType] = frozenset()
    tables: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    def permitted(
        self, program: ProgramType, attach_type: AttachType | None, member: tuple[str, str] | None = None
    ) -> bool:
        """Whether programs of a type may call it; ``member`` is the table and its member that a program is."""
        if program not in self.programs or (self.attaches and attach_type not in self.attaches):
            return False
        if program is not ProgramType.STRUCT_OPS or not self.tables or member is None:
            return True
        table, name = member
        return table in self.tables and (not self.tables[table] or name in self.tables[table])


_STRUCT_OPS = frozenset({_T.STRUCT_OPS})

_ROWS: list[Kfunc] = []


def _tables(text: str) -> Mapping[str, frozenset[str]]:
    """From ``TABLE`` or ``TABLE:MEMBER,MEMBER``, separated by blanks."""
    found = {}
    for one in text.split():
        table, _, members = one.partition(":")
        found[table] = frozenset(members.split(",")) if members else frozenset[str]()
    return MappingProxyType(found)


def _add(
    programs: frozenset[ProgramType],
    names: str,
    flags: KfuncFlag = KfuncFlag.NONE,
    attaches: frozenset[AttachType] = frozenset(),
    tables: Mapping[str, frozenset[str]] = MappingProxyType({}),
) -> None:
    _ROWS.extend(Kfunc(name, flags, programs, attaches, tables) for name in names.split())


def _iterator(
    name: str,
    new: KfuncFlag = KfuncFlag.NONE,
    each: KfuncFlag = KfuncFlag.NONE,
    programs: frozenset[ProgramType] = _ALL,
) -> None:
    _add(programs, f"bpf_iter_{name}_new", _F.ITER_NEW | new | each)
    _add(programs, f"bpf_iter_{name}_next", _F.ITER_NEXT | _F.RET_NULL | each)
    _add(programs, f"bpf_iter_{name}_destroy", _F.ITER_DESTROY | each)


# Sections, casts, and what every program may call.
_add(_ALL, "bpf_rcu_read_lock bpf_rcu_read_unlock bpf_preempt_disable bpf_preempt_enable __bpf_trap")
_add(_ALL, "bpf_local_irq_save bpf_local_irq_restore")
_add(_ALL, "bpf_cast_to_kern_ctx bpf_rdonly_cast", _F.FASTCALL)
_add(_ALL, "bpf_res_spin_lock bpf_res_spin_lock_irqsave", _F.RET_NULL)
_add(_ALL, "bpf_res_spin_unlock bpf_res_spin_unlock_irqrestore")
_add(_ALL, "bpf_dynptr_adjust bpf_dynptr_is_null bpf_dynptr_is_rdonly bpf_dynptr_size bpf_dynptr_clone")
_add(_ALL, "bpf_dynptr_copy bpf_dynptr_memset")
_add(_ALL, "bpf_dynptr_slice bpf_dynptr_slice_rdwr", _F.RET_NULL)
_add(_ALL, "bpf_probe_read_user_dynptr bpf_probe_read_kernel_dynptr")
_add(_ALL, "bpf_probe_read_user_str_dynptr bpf_probe_read_kernel_str_dynptr")
_add(_ALL, "bpf_copy_from_user_dynptr bpf_copy_from_user_str_dynptr bpf_copy_from_user_str", _F.SLEEPABLE)
_add(_ALL, "bpf_copy_from_user_task_str", _F.SLEEPABLE)
_add(
    _ALL,
    "bpf_copy_from_user_task_dynptr bpf_copy_from_user_task_str_dynptr",
    _F.SLEEPABLE | _F.TRUSTED_ARGS,
)
_add(_ALL, "bpf_wq_init bpf_wq_set_callback_impl bpf_wq_start")
_add(_ALL, "bpf_task_work_schedule_signal_impl bpf_task_work_schedule_resume_impl", _F.TRUSTED_ARGS)
_add(_ALL, "bpf_map_sum_elem_count bpf_stream_vprintk_impl", _F.TRUSTED_ARGS)
_add(_ALL, "bpf_get_kmem_cache")
_add(_ALL, "bpf_cgroup_read_xattr", _F.RCU)
_add(_ALL, "bpf_modify_return_test_tp")
_add(
    _ALL,
    "bpf_strcmp bpf_strcasecmp bpf_strchr bpf_strchrnul bpf_strnchr bpf_strrchr bpf_strlen bpf_strnlen bpf_strspn "
    "bpf_strcspn bpf_strstr bpf_strnstr",
)
_add(
    _ALL,
    "bpf_arena_alloc_pages bpf_arena_free_pages bpf_arena_reserve_pages",
    _F.TRUSTED_ARGS | _F.SLEEPABLE,
)
_add(_ALL, "bpf_xdp_metadata_rx_timestamp bpf_xdp_metadata_rx_hash bpf_xdp_metadata_rx_vlan_tag")
_iterator("num")
_iterator("bits")
_iterator("task_vma", _F.RCU)
_iterator("css_task", _F.TRUSTED_ARGS)
_iterator("css", _F.TRUSTED_ARGS | _F.RCU_PROTECTED)
_iterator("task", _F.TRUSTED_ARGS | _F.RCU_PROTECTED)
_iterator("kmem_cache", each=_F.SLEEPABLE)
_iterator("dmabuf", each=_F.SLEEPABLE)

# Allocated objects, lists and trees, tasks, cgroups, keys.
_add(_GENERIC, "crash_kexec", _F.DESTRUCTIVE)
_add(_GENERIC, "bpf_obj_new_impl bpf_percpu_obj_new_impl", _F.ACQUIRE | _F.RET_NULL)
_add(_GENERIC, "bpf_obj_drop_impl bpf_percpu_obj_drop_impl", _F.RELEASE)
_add(_GENERIC, "bpf_refcount_acquire_impl", _F.ACQUIRE | _F.RET_NULL | _F.RCU)
_add(_GENERIC, "bpf_list_push_front_impl bpf_list_push_back_impl bpf_rbtree_add_impl bpf_throw")
_add(_GENERIC, "bpf_list_pop_front bpf_list_pop_back bpf_rbtree_remove", _F.ACQUIRE | _F.RET_NULL)
_add(
    _GENERIC,
    "bpf_list_front bpf_list_back bpf_rbtree_first bpf_rbtree_root bpf_rbtree_left bpf_rbtree_right",
    _F.RET_NULL,
)
_add(
    _GENERIC,
    "bpf_task_acquire bpf_task_get_cgroup1 bpf_cgroup_acquire bpf_cgroup_ancestor",
    _F.ACQUIRE | _F.RET_NULL | _F.RCU,
)
_add(_GENERIC, "bpf_task_from_pid bpf_task_from_vpid bpf_cgroup_from_id", _F.ACQUIRE | _F.RET_NULL)
_add(_GENERIC, "bpf_task_release bpf_cgroup_release", _F.RELEASE)
_add(_GENERIC, "bpf_task_under_cgroup", _F.RCU)
_add(_GENERIC, "bpf_send_signal_task", _F.TRUSTED_ARGS)
_add(_GENERIC, "bpf_lookup_user_key", _F.ACQUIRE | _F.RET_NULL | _F.SLEEPABLE)
_add(_GENERIC, "bpf_lookup_system_key", _F.ACQUIRE | _F.RET_NULL)
_add(_GENERIC, "bpf_key_put", _F.RELEASE)
_add(_GENERIC, "bpf_verify_pkcs7_signature", _F.SLEEPABLE)

# CPU masks.
_add(_CPUMASK, "bpf_cpumask_create", _F.ACQUIRE | _F.RET_NULL)
_add(_CPUMASK, "bpf_cpumask_release", _F.RELEASE)
_add(_CPUMASK, "bpf_cpumask_acquire", _F.ACQUIRE | _F.TRUSTED_ARGS)
_add(
    _CPUMASK,
    "bpf_cpumask_first bpf_cpumask_first_zero bpf_cpumask_first_and bpf_cpumask_set_cpu bpf_cpumask_clear_cpu "
    "bpf_cpumask_test_cpu bpf_cpumask_test_and_set_cpu bpf_cpumask_test_and_clear_cpu bpf_cpumask_setall "
    "bpf_cpumask_clear bpf_cpumask_and bpf_cpumask_or bpf_cpumask_xor bpf_cpumask_equal bpf_cpumask_intersects "
    "bpf_cpumask_subset bpf_cpumask_empty bpf_cpumask_full bpf_cpumask_copy bpf_cpumask_any_distribute "
    "bpf_cpumask_any_and_distribute bpf_cpumask_weight bpf_cpumask_populate",
    _F.RCU,
)

# Files, for LSM programs.
_LSM = frozenset({_T.LSM})
_add(_LSM, "bpf_get_task_exe_file", _F.ACQUIRE | _F.RET_NULL | _F.TRUSTED_ARGS)
_add(_LSM, "bpf_put_file", _F.RELEASE)
_add(_LSM, "bpf_path_d_path bpf_get_fsverity_digest", _F.TRUSTED_ARGS)
_add(
    _LSM,
    "bpf_get_dentry_xattr bpf_get_file_xattr bpf_set_dentry_xattr bpf_remove_dentry_xattr",
    _F.SLEEPABLE | _F.TRUSTED_ARGS,
)

# Packets, sockets and what is known of connections.
_add(_SKB | _STRUCT_OPS, "bpf_dynptr_from_skb", _F.TRUSTED_ARGS, tables=_tables("Qdisc_ops"))
_add(frozenset({_T.SCHED_CLS, _T.SCHED_ACT}), "bpf_dynptr_from_skb_meta", _F.TRUSTED_ARGS)
_XDP = frozenset({_T.XDP})
_add(_XDP, "bpf_dynptr_from_xdp bpf_xdp_pull_data")
_add(_XDP, "bpf_xdp_get_xfrm_state", _F.ACQUIRE | _F.RET_NULL)
_add(_XDP, "bpf_xdp_xfrm_state_release", _F.RELEASE)
_add(_XDP, "bpf_xdp_flow_lookup", _F.TRUSTED_ARGS | _F.RET_NULL)
_add(
    _PACKET,
    "bpf_xdp_ct_alloc bpf_xdp_ct_lookup bpf_skb_ct_alloc bpf_skb_ct_lookup",
    _F.ACQUIRE | _F.RET_NULL,
)
_add(_PACKET, "bpf_ct_insert_entry", _F.ACQUIRE | _F.RET_NULL | _F.RELEASE)
_add(_PACKET, "bpf_ct_release", _F.RELEASE)
_add(
    _PACKET,
    "bpf_ct_set_timeout bpf_ct_change_timeout bpf_ct_set_status bpf_ct_change_status bpf_ct_set_nat_info",
    _F.TRUSTED_ARGS,
)
_TC = frozenset({_T.SCHED_CLS})
_add(_TC, "bpf_sk_assign_tcp_reqsk", _F.TRUSTED_ARGS)
_add(_TC, "bpf_skb_set_fou_encap bpf_skb_get_fou_encap bpf_skb_get_xfrm_info bpf_skb_set_xfrm_info")
_SYSCALL = frozenset({_T.SYSCALL})
_add(_SYSCALL, "bpf_crypto_ctx_create", _F.ACQUIRE | _F.RET_NULL | _F.SLEEPABLE)
_add(_SYSCALL, "bpf_crypto_ctx_release", _F.RELEASE)
_add(_SYSCALL, "bpf_crypto_ctx_acquire", _F.ACQUIRE | _F.RET_NULL | _F.RCU)
_add(frozenset({_T.SCHED_CLS, _T.SCHED_ACT, _T.XDP}), "bpf_crypto_decrypt bpf_crypto_encrypt", _F.RCU)
_add(_CGROUP, "bpf_sock_addr_set_sun_path")
_add(_CGROUP, "bpf_sock_ops_enable_tx_tstamp", _F.TRUSTED_ARGS)
_add(frozenset({_T.TRACING}), "bpf_sock_destroy", _F.TRUSTED_ARGS, frozenset({_A.TRACE_ITER}))
_add(_TRACING, "css_rstat_updated")
# The first kernels of the series did not take it for one that may sleep.
_add(_TRACING, "css_rstat_flush", _F.SLEEPABLE)

# Probes of a session, congestion control, and what the kernel keeps for its own tests.
_add(
    frozenset({_T.KPROBE}),
    "bpf_session_is_return bpf_session_cookie",
    attaches=frozenset({_A.TRACE_KPROBE_SESSION, _A.TRACE_UPROBE_SESSION}),
)
_add(
    _STRUCT_OPS,
    "tcp_reno_ssthresh tcp_reno_cong_avoid tcp_reno_undo_cwnd tcp_slow_start tcp_cong_avoid_ai "
    "bbr_init bbr_main bbr_sndbuf_expand bbr_undo_cwnd bbr_cwnd_event bbr_ssthresh bbr_min_tso_segs bbr_set_state "
    "cubictcp_init cubictcp_recalc_ssthresh cubictcp_cong_avoid cubictcp_state cubictcp_cwnd_event cubictcp_acked "
    "dctcp_init dctcp_update_alpha dctcp_cwnd_event dctcp_ssthresh dctcp_cwnd_undo dctcp_state",
)
_add(_TRACING | {_T.SCHED_CLS, _T.SYSCALL}, "bpf_kfunc_call_test_release", _F.RELEASE)
_add(_TRACING | {_T.SCHED_CLS, _T.SYSCALL}, "bpf_kfunc_call_memb_release", _F.RELEASE)

# Queueing disciplines.
_add(_STRUCT_OPS, "bpf_kfree_skb", _F.RELEASE, tables=_tables("Qdisc_ops"))
_add(_STRUCT_OPS, "bpf_skb_get_hash", _F.TRUSTED_ARGS, tables=_tables("Qdisc_ops"))
_add(_STRUCT_OPS, "bpf_qdisc_skb_drop", _F.RELEASE, tables=_tables("Qdisc_ops:enqueue"))
_add(_STRUCT_OPS, "bpf_qdisc_watchdog_schedule", _F.TRUSTED_ARGS, tables=_tables("Qdisc_ops:enqueue,dequeue"))
_add(_STRUCT_OPS, "bpf_qdisc_bstats_update", _F.TRUSTED_ARGS, tables=_tables("Qdisc_ops:dequeue"))
# What Linux itself puts before and behind some programs of theirs.
_add(frozenset(), "bpf_qdisc_init_prologue bpf_qdisc_reset_destroy_epilogue", _F.TRUSTED_ARGS)

# Schedulers. Which of their programs may call what is found out as they run.
_add(
    _CPUMASK,
    "scx_bpf_destroy_dsq scx_bpf_dsq_nr_queued scx_bpf_cpu_node scx_bpf_cpu_rq scx_bpf_cpuperf_cap "
    "scx_bpf_cpuperf_cur scx_bpf_cpuperf_set "
    "scx_bpf_kick_cpu scx_bpf_now scx_bpf_nr_cpu_ids scx_bpf_nr_node_ids scx_bpf_test_and_clear_cpu_idle",
)
_add(_CPUMASK, "scx_bpf_events scx_bpf_dump_bstr scx_bpf_error_bstr scx_bpf_exit_bstr", _F.TRUSTED_ARGS)
_add(_CPUMASK, "scx_bpf_locked_rq", _F.RET_NULL)
_add(_CPUMASK, "scx_bpf_cpu_curr", _F.RET_NULL | _F.RCU_PROTECTED)
_add(
    _CPUMASK,
    "scx_bpf_get_idle_cpumask scx_bpf_get_idle_cpumask_node scx_bpf_get_idle_smtmask scx_bpf_get_idle_smtmask_node "
    "scx_bpf_get_online_cpumask scx_bpf_get_possible_cpumask",
    _F.ACQUIRE,
)
_add(_CPUMASK, "scx_bpf_put_cpumask scx_bpf_put_idle_cpumask", _F.RELEASE)
_add(_CPUMASK, "scx_bpf_task_cgroup", _F.ACQUIRE | _F.RCU)
_add(
    _CPUMASK,
    "scx_bpf_pick_any_cpu scx_bpf_pick_any_cpu_node scx_bpf_pick_idle_cpu scx_bpf_pick_idle_cpu_node "
    "scx_bpf_select_cpu_and scx_bpf_select_cpu_dfl scx_bpf_task_cpu scx_bpf_task_running",
    _F.RCU,
)
_iterator("scx_dsq", _F.RCU_PROTECTED, programs=_CPUMASK)
_add(_STRUCT_OPS | _SYSCALL, "scx_bpf_create_dsq", _F.SLEEPABLE)
_add(_STRUCT_OPS | _SYSCALL, "scx_bpf_dsq_move scx_bpf_dsq_move_vtime", _F.RCU)
_add(_STRUCT_OPS | _SYSCALL, "scx_bpf_dsq_move_set_slice scx_bpf_dsq_move_set_vtime", _F.RCU)
_add(_STRUCT_OPS, "scx_bpf_dsq_insert scx_bpf_dsq_insert_vtime", _F.RCU)
_add(
    _STRUCT_OPS,
    "scx_bpf_dispatch_cancel scx_bpf_dispatch_nr_slots scx_bpf_dsq_move_to_local scx_bpf_reenqueue_local",
)

# Devices that people hold in their hands.
_add(_STRUCT_OPS | _SYSCALL, "hid_bpf_allocate_context", _F.ACQUIRE | _F.RET_NULL | _F.SLEEPABLE)
_add(_STRUCT_OPS | _SYSCALL, "hid_bpf_release_context", _F.RELEASE | _F.SLEEPABLE)
_add(_STRUCT_OPS | _SYSCALL, "hid_bpf_hw_request hid_bpf_hw_output_report hid_bpf_input_report", _F.SLEEPABLE)
_add(_STRUCT_OPS, "hid_bpf_get_data", _F.RET_NULL)
_add(_STRUCT_OPS, "hid_bpf_try_input_report")

_add(frozenset(), "bpf_fentry_test1 bpf_modify_return_test bpf_modify_return_test2")

#: By name, all that are known.
KFUNCS: Mapping[str, Kfunc] = MappingProxyType({row.name: row for row in _ROWS})
