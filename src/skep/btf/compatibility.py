"""When a type of a program and a type of a kernel stand for the same thing: three rules, each stricter than the one
before.

CO-RE compares a program's types with those of the kernel it meets. Names decide first, without a flavour
(``task_struct___old`` is another view of ``task_struct``). Then a field may be read if the kinds of both sides
agree (`fields_compatible`); a type is there if its shape agrees as far as pointers lead (`types_compatible`); and
it matches if its members, sizes and signs are all found (`types_match`). Source: the behaviour of the reference
loader (libbpf 1.x) and of the kernel, observed through both.
"""

from __future__ import annotations

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


def types_compatible(local: Btf, local_id: int, target: Btf, target_id: int, depth: int = _MAX_DEPTH) -> bool:
    """Whether the kinds of two types agree, through pointers, arrays and prototypes; names and members do not
    count.
    """
    while depth:
        depth -= 1
        ours, theirs = local.resolve(local_id), target.resolve(target_id)
        if not same_kind(ours, theirs):
            return False
        match ours:
            case Void() | Composite() | Enumeration() | Forward():
                return True
            case Int():
                return isinstance(theirs, Int) and not ours.bit_offset and not theirs.bit_offset
            case Pointer():
                assert isinstance(theirs, Pointer)
                local_id, target_id = ours.target, theirs.target
            case Array():
                assert isinstance(theirs, Array)
                local_id, target_id = ours.element, theirs.element
            case FunctionPrototype():
                assert isinstance(theirs, FunctionPrototype)
                if _parameter_count(ours) != _parameter_count(theirs):
                    return False
                for mine, other in zip(ours.parameters, theirs.parameters, strict=True):
                    if not types_compatible(local, mine.type, target, other.type, depth):
                        return False
                local_id, target_id = ours.result, theirs.result
            case _:
                return False
    raise BtfError(f"type {local_id} nests deeper than {_MAX_DEPTH} types")


def types_match(
    local: Btf, local_id: int, target: Btf, target_id: int, *, behind_pointer: bool = False, depth: int = _MAX_DEPTH
) -> bool:
    """Whether all that the local type says holds of the target: names, sizes and signs, every member and enumerator.

    The target may have more. Behind a pointer a struct or union counts by its name, and a forward declaration
    stands for it.
    """
    while depth:
        depth -= 1
        ours, theirs = local.resolve(local_id), target.resolve(target_id)
        if essential_name(ours.name) != essential_name(theirs.name):
            return False
        match ours:
            case Void():
                return isinstance(theirs, Void)
            case Forward() | Composite() if behind_pointer:
                return _named_alike(ours) and _named_alike(theirs) and _is_union(ours) == _is_union(theirs)
            case Forward():
                return isinstance(theirs, Forward) and ours.is_union == theirs.is_union
            case Enumeration():
                return isinstance(theirs, Enumeration) and _enumerators_match(ours, theirs)
            case Composite():
                return ours.kind == theirs.kind and _members_match(local, ours, target, theirs, depth)
            case Int():
                return isinstance(theirs, Int) and (ours.size, ours.signed) == (theirs.size, theirs.signed)
            case Pointer():
                if not isinstance(theirs, Pointer):
                    return False
                behind_pointer, local_id, target_id = True, ours.target, theirs.target
            case Array():
                if not isinstance(theirs, Array) or ours.length != theirs.length:
                    return False
                local_id, target_id = ours.element, theirs.element
            case FunctionPrototype():
                if not isinstance(theirs, FunctionPrototype) or _parameter_count(ours) != _parameter_count(theirs):
                    return False
                for mine, other in zip(ours.parameters, theirs.parameters, strict=True):
                    if not types_match(
                        local, mine.type, target, other.type, behind_pointer=behind_pointer, depth=depth
                    ):
                        return False
                local_id, target_id = ours.result, theirs.result
            case _:
                return False
    raise BtfError(f"type {local_id} nests deeper than {_MAX_DEPTH} types")


def _named_alike(type: Type) -> bool:
    return isinstance(type, Forward | Composite)


def _is_union(type: Type) -> bool:
    return type.is_union if isinstance(type, Forward) else isinstance(type, Union)


def _parameter_count(type: FunctionPrototype) -> tuple[int, bool]:
    return len(type.parameters), type.variadic


def _enumerators_match(ours: Enumeration, theirs: Enumeration) -> bool:
    names = {essential_name(value.name) for value in theirs.values}
    return (
        ours.size == theirs.size
        and len(ours.values) <= len(theirs.values)
        and all(essential_name(value.name) in names for value in ours.values)
    )


def _members_match(local: Btf, ours: Composite, target: Btf, theirs: Type, depth: int) -> bool:
    """Whether each member has one of its name and a matching type, in any order, bit fields included."""
    assert isinstance(theirs, Composite)
    if len(ours.members) > len(theirs.members):
        return False
    for mine in ours.members:
        for other in theirs.members:
            if essential_name(mine.name) != essential_name(other.name):
                continue
            if types_match(local, mine.type, target, other.type, depth=depth):
                break
        else:
            return False
    return True
