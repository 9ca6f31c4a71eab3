"""What a module written in the language defines: functions, external functions, variables and constant tables."""

from __future__ import annotations

import ctypes
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType as PythonFunction
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from skep.errors import LanguageError
from skep.lang.layout import allocate, read_value, scalar_ctype, write_value
from skep.lang.namespace import Namespace, defining_locals, type_of
from skep.lang.source import Source, source_of
from skep.lang.surface import Ptr
from skep.lang.types import (
    VOID,
    ArrayType,
    FunctionType,
    IntType,
    StructType,
    Type,
    array_type,
    function_type,
)

if TYPE_CHECKING:
    from skep.lang.compiler import Compiled
    from skep.lang.target import Target

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

#: How often each symbol was asked for, so that functions of one name stay apart.
_symbols: Counter[str] = Counter()


def _fresh_symbol(prefix: str, module: str, name: str) -> str:
    readable = re.sub(r"[^\w.$-]", "_", f"{prefix}.{module}.{name}".replace(".<locals>", ""))
    _symbols[readable] += 1
    count = _symbols[readable]
    return readable if count == 1 else f"{readable}..{count}"


class Function(Generic[P, R]):
    """A function of the language. Calling it from Python runs its machine code, without the interpreter lock.

    Arguments are integers, bools, addresses, or structure and array views (their address is passed); integers wrap to
    the declared width. A pointer result is an integer address.
    """

    def __init__(
        self,
        python: PythonFunction,
        inner: Mapping[str, Any],
        *,
        inline: str | None = None,
        cold: bool = False,
        nonnull: bool = False,
        constants: Mapping[str, int | Function[..., Any]] | None = None,
        symbol: str | None = None,
    ) -> None:
        self.python = python
        self.inline = inline
        self.cold = cold
        self.nonnull = nonnull
        self.constants: Mapping[str, int | Function[..., Any]] = constants or {}
        self.symbol = symbol or _fresh_symbol("fn", python.__module__ or "", python.__qualname__)
        self.__name__ = python.__name__
        self.__qualname__ = python.__qualname__
        self.__doc__ = python.__doc__
        self.__wrapped__ = python
        self._inner = inner
        self._source: Source | None = None
        self._signature: tuple[tuple[tuple[str, Type], ...], Type] | None = None
        self._specialised: dict[tuple[tuple[str, object], ...], Function[..., R]] = {}
        self._callable: Callable[..., Any] | None = None
        #: Compiled text by target architecture; filled by ``compiler``.
        self.compiled: dict[str, Compiled] = {}

    def __repr__(self) -> str:
        return f"<skep.lang function {self.symbol}>"

    @property
    def source(self) -> Source:
        """Where it was written."""
        if self._source is None:
            self._source = source_of(self.python)
        return self._source

    @property
    def namespace(self) -> Namespace:
        """What names mean inside it."""
        inner = dict(self._inner)
        for name, cell in zip(self.python.__code__.co_freevars, self.python.__closure__ or (), strict=True):
            try:
                inner[name] = cell.cell_contents
            except ValueError:
                inner.pop(name, None)
        return Namespace(inner, self.python.__globals__)

    def _resolve(self) -> tuple[tuple[tuple[str, Type], ...], Type]:
        if self._signature is not None:
            return self._signature
        source = self.source
        definition = source.definition
        arguments = definition.args
        for odd in (arguments.vararg, arguments.kwarg, *arguments.kwonlyargs, *arguments.posonlyargs):
            if odd is not None:
                raise source.error(odd, "parameters are plain names: write name: type")
        if arguments.defaults:
            raise source.error(arguments.defaults[0], "a parameter has no default value: pass it at the call")
        annotations = self.python.__annotations__
        namespace = self.namespace
        parameters = []
        for argument in arguments.args:
            if argument.arg not in annotations:
                raise source.error(argument, f"parameter {argument.arg} has no type: write {argument.arg}: u64")
            try:
                kind = type_of(annotations[argument.arg], namespace)
            except LanguageError as error:
                raise source.error(argument.annotation or argument, error.problem) from None
            if isinstance(kind, StructType | ArrayType) or kind is VOID:
                raise source.error(
                    argument, f"a {kind.name} cannot be a parameter: pass its address, Ptr[{kind.name}]"
                )
            parameters.append((argument.arg, kind))
        if "return" not in annotations:
            raise source.error(definition, "the result has no type: write -> None or -> u64")
        try:
            result = type_of(annotations["return"], namespace)
        except LanguageError as error:
            raise source.error(definition.returns or definition, error.problem) from None
        if isinstance(result, StructType | ArrayType):
            raise source.error(
                definition.returns or definition, f"a {result.name} cannot be returned: fill one through a pointer"
            )
        self._signature = (tuple(parameters), result)
        return self._signature

    @property
    def all_parameters(self) -> tuple[tuple[str, Type], ...]:
        """Name and type of each parameter as written, those that are constants included."""
        return self._resolve()[0]

    @property
    def parameters(self) -> tuple[tuple[str, Type], ...]:
        """Name and type of each parameter that a caller passes."""
        return tuple(one for one in self._resolve()[0] if one[0] not in self.constants)

    @property
    def result(self) -> Type:
        """The type of the result; VOID for none."""
        return self._resolve()[1]

    @property
    def type(self) -> FunctionType:
        """The type of its address."""
        return function_type(tuple(kind for _, kind in self.parameters), self.result)

    def specialise(self, **constants: int | Function[..., Any]) -> Function[..., R]:
        """This function with parameters replaced by constants; the same constants give the same function again.

        An integer or bool parameter takes an integer, a function parameter a function. A branch on a constant
        condition that is not taken is not even checked.
        """
        merged: dict[str, int | Function[..., Any]] = {**self.constants, **constants}
        types = dict(self.all_parameters)
        for name, value in constants.items():
            if name not in types or name in self.constants:
                raise LanguageError(f"{self.__qualname__} has no parameter {name} to make constant")
            kind = types[name]
            if isinstance(kind, FunctionType):
                if not isinstance(value, Function) or value.type is not kind:
                    raise LanguageError(f"parameter {name} of {self.__qualname__} takes a function of type {kind}")
            elif isinstance(value, Function) or not _fits(kind, int(value)):
                raise LanguageError(f"{value!r} is no value of type {kind}, which parameter {name} has")
        key = tuple((name, merged[name]) for name in types if name in merged)
        found = self._specialised.get(key)
        if found is None:
            suffix = "".join(f".{name}={_shown(value)}" for name, value in key if name in constants)
            found = Function(
                self.python,
                self._inner,
                inline=self.inline,
                cold=self.cold,
                nonnull=self.nonnull,
                constants=merged,
                symbol=self.symbol + suffix.replace("=-", "=minus").replace("=", "."),
            )
            found._signature, found._source = self._signature, self._source
            found = self._specialised.setdefault(key, found)
        return found

    def emit(self, target: Target | None = None) -> str:
        """The LLVM IR of a module that holds this function and what it calls."""
        from skep.lang.module import emit
        from skep.lang.target import HOST

        return emit([self], target or HOST).text

    @property
    def address(self) -> int:
        """The address of its machine code in this process; compiled when first asked for."""
        from skep.lang.host import compile_host

        return compile_host([self])[self]

    @property
    def ctype(self) -> Any:
        """The ctypes prototype of its machine code; a call through it releases the interpreter lock."""
        result = None if self.result is VOID else scalar_ctype(self.result)
        return ctypes.CFUNCTYPE(result, *(scalar_ctype(kind) for _, kind in self.parameters))

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        """Run its machine code."""
        if self._callable is None:
            self._callable = self.ctype(self.address)
        if named:
            names = [name for name, _ in self.parameters][len(arguments) :]
            if set(names) != set(named):
                raise TypeError(f"{self.__qualname__} takes {', '.join(name for name, _ in self.parameters)}")
            arguments = (*arguments, *(named[name] for name in names))  # type: ignore[assignment]
        if len(arguments) != len(self.parameters):
            raise TypeError(f"{self.__qualname__} takes {len(self.parameters)} arguments, not {len(arguments)}")
        result: R = self._callable(*(_argument(one) for one in arguments))
        return result


