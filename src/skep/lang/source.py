"""The source of a function as a syntax tree, and errors that point into it.

A file is parsed once and its functions are found by their first line, which is many times faster than asking
``inspect`` for the text of each. Positions in errors are those of the file.
"""

from __future__ import annotations

import ast
import linecache
import re
import threading
from dataclasses import dataclass
from types import FunctionType as PythonFunction
from typing import Any

from skep.errors import LanguageError

#: "a i32", which messages put together from a type's name would say.
_ARTICLE = re.compile(r"\b([Aa])(?= (?:i\d|Array\b))")

_lock = threading.Lock()
_trees: dict[str, tuple[list[str], dict[int, list[ast.FunctionDef]]]] = {}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a function was written: its file and its definition in the tree of that file."""

    file: str
    lines: list[str]
    definition: ast.FunctionDef

    def error(self, node: ast.AST, problem: str) -> LanguageError:
        """An error that points at ``node``."""
        line: int = getattr(node, "lineno", self.definition.lineno)
        offset: int = getattr(node, "col_offset", 0)
        text = self.lines[line - 1].rstrip("\n") if 0 < line <= len(self.lines) else ""
        problem = _ARTICLE.sub(r"\1n", problem)
        column = len(text.encode()[:offset].decode(errors="replace")) + 1
        return LanguageError(problem, file=self.file, line=line, column=column, text=text)


def source_of(function: PythonFunction) -> Source:
    """The syntax tree of ``function``; LanguageError if its source is nowhere to be read."""
    code = function.__code__
    file = code.co_filename
    with _lock:
        return _find(function, file)


def _find(function: PythonFunction, file: str) -> Source:
    code = function.__code__
    lines = linecache.getlines(file, function.__globals__)
    if not lines:
        raise LanguageError(
            f"the source of {function.__qualname__} cannot be read: a compiled function is written in a file",
            file=file,
        )
    known = _trees.get(file)
    # linecache hands out the same list until the file changes, so its identity stands for its contents.
    if known is None or known[0] is not lines:
        known = (lines, _functions_by_line(lines, file))
        _trees[file] = known
    candidates = [one for one in known[1].get(code.co_firstlineno, ()) if one.name == function.__name__]
    if not candidates:
        raise LanguageError(
            f"{function.__qualname__} is not where its code says: the file changed after it was imported"
            if function.__name__ != "<lambda>"
            else "a lambda cannot be compiled: write a def",
            file=file,
        )
    return Source(file, lines, candidates[0])


def _parse(text: str, file: str) -> ast.Module:
    for _ in range(100):
        try:
            return ast.parse(text)
        except SyntaxError as error:
            raise LanguageError(f"the file is not Python: {error.msg}", file=file) from error
        except SystemError:
            # CPython 3.11 counts the depth of a tree once for all threads, and some other thread parsed meanwhile.
            continue
    raise LanguageError("CPython could not parse the file, because other threads parse without end", file=file)


def _functions_by_line(lines: list[str], file: str) -> dict[int, list[ast.FunctionDef]]:
    tree = _parse("".join(lines), file)
    found: dict[int, list[ast.FunctionDef]] = {}
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            found.setdefault(first, []).append(node)
        # A definition can only stand in a body, never in an expression.
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, part, None)
            if isinstance(inner, list):
                pending.extend(inner)
    return found
