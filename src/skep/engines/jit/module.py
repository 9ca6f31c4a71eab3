"""A whole program as an LLVM module: its functions, and the maps, helpers and context that they refer to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from skep.engines.jit import accesses, graph
from skep.engines.jit.code import Code
from skep.engines.jit.function import FunctionTranslation, llvm_type
from skep.engines.jit.graph import CALL, CALLX, PSEUDO_CALL, Function
from skep.engines.jit.inference import CallEffect, Inference
from skep.engines.jit.kinds import MEMORY, Kind, Pointer, Target
from skep.engines.jit.switches import recover_switches
from skep.engines.jit.values import Value
from skep.errors import LoadError, UnsupportedError
from skep.isa.instruction import Instructions
from skep.objects.kinds import ProgramType
from skep.objects.spec import MapReference, ProgramSpec


@dataclass(frozen=True, slots=True)
class Translated:
    """LLVM IR of one program. ``name`` is the native entry point, ``size`` how many slots it was made from.

    ``symbols`` are the names that the code refers to and that the loader has to give addresses.
    """

    name: str
    text: str
    size: int
    symbols: tuple[str, ...]


class ModuleTranslation:
    """Translates one program; it is both the environment of the analysis and the world of its functions."""

    def __init__(self, spec: ProgramSpec, type: ProgramType, name: str = "program") -> None:
        self.spec = spec
        self.type = type
        self.name = name
        self.instructions: Instructions = spec.instructions
        self._symbols: dict[str, str] = {}
        self.functions: Mapping[int, Function] = self._functions()
        self.inference = Inference(self.instructions, self.functions, spec.references, self)

    def translate(self) -> Translated:
        """The IR, without target lines. Raises LoadError or UnsupportedError."""
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
            size += sum(len(block.body) + 1 for block in summary.function.blocks.values())
        texts[:0] = self._symbols.values()
        return Translated(self.name, "\n".join(texts), size, tuple(self._symbols))

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
        if self.type is ProgramType.RAW:
            kinds[1], kinds[2] = MEMORY, 64
        else:
            kinds[1] = Pointer(Target.CONTEXT, 0)
        return kinds

    def context_load(self, slot: int, offset: int | None, size: int) -> Kind:  # type: ignore[override]
        """What a load from the context gives."""
        raise LoadError("contexts are not there yet", instruction=slot)

    def call_effect(self, slot: int, registers: list[Kind]) -> CallEffect:
        """The effect of the helper or kfunc call at ``slot``."""
        raise UnsupportedError("helpers are not there yet", instruction=slot)

    # The world of the functions.

    def map_symbol(self, reference: MapReference) -> str:
        """The symbol of a map or of an address in its values."""
        raise UnsupportedError("maps are not there yet")

    def function_symbol(self, start: int) -> str:
        """The address of a function."""
        return f"@{self.symbol_of(start)}"

    def context_store(self, code: Code, slot: int, base: Value, offset: int, size: int, value: Value) -> None:
        """A store to the context."""
        raise LoadError("contexts are not there yet", instruction=slot)

    def packet_load(self, function: FunctionTranslation, slot: int) -> Value:
        """A legacy packet load."""
        raise UnsupportedError("packet loads are not there yet", instruction=slot)

    def call(self, function: FunctionTranslation, slot: int) -> Value:
        """The call at ``slot``."""
        instruction = self.instructions[slot]
        if instruction.opcode == CALL and instruction.src == PSEUDO_CALL:
            return self._call_function(function, slot + 1 + instruction.imm)
        if instruction.opcode == CALLX:
            kind = function.state.registers[instruction.dst]
            if isinstance(kind, Pointer) and kind.target is Target.FUNCTION and kind.offset is not None:
                return self._call_function(function, kind.offset)
            raise UnsupportedError(
                "callx is supported only where it is certain which function the register holds", instruction=slot
            )
        raise UnsupportedError("helpers are not there yet", instruction=slot)

    def _call_function(self, function: FunctionTranslation, start: int) -> Value:
        summary = self.inference.summaries[start]
        code = function.code
        live = summary.function.entry.live
        arguments = []
        for register in range(1, 6):
            if live >> register & 1:
                form = llvm_type(summary.parameters[register])
                value = function.registers[register]
                arguments.append(f"{form} {_operand(code, value, form)}")
        form = llvm_type(summary.returns)
        result = code.emit(f"call {form} @{self.symbol_of(start)}({', '.join([*arguments, 'ptr %cpu'])})")
        return Value(address=result) if form == "ptr" else Value(word=result) if form == "i32" else Value(wide=result)


def _operand(code: Code, value: Value, form: str) -> str:
    return code.address(value) if form == "ptr" else code.word(value) if form == "i32" else code.wide(value)


_ = accesses
