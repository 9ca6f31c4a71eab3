"""What a global function takes, as its BTF and the tags on its parameters say: numbers, context, memory, objects.

Source: the tags are those of libbpf's ``bpf_helpers.h`` (``__arg_ctx``, ``__arg_nonnull``, …); which type of pointer
is the context of which program type, and all messages, were observed on Linux 6.18.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from skep.btf.compatibility import essential_name
from skep.btf.types import (
    Composite,
    Enumeration,
    Float,
    Forward,
    Function,
    FunctionPrototype,
    Int,
    Modifier,
    Pointer,
    Type,
    Typedef,
    Void,
)
from skep.errors import SkepError
from skep.objects.kinds import AttachType, ProgramType
from skep.verifier.contexts.kernel_contexts import CONTEXT_STRUCTURES
from skep.verifier.kernel.kernel_types import KernelType
from skep.verifier.rejection import NotCovered, Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skep.btf import Btf
    from skep.verifier.context import Context
    from skep.verifier.structure import Subprogram

_T = ProgramType
#: The most parameters that a function of a program has.
_MOST: Final = 5


class Takes(Enum):
    """What a parameter is."""

    NUMBER = "number"
    CONTEXT = "context"
    MEMORY = "memory"
    UNTRUSTED_MEMORY = "memory that may not be there"
    OBJECT = "kernel object"
    UNTRUSTED_OBJECT = "kernel object that may not be there"
    DYNPTR = "dynptr"
    ARENA = "arena"

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: ``size`` bytes of memory, or a kernel object of type ``subject``."""

    takes: Takes
    maybe_null: bool = False
    size: int = 0
    subject: KernelType | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes; ``problem`` is what Linux says of one that cannot be called, else empty."""

    parameters: tuple[Parameter, ...] = ()
    problem: str = ""


def check_early_ends(context: Context, functions: Sequence[Subprogram]) -> None:
    """Refuse functions without result that may end the program in their midst: by a tail call or a packet load."""
    btf = context.spec.btf
    are_typed = btf is not None and any(function.type_id for function in functions)
    for function in functions:
        if not function.index or (are_typed and _returns_a_number(btf, function)):
            continue
        for what, is_there in (("LD_ABS", function.has_packet_load), ("tail_call", function.has_tail_call)):
            if is_there and are_typed:
                raise Rejection(f"{what} is only allowed in functions that return 'int'.", function=function.name)
            if is_there:
                raise Rejection(f"{what} is not allowed in subprogs without BTF", function=function.name)


def _returns_a_number(btf: Btf | None, function: Subprogram) -> bool:
    """Whether a function does, for all that is known: one without a type may."""
    described = btf[function.type_id] if btf is not None and function.type_id else None
    if btf is None or not isinstance(described, Function):
        return True
    prototype = btf[described.prototype]
    return isinstance(prototype, FunctionPrototype) and isinstance(btf.resolve(prototype.result), Int | Enumeration)


class _Unusable(Exception):
    """The function cannot be called; the text is the kernel's reason."""


def signature_of(context: Context, function: Subprogram) -> Signature:
    """What a global function takes. Raises NotCovered where its type is not known."""
    btf = context.spec.btf
    described = None if btf is None else btf[function.type_id]
    prototype = btf[described.prototype] if btf is not None and isinstance(described, Function) else None
    if btf is None or not isinstance(prototype, FunctionPrototype):
        raise NotCovered(f"global function {function.name}, whose type is not known")
    try:
        return Signature(_parameters(context, btf, function, prototype))
    except _Unusable as reason:
        return Signature(problem=str(reason))


def _parameters(
    context: Context, btf: Btf, function: Subprogram, prototype: FunctionPrototype
) -> tuple[Parameter, ...]:
    count = len(prototype.parameters)
    if count > _MOST:
        raise _Unusable(f"Global function {function.name}() with {count} > {_MOST} args. Buggy compiler.")
    if not isinstance(btf.resolve(prototype.result), Int | Enumeration):
        raise _Unusable(f"Global function {function.name}() doesn't return scalar. Only those are supported.")
    tags = context.program_types.decl_tags(function.type_id)
    found = []
    for number, parameter in enumerate(prototype.parameters):
        mine = frozenset(text.removeprefix("arg:") for place, text in tags if place == number and text[:4] == "arg:")
        found.append(_parameter(context, btf, function, number, parameter.type, mine))
    return tuple(found)


_TAGS: Final = frozenset({"ctx", "trusted", "untrusted", "nonnull", "nullable", "arena"})


def _parameter(
    context: Context, btf: Btf, function: Subprogram, number: int, type_id: int, tags: frozenset[str]
) -> Parameter:
    if tags - _TAGS:
        raise _Unusable(f"arg#{number} has unsupported set of tags")
    type = btf.resolve(type_id)
    if isinstance(type, Pointer):
        return _pointer(context, btf, number, type, tags)
    if tags:
        raise _Unusable(f"arg#{number} has pointer tag, but is not a pointer type")
    if isinstance(type, Int | Enumeration):
        return Parameter(Takes.NUMBER)
    raise _Unusable(f"Arg#{number} type {type.kind.name} in {function.name}() is not supported yet.")


