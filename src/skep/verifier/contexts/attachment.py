"""What a program is attached to, for types whose context is the arguments of a function of the kernel.

Such a program (tracing, LSM, struct_ops) finds in its context one eight-byte slot an argument, and behind them, where
it runs after the function, what that returned. The kernel's types say what a slot holds. What they do not say stands
in tables: which arguments of a tracepoint may be null (``tracepoints``), and how far an iterator's may be trusted,
observed on Linux 6.18, iterator by iterator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from skep.btf.kinds import Kind as BtfKind
from skep.btf.types import Composite, Enumeration, Int, Parameter, Pointer, Void
from skep.errors import SkepError
from skep.objects.kinds import AttachType, ProgramType
from skep.verifier.contexts import other_programs, security_hooks, traced_functions, tracepoints
from skep.verifier.contexts.hook import Hook, Seen
from skep.verifier.kernel.kernel_types import TypeTable
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import MAYBE_NULL, READ_ONLY, TRUSTED, Kind

if TYPE_CHECKING:
    from skep.verifier.context import Context
    from skep.verifier.structure import Subprogram

_SLOT: Final = 8
_A = AttachType


_META = (Kind.OBJECT, TRUSTED)
_THERE = (Kind.OBJECT, TRUSTED)
_TRUSTED_OR_NULL = (Kind.OBJECT, TRUSTED | MAYBE_NULL)
_OR_NULL = (Kind.OBJECT, MAYBE_NULL)
_NUMBER = (Kind.SCALAR, 0)
_KEY = (Kind.BUFFER, READ_ONLY | MAYBE_NULL)
_VALUE = (Kind.BUFFER, MAYBE_NULL)

#: What the arguments of an iterator's programs are.
ITERATORS: Final[Mapping[str, tuple[tuple[Kind, int], ...]]] = MappingProxyType(
    {
        "bpf_link": (_META, _OR_NULL),
        "bpf_map": (_META, _TRUSTED_OR_NULL),
        "bpf_map_elem": (_META, _THERE, _KEY, _VALUE),
        "bpf_prog": (_META, _OR_NULL),
        "bpf_sk_storage_map": (_META, _THERE, _OR_NULL, _VALUE),
        "cgroup": (_META, _TRUSTED_OR_NULL),
        "dmabuf": (_META, _OR_NULL),
        "ipv6_route": (_META, _OR_NULL),
        "kmem_cache": (_META, _TRUSTED_OR_NULL),
        "ksym": (_META, _OR_NULL),
        "netlink": (_META, _OR_NULL),
        "sockmap": (_META, _THERE, _KEY, _OR_NULL),
        "task": (_META, _TRUSTED_OR_NULL),
        "task_file": (_META, _OR_NULL, _NUMBER, _OR_NULL),
        "task_vma": (_META, _OR_NULL, _OR_NULL),
        "tcp": (_META, _TRUSTED_OR_NULL, _NUMBER),
        "udp": (_META, _TRUSTED_OR_NULL, _NUMBER, _NUMBER),
        "unix": (_META, _OR_NULL, _NUMBER),
    }
)

#: What stands before the name of a target in the kernel's types.
_PREFIXES: Final = {
    _A.TRACE_RAW_TP: "btf_trace_",
    _A.TRACE_ITER: "bpf_iter_",
    _A.LSM_MAC: security_hooks.PREFIX,
    _A.LSM_CGROUP: security_hooks.PREFIX,
}
#: Where a program may read what the function returned.
_AFTER: Final = frozenset({_A.TRACE_FEXIT, _A.MODIFY_RETURN, _A.LSM_MAC, _A.LSM_CGROUP})
#: Where the arguments of the function are as good as the kernel itself holds them.
_TRUSTED_ARGUMENTS: Final = frozenset({_A.TRACE_RAW_TP, _A.LSM_MAC, _A.LSM_CGROUP, _A.STRUCT_OPS})

_TRAMPOLINES: Final = frozenset({_A.TRACE_FENTRY, _A.TRACE_FEXIT, _A.MODIFY_RETURN})
#: The attach types that programs of a type may be loaded with, where Linux asks; the others take any.
_ATTACH_TYPES: Final[Mapping[ProgramType, frozenset[AttachType]]] = MappingProxyType(
    {
        ProgramType.CGROUP_SKB: frozenset({_A.CGROUP_INET_INGRESS, _A.CGROUP_INET_EGRESS}),
        ProgramType.CGROUP_SOCK: frozenset(
            {
                _A.CGROUP_INET_INGRESS,
                _A.CGROUP_INET_SOCK_CREATE,
                _A.CGROUP_INET4_POST_BIND,
                _A.CGROUP_INET6_POST_BIND,
                _A.CGROUP_INET_SOCK_RELEASE,
            }
        ),
        ProgramType.CGROUP_SOCK_ADDR: frozenset(
            {
                _A.CGROUP_INET4_BIND,
                _A.CGROUP_INET6_BIND,
                _A.CGROUP_INET4_CONNECT,
                _A.CGROUP_INET6_CONNECT,
                _A.CGROUP_UDP4_SENDMSG,
                _A.CGROUP_UDP6_SENDMSG,
                _A.CGROUP_UDP4_RECVMSG,
                _A.CGROUP_UDP6_RECVMSG,
                _A.CGROUP_INET4_GETPEERNAME,
                _A.CGROUP_INET6_GETPEERNAME,
                _A.CGROUP_INET4_GETSOCKNAME,
                _A.CGROUP_INET6_GETSOCKNAME,
                _A.CGROUP_UNIX_CONNECT,
                _A.CGROUP_UNIX_SENDMSG,
                _A.CGROUP_UNIX_RECVMSG,
                _A.CGROUP_UNIX_GETPEERNAME,
                _A.CGROUP_UNIX_GETSOCKNAME,
            }
        ),
        ProgramType.SK_REUSEPORT: frozenset(
            {_A.CGROUP_INET_INGRESS, _A.SK_REUSEPORT_SELECT, _A.SK_REUSEPORT_SELECT_OR_MIGRATE}
        ),
        ProgramType.CGROUP_SOCKOPT: frozenset({_A.CGROUP_GETSOCKOPT, _A.CGROUP_SETSOCKOPT}),
        ProgramType.EXT: frozenset({_A.CGROUP_INET_INGRESS}),
        ProgramType.SK_LOOKUP: frozenset({_A.SK_LOOKUP}),
        ProgramType.SYSCALL: frozenset({_A.CGROUP_INET_INGRESS}),
        ProgramType.NETFILTER: frozenset({_A.NETFILTER}),
    }
)

_MAY_SLEEP: Final = frozenset(
    {ProgramType.TRACING, ProgramType.LSM, ProgramType.STRUCT_OPS, ProgramType.KPROBE, ProgramType.SYSCALL}
)
_SLEEPABLE_TRACING: Final = frozenset({_A.TRACE_FENTRY, _A.TRACE_FEXIT, _A.MODIFY_RETURN, _A.TRACE_ITER})


def check_attachment(context: Context, effects: Subprogram) -> None:
    """Refuse what is wrong with a program's target, before anything of its code is looked at.

    ``effects`` are those of the program: whether it sleeps, or moves the packet.
    """
    spec, type = context.spec, ProgramType.EXT if context.replaces else context.type
    attach = spec.attach_type
    if attach is not None and attach not in _ATTACH_TYPES.get(type, (attach,)):
        # Linux says nothing of its reason.
        raise Rejection(f"programs of type {type.label} cannot be loaded with attach type {attach.label}")
    if context.sleepable and (
        type not in _MAY_SLEEP or (type is ProgramType.TRACING and context.attach_type not in _SLEEPABLE_TRACING)
    ):
        raise Rejection(
            "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable", program=type
        )
    if context.other is not None:
        other_programs.check_other_program(context, context.other, effects)
        if context.attach_type is _A.TRACE_ITER:
            # Linux says nothing of its reason.
            raise Rejection("programs of iterators cannot be extended")
        return
    if type is ProgramType.LSM:
        name = context.hook.name
        traced_functions.check_function(context, name)
        if context.sleepable and not security_hooks.may_sleep(spec.attach_target or ""):
            raise Rejection(f"{name} is not sleepable", hook=name)
        security_hooks.check_hook(context)
    if type is ProgramType.TRACING:
        name = context.hook.name
        if context.attach_type in _TRAMPOLINES:
            traced_functions.check_function(context, name)
            traced_functions.check_modification(context, name)
            traced_functions.check_untraceable(context, name)


def hook_of(context: Context) -> Hook:
    """What the program is attached to. Raises NotCovered where the kernel's types do not have it."""
    spec = context.spec
    if context.other is not None:
        return other_programs.watched(context, context.other)
    attach = context.attach_type
    target = spec.attach_target
    if attach is None or not target:
        raise NotCovered(f"a {context.type.label} program that does not say what it attaches to")
    types = context.kernel_types
    name = _PREFIXES.get(attach, "") + target
    if attach is _A.TRACE_RAW_TP:
        typedef = types.find(name, BtfKind.TYPEDEF)
        if typedef is not None:
            types = typedef[0]
        prototype = None if typedef is None else types.prototype(typedef[1])
        if prototype is None:
            raise NotCovered(f"tracepoint {target}, which the kernel's types do not have")
        # The first parameter is not the tracepoint's own.
        parameters = prototype.parameters[1:]
        of_module = types is not context.kernel_types
        nullable = tracepoints.nullable(target, len(parameters), of_module=of_module)
        arguments = arguments_of(types, target, parameters, TRUSTED, nullable)
        numbers = tracepoints.numbers(target)
        arguments = tuple(Seen(whole=True) if at in numbers else one for at, one in enumerate(arguments))
        return Hook(target, arguments, is_void=True)
    function = types.function(name)
    if function is None:
        raise NotCovered(f"function {name}, which the kernel's types do not have")
    types = function.table
    if attach is _A.TRACE_ITER:
        return Hook(name, _iterator_arguments(types, target, function.parameters))
    trust = TRUSTED if attach in _TRUSTED_ARGUMENTS and security_hooks.is_trusted(target) else 0
    arguments = arguments_of(types, name, function.parameters, trust)
    is_void = isinstance(types.btf.resolve(function.result), Void)
    after = attach in _AFTER and not is_void
    result = seen_as(types, name, len(arguments), function.result, trust) if after else None
    returned = types.btf.resolve(function.result)
    if result is not None and attach is _A.MODIFY_RETURN and not isinstance(returned, Int):
        result = Seen(problem=f"ret type {returned.kind.name} not allowed for fmod_ret")
    if is_void:
        # The place of the result counts, though there is none.
        result = Seen(problem=f"func '{name}' doesn't have {len(arguments) + 2}-th argument")
    return Hook(name, arguments, result, is_void)


