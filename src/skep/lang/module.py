"""Functions of the language as the text of one LLVM module, or as text to paste into another one.

Symbols begin with ``fn.`` (functions), ``table.`` (constants) and, unless they were named otherwise, ``var.``
(variables), so that they meet no other names. The same functions give the same text in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from skep.errors import LanguageError
from skep.lang.compiler import Compiled, compile_function
from skep.lang.function import Function, Variable
from skep.lang.signature import abi, abi_result
from skep.lang.target import HOST, Target


@dataclass(frozen=True, slots=True)
class EmittedModule:
    """LLVM text. ``text`` is ``declarations`` and ``definitions``; a module that has its own pastes the latter.

    ``symbols`` has the functions that were asked for, ``functions`` all that are defined. ``externals`` are the C
    functions and ``variables`` the memory that the text refers to by symbol, and ``apart`` functions that it only
    declares; who links it provides their addresses.
    """

    definitions: str
    declarations: Mapping[str, str]
    symbols: Mapping[Function[..., Any], str]
    functions: tuple[Function[..., Any], ...]
    externals: frozenset[str]
    variables: Mapping[str, Variable]
    apart: tuple[Function[..., Any], ...] = ()

    @property
    def text(self) -> str:
        """The whole module."""
        return "\n".join(self.declarations.values()) + "\n" + self.definitions


def emit(
    functions: Iterable[Function[..., Any]],
    target: Target = HOST,
    *,
    linkage: str = "internal",
    entry_linkage: str | None = None,
    apart: Callable[[Function[..., Any]], bool] = lambda function: False,
) -> EmittedModule:
    """The text of ``functions`` and of all that they call, which comes behind them.

    Functions of which ``apart`` says so are declared only: they are compiled elsewhere.

    ``linkage`` is LLVM's word for what only calls inside the module reach, ``entry_linkage`` (``linkage`` if None,
    ``"external"`` to export) for the functions asked for. Intrinsics of LLVM need no declaration and get none.
    """
    asked = list(dict.fromkeys(functions))
    ordered: dict[Function[..., Any], Compiled] = {}
    outside: dict[Function[..., Any], None] = {}
    for function in asked:
        _collect(function, target, ordered, [], apart, outside)
    declarations: dict[str, str] = {}
    externals: set[str] = set()
    variables: dict[str, Variable] = {}
    tables: dict[str, str] = {}
    parts = []
    defined = {function.symbol for function in ordered}
    entry = linkage if entry_linkage is None else entry_linkage
    chosen = set(asked)
    for function in outside:
        declarations[function.symbol] = _declaration(function)
    for function, compiled in reversed(ordered.items()):
        for symbol, kind in compiled.externals.items():
            if symbol in defined:
                raise LanguageError(f"{symbol} is both an external function and one of the module")
            externals.add(symbol)
            parameters = ", ".join(abi(one) for one in kind.parameters)
            line = f'declare {abi_result(kind.result)} @"{symbol}"({parameters}) nounwind'
            if declarations.setdefault(symbol, line) != line:
                raise LanguageError(f"the external function {symbol} is declared in two ways")
        for symbol, variable in compiled.variables.items():
            if variables.setdefault(symbol, variable) is not variable:
                raise LanguageError(f"two variables have the symbol {symbol}")
            declarations[symbol] = f'@"{symbol}" = external global i8, align {variable.type.align}'
        tables.update(compiled.tables)
        word = entry if function in chosen else linkage
        parts.append(f"define {word} {compiled.head}{compiled.attributes} {{\n{compiled.body}\n}}\n")
    return EmittedModule(
        definitions="\n".join([*tables.values(), *parts]),
        declarations=declarations,
        symbols={function: function.symbol for function in asked if function in ordered},
        functions=tuple(ordered),
        externals=frozenset(externals),
        variables=variables,
        apart=tuple(outside),
    )


def _declaration(function: Function[..., Any]) -> str:
    parameters = ", ".join(abi(kind) for _, kind in function.parameters)
    cold = " cold" if function.cold else ""
    return f'declare {abi_result(function.result)} @"{function.symbol}"({parameters}) nounwind{cold}'


def _collect(
    function: Function[..., Any],
    target: Target,
    ordered: dict[Function[..., Any], Compiled],
    path: list[Function[..., Any]],
    apart: Callable[[Function[..., Any]], bool],
    outside: dict[Function[..., Any], None],
) -> None:
    if function in ordered:
        return
    if apart(function):
        outside[function] = None
        return
    if function in path:
        names = " calls ".join(one.__qualname__ for one in [*path[path.index(function) :], function])
        raise function.source.error(function.source.definition, f"a function cannot call itself: {names}")
    compiled = compile_function(function, target)
    path.append(function)
    for callee in compiled.functions:
        _collect(callee, target, ordered, path, apart, outside)
    path.pop()
    ordered[function] = compiled
