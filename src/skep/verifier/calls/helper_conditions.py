"""Who may call a helper, where the program's type alone does not decide it: the hook, the iterator, the table.

Source: each helper was asked for by a program of each hook on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.objects.kinds import AttachType, ProgramType
from skep.stdlib import prototypes
from skep.verifier.contexts import security_hooks
from skep.verifier.contexts.program_tables import may_call
from skep.verifier.rejection import Rejection

if TYPE_CHECKING:
    from skep.verifier.context import Context

_T, _A = ProgramType, AttachType
_TRAMPOLINES: Final = frozenset({_A.TRACE_FENTRY, _A.TRACE_FEXIT, _A.MODIFY_RETURN})

#: What the measured kernel has nobody call: its configuration leaves them out, or they are locked away.
_ABSENT: Final = frozenset({"override_return", "probe_write_user"})
#: Iterators over sockets whose options a program may read and set.
_OPTIONS: Final = frozenset({"getsockopt", "setsockopt"})
_LOCKED_SOCKETS: Final = frozenset({"tcp", "unix"})
#: Functions of the kernel in which a path can be printed.
_PATH_FUNCTIONS: Final = frozenset(
    {
        "security_file_permission",
        "security_inode_getattr",
        "security_file_open",
        "security_path_truncate",
        "vfs_truncate",
        "vfs_fallocate",
        "dentry_open",
        "vfs_getattr",
        "filp_close",
    }
)
_SOCKET_STORAGE: Final = frozenset({"sk_storage_get", "sk_storage_delete"})
#: What the kernel knows of files by their contents: for security hooks that may sleep.
_MEASUREMENTS: Final = frozenset({"ima_inode_hash", "ima_file_hash"})
#: Functions that are socket storage themselves.
_STORAGE_FUNCTIONS: Final = "bpf_sk_storage"


def check_conditions(context: Context, name: str) -> None:
    """Refuse a helper that programs of this type may call, but not where this one is attached."""
    if name in _ABSENT or not _on_table(context, name) or not _with_options(context, name):
        raise Rejection(f"program of this type cannot use helper bpf_{name}#{prototypes.number(name)}", helper=name)
    if not _in_probe(context, name):
        raise Rejection("helper call is not allowed in probe", helper=name)


def _on_table(context: Context, name: str) -> bool:
    return context.member is None or may_call(*context.member, name)


def _with_options(context: Context, name: str) -> bool:
    if name not in _OPTIONS:
        return True
    if context.type is _T.LSM:
        return security_hooks.may_set_options(context.spec.attach_target or "")
    return context.type is not _T.TRACING or context.spec.attach_target in _LOCKED_SOCKETS


def _in_probe(context: Context, name: str) -> bool:
    type, attach, target = context.type, context.attach_type, context.spec.attach_target or ""
    if name in _SOCKET_STORAGE:
        is_storage = attach in _TRAMPOLINES and target.startswith(_STORAGE_FUNCTIONS)
        return type is not _T.SYSCALL and not (type is _T.TRACING and (is_storage or attach is _A.MODIFY_RETURN))
    if name in _MEASUREMENTS:
        return security_hooks.may_sleep(target)
    if name == "d_path":
        if type is _T.LSM:
            return security_hooks.may_sleep(target)
        if type is _T.TRACING:
            return attach is _A.TRACE_ITER or (attach in _TRAMPOLINES and target in _PATH_FUNCTIONS)
        return type is not _T.SYSCALL
    return True


#: Helpers that `check_call` knows.
CHECKED_CALLS: Final = frozenset({prototypes.number("set_retval"), prototypes.number("get_func_ip")})


def check_call(context: Context, name: str) -> None:
    """Refuse to ask for the function that is traced where none is, and to change a result that there is not.

    Linux asks this once it has looked at the arguments.
    """
    type = context.type
    if name == "set_retval" and context.attach_type is _A.LSM_CGROUP and context.hook.is_void:
        raise Rejection("BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!", helper=name)
    if name != "get_func_ip" or type is _T.KPROBE:
        return
    text = f"func bpf_{name}#{prototypes.number(name)}"
    if type is not _T.TRACING:
        raise Rejection(f"{text} not supported for program type {int(type)}", helper=name)
    if context.attach_type not in _TRAMPOLINES:
        raise Rejection(f"{text} supported only for fentry/fexit/fmod_ret programs", helper=name)
