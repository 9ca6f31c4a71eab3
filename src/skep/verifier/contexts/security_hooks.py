"""The kernel's security hooks (``bpf_lsm_*``): which take programs, and what those may do there.

Observed on Linux 6.18, each rule hook by hook, with programs attached to all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.objects.kinds import AttachType
from skep.verifier.rejection import Rejection

if TYPE_CHECKING:
    from skep.verifier.context import Context


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What stands before the name of a hook in the kernel's types.
PREFIX: Final = "bpf_lsm_"

#: Hooks that programs cannot be attached to.
_DISABLED: Final = _names("""
    vm_enough_memory inode_need_killpriv inode_getsecurity inode_listsecurity inode_copy_up_xattr getselfattr
    getprocattr setprocattr key_getsecurity audit_rule_match ismaclabel
""")

#: Functions that are named as hooks are, and are none.
_NO_HOOKS: Final = _names("""
    find_cgroup_shim func_proto get_retval_range has_d_inode_locked init is_sleepable_hook is_trusted verify_prog
""")

#: Hooks that are called where the kernel may sleep; their programs may then print paths, and ask for measurements.
_SLEEPABLE: Final = _names("""
    bpf bpf_map bpf_map_create bpf_map_free bpf_prog bpf_prog_free bpf_prog_load bpf_token_capable bpf_token_cmd
    bpf_token_create bpf_token_free bprm_check_security bprm_committed_creds bprm_committing_creds
    bprm_creds_for_exec bprm_creds_from_file capget capset cred_prepare file_ioctl file_lock file_open
    file_post_open file_receive inet_conn_established inode_create inode_free_security inode_getattr
    inode_getxattr inode_mknod inode_need_killpriv inode_post_removexattr inode_post_setxattr inode_readlink
    inode_removexattr inode_rename inode_rmdir inode_setattr inode_setxattr inode_symlink inode_unlink
    kernel_module_request kernel_read_file kernfs_init_security mmap_file netlink_send path_chmod path_chown
    path_link path_mkdir path_notify path_rename path_rmdir path_symlink path_truncate path_unlink release_secctx
    sb_alloc_security sb_eat_lsm_opts sb_kern_mount sb_mount sb_remount sb_set_mnt_opts sb_show_options sb_statfs
    sb_umount settime socket_accept socket_bind socket_connect socket_create socket_getpeername
    socket_getpeersec_dgram socket_getsockname socket_getsockopt socket_listen socket_post_create socket_recvmsg
    socket_sendmsg socket_shutdown socket_socketpair syslog task_alloc task_prctl task_setscheduler task_to_inode
    userns_create
""")

#: Hooks that are called before an object is whole, or when nobody holds it any more.
_UNTRUSTED: Final = _names("""
    bpf_map_free bpf_prog_free file_alloc_security file_free_security sk_alloc_security sk_free_security task_free
""")

#: Hooks in which a program of a control group may read and set the options of a socket.
_OPTIONS: Final = _names("""
    inet_conn_established inet_csk_clone sock_graft socket_post_create socket_socketpair
""")

#: Hooks that answer yes or no; the others answer with an error number, or 0.
_BOOLEAN: Final = _names("inode_xattr_skipcap xfrm_state_pol_flow_match audit_rule_known")
_ERROR_NUMBER: Final = (-4095, 0)


def check_hook(context: Context) -> None:
    """Refuse what is no hook for programs."""
    name = context.hook.name
    if not context.is_gpl:
        raise Rejection("LSM programs must have a GPL compatible license")
    hook = name.removeprefix(PREFIX)
    function = context.kernel_types.function(name)
    id = function.id if function is not None else 0
    if hook in _DISABLED:
        raise Rejection(f"attach_btf_id {id} points to disabled hook {name}", hook=name)
    if hook in _NO_HOOKS:
        raise Rejection(f"attach_btf_id {id} points to wrong type name {name}", hook=name)


def may_sleep(target: str) -> bool:
    """Whether programs of a hook may be sleepable."""
    return target in _SLEEPABLE


def is_trusted(target: str) -> bool:
    """Whether the arguments of a hook are as good as the kernel itself holds them."""
    return target not in _UNTRUSTED


def may_set_options(target: str) -> bool:
    """Whether programs of control groups may read and set the options of a socket there."""
    return target in _OPTIONS


def permitted_range(context: Context) -> tuple[int, int] | None:
    """What programs of a hook may return, or None if anything."""
    hook = context.hook
    if context.attach_type is AttachType.LSM_CGROUP:
        return (1, 1) if hook.is_void else (0, 1)
    if hook.is_void:
        return None
    return (0, 1) if hook.name.removeprefix(PREFIX) in _BOOLEAN else _ERROR_NUMBER