def _pointer(context: Context, btf: Btf, number: int, pointer: Pointer, tags: frozenset[str]) -> Parameter:
    wrong = _Unusable(f"arg#{number} has invalid combination of tags")
    target = btf.resolve(pointer.target)
    if "ctx" in tags or is_context(context.type, btf, pointer.target):
        if tags - {"ctx"}:
            raise wrong
        if "ctx" in tags:
            _check_context_type(context, btf, number, pointer.target)
        return Parameter(Takes.CONTEXT)
    if isinstance(target, Composite | Forward) and target.name == "bpf_dynptr":
        if tags:
            raise wrong
        return Parameter(Takes.DYNPTR)
    if "trusted" in tags:
        if "nonnull" in tags:
            raise wrong
        return Parameter(Takes.OBJECT, "nullable" in tags, subject=_kernel_type(context, number, target))
    if "untrusted" in tags and context.rules.plain_pointers:
        if len(tags) > 1:
            raise _Unusable(f"arg#{number} untrusted cannot be combined with any other tags")
        if isinstance(target, Void | Int | Enumeration | Float):
            return Parameter(Takes.UNTRUSTED_MEMORY)
        return Parameter(Takes.UNTRUSTED_OBJECT, subject=_kernel_type(context, number, target))
    if "arena" in tags:
        if len(tags) > 1:
            raise wrong
        return Parameter(Takes.ARENA)
    if "nullable" in tags:
        raise wrong
    return Parameter(Takes.MEMORY, "nonnull" not in tags, _size(btf, number, pointer.target, target))


def _kernel_type(context: Context, number: int, target: Type) -> KernelType:
    """The kernel's own type of that name."""
    if not isinstance(target, Composite | Forward):
        name = f"{target.kind.name} {target.name or '(anon)'}"
        raise _Unusable(f"arg#{number} reference type('{name}') candidate matching error: -22")
    found = context.kernel_types.find_struct(essential_name(target.name))
    if found is None:
        raise _Unusable(f"arg#{number} reference type('{target.kind.name} {target.name}') has no matches")
    return found


def _size(btf: Btf, number: int, target_id: int, target: Type) -> int:
    try:
        if not isinstance(target, Void | Forward | Function | FunctionPrototype):
            return btf.size_of(target_id)
    except SkepError:
        pass
    name = "UNKNOWN" if isinstance(target, Void) else target.kind.name
    raise _Unusable(f"arg#{number} reference type('{name} {target.name}') size cannot be determined: -22")


#: The structure that is the context of a type's programs, as they declare it: kprobes name the kernel's own.
_CONTEXTS: Final = {**CONTEXT_STRUCTURES, _T.KPROBE: "pt_regs"}
#: A typedef that stands for the registers of the machine, whatever they are.
_REGISTERS: Final = "bpf_user_pt_regs_t"
#: Types whose context is an array of eight-byte numbers, and those among them that have a name for it.
_NUMBERS: Final = frozenset({_T.RAW_TRACEPOINT, _T.RAW_TRACEPOINT_WRITABLE, _T.TRACING, _T.LSM, _T.STRUCT_OPS})
_NAMED_NUMBERS: Final = frozenset({_T.RAW_TRACEPOINT, _T.RAW_TRACEPOINT_WRITABLE})
_NUMBERS_NAME: Final = "bpf_raw_tracepoint_args"
#: Types of which any pointer may be said to be the context.
_ANY_POINTER: Final = frozenset({_T.TRACEPOINT, _T.SYSCALL, _T.EXT})


def is_context(program: ProgramType, btf: Btf, target: int) -> bool:
    """Whether a pointer is to the context though no tag says so."""
    if program is _T.KPROBE and _through_typedef(btf, target, _REGISTERS):
        return True
    type = btf.resolve(target)
    if not isinstance(type, Composite) or not type.name:
        return False
    # A structure may have the typedef's name too, as programs for old kernels declare it.
    return type.name == _CONTEXTS.get(program) or (program is _T.KPROBE and type.name == _REGISTERS)


def _through_typedef(btf: Btf, type_id: int, name: str) -> bool:
    """Whether a typedef of that name stands before the type itself."""
    type = btf[type_id]
    while isinstance(type, Modifier):
        if isinstance(type, Typedef) and type.name == name:
            return True
        type = btf[type.target]
    return False


def _check_context_type(context: Context, btf: Btf, number: int, target_id: int) -> None:
    """Refuse the tag of the context on a pointer to what is none for this type of program."""
    program = context.type
    type = btf.resolve(target_id)
    if program in _ANY_POINTER or isinstance(type, Void):
        return
    if program in (_T.KPROBE, _T.PERF_EVENT) and _through_typedef(btf, target_id, _REGISTERS):
        return
    name = type.name if isinstance(type, Composite) else ""
    if name and name == _CONTEXTS.get(program):
        return
    if program is _T.PERF_EVENT and name == "pt_regs":
        return
    if program is _T.TRACING and context.attach_type is AttachType.TRACE_ITER:
        if name.startswith("bpf_iter__"):
            return
    elif program in _NUMBERS and isinstance(type, Int) and type.size == 8:
        return
    is_named = program in _NAMED_NUMBERS or context.attach_type is AttachType.TRACE_RAW_TP
    if is_named and name == _NUMBERS_NAME:
        return
    wanted = _CONTEXTS.get(program)
    raise _Unusable(
        f"arg#{number} should be `struct {wanted} *`" if wanted else f"arg#{number} should be void pointer"
    )
