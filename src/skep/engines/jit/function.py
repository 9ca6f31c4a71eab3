"""One BPF function as one LLVM function in static single assignment form.

Blocks are visited in reverse postorder. Where paths join, a register that differs becomes a phi of the type that its
kind calls for, so that pointers stay pointers and 32-bit values stay 32 bits wide round a loop. Registers that are
equal on all paths, or that a loop does not assign, need none.
"""

from __future__ import annotations

from typing import Protocol

from skep.engines.jit import accesses
from skep.engines.jit.arithmetic import arithmetic, immediate
from skep.engines.jit.code import Code
from skep.engines.jit.frame import Frame
from skep.engines.jit.graph import (
    ALU,
    ALU64,
    JMP32,
    LD,
    LDDW,
    LDX,
    MAY_GOTO,
    PSEUDO_FUNCTION,
    ST,
    STX,
    Block,
    Exit,
    Jump,
    Switch,
)
from skep.engines.jit.inference import FRAME_SIZE, SIZES, Inference, State, Summary, written_mask
from skep.engines.jit.kinds import Kind, Pointer, Target
from skep.engines.jit.values import Value, number, signed32
from skep.errors import LoadError
from skep.isa.instruction import Instruction, wide_immediate
from skep.objects.spec import KfuncReference, KsymReference, MapReference

#: How often ``may_goto`` lets a program go on in one call of a function (BPF_MAX_LOOPS of Linux).
MAY_GOTO_BUDGET = 8 * 1024 * 1024

_PREDICATES = {
    0x10: "eq",
    0x20: "ugt",
    0x30: "uge",
    0x50: "ne",
    0x60: "sgt",
    0x70: "sge",
    0xA0: "ult",
    0xB0: "ule",
    0xC0: "slt",
    0xD0: "sle",
}
_JSET = 0x40


class World(Protocol):
    """What a function needs from the module around it."""

    def map_symbol(self, reference: MapReference) -> str:
        """The operand that is the address a wide load of a map or of a map's value gives."""

    def function_symbol(self, start: int) -> str:
        """The operand that is the address of the function at slot ``start``, for callbacks."""

    def context_value(self, code: Code, slot: int, base: Value, start: int, offset: int, size: int) -> Value:
        """A load from the context at the offset that the program sees; ``base`` is its address plus ``start``."""

    def context_store(
        self, code: Code, slot: int, base: Value, start: int, offset: int, size: int, value: Value
    ) -> None:
        """A store to the context at the offset that the program sees."""

    def call_function(self, code: Code, start: int, registers: list[Value]) -> Value:
        """A call of the program's own function at slot ``start``."""

    def stops(self, code: Code, result: str) -> str:
        """An operand that is not zero if a callback wants no further call: because of its result, or it gave up."""

    def call(self, function: FunctionTranslation, slot: int) -> Value:
        """The call at ``slot``; what it leaves in r0."""

    def packet_load(self, function: FunctionTranslation, slot: int) -> Value:
        """The legacy packet load at ``slot``; what it leaves in r0."""


def llvm_type(kind: Kind) -> str:
    """The LLVM type of a parameter, result or phi of this kind."""
    if isinstance(kind, Pointer):
        return "ptr"
    return "i32" if kind is not None and kind <= 32 else "i64"


