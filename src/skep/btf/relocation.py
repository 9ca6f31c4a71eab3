"""CO-RE: a program's accesses to the kernel's types, moved to where a given kernel has them.

clang writes down what an instruction means ("the offset of ``pid`` in ``struct task_struct``"); here that is looked
up in the BTF of the kernel that is to run it and put into the instruction: pure, so it works for any kernel whose
BTF is at hand. What the kernel does not have is *poisoned*: the instruction becomes a call of a helper that no
kernel has, so the verifier refuses the program if, and only if, it can get there. Source: the meaning of each
relocation in ``enum bpf_core_relo_kind`` of ``include/uapi/linux/bpf.h``; the choice between candidates and the
rules for bit fields and access sizes are the reference loader's (libbpf 1.x), compared with it instruction by
instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from skep.btf.btf import Btf
from skep.btf.compatibility import essential_name, same_kind, types_compatible, types_match
from skep.btf.core_paths import (
    ENUMERATOR_KINDS,
    TYPE_KINDS,
    Path,
    describe,
    find_enumerator,
    find_field,
    local_path,
)
from skep.btf.ext import CoreKind, CoreRelocation
from skep.btf.types import Enumeration, Int, Pointer
from skep.errors import BtfError
from skep.isa import opcodes
from skep.isa.instruction import Instruction, Instructions, wide_immediate

#: The helper that a poisoned instruction calls: the reference loader's number, which reads "bad relo" in hexadecimal.
POISON = 0xBAD2310

_SIZES = {1: opcodes.B, 2: opcodes.H, 4: opcodes.W, 8: opcodes.DW}
_BYTES = {code: size for size, code in _SIZES.items()}
_ALU = (opcodes.ALU, opcodes.ALU64)
_MEMORY = (opcodes.LDX, opcodes.ST, opcodes.STX)


@dataclass(frozen=True, slots=True)
class Value:
    """What a relocation comes to in one BTF.

    ``number`` is None where only poison fits. ``is_certain`` says that the compiler must have come to the same
    number for the program's own types. ``size`` and ``type`` are those of the field, where an access of memory
    depends on them.
    """

    number: int | None
    is_certain: bool = True
    size: int = 0
    type: int = 0


@dataclass(frozen=True, slots=True)
class Resolution:
    """A relocation decided: what the instruction holds (``local``), what it is to hold (``target``), and in words
    what it is.

    ``misfit``: the field's size differs in a way that a load or store cannot follow. ``place`` is where it lies in
    the kernel's types, None if they do not have it or the relocation does not look there.
    """

    local: Value
    target: Value
    text: str
    misfit: bool = False
    place: Path | None = None


@dataclass(frozen=True, slots=True)
class Relocated:
    """Instructions for one kernel. ``unresolved`` says of each poisoned slot what the kernel does not have."""

    instructions: Instructions
    unresolved: Mapping[int, str]


def relocate(
    instructions: Instructions,
    relocations: Mapping[int, CoreRelocation],
    local: Btf,
    target: Btf,
    modules: Callable[[], Sequence[Btf]] = tuple,
) -> Relocated:
    """Apply every relocation. ``relocations`` are by slot in ``instructions``, ``local`` has their types,
    ``target`` the kernel's.

    ``modules`` gives the BTF of loaded modules, asked for only if a type is not in the kernel itself. Raises
    BtfError, with the slot, for a relocation that is damaged, ambiguous, or does not fit its instruction.
    """
    resolver = Resolver(local, target, modules)
    code = list(instructions)
    unresolved: dict[int, str] = {}
    for slot, relocation in sorted(relocations.items()):
        try:
            resolution = resolver.resolve(relocation)
            problem = _patch(code, slot, resolution)
        except BtfError as error:
            if error.instruction is None:
                error.instruction = slot
            raise
        if problem:
            unresolved[slot] = problem
    return Relocated(tuple(code), unresolved)


class Resolver:
    """Decides relocations between two BTFs and remembers each, since a program asks the same many times."""

    def __init__(self, local: Btf, target: Btf, modules: Callable[[], Sequence[Btf]] = tuple) -> None:
        self.local = local
        self.target = target
        self._modules = modules
        self._resolved: dict[tuple[CoreKind, int, str], Resolution] = {}
        self._candidates: dict[int, list[tuple[Btf, int]]] = {}
        self._flavours: dict[int, dict[str, list[str]]] = {}

    def resolve(self, relocation: CoreRelocation) -> Resolution:
        """What one relocation comes to; raises BtfError if it is damaged or the kernel's answers contradict each
        other.
        """
        key = (relocation.kind, relocation.type_id, relocation.access)
        if key not in self._resolved:
            self._resolved[key] = self._resolve(relocation)
        return self._resolved[key]

    def _resolve(self, relocation: CoreRelocation) -> Resolution:
        kind = relocation.kind
        path = local_path(self.local, relocation)
        text = describe(self.local, relocation, path)
        ours = _value(kind, self.local, path, text)
        if kind == CoreKind.TYPE_ID_LOCAL:
            return Resolution(ours, ours, text)
        if not self.local[relocation.type_id].name:
            raise BtfError(f"{text}: a type without a name cannot be looked for in a kernel")
        chosen: tuple[Btf, Path, Value] | None = None
        for btf, candidate in self.candidates(relocation.type_id):
            found = self._find(kind, path, btf, candidate)
            if found is None:
                continue
            theirs = _value(kind, btf, found, text)
            if chosen is None:
                chosen = btf, found, theirs
            elif chosen[1].bit_offset != found.bit_offset or chosen[2].number != theirs.number:
                raise BtfError(
                    f"{text}: types {chosen[1].root} and {candidate} of the kernel give different answers "
                    f"({chosen[2].number} at bit {chosen[1].bit_offset}, {theirs.number} at bit {found.bit_offset})"
                )
        if chosen is None:
            return Resolution(ours, _absent(kind), text)
        btf, place, theirs = chosen
        return Resolution(ours, theirs, text, self._is_misfit(kind, ours, btf, theirs), place)

    def candidates(self, type_id: int) -> list[tuple[Btf, int]]:
        """The types that may be the local type ``type_id``: of its name and kind, in the kernel or else in its
        modules.
        """
        if type_id not in self._candidates:
            type = self.local[type_id]
            found = [(self.target, each) for each in self._named(self.target, type_id)]
            for module in () if found else self._modules():
                own = len(module.base) if module.base else 1
                found += [(module, each) for each in self._named(module, type_id) if each >= own]
            self._candidates[type_id] = [(btf, each) for btf, each in found if same_kind(type, btf[each])]
        return self._candidates[type_id]

    def _named(self, btf: Btf, type_id: int) -> list[int]:
        name = essential_name(self.local[type_id].name)
        if id(btf) not in self._flavours:
            flavours: dict[str, list[str]] = {}
            for flavoured in btf.names_with("___"):
                flavours.setdefault(essential_name(flavoured), []).append(flavoured)
            self._flavours[id(btf)] = flavours
        names = {name, *self._flavours[id(btf)].get(name, ())}
        return sorted(each for name in names for each in btf.find_all(name))

    def _find(self, kind: CoreKind, path: Path, btf: Btf, candidate: int) -> Path | None:
        """The place in ``candidate`` that ``path`` is in the local types; None if there is none."""
        local = self.local
        if kind == CoreKind.TYPE_MATCHES:
            return Path(candidate, ()) if types_match(local, path.root, btf, candidate) else None
        if kind in TYPE_KINDS:
            return Path(candidate, ()) if types_compatible(local, path.root, btf, candidate) else None
        if kind in ENUMERATOR_KINDS:
            return find_enumerator(path, btf, candidate)
        return find_field(local, path, btf, candidate)

    def _is_misfit(self, kind: CoreKind, ours: Value, btf: Btf, theirs: Value) -> bool:
        """Whether a load of the field cannot take the kernel's size: only unsigned numbers and pointers widen with
        zeroes.
        """
        if kind != CoreKind.FIELD_BYTE_OFFSET or ours.size == theirs.size:
            return False
        mine, other = self.local.resolve(ours.type), btf.resolve(theirs.type)
        if isinstance(mine, Pointer) and isinstance(other, Pointer):
            return False
        return not (isinstance(mine, Int) and isinstance(other, Int) and not mine.signed and not other.signed)


def _absent(kind: CoreKind) -> Value:
    """What a relocation comes to where the kernel has no such type, field or enumerator."""
    if kind in TYPE_KINDS or kind in (CoreKind.FIELD_EXISTS, CoreKind.ENUMVAL_EXISTS):
        return Value(0)
    return Value(None)


def _value(kind: CoreKind, btf: Btf, path: Path, text: str) -> Value:
    """What a relocation comes to for a place that is there."""
    match kind:
        case CoreKind.TYPE_ID_LOCAL | CoreKind.TYPE_ID_TARGET:
            return Value(path.root, is_certain=False)
        case CoreKind.TYPE_EXISTS | CoreKind.TYPE_MATCHES | CoreKind.FIELD_EXISTS | CoreKind.ENUMVAL_EXISTS:
            return Value(1)
        case CoreKind.TYPE_SIZE:
            return Value(btf.size_of(path.root))
        case CoreKind.ENUMVAL_VALUE:
            enumeration = btf[path.steps[0].type]
            assert isinstance(enumeration, Enumeration)
            return Value(enumeration.values[path.steps[0].index].value)
    return _field_value(kind, btf, path, text)


def _field_value(kind: CoreKind, btf: Btf, path: Path, text: str) -> Value:
    last = path.steps[-1]
    if last.name is None:
        size = btf.size_of(last.type)
        if kind == CoreKind.FIELD_BYTE_OFFSET:
            return Value(path.bit_offset // 8, size=size, type=last.type)
        if kind == CoreKind.FIELD_BYTE_SIZE:
            return Value(size)
        raise BtfError(f"{text}: an element of an array has an offset and a size, and nothing else to relocate")
    member = btf.members(last.type)[last.index]
    type = btf.resolve(member.type)
    is_bit_field = bool(member.bit_size)
    size = btf.size_of(member.type)
    offset = path.bit_offset // 8
    bits = member.bit_size or 8 * size
    if is_bit_field:
        offset, size = _container(path.bit_offset, bits, size, text)
    match kind:
        case CoreKind.FIELD_BYTE_OFFSET if is_bit_field:
            return Value(offset, is_certain=False)
        case CoreKind.FIELD_BYTE_OFFSET:
            return Value(offset, size=size, type=member.type)
        case CoreKind.FIELD_BYTE_SIZE:
            return Value(size, is_certain=not is_bit_field)
        case CoreKind.FIELD_SIGNED:
            return Value(int(isinstance(type, Int | Enumeration) and type.signed))
        case CoreKind.FIELD_LSHIFT_U64:
            within = path.bit_offset - 8 * offset
            shift = 64 - within - bits if btf.byte_order == "little" else 64 - 8 * size + within
            return Value(shift, is_certain=not is_bit_field)
        case _:
            return Value(64 - bits)


def _container(bit_offset: int, bits: int, size: int, text: str) -> tuple[int, int]:
    """The smallest aligned integer that holds a bit field: its offset and size in bytes."""
    if not size:
        raise BtfError(f"{text}: a bit field of a type without a size; the data is damaged")
    offset = bit_offset // 8 // size * size
    while bit_offset + bits - 8 * offset > 8 * size:
        if size >= 8:
            raise BtfError(f"{text}: the bit field does not lie inside 8 bytes that one load could read")
        size *= 2
        offset = bit_offset // 8 // size * size
    return offset, size


def _patch(code: list[Instruction], slot: int, resolution: Resolution) -> str:
    """Put a resolution into its instruction. Returns what is missing if the instruction is poisoned, "" otherwise."""
    if slot >= len(code):
        raise BtfError(f"{resolution.text}: a relocation of slot {slot}, and the program has {len(code)}")
    instruction = code[slot]
    if resolution.target.number is None:
        _poison(code, slot)
        return f"{resolution.text}: the kernel's types do not have it"
    group = instruction.opcode & opcodes.CLASS_MASK
    if group in _ALU and not instruction.opcode & opcodes.X:
        _expect(resolution, instruction.imm)
        code[slot] = replace(instruction, imm=_signed(resolution.target.number))
    elif group in _MEMORY:
        return _patch_memory(code, slot, resolution)
    elif instruction.is_wide and not instruction.src and slot + 1 < len(code):
        _expect(resolution, wide_immediate(instruction, code[slot + 1]), bits=64)
        number = resolution.target.number
        code[slot] = replace(instruction, imm=_signed(number))
        code[slot + 1] = replace(code[slot + 1], imm=_signed(number >> 32))
    else:
        raise BtfError(
            f"{resolution.text}: an instruction with opcode {instruction.opcode:#04x} holds nothing to relocate"
        )
    return ""


def _patch_memory(code: list[Instruction], slot: int, resolution: Resolution) -> str:
    instruction, local, target = code[slot], resolution.local, resolution.target
    assert target.number is not None
    _expect(resolution, instruction.offset)
    if not -(1 << 15) <= target.number < 1 << 15:
        raise BtfError(f"{resolution.text}: offset {target.number} does not fit the 16 bits of a load or store")
    if resolution.misfit:
        _poison(code, slot)
        return (
            f"{resolution.text}: its size is {target.size} in the kernel and {local.size} in the program, "
            "and only pointers and unsigned integers can be read in another size"
        )
    opcode = instruction.opcode
    if local.size != target.size:
        size = _BYTES[opcode & opcodes.SIZE_MASK]
        if size != local.size or target.size not in _SIZES:
            raise BtfError(
                f"{resolution.text}: the instruction accesses {size} bytes of a field of {local.size}, "
                f"which has {target.size} in the kernel"
            )
        opcode = opcode & ~opcodes.SIZE_MASK | _SIZES[target.size]
    code[slot] = replace(instruction, opcode=opcode, offset=target.number)
    return ""


def _expect(resolution: Resolution, held: int, bits: int = 32) -> None:
    """Check that the instruction holds what the compiler came to: a relocation of another instruction would do
    harm.
    """
    wanted = resolution.local.number
    if wanted is not None and resolution.local.is_certain and (held ^ wanted) & ((1 << bits) - 1):
        raise BtfError(
            f"{resolution.text}: the instruction holds {held}, where the compiler should have put {wanted}"
        )


def _poison(code: list[Instruction], slot: int) -> None:
    """Make the instruction, both slots of a wide one, a call that no kernel accepts."""
    for each in (slot, slot + 1) if code[slot].is_wide and slot + 1 < len(code) else (slot,):
        code[each] = Instruction(opcodes.JMP | opcodes.CALL, imm=POISON)


def _signed(number: int) -> int:
    """The lower 32 bits as an immediate."""
    return (number & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