def _fits(kind: Type, value: int) -> bool:
    if isinstance(kind, IntType):
        return kind.minimum <= value <= kind.maximum
    return kind.llvm == "i1" and value in (0, 1)


def _shown(value: int | Function[..., Any]) -> str:
    return value.symbol if isinstance(value, Function) else str(int(value))


def _argument(value: Any) -> int:
    if isinstance(value, int):
        return value
    if value is None:
        return 0
    if isinstance(value, Function):
        return value.address
    address = getattr(value, "_skep_address", None)
    if isinstance(address, int):
        return address
    if isinstance(value, ctypes._SimpleCData | ctypes.Array | ctypes.Structure):
        return ctypes.addressof(value)
    raise TypeError(f"{value!r} is no integer, address, structure or array")


@overload
def function(python: Callable[P, R]) -> Function[P, R]: ...
@overload
def function(
    *, inline: str | None = None, cold: bool = False, nonnull: bool = False
) -> Callable[[Callable[P, R]], Function[P, R]]: ...
def function(
    python: Callable[..., Any] | None = None, *, inline: str | None = None, cold: bool = False, nonnull: bool = False
) -> Any:
    """Compile a function of the language; nothing happens until it is called or emitted.

    ``inline`` is ``"always"``, ``"never"`` (a slow path that stays a call) or None (LLVM decides). ``cold`` says that
    it seldom runs. ``nonnull`` promises that no pointer argument is ever null.
    """
    if inline not in (None, "always", "never"):
        raise LanguageError(f'inline is "always", "never" or None, not {inline!r}')
    inner = defining_locals(1)

    def decorate(python: Any) -> Function[..., Any]:
        if not isinstance(python, PythonFunction):
            raise LanguageError(f"{python!r} is not a function written in Python")
        return Function(python, inner, inline=inline, cold=cold, nonnull=nonnull)

    return decorate if python is None else decorate(python)


