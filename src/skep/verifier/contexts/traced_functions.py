"""Which functions of the kernel programs may be put before, behind (fentry, fexit) and in place of (fmod_ret).

Every function of a kernel was asked for (Linux 6.18, 53,000 functions): what its prototype must be, which are shut to
programs, and where they may change what is returned, or sleep. For those two the kernel's configuration counts too:
where it can make functions fail for tests, it lets programs do so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.btf.kinds import Kind
from skep.btf.types import Composite, Enumeration, Int, Pointer, Struct, Void
from skep.objects.kinds import AttachType
from skep.verifier.rejection import NotCovered, Rejection

if TYPE_CHECKING:
    from skep.btf import Btf
    from skep.btf.types import Parameter
    from skep.verifier.context import Context


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_A = AttachType
#: What a function takes at most: arguments, and bytes for one of them.
_MOST_ARGUMENTS: Final = 12
_LARGEST: Final = 16

#: Functions that programs run through themselves, so that none may be attached to them.
_UNTRACEABLE: Final = _names("""
    migrate_disable migrate_enable ___migrate_enable preempt_count_add preempt_count_sub __rcu_read_lock
    __rcu_read_unlock rcu_read_unlock_strict
""")
#: Functions that never return, so that nothing is ever behind them.
_NEVER_RETURN: Final = _names("""
    do_exit do_group_exit kthread_complete_and_exit kthread_exit make_task_dead __module_put_and_kthread_exit
    __x64_sys_exit __x64_sys_exit_group __ia32_sys_exit __ia32_sys_exit_group
""")

#: Functions whose result programs may change: security hooks, by how their names begin, and these.
_SECURITY: Final = "security_"
_MODIFIABLE: Final = _names("""
    bpf_fentry_test1 bpf_modify_return_test bpf_modify_return_test2 bpf_modify_return_test_tp update_socket_protocol
""")
#: The only function among them around which programs may sleep.
_AWAKE: Final = frozenset({"bpf_fentry_test1"})
#: A kernel that can make functions fail for tests has this function. It has system calls among those.
_INJECTION: Final = "within_error_injection_list"
_SYSTEM_CALLS: Final = ("__x64_sys_", "__ia32_sys_", "__arm64_sys_", "__riscv_sys_", "__s390x_sys_", "__se_sys_")


def check_prototype(btf: Btf, name: str, parameters: tuple[Parameter, ...], result: int, *, variadic: bool) -> None:
    """Refuse functions whose arguments and result cannot be kept for a program."""
    if len(parameters) > _MOST_ARGUMENTS:
        raise Rejection(f"The function {name} has {len(parameters)} arguments. Too many.", hook=name)
    returned = btf.resolve(result)
    if not isinstance(returned, Void | Int | Enumeration | Pointer):
        raise Rejection(f"The function {name} return type {returned.kind.name} is unsupported.", hook=name)
    for number, parameter in enumerate(parameters):
        type = btf.resolve(parameter.type)
        if isinstance(type, Void):
            raise Rejection(f"The function {name} has malformed void argument.", hook=name)
        size = type.size if isinstance(type, Composite) else 1
        if not isinstance(type, Int | Enumeration | Pointer | Struct) or size > _LARGEST:
            raise Rejection(f"The function {name} arg{number} type {type.kind.name} is unsupported.", hook=name)
        if not size:
            raise Rejection(f"The function {name} has malformed void argument.", hook=name)
    if variadic:
        raise Rejection(f"The function {name} with variable args is unsupported.", hook=name)


def check_function(context: Context, name: str) -> None:
    """Refuse a function whose prototype does not permit programs, or that is nowhere in the kernel."""
    function = context.kernel_types.function(name)
    if function is None:
        return
    check_prototype(function.table.btf, name, function.parameters, function.result, variadic=function.variadic)
    if context.has_symbol(name) is False:
        raise Rejection(f"The address of function {name} cannot be found", hook=name)


def check_modification(context: Context, name: str) -> None:
    """Refuse to sleep around functions, and to change what they return, where the kernel does not permit that."""
    if context.sleepable and name not in _AWAKE and not _may_fail(context, name):
        raise Rejection(f"{name} is not sleepable", hook=name)
    if context.attach_type is _A.MODIFY_RETURN and not context.sleepable:
        permitted = name in _MODIFIABLE or name.startswith(_SECURITY)
        if not permitted and not _may_fail(context, name):
            raise Rejection(f"{name}() is not modifiable", hook=name)


def _may_fail(context: Context, name: str) -> bool:
    """Whether the kernel can make a function fail for tests."""
    if context.kernel_types.btf.find(_INJECTION, Kind.FUNC) is None:
        return False
    if name.startswith(_SYSTEM_CALLS):
        return True
    raise NotCovered(f"whether the kernel lets function {name} fail for tests, which its types do not tell")


def check_untraceable(context: Context, name: str) -> None:
    """Refuse functions that are shut to programs, or that nothing comes behind."""
    if name in _UNTRACEABLE:
        raise Rejection(f"Attaching tracing programs to function '{name}' is rejected.", hook=name)
    if name in _NEVER_RETURN and context.attach_type is not _A.TRACE_FENTRY:
        raise Rejection(f"Attaching fexit/fmod_ret to __noreturn function '{name}' is rejected.", hook=name)
