"""Functions of an object, and how a program and the subprograms it needs become one sequence of instructions.

The sections with code are cut into functions by their symbols. A program starts with its own function; a function
that it calls, or whose address it takes, is appended when it is first met, then what that one needs (depth first,
in the order of the instructions), so the result depends on nothing but the object. Calls and addresses of functions
become the distance that the kernel expects; what `relocate` found about an instruction moves with it.
Source: the kernel's ``Documentation/bpf/llvm_reloc.rst`` and RFC 9669, section 5.4 (the pseudo source registers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from skep.btf import BtfExt, CoreRelocation
from skep.errors import ObjectError
from skep.isa.codec import decode
from skep.isa.instruction import Instruction, Instructions
from skep.objects.elf import ElfFile, Section, Symbol
from skep.objects.spec import FunctionReference, FunctionSpec, Reference, SourceLine

_LDDW = 0x18
_CALL = 0x85
_PSEUDO_CALL = 1
_PSEUDO_FUNCTION = 4

#: The kernel refuses longer programs (BPF_COMPLEXITY_LIMIT_INSNS); linking stops here.
MAX_SLOTS = 1_000_000
#: All linked programs of an object together: what a damaged or hostile one may make us build.
MAX_TOTAL_SLOTS = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the object: ``count`` slots of ``section`` from slot ``start``. One place, one object."""

    name: str
    section: Section
    start: int
    count: int
    is_local: bool
    type_id: int = 0
    is_global: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """What an instruction refers to while functions are not placed: a function of the object."""

    function: Function


