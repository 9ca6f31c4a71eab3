"""Where the verifiers of older kernels are known to be stricter than that of 6.18, and what of it a program touches.

Rules were mostly relaxed, so that what 6.18 accepts may be refused by an older verifier although it knows everything
that the program uses. The list holds what meets many programs; up to 6.0 it is not complete. What can be told in few
lines the verifier does as the older one does it (:mod:`skep.verifier.rules`), so that it is not listed here.

Source: the commits that relaxed them: precision (5.3, b5dc0163d8fd), limits (5.2, c04c0d2b968a), frozen maps (5.5,
a23740ec43ba), 32-bit bounds (5.7, 3f50f132d840), offsets on the stack and pointers to global functions (5.12,
01f810ace9ed and e5069b9c23b3), narrow spills (5.16, 354e8f1970f8), dynptrs (6.3), calls under locks (6.9,
a44b1334aadd). From 6.1 on the rows are what programs met that 6.18 accepts and 6.1, 6.12, 6.16 or 6.17 refuses
(``tests/versions/measured``); where no commit is named, the version is the first of these that accepts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from skep.btf import Function, FunctionPrototype, Kind, Pointer
from skep.isa import opcodes
from skep.isa.opcodes import CLASS_MASK, MODE_MASK, OPERATION_MASK, SIZE_MASK, SOURCE_MASK
from skep.objects.kinds import MapType, ProgramType
from skep.objects.spec import KfuncReference, MapReference, ProgramSpec
from skep.stdlib.prototypes import NAMES
from skep.versions.addresses import varies_stack_pointers
from skep.versions.version import KernelVersion

#: How many instructions a kernel followed at most before 5.2.
FOLLOWED_BEFORE_5_2: Final = 131_072

_NO_COMPARISON: Final = (opcodes.JA, opcodes.CALL, opcodes.EXIT, opcodes.JCOND)


def _branches(program: ProgramSpec) -> bool:
    jumps = (opcodes.JMP, opcodes.JMP32)
    return any(
        one.opcode & CLASS_MASK in jumps and one.opcode & OPERATION_MASK not in _NO_COMPARISON
        for one in program.instructions
        if not one.is_wide
    )


def _uses_32_bits(program: ProgramSpec) -> bool:
    return any(
        one.opcode & CLASS_MASK == opcodes.ALU and one.opcode & OPERATION_MASK not in (opcodes.MOV, opcodes.END)
        for one in program.instructions
    )


def _spills_narrowly(program: ProgramSpec) -> bool:
    return any(
        one.opcode & CLASS_MASK == opcodes.STX
        and one.opcode & MODE_MASK == opcodes.MEM
        and one.opcode & SIZE_MASK != opcodes.DW
        and one.dst == opcodes.FRAME_POINTER
        for one in program.instructions
    )


def _reads_frozen(program: ProgramSpec) -> bool:
    read = {one.map for one in program.references.values() if isinstance(one, MapReference)}
    return any(one.frozen and one.name in read for one in program.maps.values())


def _varies_stack_pointers(program: ProgramSpec) -> bool:
    return bool(program.instructions) and varies_stack_pointers(program.instructions)


def _prototypes(program: ProgramSpec) -> Iterator[FunctionPrototype]:
    """The types of the program's global functions, as far as they are there."""
    for one in program.functions[1:] if program.btf is not None else ():
        assert program.btf is not None
        function = program.btf[one.type_id] if one.is_global and one.type_id else None
        prototype = program.btf[function.prototype] if isinstance(function, Function) else None
        if isinstance(prototype, FunctionPrototype):
            yield prototype


def _passes_pointers(program: ProgramSpec) -> bool:
    """Whether a global function takes a pointer that is not its first argument, which may be the context."""
    return _has_pointer(program, 1)


def _takes_pointers(program: ProgramSpec) -> bool:
    """Whether a global function takes a pointer at all."""
    return _has_pointer(program, 0)


def _has_pointer(program: ProgramSpec, first: int) -> bool:
    return any(
        program.btf is not None and isinstance(program.btf.resolve(parameter.type), Pointer)
        for prototype in _prototypes(program)
        for parameter in prototype.parameters[first:]
    )


def _called(program: ProgramSpec) -> Iterator[str]:
    """The names of helpers, without ``bpf_``, and of kernel functions, with all of their names."""
    for slot, one in enumerate(program.instructions):
        if one.opcode == opcodes.JMP | opcodes.CALL and one.src == opcodes.CALL_HELPER:
            yield NAMES.get(one.imm, "")
        elif isinstance(reference := program.references.get(slot), KfuncReference):
            yield reference.name


def _makes_dynptrs(program: ProgramSpec) -> bool:
    return any("dynptr" in name for name in _called(program))


def _locks(program: ProgramSpec) -> bool:
    return any("spin_lock" in name for name in _called(program))


def _calls_beside_locks(program: ProgramSpec) -> bool:
    return len(program.functions) > 1 and _locks(program)


def _iterates_beside_locks(program: ProgramSpec) -> bool:
    return _locks(program) and any(name.startswith("bpf_iter_") for name in _called(program))


def _removes_from_trees(program: ProgramSpec) -> bool:
    return "bpf_rbtree_remove" in _called(program)


