"""Arguments of kernel functions: what each has to be follows from its type and the end of its name.

Source: the kernel's ``Documentation/bpf/kfuncs.rst`` for the suffixes of names; what else decides, and the messages,
were observed on Linux 6.18.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from skep.btf.types import Array, Composite, Enumeration, Float, Int, Pointer
from skep.stdlib.kfuncs import KfuncFlag
from skep.verifier.contexts.kernel_contexts import CONTEXT_STRUCTURES
from skep.verifier.kernel.kernel_types import KernelType, Parameters, TypeTable
from skep.verifier.states.register import Kind, Register

if TYPE_CHECKING:
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.context import Context
    from skep.verifier.paths.exploration import Explorer


class ArgumentKind(Enum):
    """What an argument has to be."""

    IGNORED = "anything"
    #: Numbers: any, a constant (``__k``), the size of memory that the function returns (``rdonly_buf_size``).
    SCALAR = "a number"
    CONSTANT = "a constant"
    RETURNED_SIZE = "the size of the memory returned"
    CONTEXT = "the context"
    NULL = "null"
    MAP = "a map"
    MAP_OBJECT = "the kernel's object of a map"
    OBJECT = "a kernel object"
    MEMORY = "memory of the size of its type"
    MEMORY_AND_SIZE = "memory with its size in the next argument"
    STRING = "a constant string"
    CALLBACK = "a function"
    # Checked by those who know the thing.
    DYNPTR = "a dynptr"
    ITERATOR = "an iterator"
    LIST_HEAD = "a list"
    LIST_NODE = "a node of a list"
    RB_ROOT = "a tree"
    RB_NODE = "a node of a tree"
    ALLOCATED = "an allocated object"
    REFCOUNTED = "an allocated object that counts references"
    WORKQUEUE = "a workqueue"
    TASK_WORK = "a task work"
    TIMER = "a timer"
    IRQ_FLAG = "an interrupt flag"
    RES_SPIN_LOCK = "a resilient spin lock"


#: Ends of the names of parameters that say more than the type.
_SUFFIXES = (
    "__refcounted_kptr",
    "__irq_flag",
    "__nullable",
    "__uninit",
    "__alloc",
    "__prog",
    "__iter",
    "__szk",
    "__ign",
    "__map",
    "__opt",
    "__str",
    "__sz",
    "__k",
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One parameter of a kernel function: ``position`` counts from 0, ``index`` is the register it is passed in.

    ``target`` is what a pointer points to (of id 0: void), None for a number. ``marks`` are the suffixes of its name.
    """

    position: int
    name: str
    type_id: int
    target: KernelType | None
    marks: frozenset[str]

    @property
    def index(self) -> int:
        """The register that it is passed in."""
        return self.position + 1

    @property
    def target_text(self) -> str:
        """What messages call the type behind the pointer: its keyword and its name."""
        if self.target is None:
            return ""
        return f"{type_keyword(self.target)} {self.target.name}"


def type_keyword(type: KernelType) -> str:
    """What messages call the kind of a type; ``UNKNOWN`` for void."""
    return "UNKNOWN" if not type.id else type.keyword


@lru_cache(maxsize=1 << 10)
def arguments_of(function: Parameters) -> tuple[Argument, ...]:
    """The parameters of a kernel function, classified as far as its prototype goes."""
    table = function.table
    return tuple(
        Argument(position, one.name, one.type, table.pointee(one.type), _marks(one.name))
        for position, one in enumerate(function.parameters)
    )


def _marks(name: str) -> frozenset[str]:
    """The suffixes of a parameter's name, without their underscores; several may follow each other."""
    found = set()
    rest = name
    while True:
        suffix = next((one for one in _SUFFIXES if rest.endswith(one)), None)
        if suffix is None:
            break
        found.add(suffix[2:])
        rest = rest[: -len(suffix)]
    if name in ("rdonly_buf_size", "rdwr_buf_size"):
        found.add(name)
    return frozenset(found)


#: Pointers to these structures are special whatever the register holds.
_BY_STRUCTURE = {
    "bpf_dynptr": ArgumentKind.DYNPTR,
    "bpf_dynptr_kern": ArgumentKind.DYNPTR,
    "bpf_list_head": ArgumentKind.LIST_HEAD,
    "bpf_rb_root": ArgumentKind.RB_ROOT,
    "bpf_list_node": ArgumentKind.LIST_NODE,
    "bpf_rb_node": ArgumentKind.RB_NODE,
    "bpf_wq": ArgumentKind.WORKQUEUE,
    "bpf_task_work": ArgumentKind.TASK_WORK,
    "bpf_timer": ArgumentKind.TIMER,
    "bpf_res_spin_lock": ArgumentKind.RES_SPIN_LOCK,
}
_ITERATOR_FLAGS = KfuncFlag.ITER_NEW | KfuncFlag.ITER_NEXT | KfuncFlag.ITER_DESTROY

