"""Calls of helpers: what they do to what is known, and the code of the call.

A helper is a function of :mod:`skep.lang` that the standard library chooses for the call site; it is linked into the
program's module, where LLVM inlines it. Two kinds of helper are control flow and are made here: ``bpf_tail_call``
leaves the program, and ``bpf_loop`` with a function that is known becomes a loop that calls it directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skep.engines.jit.inference import CallEffect, Inference, Known
from skep.engines.jit.kinds import MEMORY, Kind, Pointer, Target
from skep.engines.jit.values import Value, number
from skep.errors import LoadError, UnsupportedError
from skep.isa.instruction import Instruction
from skep.objects.kinds import ProgramType
from skep.objects.spec import MapReference, MapSpec, ProgramSpec
from skep.stdlib.prototype import Argument, ArgumentKind, HelperPrototype, ReturnKind

if TYPE_CHECKING:
    from skep.engines.jit.code import Code
    from skep.engines.jit.function import FunctionTranslation
    from skep.lang import Function

TAIL_CALL = 12
LOOP = 181
#: bpf_loop refuses more rounds than this (BPF_MAX_LOOPS of Linux).
MAX_LOOPS = 8 * 1024 * 1024
_E2BIG, _EINVAL = 7, 22

#: Bytes behind an address of these kinds.
_FIXED_SIZES = {ArgumentKind.SPIN_LOCK: 4, ArgumentKind.TIMER: 16, ArgumentKind.DYNPTR: 16}
_SIZES = (ArgumentKind.SIZE, ArgumentKind.SIZE_OR_ZERO)

#: The kinds of what helpers pass to their callback, by helper; a number is the register of the call it comes from.
_CALLBACKS: Mapping[int, tuple[Kind | str, ...]] = {
    LOOP: (32, "r3"),
    164: (MEMORY, MEMORY, MEMORY, "r3"),
    170: (MEMORY, MEMORY, MEMORY),
    180: (MEMORY, MEMORY, "r4"),
    209: (MEMORY, "r3"),
}


class Helpers:
    """The helper calls of one program. ``used`` are the functions of the standard library that its code calls."""

    def __init__(self, spec: ProgramSpec, type: ProgramType) -> None:
        self.spec = spec
        self.type = type
        self.used: dict[str, Function[..., Any]] = {}

    def prototype(self, slot: int, instruction: Instruction) -> HelperPrototype:
        """The row of the helper that is called at ``slot``. Raises UnsupportedError for what is no helper."""
        from skep.errors import RequestError
        from skep.stdlib.prototypes import prototype

        if instruction.src:
            reference = self.spec.references.get(slot)
            named = getattr(reference, "name", None)
            what = f"kernel function {named}" if named else f"function of a kind (pseudo source {instruction.src})"
            raise UnsupportedError(f"calls the {what}, which is not implemented here", instruction=slot)
        try:
            return prototype(instruction.imm, self.type)
        except RequestError as error:
            raise UnsupportedError(error.problem, instruction=slot) from None

    # What a call does to what is known.

    def effect(self, slot: int, instruction: Instruction, registers: list[Kind], inference: Inference) -> CallEffect:
        """The effect of the call at ``slot`` on kinds."""
        row = self.prototype(slot, instruction)
        sizes: dict[int, int | None] = {}
        for index, argument in enumerate(row.arguments):
            kind = argument.kind
            if kind is ArgumentKind.FUNCTION:
                self._call_back(row.number, registers, index + 1, inference)
            elif kind is ArgumentKind.ANYTHING or (kind is ArgumentKind.STACK):
                inference.expose(registers[index + 1])
            else:
                sizes[index + 1] = self._size(row.arguments, index, registers)
        if row.number == TAIL_CALL:
            inference.leaves()
        returns: Kind = 64 if row.returns.kind in (ReturnKind.INTEGER, ReturnKind.VOID) else MEMORY
        return CallEffect(returns, sizes)

    def _size(self, arguments: tuple[Argument, ...], index: int, registers: list[Kind]) -> int | None:
        argument = arguments[index]
        if argument.size:
            return argument.size
        if argument.kind in (ArgumentKind.MAP_KEY, ArgumentKind.MAP_VALUE):
            map_spec = self._map_among(arguments, registers)
            if map_spec is None:
                return None
            return map_spec.key_size if argument.kind is ArgumentKind.MAP_KEY else map_spec.value_size
        if index + 1 < len(arguments) and arguments[index + 1].kind in _SIZES:
            size = registers[index + 2]
            return size.value if isinstance(size, Known) else None
        return _FIXED_SIZES.get(argument.kind)

    def _map_among(self, arguments: tuple[Argument, ...], registers: list[Kind]) -> MapSpec | None:
        for index, argument in enumerate(arguments):
            if argument.kind is ArgumentKind.MAP:
                kind = registers[index + 1]
                if isinstance(kind, Pointer) and kind.target is Target.MAP:
                    return self.spec.maps.get(kind.name)
        return None

    @staticmethod
    def _call_back(helper: int, registers: list[Kind], register: int, inference: Inference) -> None:
        function = registers[register]
        callees = (
            [function.offset]
            if isinstance(function, Pointer) and function.target is Target.FUNCTION and function.offset is not None
            else inference.address_taken
        )
        passed: dict[int, Kind] = dict.fromkeys(range(1, 6), 64)
        for place, kind in enumerate(_CALLBACKS.get(helper, ())):
            passed[place + 1] = registers[int(kind[1:])] if isinstance(kind, str) else kind
        for callee in callees:
            inference.invoke(callee, passed)

    # The code of a call.

    def call(self, function: FunctionTranslation, slot: int, instruction: Instruction) -> Value:
        """Emit the call at ``slot``; what it leaves in r0."""
        row = self.prototype(slot, instruction)
        kinds = function.state.registers
        if row.number == LOOP:
            callback = kinds[2]
            if isinstance(callback, Pointer) and callback.target is Target.FUNCTION and callback.offset is not None:
                return _loop(function, callback.offset)
        self._lend(function, slot, row)
        implementation = self._implementation(slot, row, function)
        name = self._map_name(row, kinds)
        values = None
        if name is not None and any(parameter == "values" for parameter, _ in implementation.parameters):
            values = function.world.map_symbol(MapReference(name, 0))
        result = self.invoke(function.code, slot, implementation, function.registers, values)
        if row.number == TAIL_CALL:
            _tail_call(function, result)
            return number(-1 % (1 << 64))
        return result

    def _lend(self, function: FunctionTranslation, slot: int, row: HelperPrototype) -> None:
        """Give frame addresses among the arguments an operand that stands for as many bytes as the helper touches."""
        kinds = function.state.registers
        for index, argument in enumerate(row.arguments):
            register = index + 1
            value = function.registers[register]
            if value.frame is not None and argument.kind is not ArgumentKind.FUNCTION:
                size = self._size(row.arguments, index, kinds)
                length = -value.frame if size is None else size
                address = function.frame_address(slot, value.frame, max(length, 0), reads=True)
                function.registers[register] = Value(address=address)

    def _map_name(self, row: HelperPrototype, kinds: list[Kind]) -> str | None:
        known = self._map_among(row.arguments, kinds)
        return known.name if known is not None else None

    def _implementation(self, slot: int, row: HelperPrototype, function: FunctionTranslation) -> Function[..., Any]:
        from skep.lang import HOST
        from skep.stdlib import CallSite, implementation

        constants = {
            index + 1: constant
            for index in range(len(row.arguments))
            if (constant := function.registers[index + 1].constant) is not None
        }
        site = CallSite(
            program_type=self.type,
            arch=HOST.arch,
            map=self._map_among(row.arguments, function.state.registers),
            constants=constants,
        )
        try:
            chosen: Function[..., Any] = implementation(row.number, site)
        except UnsupportedError as error:
            raise UnsupportedError(error.problem, instruction=slot) from None
        return chosen

    def invoke(
        self,
        code: Code,
        slot: int,
        function: Function[..., Any],
        registers: list[Value],
        values: str | None = None,
    ) -> Value:
        """A call of a function of the language with BPF arguments from r1 on; its result as 64 bits.

        ``values`` is the operand for a parameter of that name, the first element of a map that is known.
        """
        from skep.lang.signature import abi, abi_result
        from skep.lang.types import VOID, BoolType, IntType, PointerType

        self.used[function.symbol] = function
        operands = []
        register = 1
        for name, kind in function.parameters:
            if name == "cpu":
                operands.append(f"{abi(kind)} %cpu")
                continue
            if name == "values" and values is not None:
                operands.append(f"{abi(kind)} {values}")
                continue
            if register > 5:
                raise LoadError(f"{function.__qualname__} takes more arguments than BPF has", instruction=slot)
            value = registers[register]
            register += 1
            if isinstance(kind, PointerType):
                operand = code.address(value)
            elif isinstance(kind, BoolType):
                operand = code.emit(f"icmp ne i64 {code.wide(value)}, 0")
            elif isinstance(kind, IntType) and kind.bits < 32:
                operand = code.narrow(value, kind.bits // 8)
            else:
                operand = code.word(value) if isinstance(kind, IntType) and kind.bits == 32 else code.address(value)
                if isinstance(kind, IntType) and kind.bits == 64:
                    operand = code.wide(value)
            operands.append(f"{abi(kind)} {operand}")
        call = f'call {abi_result(function.result)} @"{function.symbol}"({", ".join(operands)})'
        result = function.result
        if result is VOID:
            code.lines.append(call)
            return number(0)
        name = code.emit(call)
        if isinstance(result, BoolType):
            return Value(word=code.emit(f"zext i1 {name} to i32"))
        if isinstance(result, IntType):
            if result.bits == 64:
                return Value(wide=name)
            if result.signed:
                return Value(wide=code.emit(f"sext i{result.bits} {name} to i64"))
            return Value(word=name if result.bits == 32 else code.emit(f"zext i{result.bits} {name} to i32"))
        return Value(address=name)


def _tail_call(function: FunctionTranslation, target: Value) -> None:
    """Go to the program at ``target`` and do not come back; go on if it is null."""
    code = function.code
    address = code.address(target)
    missing = code.emit(f"icmp eq ptr {address}, null")
    leave, stay = code.labels("leave", "stay")
    code.lines.append(f"br i1 {missing}, label %{stay}, label %{leave}")
    code.start(leave)
    # A jump where the frame can be given up; from a subprogram the result goes back to its caller, as in Linux.
    how = "musttail call" if function.is_entry else "tail call"
    context = code.address(function.registers[1])
    result = code.emit(f"{how} i64 {address}(ptr {context}, i64 0, ptr %cpu)")
    form = function.result_type()
    if form != "i64":
        result = code.emit(f"trunc i64 {result} to i32" if form == "i32" else f"inttoptr i64 {result} to ptr")
    code.lines.append(f"ret {form} {result}")
    code.start(stay)


def _loop(function: FunctionTranslation, callee: int) -> Value:
    """bpf_loop(rounds, callee, context, flags): rounds made, or a negative error number."""
    code = function.code
    rounds, context, flags = function.registers[1], function.registers[3], function.registers[4]
    count = code.word(rounds)
    passed = Value(address=code.address(context)) if context.frame is not None else context.copy()
    for form in (code.address, code.wide) if passed.address is not None else (code.wide,):
        form(passed)
    bad = code.emit(f"icmp ne i64 {code.wide(flags)}, 0")
    many = code.emit(f"icmp ugt i32 {count}, {MAX_LOOPS}")
    refused = code.emit(f"select i1 {bad}, i64 {-_EINVAL}, i64 {-_E2BIG}")
    either = code.emit(f"or i1 {bad}, {many}")
    check, head, body, end = code.labels("check", "head", "body", "end")
    before = code.label
    code.lines.append(f"br i1 {either}, label %{end}, label %{head}")
    code.start(head)
    index, following = code.fresh(), code.fresh()
    code.lines.append(f"{index} = phi i32 [ 0, %{before} ], [ {following}, %{check} ]")
    done = code.emit(f"icmp uge i32 {index}, {count}")
    code.lines.append(f"br i1 {done}, label %{end}, label %{body}")
    code.start(body)
    values = [number(0), Value(word=index), passed, number(0), number(0), number(0)]
    result = code.wide(function.world.call_function(code, callee, values))
    code.lines.append(f"{following} = add i32 {index}, 1")
    stop = code.emit(f"icmp ne i64 {function.world.stops(code, result)}, 0")
    code.lines.append(f"br label %{check}")
    code.start(check)
    code.lines.append(f"br i1 {stop}, label %{end}, label %{head}")
    code.start(end)
    made = code.emit(f"phi i32 [ 0, %{before} ], [ {index}, %{head} ], [ {following}, %{check} ]")
    refusal = code.emit(f"phi i64 [ {refused}, %{before} ], [ 0, %{head} ], [ 0, %{check} ]")
    wide = code.emit(f"zext i32 {made} to i64")
    return Value(wide=code.emit(f"add i64 {wide}, {refusal}"))
