"""What a function's code may refer to while it is compiled, and what it turns out to need."""

from __future__ import annotations

from typing import Any

from skep.lang.builder import Builder
from skep.lang.function import Function, Variable
from skep.lang.namespace import Namespace
from skep.lang.source import Source
from skep.lang.target import Target
from skep.lang.types import VOID, ArrayType, FunctionType, StructType, Type
from skep.lang.values import Place, Value


class Local:
    """A variable of a function: its ``type`` once it is known, and where it is."""

    __slots__ = ("declared", "meaning", "type")

    def __init__(self) -> None:
        self.type: Type | None = None
        self.declared = False
        #: A Value never changes; a scalar Place is loaded; a structure or array is its Place.
        self.meaning: Value | Place | None = None


class Scope:
    """What a function's code may refer to, and what it turned out to need."""

    __slots__ = (
        "assigned",
        "builder",
        "externals",
        "fence",
        "functions",
        "locals",
        "namespace",
        "source",
        "tables",
        "target",
        "variables",
    )

    def __init__(self, source: Source, namespace: Namespace, target: Target) -> None:
        self.source = source
        self.namespace = namespace
        self.target = target
        self.builder = Builder()
        self.locals: dict[str, Local] = {}
        #: Names that certainly have a value here; None where control cannot be.
        self.assigned: set[str] | None = set()
        self.functions: dict[Function[..., Any], None] = {}
        self.externals: dict[str, FunctionType] = {}
        self.variables: dict[str, Variable] = {}
        self.tables: dict[str, str] = {}
        #: The word on the stack that barriers are made with where there are none.
        self.fence: str | None = None


def is_scalar(kind: Type) -> bool:
    """Whether a value of this type lives in a register."""
    return not isinstance(kind, StructType | ArrayType) and kind is not VOID