class ExternalFunction:
    """A C function that the language may call by its ``symbol``."""

    def __init__(self, symbol: str, kind: FunctionType) -> None:
        if not re.fullmatch(r"[A-Za-z_$][\w.$]*", symbol):
            raise LanguageError(f"{symbol!r} is no symbol of C")
        self.symbol = symbol
        self.type = kind

    def __call__(self, *arguments: object) -> Any:
        """Only compiled functions call it."""
        raise LanguageError(f"{self.symbol} is called from compiled functions, not from Python")


@overload
def external(symbol: str, parameters: Sequence[object], result: type[T]) -> Callable[..., T]: ...
@overload
def external(symbol: str, parameters: Sequence[object], result: None) -> Callable[..., None]: ...
def external(symbol: str, parameters: Sequence[object], result: object) -> Any:
    """Declare a C function: its symbol, the types of its parameters, the type of its result (None for none)."""
    return ExternalFunction(symbol, function_type(tuple(type_of(one, {}) for one in parameters), type_of(result, {})))


class Variable:
    """Mutable state of a module: one piece of memory in the process that all code made from it shares.

    In a compiled function the name is a pointer to it. Python reads and writes it alike: ``NAME[0]``, ``NAME.field``.
    """

    __slots__ = ("_memory", "symbol", "type")

    def __init__(self, symbol: str, kind: Type) -> None:
        self.symbol = symbol
        self.type = kind
        self._memory: tuple[int, object] | None = None

    @property
    def address(self) -> int:
        """Where it is; it is allocated, zeroed, when first asked for, and lives as long as this object."""
        if self._memory is None:
            self._memory = allocate(self.type.size, max(self.type.align, 8))
        return self._memory[0]

    @property
    def _skep_address(self) -> int:
        return self.address

    def _element(self, index: int) -> tuple[Type, int]:
        kind = self.type.element if isinstance(self.type, ArrayType) else self.type
        if not 0 <= index < self.type.size // kind.size:
            raise IndexError(f"index {index} is outside {self.symbol}")
        return kind, self.address + index * kind.size

    def __getitem__(self, index: int) -> Any:
        return read_value(*self._element(index), self)

    def __setitem__(self, index: int, value: object) -> None:
        write_value(*self._element(index), value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not isinstance(self.type, StructType):
            raise AttributeError(f"{type(self).__name__} has no attribute {name}")
        return getattr(self[0], name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__slots__:
            object.__setattr__(self, name, value)
        else:
            setattr(self[0], name, value)


def variable(kind: type[T], count: int | None = None, *, symbol: str | None = None) -> Ptr[T]:
    """Mutable, zeroed state of a module (``count`` elements of it): its name is a pointer in compiled functions.

    Code refers to it by an external symbol, ``symbol`` if given, which the host's linker resolves to its address.
    """
    resolved = type_of(kind, {})
    if resolved is VOID:
        raise LanguageError("a variable has a type")
    if count is not None:
        resolved = array_type(resolved, count)
    if symbol is None:
        symbol = _fresh_symbol("var", str(sys._getframe(1).f_globals.get("__name__", "")), resolved.name)
    made: Any = Variable(symbol, resolved)
    pointer: Ptr[T] = made
    return pointer


class Table:
    """Integers that never change: in a compiled function, a pointer to them."""

    def __init__(self, element: IntType, values: tuple[int, ...]) -> None:
        self.element = element
        self.values = values

    def __getitem__(self, index: int) -> int:
        return self.values[index]

    def __len__(self) -> int:
        return len(self.values)


def table(element: type[T], values: Sequence[int]) -> Ptr[T]:
    """A constant array of integers; an element with a constant index is a constant."""
    kind = type_of(element, {})
    if not isinstance(kind, IntType):
        raise LanguageError(f"a table holds integers, not {kind.name}")
    for value in values:
        if not _fits(kind, value):
            raise LanguageError(f"{value} does not fit a {kind.name}")
    made: Any = Table(kind, tuple(int(value) for value in values))
    pointer: Ptr[T] = made
    return pointer
