"""A plugin for mypy: fields through a pointer, and the arguments that make a structure.

Python's type system cannot say "``Ptr[T]`` has the attributes of ``T``"; with this plugin mypy checks names and types
of fields through pointers, and a structure's constructor takes any of its fields by name. Enable it with
``plugins = ["skep.lang.mypy_plugin"]``. Nothing imports it at run time.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.nodes import ARG_NAMED_OPT, Argument, Var
from mypy.plugin import AttributeContext, ClassDefContext, Plugin
from mypy.plugins.common import add_method_to_class
from mypy.types import AnyType, Instance, NoneType, Type, TypeOfAny, get_proper_type

_POINTER = "skep.lang.surface.Ptr"
_STRUCT = "skep.lang.layout.struct"


class LangPlugin(Plugin):
    """Types attribute reads through ``Ptr`` and the constructors of structures."""

    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        """The hook for an attribute that ``Ptr`` itself does not define."""
        owner, _, name = fullname.rpartition(".")
        if owner != _POINTER or name.startswith("__"):
            return None
        return lambda context: _field_type(context, name)

    def get_class_decorator_hook_2(self, fullname: str) -> Callable[[ClassDefContext], bool] | None:
        """The hook for ``@struct``."""
        return _add_constructor if fullname == _STRUCT else None


def _add_constructor(context: ClassDefContext) -> bool:
    fields = [
        symbol.node
        for symbol in context.cls.info.names.values()
        if isinstance(symbol.node, Var) and not symbol.plugin_generated
    ]
    if any(field.type is None for field in fields):
        return False
    arguments = [Argument(Var(field.name, field.type), field.type, None, ARG_NAMED_OPT) for field in fields]
    add_method_to_class(context.api, context.cls, "__init__", arguments, NoneType())
    return True


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