#: Sockets and maps pass for kernel objects of these types.
_AS_OBJECTS = {
    Kind.SOCKET: "sock",
    Kind.SOCK_COMMON: "sock_common",
    Kind.TCP_SOCK: "tcp_sock",
    Kind.MAP: "bpf_map",
}


def object_type(context: Context, register: Register) -> KernelType | None:
    """The type of the kernel object that a register points to, None where it points to no such thing."""
    if register.kind is Kind.OBJECT:
        assert isinstance(register.subject, KernelType)
        return register.subject
    name = _AS_OBJECTS.get(register.kind)
    return None if name is None else context.kernel_types.find_struct(name)


def kind_of(explorer: Explorer, call: KfuncCall, argument: Argument) -> ArgumentKind:
    """What an argument has to be; where only memory or an object will do, the register that is passed decides."""
    context = explorer.context
    register = explorer.registers[argument.index]
    marks = argument.marks
    if "ign" in marks or "prog" in marks:
        return ArgumentKind.IGNORED
    target = argument.target
    if target is None:
        if "k" in marks:
            return ArgumentKind.CONSTANT
        if marks & {"rdonly_buf_size", "rdwr_buf_size"}:
            return ArgumentKind.RETURNED_SIZE
        return ArgumentKind.SCALAR
    if call.name == "bpf_cast_to_kern_ctx" or is_context(context, target):
        return ArgumentKind.CONTEXT
    if register.is_zero and "nullable" in marks:
        return ArgumentKind.NULL
    if "alloc" in marks:
        return ArgumentKind.ALLOCATED
    if "refcounted_kptr" in marks:
        return ArgumentKind.REFCOUNTED
    if call.kfunc.flags & _ITERATOR_FLAGS and argument.position == 0:
        return ArgumentKind.ITERATOR
    if "iter" in marks:
        return ArgumentKind.ITERATOR
    found = _BY_STRUCTURE.get(target.name) if _is_struct(target) else None
    if found is not None:
        return found
    if "map" in marks:
        return ArgumentKind.MAP_OBJECT if _has_subject(register) else ArgumentKind.MAP
    if "str" in marks:
        return ArgumentKind.STRING
    if "irq_flag" in marks:
        return ArgumentKind.IRQ_FLAG
    if object_type(context, register) is not None:
        return ArgumentKind.OBJECT
    if target.table.prototype(target.id) is not None:
        return ArgumentKind.CALLBACK
    if call.has_size(explorer.registers, argument):
        return ArgumentKind.MEMORY_AND_SIZE
    return ArgumentKind.MEMORY


def _has_subject(register: Register) -> bool:
    """Whether Linux knows a map, type or extent of what a register points to, and so takes it for a map at first."""
    if register.kind is Kind.OBJECT or register.kind in (Kind.MAP_VALUE, Kind.MAP_KEY):
        return True
    return register.kind in (Kind.MEMORY, Kind.PACKET, Kind.PACKET_META) and register.extent > 0


def is_context(context: Context, target: KernelType) -> bool:
    """Whether a pointer to this type is one to the program's context."""
    return target.name == CONTEXT_STRUCTURES.get(context.type)


def _is_struct(type: KernelType) -> bool:
    return isinstance(type.btf[type.id], Composite)


_NESTING = 4


@lru_cache(maxsize=1 << 10)
def holds_only_numbers(table: TypeTable, type_id: int, depth: int = 0) -> bool:
    """Whether a type is a number, or a struct of nothing else: what a function may get as plain memory."""
    match type := table.btf.resolve(type_id):
        case Int() | Enumeration() | Float():
            return True
        case Composite():
            if depth >= _NESTING:
                return False
            return all(_element_holds_only_numbers(table, member.type, depth + 1) for member in type.members)
        case Pointer():
            return False
        case _:
            return False


def _element_holds_only_numbers(table: TypeTable, type_id: int, depth: int) -> bool:
    inner = table.btf.resolve(type_id)
    while isinstance(inner, Array):
        type_id = inner.element
        inner = table.btf.resolve(type_id)
    return holds_only_numbers(table, type_id, depth)