def _holds_percpu_pointers(program: ProgramSpec) -> bool:
    btf = program.btf
    return btf is not None and any(btf[tag].name == "percpu_kptr" for tag in btf.of_kind(Kind.TYPE_TAG))


def _catches(program: ProgramSpec) -> bool:
    btf = program.btf
    tags = () if btf is None else (btf[tag].name for tag in btf.of_kind(Kind.DECL_TAG))
    return any(name.startswith("exception_callback") for name in tags)


_COMBINING: Final = frozenset(
    {
        opcodes.OR,
        opcodes.AND,
        opcodes.XOR,
        opcodes.LSH,
        opcodes.RSH,
        opcodes.ARSH,
        opcodes.MUL,
    }
)


def _combines_numbers(program: ProgramSpec) -> bool:
    return any(
        one.opcode & CLASS_MASK in (opcodes.ALU, opcodes.ALU64)
        and one.opcode & SOURCE_MASK == opcodes.X
        and one.opcode & OPERATION_MASK in _COMBINING
        for one in program.instructions
    )


def _loads_in_callbacks(program: ProgramSpec) -> bool:
    has_callback = any(one.is_wide and one.src == opcodes.PSEUDO_FUNC for one in program.instructions)
    return has_callback and any(
        one.opcode & CLASS_MASK == opcodes.LD and one.opcode & MODE_MASK in (opcodes.ABS, opcodes.IND)
        for one in program.instructions
    )


def _iterates_over_dynptrs(program: ProgramSpec) -> bool:
    called = list(_called(program))
    return any(name.startswith("bpf_iter_") for name in called) and any("dynptr" in name for name in called)


def _sleeps_beside_maps(program: ProgramSpec) -> bool:
    return (program.sleepable or program.type is ProgramType.SYSCALL) and any(
        one.type not in _SLEEPABLE for one in program.maps.values()
    )


_SLEEPABLE: Final = frozenset(
    {
        MapType.HASH,
        MapType.LRU_HASH,
        MapType.ARRAY,
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_PERCPU_HASH,
        MapType.ARRAY_OF_MAPS,
        MapType.HASH_OF_MAPS,
        MapType.RINGBUF,
    }
)
_WITH_OBJECTS: Final = frozenset(
    {
        ProgramType.TRACING,
        ProgramType.LSM,
        ProgramType.RAW_TRACEPOINT,
        ProgramType.RAW_TRACEPOINT_WRITABLE,
        ProgramType.STRUCT_OPS,
    }
)


def _passes_objects(program: ProgramSpec) -> bool:
    """Whether it may have objects of the kernel, and calls something."""
    return (program.type in _WITH_OBJECTS or "get_current_task_btf" in _called(program)) and any(_called(program))


#: Since when it is not so any more, whether a program touches it, and what was stricter.
_ROWS: Final[tuple[tuple[str, Callable[[ProgramSpec], bool], str], ...]] = (
    (
        "5.3",
        _branches,
        "before 5.3 paths were told apart by numbers that do not matter, so that more of them are followed",
    ),
    ("5.5", _reads_frozen, "before 5.5 constants of .rodata were not known: both ways of a test on one are followed"),
    ("5.7", _uses_32_bits, "before 5.7 little was known of the result of 32-bit arithmetic"),
    ("5.12", _varies_stack_pointers, "before 5.12 writing to the stack at an offset that varies was refused"),
    ("5.12", _passes_pointers, "from 5.6 to 5.11 a global function took no pointers but the context"),
    ("5.16", _spills_narrowly, "before 5.16 the bounds of a number of less than 8 bytes were lost on the stack"),
    ("6.3", _makes_dynptrs, "before 6.3 a dynptr could not be made where one lay"),
    ("6.7", _catches, "before 6.7 no function was there for exceptions"),
    ("6.8", _combines_numbers, "before 6.8 less was known of what bits and products of two numbers are"),
    (
        "6.8",
        _takes_pointers,
        "before 6.8 tags on what global functions take were not looked at, and few pointers taken",
    ),
    ("6.9", _calls_beside_locks, "before 6.9 no function could be called while a lock was held"),
    (
        "6.12",
        _sleeps_beside_maps,
        "before 6.12 sleepable programs could use few types of map beside arrays and hash tables",
    ),
    ("6.12", _passes_objects, "before 6.12 helpers took fewer of the kernel's objects, in fewer places"),
    ("6.16", _iterates_beside_locks, "before 6.16 no iterator could be used while a lock was held"),
    (
        "6.16",
        _iterates_over_dynptrs,
        "before 6.16 a loop over an iterator that makes dynptrs might not come to an end",
    ),
    ("6.16", _removes_from_trees, "before 6.16 only what was just found in a tree could be removed from it"),
    (
        "6.16",
        _loads_in_callbacks,
        "before 6.16 no function that a callback calls could load from the packet by offset",
    ),
    ("6.16", _holds_percpu_pointers, "before 6.16 per-CPU pointers in maps took fewer kinds of pointer"),
)


#: The versions that relaxed a rule of the list, in order.
RELAXED: Final = tuple(KernelVersion.of(until) for until, _, _ in _ROWS)


def stricter(program: ProgramSpec, version: KernelVersion) -> Iterator[str]:
    """What the program touches and the verifier of ``version`` is stricter about, each a clause."""
    for until, touches, text in _ROWS:
        if version < KernelVersion.of(until) and touches(program):
            yield text
