"""When a type of a program and a type of a kernel stand for the same thing: three rules, each stricter than the one
before.

CO-RE compares a program's types with those of the kernel it meets. Names decide first, without a flavour
(``task_struct___old`` is another view of ``task_struct``). Then a field may be read if the kinds of both sides
agree (`fields_compatible`); a type is there if its shape agrees as far as pointers lead (`types_compatible`); and
it matches if its members, sizes and signs are all found (`types_match`). Source: the behaviour of the reference
loader (libbpf 1.x) and of the kernel, observed through both.
"""

from __future__ import annotations

from collections.abc import Iterator

from skep.btf.btf import Btf
from skep.btf.types import (
    Array,
    Composite,
    Enumeration,
    Float,
    Forward,
    FunctionPrototype,
    Int,
    Pointer,
    Type,
    Union,
    Void,
)
from skep.errors import BtfError

#: How deep two types are compared before the reference loader gives up.
_MAX_DEPTH = 32
#: How many pairs of types a comparison may look at: the largest structures of Linux 6.18 take 3,500.
_MAX_STEPS = 1 << 15


def essential_name(name: str) -> str:
    """``name`` without its flavour: what follows the last ``___`` that stands between other characters."""
    at = name.rfind("___")
    while at > 0:
        if name[at - 1] != "_" and at + 3 < len(name) and name[at + 3] != "_":
            return name[:at]
        at = name.rfind("___", 0, at + 2)
    return name


def same_kind(local: Type, target: Type) -> bool:
    """Whether two types are of one kind; enumerations of any width are."""
    return local.kind == target.kind or (isinstance(local, Enumeration) and isinstance(target, Enumeration))


def fields_compatible(local: Btf, local_id: int, target: Btf, target_id: int) -> bool:
    """Whether a field of the one type can be read as the other: kinds agree, sizes need not."""
    for _ in range(_MAX_DEPTH):
        ours, theirs = local.resolve(local_id), target.resolve(target_id)
        if isinstance(ours, Composite) and isinstance(theirs, Composite):
            return True
        if not same_kind(ours, theirs):
            return False
        match ours:
            case Pointer() | Float():
                return True
            case Forward() | Enumeration():
                return not ours.name or not theirs.name or essential_name(ours.name) == essential_name(theirs.name)
            case Int():
                return isinstance(theirs, Int) and not ours.bit_offset and not theirs.bit_offset
            case Array():
                assert isinstance(theirs, Array)
                local_id, target_id = ours.element, theirs.element
            case _:
                return False
    raise BtfError(f"type {local_id} nests deeper than {_MAX_DEPTH} arrays; the data is damaged")


def types_compatible(local: Btf, local_id: int, target: Btf, target_id: int) -> bool:
    """Whether the kinds of two types agree, through pointers, arrays and prototypes; names and members do not
    count.
    """
    return _Comparison(local, target).compatible(local_id, target_id, _MAX_DEPTH)


def types_match(local: Btf, local_id: int, target: Btf, target_id: int) -> bool:
    """Whether all that the local type says holds of the target: names, sizes and signs, every member and enumerator.

    The target may have more. Behind a pointer a struct or union counts by its name, and a forward declaration
    stands for it.
    """
    return _Comparison(local, target).match(local_id, target_id, _MAX_DEPTH)


class _Comparison:
    """One comparison of two types, which damaged data cannot draw out for ever."""

    def __init__(self, local: Btf, target: Btf) -> None:
        self.local = local
        self.target = target
        self.steps = 0

    def _next(self, local_id: int, target_id: int, depth: int) -> tuple[Type, Type]:
        """The two types without what is only added to them."""
        self.steps += 1
        if not depth or self.steps > _MAX_STEPS:
            raise BtfError(
                f"type {local_id} nests deeper than {_MAX_DEPTH} types or has over {_MAX_STEPS} parts; "
                "the data is damaged"
            )
        return self.local.resolve(local_id), self.target.resolve(target_id)

    def compatible(self, local_id: int, target_id: int, depth: int) -> bool:
        """See `types_compatible`."""
        ours, theirs = self._next(local_id, target_id, depth)
        if not same_kind(ours, theirs):
            return False
        match ours, theirs:
            case ((Void() | Composite() | Enumeration() | Forward()), _):
                return True
            case Int(), Int():
                return not ours.bit_offset and not theirs.bit_offset
            case Pointer(), Pointer():
                return self.compatible(ours.target, theirs.target, depth - 1)
            case Array(), Array():
                return self.compatible(ours.element, theirs.element, depth - 1)
            case FunctionPrototype(), FunctionPrototype():
                return _same_parameters(ours, theirs) and all(
                    self.compatible(mine, other, depth - 1) for mine, other in _parts(ours, theirs)
                )
        return False

    def match(self, local_id: int, target_id: int, depth: int, behind_pointer: bool = False) -> bool:
        """See `types_match`."""
        ours, theirs = self._next(local_id, target_id, depth)
        if essential_name(ours.name) != essential_name(theirs.name):
            return False
        match ours, theirs:
            case Void(), Void():
                return True
            case ((Forward() | Composite()), (Forward() | Composite())) if behind_pointer:
                return _is_union(ours) == _is_union(theirs)
            case Forward(), Forward():
                return ours.is_union == theirs.is_union
            case Enumeration(), Enumeration():
                return _enumerators_match(ours, theirs)
            case Composite(), Composite():
                return ours.kind == theirs.kind and self._members_match(ours, theirs, depth)
            case Int(), Int():
                return (ours.size, ours.signed) == (theirs.size, theirs.signed)
            case Pointer(), Pointer():
                return self.match(ours.target, theirs.target, depth - 1, behind_pointer=True)
            case Array(), Array():
                return ours.length == theirs.length and self.match(
                    ours.element, theirs.element, depth - 1, behind_pointer
                )
            case FunctionPrototype(), FunctionPrototype():
                return _same_parameters(ours, theirs) and all(
                    self.match(mine, other, depth - 1, behind_pointer) for mine, other in _parts(ours, theirs)
                )
        return False

    def _members_match(self, ours: Composite, theirs: Composite, depth: int) -> bool:
        """Whether each member has one of its name and a matching type, in any order, bit fields included."""
        return len(ours.members) <= len(theirs.members) and all(
            any(
                essential_name(mine.name) == essential_name(other.name)
                and self.match(mine.type, other.type, depth - 1)
                for other in theirs.members
            )
            for mine in ours.members
        )


def _is_union(type: Type) -> bool:
    return type.is_union if isinstance(type, Forward) else isinstance(type, Union)


def _same_parameters(ours: FunctionPrototype, theirs: FunctionPrototype) -> bool:
    return (len(ours.parameters), ours.variadic) == (len(theirs.parameters), theirs.variadic)


def _parts(ours: FunctionPrototype, theirs: FunctionPrototype) -> Iterator[tuple[int, int]]:
    """The types of parameters and results, side by side."""
    for mine, other in zip(ours.parameters, theirs.parameters, strict=True):
        yield mine.type, other.type
    yield ours.result, theirs.result


def _enumerators_match(ours: Enumeration, theirs: Enumeration) -> bool:
    names = {essential_name(value.name) for value in theirs.values}
    return (
        ours.size == theirs.size
        and len(ours.values) <= len(theirs.values)
        and all(essential_name(value.name) in names for value in ours.values)
    )
