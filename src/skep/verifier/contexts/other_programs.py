"""Functions of another program: what may replace one (freplace), and what a program that watches one sees.

The other program is verified first. What Linux knows of its functions afterwards decides: whether it went by their
types (a function whose types do not say what it is given is *unreliable*), whether they sleep or move the packet.
Rules and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skep.btf.kinds import Kind as BtfKind
from skep.btf.types import Composite, Enumeration, Function, FunctionPrototype, Int, Linkage, Pointer, Type, Void
from skep.objects.kinds import AttachType, ProgramType
from skep.verifier.contexts import traced_functions
from skep.verifier.contexts.hook import Hook, Seen
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import Kind

if TYPE_CHECKING:
    from skep.btf import Btf
    from skep.objects.spec import ProgramSpec
    from skep.verifier.context import Context
    from skep.verifier.structure import Subprogram

_T, _A = ProgramType, AttachType
#: Where a function may be watched, and how many arguments an unreliable one is taken to have.
_WATCHING: Final = frozenset({_A.TRACE_FENTRY, _A.TRACE_FEXIT})
_ATTACHED: Final = _WATCHING | {_A.MODIFY_RETURN, _A.LSM_MAC, _A.LSM_CGROUP}
_UNRELIABLE_ARGUMENTS: Final = 5
#: Types whose context is an array of numbers.
_NUMBERS: Final = frozenset({_T.RAW_TRACEPOINT, _T.RAW_TRACEPOINT_WRITABLE})
#: What the kernel itself has where a program of a type sees its context.
_KERNEL_CONTEXTS: Final = {
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
        ),
        "sk_buff",
    ),
    _T.FLOW_DISSECTOR: "bpf_flow_dissector",
    _T.XDP: "xdp_buff",
    _T.CGROUP_SOCK: "sock",
    _T.CGROUP_SOCK_ADDR: "bpf_sock_addr_kern",
    _T.SOCK_OPS: "bpf_sock_ops_kern",
    _T.SK_MSG: "sk_msg",
    _T.KPROBE: "pt_regs",
    _T.PERF_EVENT: "bpf_perf_event_data_kern",
    _T.CGROUP_DEVICE: "bpf_cgroup_dev_ctx",
    _T.CGROUP_SYSCTL: "bpf_sysctl_kern",
    _T.CGROUP_SOCKOPT: "bpf_sockopt_kern",
    _T.SK_REUSEPORT: "sk_reuseport_kern",
    _T.SK_LOOKUP: "bpf_sk_lookup_kern",
    _T.NETFILTER: "bpf_nf_ctx",
}


@dataclass(frozen=True, slots=True)
class OtherProgram:
    """A program that was verified, and the one of its functions that another program names.

    ``function`` is None where its types name that function, and its code does not have it.
    """

    spec: ProgramSpec
    type: ProgramType
    attach_type: AttachType | None
    name: str
    type_id: int
    function: Subprogram | None

    @property
    def btf(self) -> Btf:
        """The types that describe the function."""
        assert self.spec.btf is not None
        return self.spec.btf

    @property
    def prototype(self) -> FunctionPrototype:
        """What the function takes and returns."""
        described = self.btf[self.type_id]
        assert isinstance(described, Function)
        found = self.btf[described.prototype]
        assert isinstance(found, FunctionPrototype)
        return found


def named_function(spec: ProgramSpec, target: ProgramSpec) -> tuple[str, int]:
    """The name and type of the function of ``target`` that a program is about. NotCovered if it is not there."""
    name = spec.attach_target or target.name
    found = None if target.btf is None else target.btf.find(name, BtfKind.FUNC)
    if found is None:
        raise NotCovered(f"function {name}, which the types of program {target.name} do not have")
    return name, found


def check_type(spec: ProgramSpec, type: ProgramType) -> None:
    """Refuse programs that cannot be about another program; Linux says nothing of its reason."""
    if type not in (_T.EXT, _T.TRACING):
        raise Rejection("only programs of types ext and tracing can name another program")
    if type is _T.TRACING and spec.attach_type is None:
        raise NotCovered("a tracing program that does not say what it attaches to")


def check_other_program(context: Context, other: OtherProgram, effects: Subprogram) -> None:
    """Refuse to replace or watch a function that cannot be. ``effects`` are those of the program itself."""
    function = other.function
    if function is None:
        raise Rejection(f"Subprog {other.name} doesn't exist", function=other.name)
    if function.is_exception_callback:
        if context.replaces:
            raise Rejection("Extension programs cannot attach to exception callback", function=other.name)
        raise Rejection("FENTRY/FEXIT programs cannot attach to exception callback", function=other.name)
    if context.replaces:
        if function.unreliable:
            raise Rejection("Cannot replace static functions", function=other.name)
        if effects.changes_packet and not function.changes_packet:
            raise Rejection("Extension program changes packet data, while original does not", function=other.name)
        if effects.might_sleep and not function.might_sleep:
            raise Rejection("Extension program may sleep, while original does not", function=other.name)
    _check_nesting(context, other)
    if not context.replaces and context.spec.attach_type not in _ATTACHED:
        raise Rejection("Only FENTRY/FEXIT progs are attachable to another BPF prog", function=other.name)
    prototype = other.prototype
    if context.replaces:
        _check_same(context, other)
    if not function.unreliable:
        traced_functions.check_prototype(
            other.btf, other.name, prototype.parameters, prototype.result, variadic=prototype.variadic
        )
    if context.sleepable and not context.replaces:
        raise Rejection(f"{other.name} is not sleepable", function=other.name)
    if context.spec.attach_type is _A.MODIFY_RETURN:
        raise Rejection("can't modify return codes of BPF programs", function=other.name)


def _check_nesting(context: Context, other: OtherProgram) -> None:
    """Refuse programs that could go on attaching to each other for ever."""
    is_tracing = other.spec.type is _T.TRACING
    if not context.replaces:
        beyond = other.spec.target_program
        if is_tracing and beyond is not None and beyond.type is _T.TRACING:
            raise Rejection("Cannot nest tracing program attach more than once")
    elif other.spec.type is _T.EXT:
        raise Rejection("Cannot recursively attach")
    elif is_tracing and other.attach_type in _WATCHING:
        raise Rejection("Cannot extend fentry/fexit")


def _check_same(context: Context, other: OtherProgram) -> None:
    """Refuse to replace a function by one that takes or returns something else."""
    spec = context.spec
    btf = spec.btf
    type_id = spec.functions[0].type_id if spec.functions else 0
    described = None if btf is None else btf[type_id]
    mine = None if btf is None or not isinstance(described, Function) else btf[described.prototype]
    if btf is None or not isinstance(described, Function) or not isinstance(mine, FunctionPrototype):
        raise NotCovered("a program that replaces a function and has no types")
    ours, theirs = described.name, other.name
    for name, is_global in ((ours, described.linkage is Linkage.GLOBAL), (theirs, _is_global(other))):
        if not is_global:
            raise Rejection(f"{name}() is not a global function", function=name)
    wanted = other.prototype
    if len(mine.parameters) != len(wanted.parameters):
        raise Rejection(
            f"{ours}() has {len(mine.parameters)} args while {theirs}() has {len(wanted.parameters)} args",
            function=theirs,
        )
    ours_back, theirs_back = btf.resolve(mine.result), other.btf.resolve(wanted.result)
    if _kind(ours_back) != _kind(theirs_back):
        raise Rejection(
            f"Return type {_kind(ours_back)} of {ours}() doesn't match type {_kind(theirs_back)} of {theirs}()",
            function=theirs,
        )
    for number, (one, two) in enumerate(zip(mine.parameters, wanted.parameters, strict=True)):
        _check_parameter(number, (btf, ours, btf.resolve(one.type)), (other.btf, theirs, other.btf.resolve(two.type)))


def _is_global(other: OtherProgram) -> bool:
    assert other.function is not None
    return other.function.index == 0 or other.function.is_global


def _kind(type: Type) -> str:
    return "UNKNOWN" if isinstance(type, Void) else type.kind.name


def _check_parameter(number: int, ours: tuple[Btf, str, Type], theirs: tuple[Btf, str, Type]) -> None:
    (btf, name, type), (other_btf, other_name, other_type) = ours, theirs
    if _kind(type) != _kind(other_type):
        kind, other_kind = _kind(type), _kind(other_type)
        raise Rejection(f"arg{number} in {name}() is {kind} while {other_name}() has {other_kind}", argument=number)
    if isinstance(type, Int | Enumeration) and isinstance(other_type, Int | Enumeration):
        size, other_size = type.size, other_type.size
        if size != other_size:
            raise Rejection(
                f"arg{number} in {name}() has size {size} while {other_name}() has {other_size}", argument=number
            )
        return
    if not isinstance(type, Pointer) or not isinstance(other_type, Pointer):
        raise Rejection(f"Unrecognized type of arg{number} in {name}()", argument=number)
    target, other_target = btf.resolve(type.target), other_btf.resolve(other_type.target)
    for where, one in ((name, target), (other_name, other_target)):
        if not isinstance(one, Composite):
            raise Rejection(f"arg{number} in {where}() is not a pointer to context", argument=number)
    if target.name != other_target.name:
        raise Rejection(
            f"arg{number} {name}(struct {target.name} *) doesn't match {other_name}(struct {other_target.name} *)",
            argument=number,
        )


def watched(context: Context, other: OtherProgram) -> Hook:
    """What a program that watches a function of another one finds in its context."""
    function = other.function
    name = other.name
    if function is None or function.unreliable:
        # The arguments are taken for numbers, whatever they are.
        result = Seen() if context.attach_type is _A.TRACE_FEXIT else None
        return Hook(name, (Seen(),) * _UNRELIABLE_ARGUMENTS, result)
    prototype = other.prototype
    arguments = tuple(_seen(context, other, number, one.type) for number, one in enumerate(prototype.parameters))
    result = Seen() if context.attach_type is _A.TRACE_FEXIT else None
    return Hook(name, arguments, result)


def _seen(context: Context, other: OtherProgram, number: int, type_id: int) -> Seen:
    btf = other.btf
    type = btf.resolve(type_id)
    if isinstance(type, Int | Enumeration):
        return Seen()
    assert isinstance(type, Pointer)
    target = btf.resolve(type.target)
    if isinstance(target, Void | Int):
        return Seen(whole=True)
    from skep.verifier.calls.signatures import is_context

    if other.type in _NUMBERS and target.name == "bpf_raw_tracepoint_args":
        # Only a number by its type, and not to be read through.
        found = context.kernel_types.btf.find("long long unsigned int", BtfKind.INT)
        subject = None if found is None else context.kernel_types.type(found)
        return Seen(Kind.OBJECT, 0, subject, whole=True)
    structure = _KERNEL_CONTEXTS.get(other.type)
    if not is_context(other.type, btf, type.target) or structure is None:
        return Seen(refused=True)
    return Seen(Kind.OBJECT, 0, context.kernel_types.struct(structure), whole=True)
