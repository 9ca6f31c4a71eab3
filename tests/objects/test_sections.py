"""Section names say what a program is, where it attaches and whether it may sleep."""

from __future__ import annotations

import pytest

from skep.objects import AttachType, ProgramType
from skep.objects.sections import SECTIONS, SLEEPABLE, XDP_HAS_FRAGS, read_section_name


@pytest.mark.parametrize(
    ("name", "type", "attach_type", "target", "flags"),
    [
        ("xdp", "xdp", AttachType.XDP, None, 0),
        ("xdp.frags", "xdp", AttachType.XDP, None, XDP_HAS_FRAGS),
        ("xdp/devmap", "xdp", AttachType.XDP_DEVMAP, None, 0),
        ("xdp.frags/cpumap", "xdp", AttachType.XDP_CPUMAP, None, XDP_HAS_FRAGS),
        ("tc", "sched_cls", None, None, 0),
        ("tcx/egress", "sched_cls", AttachType.TCX_EGRESS, None, 0),
        ("tc/ingress", "sched_cls", AttachType.TCX_INGRESS, None, 0),
        ("classifier", "sched_cls", None, None, 0),
        ("action", "sched_act", None, None, 0),
        ("socket", "socket_filter", None, None, 0),
        ("flow_dissector", "flow_dissector", AttachType.FLOW_DISSECTOR, None, 0),
        ("cgroup_skb/ingress", "cgroup_skb", AttachType.CGROUP_INET_INGRESS, None, 0),
        ("cgroup/skb", "cgroup_skb", None, None, 0),
        ("cgroup/connect4", "cgroup_sock_addr", AttachType.CGROUP_INET4_CONNECT, None, 0),
        ("cgroup/sock_release", "cgroup_sock", AttachType.CGROUP_INET_SOCK_RELEASE, None, 0),
        ("cgroup/dev", "cgroup_device", AttachType.CGROUP_DEVICE, None, 0),
        ("kprobe/do_unlinkat", "kprobe", None, "do_unlinkat", 0),
        ("kprobe", "kprobe", None, None, 0),
        ("kprobe.multi/tcp_*", "kprobe", AttachType.TRACE_KPROBE_MULTI, "tcp_*", 0),
        ("kprobe.session/x", "kprobe", AttachType.TRACE_KPROBE_SESSION, "x", 0),
        ("uprobe.s//usr/bin/bash:readline", "kprobe", None, "/usr/bin/bash:readline", SLEEPABLE),
        ("tracepoint/sched/sched_switch", "tracepoint", None, "sched/sched_switch", 0),
        ("tp/syscalls/sys_enter_open", "tracepoint", None, "syscalls/sys_enter_open", 0),
        ("raw_tp.w/name", "raw_tracepoint_writable", None, "name", 0),
        ("tp_btf/task_newtask", "tracing", AttachType.TRACE_RAW_TP, "task_newtask", 0),
        ("fentry.s/vfs_read", "tracing", AttachType.TRACE_FENTRY, "vfs_read", SLEEPABLE),
        ("fmod_ret/x", "tracing", AttachType.MODIFY_RETURN, "x", 0),
        ("lsm/file_open", "lsm", AttachType.LSM_MAC, "file_open", 0),
        ("lsm.s/file_open", "lsm", AttachType.LSM_MAC, "file_open", SLEEPABLE),
        ("lsm_cgroup/socket_bind", "lsm", AttachType.LSM_CGROUP, "socket_bind", 0),
        ("iter/task", "tracing", AttachType.TRACE_ITER, "task", 0),
        ("struct_ops/init", "struct_ops", AttachType.STRUCT_OPS, "init", 0),
        ("struct_ops.s/init", "struct_ops", AttachType.STRUCT_OPS, "init", SLEEPABLE),
        ("syscall", "syscall", None, None, SLEEPABLE),
        ("netfilter", "netfilter", AttachType.NETFILTER, None, 0),
        ("sk_lookup", "sk_lookup", AttachType.SK_LOOKUP, None, 0),
        ("sk_reuseport/migrate", "sk_reuseport", AttachType.SK_REUSEPORT_SELECT_OR_MIGRATE, None, 0),
        ("sk_skb/stream_verdict", "sk_skb", AttachType.SK_SKB_STREAM_VERDICT, None, 0),
        ("sk_msg", "sk_msg", AttachType.SK_MSG_VERDICT, None, 0),
        ("sockops", "sock_ops", AttachType.CGROUP_SOCK_OPS, None, 0),
        ("lwt_seg6local", "lwt_seg6local", None, None, 0),
        ("perf_event", "perf_event", None, None, 0),
        ("freplace/function", "ext", None, "function", 0),
        ("raw", "raw", None, None, 0),
    ],
)
def test_a_name_has_one_meaning(
    name: str, type: str, attach_type: AttachType | None, target: str | None, flags: int
) -> None:
    found = read_section_name(name)
    assert found.meaning is not None
    assert found.meaning.type.label == type
    assert (found.meaning.attach_type, found.target, found.meaning.flags) == (attach_type, target, flags)
    assert found.autoload


@pytest.mark.parametrize("name", ["xdp_drop", "tc_main", "classifier/main", "socket1", "xdp/prog"])
def test_older_loose_names_are_taken_by_their_beginning(name: str) -> None:
    found = read_section_name(name).meaning
    assert (found is None) == (name == "socket1")


@pytest.mark.parametrize(
    "name", ["nonsense", "xdpfoo", "fentryx", "fentryx/y", "/", "", "?", "tcx", "cgroup", "x" * 999]
)
def test_a_name_without_meaning_has_none(name: str) -> None:
    assert read_section_name(name).meaning is None


def test_a_question_mark_means_only_on_request() -> None:
    found = read_section_name("?kprobe/x")
    assert (found.autoload, found.target) == (False, "x")
    assert found.meaning is not None


def test_every_type_of_program_can_be_asked_for() -> None:
    assert {meaning.type for meaning in SECTIONS.values()} == set(ProgramType) - {ProgramType.UNSPEC}
