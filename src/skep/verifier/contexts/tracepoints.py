"""Which arguments of tracepoints may be null: what the kernel's types do not say.

Observed on Linux 6.18 of two configurations, argument by argument, with all modules loaded that have tracepoints. Of
a module's tracepoint that is not in the table any argument may be null.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


def _arguments(text: str) -> Mapping[str, frozenset[int]]:
    found = {}
    for line in text.split():
        name, _, indices = line.partition(":")
        found[name] = frozenset(int(index) for index in indices.split(",") if index)
    return MappingProxyType(found)


#: Arguments that may be null. None of the others may, but for those of modules' tracepoints that are not listed.
_NULLABLE: Final = _arguments("""
    amdgpu_vm_bo_map:0 amdgpu_vm_bo_unmap:0 amdtp_packet: binder_transaction:2 break_lease_block:1
    break_lease_noblock:1 break_lease_unblock:1 cachefiles_io_error:0 cachefiles_lookup:0 cachefiles_mark_active:0
    cachefiles_mark_failed:0 cachefiles_mark_inactive:0 cachefiles_ondemand_close:0 cachefiles_ondemand_fd_write:0
    cachefiles_ondemand_open:0 cachefiles_ondemand_read:0 cachefiles_vfs_error:0 cfg80211_inform_bss_frame:2
    cfg80211_michael_mic_failure: cfg80211_report_wowlan_wakeup:2 ext4_mballoc_discard:1 ext4_mballoc_free:1
    fcntl_setlk:1 fib_table_lookup:2 flock_lock_inode:1 folio_wait_writeback:1 generic_delete_lease:1
    hfi1_sdma_progress:3 hugetlbfs_alloc_inode:1 kfree_skb:3 locks_remove_posix:1 mm_collapse_huge_page_isolate:0
    mm_khugepaged_collapse_file:1 mm_khugepaged_scan_file:1 mm_khugepaged_scan_pmd:1 mm_page_alloc:0
    mm_page_alloc_zone_locked:0 mm_page_pcpu_drain:0 mr_integ_alloc: netfs_failure:1 nfs4_setup_sequence:0
    nfsd_file_acquire:0,3 nfsd_file_cons_err:0 nfsd_file_insert_err:0 pnfs_mds_fallback_pg_get_mirror_count:4
    pnfs_mds_fallback_pg_init_read:4 pnfs_mds_fallback_pg_init_write:4 pnfs_mds_fallback_read_done:4
    pnfs_mds_fallback_read_pagelist:4 pnfs_mds_fallback_write_done:4 pnfs_mds_fallback_write_pagelist:4
    pnfs_update_layout:4 posix_lock_inode:1 qdisc_dequeue:3 rdev_set_coalesce:1 sched_pi_setprio:1
    sched_stick_numa:2 sched_swap_numa:2 tcp_send_reset:0,1 tcp_sendmsg_locked:2 time_out_leases:1
    tmigr_update_events:0 wiphy_work_cancel:1 wiphy_work_flush:1 wiphy_work_queue:1 wiphy_work_run:1
    writeback_dirty_folio:1 xchk_metapath_lookup:2 xchk_nlinks_live_update:1 xfs_blockgc_flush_all:0
    xfs_blockgc_free_space:1 xfs_blockgc_start:0 xfs_blockgc_stop:0 xfs_blockgc_worker:0
    xfs_btree_overlapped_query_range:2 xfs_btree_updkeys:2 xfs_defer_add_item:0 xfs_defer_cancel_item:0
    xfs_defer_cancel_list:0 xfs_defer_create_intent:0 xfs_defer_finish_item:0 xfs_defer_isolate_paused:0
    xfs_defer_item_pause:0 xfs_defer_item_unpause:0 xfs_defer_pending_abort:0 xfs_defer_pending_finish:0
    xfs_defer_relog_intent:0 xfs_fs_sync_fs:0 xfs_inodegc_flush:0 xfs_inodegc_push:0 xfs_inodegc_queue:0
    xfs_inodegc_start:0 xfs_inodegc_stop:0 xfs_inodegc_throttle:0 xfs_ioc_free_eofblocks:1 xfs_iomap_alloc:
    xfs_iomap_found: xfs_map_blocks_alloc:4 xfs_map_blocks_found:4 xprt_get_cong:1 xprt_put_cong:1
    xprt_release_cong:1 xprt_reserve_cong:1
""")
#: Arguments that may be an error number in place of a pointer, so that programs see a number.
_NUMBERS: Final = _arguments("cachefiles_lookup:2 mr_integ_alloc:3")


def nullable(tracepoint: str, count: int, *, of_module: bool) -> frozenset[int]:
    """Which of the ``count`` arguments of a tracepoint may be null."""
    known = _NULLABLE.get(tracepoint)
    if known is None:
        return frozenset(range(count)) if of_module else frozenset()
    return known


def numbers(tracepoint: str) -> frozenset[int]:
    """Which arguments are numbers to programs, though their types are pointers."""
    return _NUMBERS.get(tracepoint, frozenset())
