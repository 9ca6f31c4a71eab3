"""Since which version of Linux each kernel function (kfunc) can be called, and program types may call any.

A name counts: a function that was given a new name is as old as that name. Functions that only a module or the
kernel's tests have are left out.

Source: the commits that added them, as listed by docs.ebpf.io ("eBPF Timeline", and the pages of the functions).
Tests hold the table against the sources of Linux 6.1 and 6.12 where they are at hand: each shows what could be
called.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from skep.objects.kinds import ProgramType
from skep.stdlib.kfuncs import KFUNCS as ROWS
from skep.versions.table import by_name
from skep.versions.version import KernelVersion

KFUNCS: Final[Mapping[str, KernelVersion]] = by_name(
    {
        "5.13": (
            "tcp_reno_ssthresh tcp_reno_cong_avoid tcp_reno_undo_cwnd tcp_slow_start tcp_cong_avoid_ai "
            "bbr_init bbr_main bbr_sndbuf_expand bbr_undo_cwnd bbr_cwnd_event bbr_ssthresh bbr_min_tso_segs "
            "bbr_set_state cubictcp_init cubictcp_recalc_ssthresh cubictcp_cong_avoid cubictcp_state "
            "cubictcp_cwnd_event cubictcp_acked dctcp_init dctcp_update_alpha dctcp_cwnd_event dctcp_ssthresh "
            "dctcp_cwnd_undo dctcp_state"
        ),
        "5.18": "bpf_xdp_ct_lookup bpf_skb_ct_lookup bpf_ct_release",
        "6.0": (
            "bpf_xdp_ct_alloc bpf_skb_ct_alloc bpf_ct_insert_entry bpf_ct_set_timeout bpf_ct_change_timeout "
            "bpf_ct_set_status bpf_ct_change_status"
        ),
        "6.1": (
            "cgroup_rstat_updated cgroup_rstat_flush bpf_lookup_user_key bpf_lookup_system_key bpf_key_put "
            "bpf_verify_pkcs7_signature crash_kexec bpf_ct_set_nat_info"
        ),
        "6.2": (
            "bpf_obj_new_impl bpf_obj_drop_impl bpf_list_push_front bpf_list_push_back bpf_list_pop_front "
            "bpf_list_pop_back bpf_task_acquire bpf_task_release bpf_cgroup_acquire bpf_cgroup_release "
            "bpf_cgroup_ancestor bpf_task_from_pid bpf_cast_to_kern_ctx bpf_rdonly_cast bpf_rcu_read_lock "
            "bpf_rcu_read_unlock bpf_skb_get_xfrm_info bpf_skb_set_xfrm_info"
        ),
        "6.3": (
            "bpf_cpumask_create bpf_cpumask_release bpf_cpumask_acquire bpf_cpumask_first bpf_cpumask_first_zero "
            "bpf_cpumask_set_cpu bpf_cpumask_clear_cpu bpf_cpumask_test_cpu bpf_cpumask_test_and_set_cpu "
            "bpf_cpumask_test_and_clear_cpu bpf_cpumask_setall bpf_cpumask_clear bpf_cpumask_and bpf_cpumask_or "
            "bpf_cpumask_xor bpf_cpumask_equal bpf_cpumask_intersects bpf_cpumask_subset bpf_cpumask_empty "
            "bpf_cpumask_full bpf_cpumask_copy bpf_rbtree_add bpf_rbtree_remove bpf_rbtree_first "
            "bpf_xdp_metadata_rx_timestamp bpf_xdp_metadata_rx_hash hid_bpf_get_data hid_bpf_attach_prog "
            "hid_bpf_allocate_context hid_bpf_release_context hid_bpf_hw_request"
        ),
        "6.4": (
            "bpf_refcount_acquire_impl bpf_list_push_front_impl bpf_list_push_back_impl bpf_rbtree_add_impl "
            "bpf_cgroup_from_id bpf_dynptr_slice bpf_dynptr_slice_rdwr bpf_iter_num_new bpf_iter_num_next "
            "bpf_iter_num_destroy bpf_dynptr_from_skb bpf_dynptr_from_xdp bpf_skb_set_fou_encap "
            "bpf_skb_get_fou_encap"
        ),
        "6.5": (
            "bpf_cpumask_first_and bpf_cpumask_any_distribute bpf_cpumask_any_and_distribute bpf_task_under_cgroup "
            "bpf_dynptr_adjust bpf_dynptr_is_null bpf_dynptr_is_rdonly bpf_dynptr_size bpf_dynptr_clone "
            "bpf_sock_destroy"
        ),
        "6.6": "bpf_map_sum_elem_count",
        "6.7": (
            "bpf_percpu_obj_new_impl bpf_percpu_obj_drop_impl bpf_throw bpf_iter_task_vma_new "
            "bpf_iter_task_vma_next bpf_iter_task_vma_destroy bpf_iter_css_task_new bpf_iter_css_task_next "
            "bpf_iter_css_task_destroy bpf_iter_css_new bpf_iter_css_next bpf_iter_css_destroy bpf_iter_task_new "
            "bpf_iter_task_next bpf_iter_task_destroy bpf_sock_addr_set_sun_path"
        ),
        "6.8": (
            "bpf_get_file_xattr bpf_cpumask_weight bpf_task_get_cgroup1 bpf_get_fsverity_digest "
            "bpf_xdp_metadata_rx_vlan_tag bpf_xdp_get_xfrm_state bpf_xdp_xfrm_state_release"
        ),
        "6.9": "bpf_arena_alloc_pages bpf_arena_free_pages bpf_sk_assign_tcp_reqsk",
        "6.10": (
            "bpf_wq_init bpf_wq_set_callback_impl bpf_wq_start bpf_preempt_disable bpf_preempt_enable "
            "bpf_crypto_ctx_create bpf_crypto_ctx_release bpf_crypto_ctx_acquire bpf_crypto_decrypt "
            "bpf_crypto_encrypt bpf_session_is_return bpf_session_cookie hid_bpf_hw_output_report "
            "hid_bpf_input_report"
        ),
        "6.11": (
            "bpf_iter_bits_new bpf_iter_bits_next bpf_iter_bits_destroy bpf_xdp_flow_lookup hid_bpf_try_input_report"
        ),
        "6.12": (
            "bpf_copy_from_user_str bpf_get_task_exe_file bpf_put_file bpf_path_d_path bpf_get_dentry_xattr "
            "scx_bpf_select_cpu_dfl scx_bpf_dispatch scx_bpf_dispatch_vtime scx_bpf_dispatch_nr_slots "
            "scx_bpf_dispatch_cancel scx_bpf_consume scx_bpf_dispatch_from_dsq_set_slice "
            "scx_bpf_dispatch_from_dsq_set_vtime scx_bpf_dispatch_from_dsq scx_bpf_dispatch_vtime_from_dsq "
            "scx_bpf_reenqueue_local scx_bpf_create_dsq scx_bpf_kick_cpu scx_bpf_dsq_nr_queued "
            "scx_bpf_destroy_dsq bpf_iter_scx_dsq_new bpf_iter_scx_dsq_next bpf_iter_scx_dsq_destroy "
            "scx_bpf_exit_bstr scx_bpf_error_bstr scx_bpf_dump_bstr scx_bpf_cpuperf_cap scx_bpf_cpuperf_cur "
            "scx_bpf_cpuperf_set scx_bpf_nr_cpu_ids scx_bpf_get_possible_cpumask scx_bpf_get_online_cpumask "
            "scx_bpf_put_cpumask scx_bpf_get_idle_cpumask scx_bpf_get_idle_smtmask scx_bpf_put_idle_cpumask "
            "scx_bpf_test_and_clear_cpu_idle scx_bpf_pick_idle_cpu scx_bpf_pick_any_cpu scx_bpf_task_running "
            "scx_bpf_task_cpu scx_bpf_cpu_rq scx_bpf_task_cgroup"
        ),
        "6.13": (
            "bpf_task_from_vpid bpf_send_signal_task bpf_get_kmem_cache bpf_iter_kmem_cache_new "
            "bpf_iter_kmem_cache_next bpf_iter_kmem_cache_destroy scx_bpf_dsq_insert scx_bpf_dsq_insert_vtime "
            "scx_bpf_dsq_move_to_local scx_bpf_dsq_move_set_slice scx_bpf_dsq_move_set_vtime scx_bpf_dsq_move "
            "scx_bpf_dsq_move_vtime"
        ),
        "6.14": "bpf_local_irq_save bpf_local_irq_restore scx_bpf_now",
        "6.15": (
            "bpf_copy_from_user_task_str bpf_cpumask_populate bpf_dynptr_copy bpf_set_dentry_xattr "
            "bpf_remove_dentry_xattr bpf_res_spin_lock bpf_res_spin_unlock bpf_res_spin_lock_irqsave "
            "bpf_res_spin_unlock_irqrestore bpf_sock_ops_enable_tx_tstamp scx_bpf_events scx_bpf_nr_node_ids "
            "scx_bpf_cpu_node scx_bpf_get_idle_cpumask_node scx_bpf_get_idle_smtmask_node "
            "scx_bpf_pick_idle_cpu_node scx_bpf_pick_any_cpu_node"
        ),
        "6.16": (
            "__bpf_trap bpf_iter_dmabuf_new bpf_iter_dmabuf_next bpf_iter_dmabuf_destroy "
            "bpf_probe_read_user_dynptr bpf_probe_read_kernel_dynptr bpf_probe_read_user_str_dynptr "
            "bpf_probe_read_kernel_str_dynptr bpf_copy_from_user_dynptr bpf_copy_from_user_str_dynptr "
            "bpf_copy_from_user_task_dynptr bpf_copy_from_user_task_str_dynptr bpf_list_front bpf_list_back "
            "bpf_rbtree_root bpf_rbtree_left bpf_rbtree_right bpf_qdisc_bstats_update bpf_qdisc_watchdog_schedule "
            "bpf_skb_get_hash bpf_kfree_skb bpf_qdisc_skb_drop scx_bpf_select_cpu_and css_rstat_updated "
            "css_rstat_flush bpf_qdisc_init_prologue bpf_qdisc_reset_destroy_epilogue"
        ),
        "6.17": (
            "bpf_arena_reserve_pages bpf_stream_vprintk bpf_dynptr_memset bpf_cgroup_read_xattr bpf_strcmp "
            "bpf_strchr bpf_strchrnul bpf_strnchr bpf_strrchr bpf_strlen bpf_strnlen bpf_strspn bpf_strcspn "
            "bpf_strstr bpf_strnstr"
        ),
        "6.18": (
            "bpf_dynptr_from_skb_meta bpf_xdp_pull_data bpf_strcasecmp bpf_stream_vprintk_impl "
            "bpf_task_work_schedule_signal_impl bpf_task_work_schedule_resume_impl scx_bpf_locked_rq scx_bpf_cpu_curr"
        ),
    }
)

#: Since when programs of a type may call kernel functions that were there for other types before.
_CALLERS: Final[Mapping[ProgramType, KernelVersion]] = MappingProxyType(
    {
        ProgramType[name]: since
        for name, since in by_name(
            {
                "5.13": "STRUCT_OPS SCHED_CLS",
                "5.18": "XDP",
                "6.1": "TRACING LSM SYSCALL",
                "6.4": ("CGROUP_SKB SCHED_ACT SK_SKB SOCKET_FILTER LWT_IN LWT_OUT LWT_XMIT LWT_SEG6LOCAL NETFILTER"),
                "6.7": "CGROUP_SOCK_ADDR",
                "6.10": "KPROBE",
                "6.12": "TRACEPOINT PERF_EVENT CGROUP_DEVICE CGROUP_SOCK CGROUP_SOCKOPT CGROUP_SYSCTL",
                "6.15": "SOCK_OPS",
            }
        ).items()
    }
)
#: How many program types may call what every program may call, more or less.
_COMMON: Final = 20


def kfunc_since(name: str, program: ProgramType | None) -> KernelVersion | None:
    """Since when programs of a type may call a kernel function; None where that is not known.

    What every program may call (casts, RCU sections, iterators over numbers) is as old for all of them.
    """
    since = KFUNCS.get(name)
    row = ROWS.get(name)
    if since is None or program is None or row is None or len(row.programs) > _COMMON:
        return since
    return max(since, _CALLERS.get(program, since))