@dataclass(slots=True)
class Code:
    """A section with code, decoded: functions by first slot, and what is known about single slots."""

    section: Section
    instructions: Instructions
    functions: dict[int, Function]
    references: dict[int, Reference | Call] = field(default_factory=dict)
    lines: dict[int, SourceLine] = field(default_factory=dict)
    core: dict[int, CoreRelocation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Linked:
    """A program with its subprograms: the fields of a `ProgramSpec` that linking decides."""

    instructions: Instructions
    functions: tuple[FunctionSpec, ...]
    references: Mapping[int, Reference]
    lines: Mapping[int, SourceLine]
    core_relocations: Mapping[int, CoreRelocation]


def read_code(elf: ElfFile, section: Section, symbols: list[Symbol], ext: BtfExt) -> Code:
    """Decode a section and cut it into functions; ``symbols`` are the function symbols that lie in it."""
    data = section.data or b""
    if len(data) % 8:
        raise ObjectError(
            f"{len(data)} bytes of code are not a whole number of 8-byte instructions; the file is damaged",
            section=section.name,
        )
    instructions = decode(data, elf.byte_order)
    types = {info.slot: info.type_id for info in ext.functions.get(section.name, ())}
    code = Code(section, instructions, _functions(section, len(instructions), symbols, types))
    for info in ext.lines.get(section.name, ()):
        code.lines[info.slot] = SourceLine(info.file, info.line, info.column, info.text)
    for relocation in ext.core_relocations.get(section.name, ()):
        if relocation.slot >= len(instructions):
            raise ObjectError(
                f"a CO-RE relocation speaks of instruction {relocation.slot} of {len(instructions)}",
                section=section.name,
            )
        code.core[relocation.slot] = relocation
    return code


def _functions(section: Section, slots: int, symbols: list[Symbol], types: Mapping[int, int]) -> dict[int, Function]:
    """The functions of a section by position; code without any symbol is one function named for the section."""
    starts: dict[int, Symbol] = {}
    for symbol in symbols:
        if symbol.value % 8 or not 0 <= symbol.value < 8 * slots:
            raise ObjectError(
                f"the function {symbol.name!r} starts at byte {symbol.value} of {8 * slots}, not at an instruction",
                section=section.name,
            )
        if symbol.value + symbol.size > 8 * slots:
            raise ObjectError(
                f"the function {symbol.name!r} ends at byte {symbol.value + symbol.size} of {8 * slots}",
                section=section.name,
            )
        # Two names for one place: the one that other files see counts.
        if symbol.value // 8 not in starts or starts[symbol.value // 8].is_local:
            starts[symbol.value // 8] = symbol
    if not starts and slots:
        name = "".join(letter if letter.isalnum() else "_" for letter in section.name.lstrip("?."))
        return {0: Function(name or "program", section, 0, slots, False, types.get(0, 0))}
    functions = {}
    order = sorted(starts)
    for start, following in zip(order, [*order[1:], slots], strict=True):
        symbol = starts[start]
        type_id = types.get(start, 0)
        functions[start] = Function(
            name=symbol.name,
            section=section,
            start=start,
            count=min(following - start, symbol.size // 8 or slots),
            is_local=symbol.is_local,
            type_id=type_id,
            is_global=bool(type_id) and not symbol.is_local and not symbol.is_hidden,
        )
    return functions


def resolve_local_calls(code: Code) -> None:
    """Record calls and function addresses that have no relocation: the assembler filled in the distance itself."""
    for slot, instruction in enumerate(code.instructions):
        if slot in code.references:
            continue
        is_call = instruction.opcode == _CALL and instruction.src == _PSEUDO_CALL
        if not is_call and not (instruction.opcode == _LDDW and instruction.src == _PSEUDO_FUNCTION):
            continue
        target = code.functions.get(slot + instruction.imm + 1)
        if target is None:
            raise ObjectError(
                f"the {'call' if is_call else 'address'} refers to slot {slot + instruction.imm + 1}, "
                "where no function starts",
                section=code.section.name,
                instruction=slot,
            )
        code.references[slot] = Call(target)


class Linker:
    """Puts programs together from the functions of an object."""

    def __init__(self, codes: Mapping[int, Code]) -> None:
        """``codes`` are the sections with code by section index."""
        self._codes = codes
        self._total = 0
        self._needs: dict[Function, list[Function]] = {}

    def _needed(self, function: Function) -> list[Function]:
        """The functions that ``function`` refers to, in order."""
        if (known := self._needs.get(function)) is None:
            references = self._codes[function.section.index].references
            slots = range(function.start, function.start + function.count)
            found = (references.get(slot) for slot in slots)
            known = list(dict.fromkeys(item.function for item in found if isinstance(item, Call)))
            self._needs[function] = known
        return known

    def link(self, program: Function, also: Sequence[Function] = ()) -> Linked:
        """A program and all it needs, as one sequence; behind them ``also``, which it needs without calling it."""
        placed: dict[Function, int] = {}
        names: dict[Function, str] = {}
        taken: set[str] = set()
        size = 0
        pending = [*reversed(also), program]
        while pending:
            function = pending.pop()
            if function in placed:
                continue
            placed[function] = size
            names[function] = unique_name(function.name, taken)
            size += function.count
            if size > MAX_SLOTS:
                raise ObjectError(
                    f"the program {program.name!r} has over {MAX_SLOTS} instructions with its subprograms",
                    section=program.section.name,
                )
            pending += reversed(self._needed(function))
        self._total += size
        if self._total > MAX_TOTAL_SLOTS:
            raise ObjectError(
                f"the programs have over {MAX_TOTAL_SLOTS} instructions together; that is more than skep links"
            )
        instructions: list[Instruction] = []
        references: dict[int, Reference] = {}
        lines: dict[int, SourceLine] = {}
        core: dict[int, CoreRelocation] = {}
        for function, start in placed.items():
            code = self._codes[function.section.index]
            end = function.start + function.count
            instructions += code.instructions[function.start : end]
            for slot in range(function.start, end):
                here = start + slot - function.start
                reference = code.references.get(slot)
                if isinstance(reference, Call):
                    distance = placed[reference.function] - here - 1
                    instruction = instructions[here]
                    if instruction.opcode == _LDDW:
                        references[here] = FunctionReference(names[reference.function])
                        instructions[here] = replace(instruction, src=_PSEUDO_FUNCTION, imm=distance)
                    else:
                        instructions[here] = replace(instruction, src=_PSEUDO_CALL, imm=distance)
                elif reference is not None:
                    references[here] = reference
                if (line := code.lines.get(slot)) is not None:
                    lines[here] = line
                if (relocation := code.core.get(slot)) is not None:
                    core[here] = replace(relocation, slot=here)
        return Linked(
            tuple(instructions),
            tuple(
                FunctionSpec(names[function], start, function.type_id, function.is_global)
                for function, start in placed.items()
            ),
            MappingProxyType(references),
            MappingProxyType(lines),
            MappingProxyType(core),
        )


def unique_name(name: str, taken: set[str]) -> str:
    """``name``, or with a number behind it where a static function took it; the result is ``taken`` from then on."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}.{number}"
    taken.add(found)
    return found