def arguments_of(
    types: TypeTable,
    name: str,
    parameters: tuple[Parameter, ...],
    trust: int,
    nullable: frozenset[int] = frozenset(),
) -> tuple[Seen, ...]:
    """A slot for each argument; one of more than eight bytes takes several."""
    slots: list[Seen] = []
    for number, parameter in enumerate(parameters):
        seen = seen_as(types, name, number, parameter.type, trust)
        if seen.kind is Kind.OBJECT and number in nullable:
            seen = replace(seen, flags=seen.flags | MAYBE_NULL)
        try:
            size = types.btf.size_of(parameter.type)
        except SkepError:
            size = _SLOT
        slots += [seen] * max(1, -(-size // _SLOT))
    return tuple(slots)


def seen_as(types: TypeTable, name: str, number: int, type_id: int, trust: int) -> Seen:
    """What an argument of a type is to a program."""
    type = types.btf.resolve(type_id)
    if isinstance(type, Int | Enumeration | Composite):
        return Seen()
    if not isinstance(type, Pointer):
        has = f"'{type.name}' has type {type.kind.name}. Only pointer access is allowed"
        return Seen(problem=f"func '{name}' arg{number} {has}")
    target = types.type(type.target)
    inner = types.btf[target.id]
    if isinstance(inner, Void | Int):
        return Seen(whole=True)
    if not isinstance(inner, Composite):
        return Seen(problem=f"func '{name}' arg{number} type {inner.kind.name} is not a struct")
    return Seen(
        Kind.OBJECT,
        trust,
        target,
        remark=f"arg{number} has btf_id {target.id} type {inner.kind.name} '{inner.name}'",
        whole=True,
    )


def _iterator_arguments(types: TypeTable, target: str, parameters: tuple[Parameter, ...]) -> tuple[Seen, ...]:
    row = ITERATORS.get(target)
    if row is None:
        raise NotCovered(f"iterator {target}")
    slots = []
    for number, ((kind, flags), parameter) in enumerate(zip(row, parameters, strict=False)):
        subject = types.pointee(parameter.type) if kind is Kind.OBJECT else None
        # What may be null is described to Linux otherwise, and it says nothing of it.
        remark = "" if flags & MAYBE_NULL else seen_as(types, target, number, parameter.type, flags).remark
        slots.append(Seen(kind, flags, subject, remark=remark, whole=kind is not Kind.SCALAR))
    return tuple(slots)
