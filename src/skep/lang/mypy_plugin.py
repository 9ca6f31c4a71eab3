"""A plugin for mypy: through a pointer, ``p.field`` has the type that the field has in its structure.

Python's type system cannot say "``Ptr[T]`` has the attributes of ``T``"; with this plugin mypy checks names and types
of fields through pointers. Enable it with ``plugins = ["skep.lang.mypy_plugin"]``. Nothing imports it at run time.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.nodes import Var
from mypy.plugin import AttributeContext, Plugin
from mypy.types import AnyType, Instance, Type, TypeOfAny, get_proper_type

_POINTER = "skep.lang.surface.Ptr"


class LangPlugin(Plugin):
    """Types attribute reads through ``Ptr``."""

    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        """The hook for an attribute that ``Ptr`` itself does not define."""
        owner, _, name = fullname.rpartition(".")
        if owner != _POINTER or name.startswith("__"):
            return None
        return lambda context: _field_type(context, name)


def _field_type(context: AttributeContext, name: str) -> Type:
    pointer = get_proper_type(context.type)
    if not isinstance(pointer, Instance) or len(pointer.args) != 1:
        return context.default_attr_type
    pointee = get_proper_type(pointer.args[0])
    if isinstance(pointee, AnyType):
        return context.default_attr_type
    if isinstance(pointee, Instance):
        symbol = pointee.type.get(name)
        if symbol is not None and isinstance(symbol.node, Var) and symbol.node.type is not None:
            return symbol.node.type
        context.api.fail(f'"{pointee.type.name}" has no field "{name}"', context.context)
    return AnyType(TypeOfAny.from_error)


def plugin(version: str) -> type[Plugin]:
    """What mypy calls to find the plugin."""
    return LangPlugin
