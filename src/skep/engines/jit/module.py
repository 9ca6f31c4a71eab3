"""A whole program as an LLVM module: its functions, and the maps, helpers and context that they refer to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from skep import programs
from skep.engines.jit import graph
from skep.engines.jit.code import Code
from skep.engines.jit.contexts import Context
from skep.engines.jit.frame import Frame
from skep.engines.jit.function import FunctionTranslation, llvm_type
from skep.engines.jit.graph import CALL, CALLX, PSEUDO_CALL, Function
from skep.engines.jit.helpers import Helpers
from skep.engines.jit.inference import FRAME_SIZE, SIZES, CallEffect, Inference, Known
from skep.engines.jit.kinds import MEMORY, Kind, Pointer, Target
from skep.engines.jit.switches import recover_switches
from skep.engines.jit.values import Value, number
from skep.engines.missing import may_miss, missing_call
from skep.errors import SkepError, UnsupportedError
from skep.isa.check import check
from skep.isa.instruction import Instruction, Instructions
from skep.lang import offset_of
from skep.memory.cpu import Cpu
from skep.objects.kinds import ProgramType
from skep.objects.spec import MapReference, ProgramSpec

if TYPE_CHECKING:
    from skep.lang import Function as Function_


@dataclass(frozen=True, slots=True)
class Translated:
    """LLVM IR of one program: ``globals`` that its functions, ``text``, refer to. ``size`` is that of
    the largest function in slots.

    ``symbols`` are the names that the code refers to and that the loader has to give addresses, ``helpers`` the
    functions of the standard library that have to be in the module.
    """

    text: str
    globals: tuple[str, ...]
    size: int
    symbols: tuple[str, ...]
    helpers: tuple[Function_[..., Any], ...]


class ModuleTranslation:
    """Translates one program; it is both the environment of the analysis and the world of its functions."""

    def __init__(
        self,
        spec: ProgramSpec,
        type: ProgramType,
        name: str = "program",
        unresolved: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        self.spec = spec
        self.type = type
        self.name = name
        self.instructions: Instructions = spec.instructions
        check(self.instructions)
        self._symbols: dict[str, str] = {}
        self._constants: dict[str, str] = {}
        self._wrappers: dict[int, str] = {}
        self._context = Context(programs.of(type), spec.attach_type)
        self._helpers = Helpers(spec, type)
        #: Why the calls cannot be made that cannot, by slot.
        self.missing = missing_calls(spec, type, unresolved)
        self.functions: Mapping[int, Function] = self._functions()
        self.inference = Inference(self.instructions, self.functions, spec.references, self)

    def translate(self) -> Translated:
        """The IR, without target lines. Raises LoadError or UnsupportedError; making the object, EncodingError."""
        self.inference.run()
        texts = []
        size = 0
        for start, summary in self.inference.summaries.items():
            if not summary.entries:
                continue
            translation = FunctionTranslation(
                self.inference, summary, self, self.symbol_of(start), is_entry=start == 0
            )
            texts.append(translation.text())
            size = max(size, sum(len(block.body) + 1 for block in summary.function.blocks.values()))
        texts += self._wrappers.values()
        return Translated(
            text="\n".join(texts),
            globals=(*self._symbols.values(), *self._constants.values()),
            size=size,
            symbols=tuple(self._symbols),
            helpers=tuple(self._helpers.used.values()),
        )

    def _functions(self) -> dict[int, Function]:
        functions: dict[int, Function] = {}
        for start in graph.function_starts(self.instructions):
            function = graph.build(self.instructions, start)
            graph.finish(function, self.instructions)
            if recover_switches(function, self.instructions):
                graph.finish(function, self.instructions)
            functions[start] = function
        return functions

    def symbol_of(self, start: int) -> str:
        """The LLVM name of the function at slot ``start``."""
        return self.name if start == 0 else f"{self.name}.f{start}"

    # The environment of the analysis.

    def entry_kinds(self) -> list[Kind]:
        """Kinds of the registers when the program starts."""
        kinds: list[Kind] = [None] * 11
        if self._context.kind.takes_memory:
            kinds[1], kinds[2] = MEMORY, 64
        else:
            kinds[1] = Pointer(Target.CONTEXT, 0)
        return kinds

    def context_load(self, slot: int, offset: int | None, size: int) -> Kind:
        """What a load from the context gives."""
        return self._context.load_kind(slot, offset, size)

    def call_effect(self, slot: int, registers: list[Kind]) -> CallEffect:
        """The effect of the helper or kfunc call at ``slot``."""
        if slot in self.missing:
            return CallEffect(64, {})
        return self._helpers.effect(slot, self._called(slot, registers), registers, self.inference)

    def _called(self, slot: int, registers: list[Kind]) -> Instruction:
        """The call of a helper or kfunc at ``slot``, its number as an immediate if it is given in a register."""
        instruction = self.instructions[slot]
        if instruction.opcode != CALLX:
            return instruction
        kind = registers[instruction.dst]
        if isinstance(kind, Known):
            return Instruction(CALL, imm=kind.value)
        raise UnsupportedError(
            "callx is supported only where it is certain which function the register holds; run the program on the "
            "interpreter, which finds out when it gets there",
            instruction=slot,
        )

    # The world of the functions.

    def map_symbol(self, reference: MapReference) -> str:
        """The symbol of a map or of an address in its values; contents that cannot change are constants."""
        name = reference.map
        if reference.offset is None:
            symbol = f'@"map.{name}"'
            self._symbols.setdefault(f"map.{name}", f"{symbol} = external global i8")
            return symbol
        symbol = f'@"values.{name}"'
        known = self.spec.maps.get(name)
        size = known.value_size if known is not None else 1
        if known is not None and known.frozen and known.contents is not None:
            self._constants.setdefault(
                name, f'{symbol} = internal constant [{size} x i8] c"{_escaped(known.contents)}", align 16'
            )
        else:
            self._symbols.setdefault(f"values.{name}", f"{symbol} = external global [{size} x i8], align 8")
        if reference.offset == 0:
            return symbol
        return f"getelementptr (i8, ptr {symbol}, i64 {reference.offset})"

    def function_symbol(self, start: int) -> str:
        """The address of a function in the form that callbacks have: five 64-bit numbers and the CPU."""
        symbol = f"{self.symbol_of(start)}.callback"
        if start not in self._wrappers:
            code = Code(Frame(flat=False, size=FRAME_SIZE))
            values = [number(0), *(Value(wide=f"%a{register}") for register in range(1, 6))]
            result = code.wide(self.call_function(code, start, values))
            result = self.stops(code, result)
            parameters = ", ".join(f"i64 %a{register}" for register in range(1, 6))
            lines = [f"define internal i64 @{symbol}({parameters}, ptr %cpu) nounwind {{", *code.lines]
            self._wrappers[start] = "\n".join([*lines, f"ret i64 {result}", "}"])
        return f"@{symbol}"

    def context_value(self, code: Code, slot: int, base: Value, start: int, offset: int, size: int) -> Value:
        """A load from the context."""
        return self._context.load(code, slot, base, start, offset, size)

    def context_store(
        self, code: Code, slot: int, base: Value, start: int, offset: int, size: int, value: Value
    ) -> None:
        """A store to the context."""
        self._context.store(code, slot, base, start, offset, size, value)

    def packet_load(self, function: FunctionTranslation, slot: int) -> Value:
        """A legacy packet load; where there is no such byte, the function returns 0."""
        from skep.engines.jit import packet_loads

        instruction = self.instructions[slot]
        size = SIZES[instruction.opcode >> 3 & 3]
        code = function.code
        at = str(instruction.imm)
        if instruction.opcode & 0xE0 == 0x40:
            at = code.emit(f"add i32 {code.word(function.registers[instruction.src])}, {instruction.imm}")
        position = Value(word=at, wide=code.emit(f"sext i32 {at} to i64"))
        if self._context.kind.context_name == "__sk_buff":
            load = packet_loads.load_skb.specialise(size=size)
            arguments = [function.registers[6], position]
        elif self._context.kind.takes_memory and function.is_entry:
            load = packet_loads.load.specialise(size=size)
            end = code.emit("getelementptr i8, ptr %r1, i64 %r2")
            arguments = [Value(address="%r1"), Value(address=end), position]
        else:
            raise UnsupportedError(
                f"loads from a packet in the classic way, which {self._context.kind.label} programs cannot do",
                instruction=slot,
            )
        loaded = code.wide(self._helpers.invoke(code, slot, load, [number(0), *arguments]))
        outside = code.emit(f"icmp slt i64 {loaded}, 0")
        leave, stay = code.labels("leave", "stay")
        code.lines.append(f"br i1 {outside}, label %{leave}, label %{stay}")
        code.start(leave)
        self._return_nothing(function, stay)
        return Value(wide=loaded)

    def call(self, function: FunctionTranslation, slot: int) -> Value:
        """The call at ``slot``."""
        instruction = self.instructions[slot]
        if slot in self.missing:
            self._give_up(function, slot)
            return number(0)
        callee: int | None = None
        if instruction.opcode == CALL and instruction.src == PSEUDO_CALL:
            callee = slot + 1 + instruction.imm
        elif instruction.opcode == CALLX:
            kind = function.state.registers[instruction.dst]
            if isinstance(kind, Pointer) and kind.target is Target.FUNCTION:
                callee = kind.offset
        if callee is not None:
            result = self.call_function(function.code, callee, function.registers)
        else:
            result = self._helpers.call(function, slot, self._called(slot, function.state.registers))
        if self.missing:
            self._leave_if_given_up(function)
        return result

    def stops(self, code: Code, result: str) -> str:
        """An operand that is not zero if a callback wants no further call: because of its result, or it gave up."""
        if not self.missing:
            return result
        gone = code.emit(f"icmp ne i32 {faulted(code)}, 0")
        return code.emit(f"select i1 {gone}, i64 1, i64 {result}")

    def _give_up(self, function: FunctionTranslation, slot: int) -> None:
        """Say in the CPU that the program got to ``slot``, where it cannot go on, and return through all callers."""
        code = function.code
        place = code.emit(f"getelementptr i8, ptr %cpu, i64 {offset_of(Cpu, 'fault_slot')}")
        code.lines.append(f"store i32 {slot + 1}, ptr {place}, align 4")
        program = code.emit(f"getelementptr i8, ptr %cpu, i64 {offset_of(Cpu, 'fault_program')}")
        code.lines.append(f"store ptr @{self.symbol_of(0)}, ptr {program}, align 8")
        self._return_nothing(function)

    def _leave_if_given_up(self, function: FunctionTranslation) -> None:
        """After a call in a program that may give up: return if it did."""
        code = function.code
        gone = code.emit(f"icmp ne i32 {faulted(code)}, 0")
        leave, stay = code.labels("leave", "stay")
        code.lines.append(f"br i1 {gone}, label %{leave}, label %{stay}")
        code.start(leave)
        self._return_nothing(function, stay)

    @staticmethod
    def _return_nothing(function: FunctionTranslation, following: str | None = None) -> None:
        code = function.code
        form = function.result_type()
        code.lines.append(f"ret {form} {'null' if form == 'ptr' else '0'}")
        code.start(following or code.labels("never")[0])

    def call_function(self, code: Code, start: int, registers: list[Value]) -> Value:
        """A call of the program's own function at slot ``start`` with r1 to r5 from ``registers``."""
        summary = self.inference.summaries[start]
        live = summary.function.entry.live
        arguments = []
        for register in range(1, 6):
            if live >> register & 1:
                form = llvm_type(summary.parameters[register])
                arguments.append(f"{form} {_operand(code, registers[register], form)}")
        form = llvm_type(summary.returns)
        result = code.emit(f"call {form} @{self.symbol_of(start)}({', '.join([*arguments, 'ptr %cpu'])})")
        return Value(address=result) if form == "ptr" else Value(word=result) if form == "i32" else Value(wide=result)


def missing_calls(spec: ProgramSpec, type: ProgramType, unresolved: Mapping[int, str]) -> dict[int, SkepError]:
    """The calls of a program that cannot be made, by slot, and why."""
    found = {}
    for slot, instruction in enumerate(spec.instructions):
        if may_miss(instruction) and (error := missing_call(spec, type, slot, unresolved)) is not None:
            found[slot] = error
    return found


def faulted(code: Code) -> str:
    """An operand that is not zero if a program on this CPU has given up."""
    place = code.emit(f"getelementptr i8, ptr %cpu, i64 {offset_of(Cpu, 'fault_slot')}")
    return code.emit(f"load i32, ptr {place}, align 4")


def _operand(code: Code, value: Value, form: str) -> str:
    return code.address(value) if form == "ptr" else code.word(value) if form == "i32" else code.wide(value)


def _escaped(data: bytes) -> str:
    """``data`` as the inside of an LLVM string constant."""
    return "".join(f"\\{byte:02X}" for byte in data)