class FunctionTranslation:
    """The translation of one function; :meth:`text` is its definition in LLVM IR.

    ``registers`` are the values at the point of translation, ``state`` their kinds before the instruction at hand.
    """

    def __init__(self, inference: Inference, summary: Summary, world: World, name: str, *, is_entry: bool) -> None:
        self.inference = inference
        self.summary = summary
        self.world = world
        self.name = name
        self.is_entry = is_entry
        self.function = summary.function
        self.instructions = inference.instructions
        self.code = Code(Frame(summary.flat, FRAME_SIZE))
        self.registers: list[Value] = []
        self.state = State([], {}, 0)
        self._lines: dict[int, list[str]] = {}
        self._exits: dict[int, list[Value]] = {}
        self._labels: dict[int, str] = {}
        self._phis: dict[int, list[tuple[int, str, str, list[str]]]] = {}
        self._prologue: list[str] = []
        self._has_budget = False
        self._has_impossible = False

    # The whole.

    def parameters(self) -> list[tuple[int, str]]:
        """Registers that are parameters, each with its LLVM type."""
        if self.is_entry:
            return [(1, "ptr"), (2, "i64")]
        live = self.function.entry.live
        return [(n, llvm_type(self.summary.parameters[n])) for n in range(1, 6) if live >> n & 1]

    def result_type(self) -> str:
        """The LLVM type of what the function returns."""
        return "i64" if self.is_entry else llvm_type(self.summary.returns)

    def text(self) -> str:
        """The definition, from ``define`` to the closing brace."""
        self.inference.enter(self.summary)
        for name in self.function.order:
            self._block(self.function.blocks[name])
        for name, phis in self._phis.items():
            lines = self._lines[name]
            lines[1:1] = [f"{phi} = phi {kind} {', '.join(incoming)}" for _, kind, phi, incoming in phis]
        given = [(kind, f"%r{register}") for register, kind in self.parameters()]
        # LLVM asks again and again whether a value may be undefined; what the caller passes never is.
        defined = "noundef " if self.is_entry else ""
        parameters = ", ".join(f"{kind} {defined}{name}" for kind, name in [*given, ("ptr", "%cpu")])
        linkage = "" if self.is_entry else "internal "
        head = [f"define {linkage}{self.result_type()} @{self.name}({parameters}) nounwind {{", "entry:"]
        head += self.code.frame.declarations()
        if self._has_budget:
            head += ["%budget = alloca i64", f"store i64 {MAY_GOTO_BUDGET}, ptr %budget"]
        head += [*self._prologue, f"br label %b{self.function.start}"]
        body = (line for name in self.function.order for line in self._lines[name])
        tail = ["impossible:", "unreachable"] if self._has_impossible else []
        return "\n".join([*head, *body, *tail, "}"])

    # Blocks and joins.

    def _block(self, block: Block) -> None:
        code = self.code
        code.lines = lines = [f"b{block.name}:"]
        self._lines[block.name] = lines
        code.label = f"b{block.name}"
        self._enter(block)
        for slot in block.body:
            self._instruction(slot)
        self._labels[block.name] = code.label
        terminator = self._terminator(block)
        self._exits[block.name] = self.registers
        for successor in block.successors:
            if successor in self._phis and (successor in self._exits or successor == block.name):
                self._add_incoming(successor, block)
        lines.append(terminator)

    def _enter(self, block: Block) -> None:
        """Set the registers to their values at the start of ``block``, with phis where they differ."""
        entry = self.summary.entries[block.name]
        self.state = entry.copy()
        is_start = block.name == self.function.start
        if is_start:
            self._exits[-1] = self._arguments()
            self._labels[-1] = "entry"
        known = [name for name in block.predecessors if name in self._exits and name != block.name]
        if is_start:
            known.append(-1)
        if len(known) == 1 and not block.is_loop_head:
            self.registers = [value.copy() for value in self._exits[known[0]]]
            return
        values = [number(0)] * 11
        values[10] = Value(frame=0)
        phis: list[tuple[int, str, str, list[str]]] = []
        for register in range(10):
            if not block.live >> register & 1:
                continue
            kind = entry.registers[register]
            if kind is None:
                continue
            if isinstance(kind, Pointer) and kind.target is Target.STACK and kind.offset is not None:
                values[register] = Value(frame=kind.offset)
                continue
            if not (block.is_loop_head and block.rewritten >> register & 1):
                same = _common([self._exits[name][register] for name in known])
                if same is not None:
                    values[register] = same
                    continue
            form = llvm_type(kind)
            phi = self.code.fresh()
            phis.append((register, form, phi, []))
            values[register] = (
                Value(address=phi) if form == "ptr" else Value(word=phi) if form == "i32" else Value(wide=phi)
            )
        self.registers = values
        if phis:
            self._phis[block.name] = phis
            for name in known:
                self._add_incoming(block.name, None if name == -1 else self.function.blocks[name])

    def _arguments(self) -> list[Value]:
        values = [number(0)] * 11
        values[10] = Value(frame=0)
        for register, form in self.parameters():
            operand = f"%r{register}"
            values[register] = (
                Value(address=operand)
                if form == "ptr"
                else Value(word=operand)
                if form == "i32"
                else Value(wide=operand)
            )
        return values

    def _add_incoming(self, target: int, block: Block | None) -> None:
        """Complete the phis of block ``target`` with what they get from ``block`` (None: the start)."""
        name = -1 if block is None else block.name
        values = self._exits.get(name, self.registers)
        code = self.code
        before, label = code.lines, self._labels[name]
        edges = 1
        moved: str | None = None
        if block is not None:
            code.lines = self._lines[block.name]
            if code.lines is not before:
                moved = code.lines.pop()
            if isinstance(block.terminator, Switch):
                edges = block.terminator.targets.count(target)
        else:
            code.lines = self._prologue
        for register, form, _, incoming in self._phis[target]:
            value = values[register]
            operand = (
                code.address(value) if form == "ptr" else code.word(value) if form == "i32" else code.wide(value)
            )
            incoming += [f"[ {operand}, %{label} ]"] * edges
        if moved is not None:
            code.lines.append(moved)
        code.lines = before

    # Instructions.

    def _instruction(self, slot: int) -> None:
        instruction = self.instructions[slot]
        opcode = instruction.opcode
        kind = opcode & 7
        registers = self.registers
        kinds = self.state.registers
        if kind in (ALU64, ALU):
            left_kind = kinds[instruction.dst]
            if opcode & 8 and opcode & 0xF0 != 0xD0:
                right, right_kind = registers[instruction.src], kinds[instruction.src]
            else:
                right, right_kind = immediate(instruction)
            self.inference.step(self.state, slot)
            registers[instruction.dst] = arithmetic(
                self.code,
                instruction,
                registers[instruction.dst],
                right,
                (left_kind, right_kind, kinds[instruction.dst]),
            )
        elif kind == LDX:
            self._load(slot, instruction)
        elif kind in (ST, STX):
            self._store(slot, instruction)
        elif opcode == LDDW:
            self.inference.step(self.state, slot)
            registers[instruction.dst] = self._wide(slot, instruction)
        elif kind == LD:
            value = self.world.packet_load(self, slot)
            self.inference.step(self.state, slot)
            registers[0] = value
        else:
            value = self.world.call(self, slot)
            self.inference.step(self.state, slot)
            registers[0] = value

    def _wide(self, slot: int, instruction: Instruction) -> Value:
        reference = self.inference.references.get(slot)
        if isinstance(reference, MapReference):
            return Value(address=self.world.map_symbol(reference))
        if instruction.src == PSEUDO_FUNCTION:
            return Value(address=self.world.function_symbol(slot + 1 + instruction.imm))
        if isinstance(reference, KsymReference | KfuncReference) and reference.weak:
            # It does not exist here, which is what the program asks.
            return number(0)
        if instruction.src or reference is not None:
            raise LoadError(
                f"a wide load refers to something (pseudo source {instruction.src}) that nothing resolved",
                instruction=slot,
            )
        return number(wide_immediate(instruction, self.instructions[slot + 1]))

    def _place(self, slot: int, base: int, offset: int, size: int, *, reads: bool) -> tuple[str, int]:
        """The address that an access means and its alignment."""
        value = self.registers[base]
        if value.frame is None:
            return accesses.pointer_at(self.code, value, offset), 1
        at = value.frame + offset
        return self.frame_address(slot, at, size, reads=reads), min(at & -at, 8)

    def frame_address(self, slot: int, at: int, size: int, *, reads: bool) -> str:
        """The operand for ``size`` bytes at ``at`` of the frame."""
        if at < -FRAME_SIZE or at + size > 0:
            raise LoadError(
                f"{size} bytes at r10{at:+d} do not lie in the stack frame, which has {FRAME_SIZE} bytes",
                instruction=slot,
            )
        mask = written_mask(at, size)
        written = not reads or self.state.written & mask == mask
        return self.code.frame.name(at, size, written=written)

    def _context(self, register: int) -> int | None:
        """The offset in the context that the register's address has, None if it is no address in the context."""
        kind = self.state.registers[register]
        if isinstance(kind, Pointer) and kind.target is Target.CONTEXT:
            return kind.offset
        return None

    def _load(self, slot: int, instruction: Instruction) -> None:
        opcode = instruction.opcode
        size = SIZES[opcode >> 3 & 3]
        signed = opcode & 0xE0 == 0x80
        base = instruction.src
        start = self._context(base)
        if start is not None:
            at = start + instruction.offset
            value = self.world.context_value(self.code, slot, self.registers[base], start, at, size)
            self.inference.step(self.state, slot)
            if signed:
                low = self.code.word(value) if size == 4 else self.code.narrow(value, size)
                value = Value(wide=self.code.emit(f"sext i{8 * size} {low} to i64"))
        else:
            address, align = self._place(slot, base, instruction.offset, size, reads=True)
            self.inference.step(self.state, slot)
            kind = self.state.registers[instruction.dst]
            if isinstance(kind, Pointer) and kind.target is Target.STACK and kind.offset is not None:
                # A spilled frame address is known without looking.
                value = Value(frame=kind.offset)
            else:
                value = accesses.load(self.code, address, size, align, kind, signed=signed)
        self.registers[instruction.dst] = value

    def _store(self, slot: int, instruction: Instruction) -> None:
        opcode = instruction.opcode
        size = SIZES[opcode >> 3 & 3]
        registers = self.registers
        if opcode & 0xE7 == 0xC3:
            self._atomic(slot, instruction, size)
            return
        value = registers[instruction.src] if opcode & 7 == STX else number(instruction.imm)
        start = self._context(instruction.dst)
        if start is not None:
            at = start + instruction.offset
            self.world.context_store(self.code, slot, registers[instruction.dst], start, at, size, value)
        else:
            address, align = self._place(slot, instruction.dst, instruction.offset, size, reads=False)
            accesses.store(self.code, address, size, align, value)
        self.inference.step(self.state, slot)

    def _atomic(self, slot: int, instruction: Instruction, size: int) -> None:
        acquire = instruction.imm == accesses.LOAD_ACQUIRE
        base = instruction.src if acquire else instruction.dst
        address, _ = self._place(
            slot, base, instruction.offset, size, reads=instruction.imm != accesses.STORE_RELEASE
        )
        registers = self.registers
        result = accesses.atomic(self.code, slot, instruction, address, registers[instruction.src], registers[0])
        self.inference.step(self.state, slot)
        if result is not None:
            if acquire:
                registers[instruction.dst] = result
            elif instruction.imm == accesses.COMPARE_EXCHANGE:
                registers[0] = result
            else:
                registers[instruction.src] = result

    # Ends of blocks.

    def _terminator(self, block: Block) -> str:
        terminator = block.terminator
        if isinstance(terminator, Jump):
            return f"br label %b{terminator.target}"
        if isinstance(terminator, Exit):
            form = self.result_type()
            value = self.registers[0]
            code = self.code
            operand = (
                code.address(value) if form == "ptr" else code.word(value) if form == "i32" else code.wide(value)
            )
            return f"ret {form} {operand}"
        if isinstance(terminator, Switch):
            value = self.registers[terminator.register]
            if terminator.narrow:
                operand, form = self.code.word(value), "i32"
            else:
                operand, form = self.code.wide(value), "i64"
            cases = "\n".join(
                f"{form} {signed32(case) if terminator.narrow else _signed64(case)}, label %b{target}"
                for case, target in terminator.cases
            )
            default = f"b{terminator.default}"
            if terminator.default is None:
                self._has_impossible = True
                default = "impossible"
            return f"switch {form} {operand}, label %{default} [\n{cases}\n]"
        instruction = self.instructions[terminator.slot]
        if terminator.taken == terminator.other:
            return f"br label %b{terminator.taken}"
        condition = self._may_not_go_on() if instruction.opcode == MAY_GOTO else self._condition(instruction)
        return f"br i1 {condition}, label %b{terminator.taken}, label %b{terminator.other}"

    def _may_not_go_on(self) -> str:
        self._has_budget = True
        left = self.code.emit("load i64, ptr %budget")
        less = self.code.emit(f"call i64 @llvm.usub.sat.i64(i64 {left}, i64 1)")
        self.code.lines.append(f"store i64 {less}, ptr %budget")
        return self.code.emit(f"icmp eq i64 {left}, 0")

    def _condition(self, instruction: Instruction) -> str:
        opcode = instruction.opcode
        operation = opcode & 0xF0
        code = self.code
        kinds = self.state.registers
        left, left_kind = self.registers[instruction.dst], kinds[instruction.dst]
        if opcode & 8:
            right, right_kind = self.registers[instruction.src], kinds[instruction.src]
        else:
            right, right_kind = immediate(instruction)
        narrow = opcode & 7 == JMP32
        if operation != _JSET and operation not in _PREDICATES:
            raise LoadError(f"opcode {opcode:#04x} is no jump", instruction=None)
        predicate = _PREDICATES.get(operation, "ne")
        if not narrow:
            if isinstance(left_kind, int) and isinstance(right_kind, int):
                if left_kind <= 32 and right_kind <= 32:
                    # Both are below 2^32, so signed and unsigned order agree.
                    narrow = True
                    predicate = predicate.replace("s", "u") if predicate[0] == "s" else predicate
            elif operation != _JSET and (predicate[0] != "s"):
                either = isinstance(left_kind, Pointer) and isinstance(right_kind, Pointer)
                if either or (predicate in ("eq", "ne") and (right_kind == 0 or left_kind == 0)):
                    return code.emit(f"icmp {predicate} ptr {code.address(left)}, {code.address(right)}")
        form = "i32" if narrow else "i64"
        a, b = (code.word(left), code.word(right)) if narrow else (code.wide(left), code.wide(right))
        if operation == _JSET:
            both = code.emit(f"and {form} {a}, {b}")
            return code.emit(f"icmp ne {form} {both}, 0")
        return code.emit(f"icmp {predicate} {form} {a}, {b}")


def _signed64(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _common(values: list[Value]) -> Value | None:
    """The forms that all of ``values`` share, None if there is none."""
    first = values[0].copy()
    for other in values[1:]:
        if first.address != other.address:
            first.address = None
        if first.wide != other.wide:
            first.wide = None
        if first.word != other.word:
            first.word = None
        if first.constant != other.constant:
            first.constant = None
        if first.frame != other.frame:
            first.frame = None
    # A lower half alone would claim that the upper is zero: true only if no value had a wide form of its own.
    only_word = first.wide is None and first.address is None and first.frame is None
    if only_word and (first.word is None or any(one.wide is not None or one.address is not None for one in values)):
        return None
    return first
