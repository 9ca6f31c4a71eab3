"""The types of a kernel, or of a program, as the verifier asks for them: by name, by id, and what lies at an offset.

A `KernelType` is a struct, union or other type that a pointer points to; there is one object for each, so that
registers compare them by identity. The types of the kernel are those that the caller gives, else the running
kernel's, else those that the package carries: Linux 6.18's, cut down to what programs get to see.
Source: the kernel's ``Documentation/bpf/btf.rst`` and ``kfuncs.rst``; walks through structures were observed on
Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from skep.btf import Btf
from skep.btf.files import read_btf
from skep.btf.kinds import Kind
from skep.btf.types import (
    Array,
    Composite,
    DeclTag,
    Function,
    FunctionPrototype,
    Int,
    Member,
    Modifier,
    Parameter,
    Pointer,
    TypeTag,
    Union,
)
from skep.errors import SkepError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skep.verifier.maps.map_fields import Fields

#: Where a kernel tells its types.
_RUNNING = Path("/sys/kernel/btf/vmlinux")
_SYMBOLS = Path("/proc/kallsyms")
#: Made by tools/compact_kernel_btf.py.
_CARRIED = Path(__file__).parent / "data" / "linux-6.18.btf.xz"
#: The tag on functions that programs may call.
_KFUNC = "bpf_kfunc"
#: What gives the types of a kernel's modules.
Modules = Callable[[], Sequence[Btf]]
#: How deep structures are walked into; damaged types may be circular.
_DEPTH = 32


class KernelType:
    """A type behind a pointer: of the kernel or of the program (``table`` says which). Compared by identity."""

    __slots__ = ("id", "name", "table")

    def __init__(self, table: TypeTable, id: int, name: str) -> None:
        self.table = table
        self.id = id
        self.name = name

    @property
    def btf(self) -> Btf:
        """The BTF that the type is from."""
        return self.table.btf

    @property
    def of_kernel(self) -> bool:
        """Whether the type is the kernel's, not the program's own."""
        return self.table.of_kernel

    @property
    def size(self) -> int:
        """Its size in bytes, 0 where it has none."""
        try:
            return self.btf.size_of(self.id)
        except SkepError:
            return 0

    @property
    def keyword(self) -> str:
        """What messages call its kind: ``STRUCT``, ``UNION``, ``INT``."""
        return self.btf.kind(self.id).name

    def __repr__(self) -> str:
        return f"<{self.table} type {self.id} {self.name}>"


@dataclass(frozen=True, slots=True)
class Parameters:
    """A function of the kernel as its prototype has it; ``result`` is a type id, 0 for void."""

    table: TypeTable
    id: int
    name: str
    parameters: tuple[Parameter, ...]
    result: int
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """What lies at an offset of a structure, as an access of some size sees it.

    ``target`` is the type that the pointer there points to; None for a number. ``member`` is the innermost member
    that holds the place, ``path`` the structures on the way, outermost first, each with the member taken.
    ``tags`` are the type tags on the pointer (``rcu``, ``percpu``, ``user``). ``is_pointer`` is said of pointers
    to what is no structure too, which have no target.
    """

    target: KernelType | None = None
    member: Member | None = None
    path: tuple[tuple[KernelType, Member], ...] = ()
    tags: frozenset[str] = frozenset()
    is_pointer: bool = False

    @property
    def member_name(self) -> str:
        """The name of the innermost member, empty where the place is several at once."""
        return "" if self.member is None else self.member.name

    @property
    def is_plain_pointer(self) -> bool:
        """Whether there is a pointer to something that is no structure."""
        return self.is_pointer and self.target is None

    @property
    def through_union(self) -> bool:
        """Whether the way leads through a union."""
        return any(isinstance(owner.btf[owner.id], Union) for owner, _ in self.path)


class OutsideError(Exception):
    """An access that no member of a structure permits; ``message`` is the kernel's."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TypeTable:
    """The types of one BTF, each as one `KernelType`.

    Of a kernel, ``modules`` gives the types of its modules, which are asked for where the kernel itself has no such
    thing. Those continue the kernel's: what a module's table has of the kernel's types are the kernel's own.
    """

    def __init__(self, btf: Btf, *, of_kernel: bool, base: TypeTable | None = None, modules: Modules = tuple) -> None:
        self.btf = btf
        self.of_kernel = of_kernel
        self._base = base
        self._given_modules = modules
        #: Of a program: the fields with rules of their own of its structs, by type id, once they were looked for.
        self.fields: Mapping[int, Fields] = {}
        self._types: dict[int, KernelType] = {}
        self._structs: dict[str, KernelType | None] = {}
        self._functions: dict[str, Parameters | None] = {}
        self._places: dict[tuple[int, int, int], Place | OutsideError] = {}
        self._listed: dict[tuple[str, str], frozenset[str]] = {}
        self._decl_tags: dict[int, frozenset[tuple[int, str]]] | None = None

    def __repr__(self) -> str:
        return "kernel" if self.of_kernel else "program"

    def type(self, type_id: int) -> KernelType:
        """The type with an id, without typedefs and qualifiers on it."""
        type_id = self.btf.resolve_id(type_id)
        if self._base is not None and not self.owns(type_id):
            return self._base.type(type_id)
        found = self._types.get(type_id)
        if found is None:
            found = self._types[type_id] = KernelType(self, type_id, self.btf[type_id].name)
        return found

    @cached_property
    def modules(self) -> tuple[TypeTable, ...]:
        """The types of the kernel's modules."""
        return tuple(TypeTable(one, of_kernel=self.of_kernel, base=self) for one in self._given_modules())

    def owns(self, type_id: int) -> bool:
        """Whether a type is this table's own, not one of the kernel that a module continues."""
        return self._base is None or type_id >= len(self._base.btf)

    def find(self, name: str, *kinds: Kind) -> tuple[TypeTable, int] | None:
        """The type of that name in the kernel, or else in one of its modules, with the table that has it."""
        for table in self._with_modules():
            found = table.btf.find(name, *kinds)
            if found is not None:
                return table, found
        return None

    def _with_modules(self) -> Iterator[TypeTable]:
        """This table, and if that is not enough its modules', which are read only then."""
        yield self
        yield from self.modules

    def find_struct(self, name: str) -> KernelType | None:
        """The struct or union of that name, or None."""
        if name not in self._structs:
            found = self.find(name, Kind.STRUCT, Kind.UNION)
            self._structs[name] = None if found is None else found[0].type(found[1])
        return self._structs[name]

    def find_program_table(self, name: str) -> KernelType | None:
        """The structure of that name if the kernel, or a module, takes it as a table of programs."""
        for table in self._with_modules():
            if table.btf.find(f"bpf_struct_ops_{name}", Kind.STRUCT) is not None:
                found = table.btf.find(name, Kind.STRUCT)
                return None if found is None else table.type(found)
        return None

    def struct(self, name: str) -> KernelType:
        """The struct of that name. Raises UnsupportedError where these types do not have it."""
        found = self.find_struct(name)
        if found is None:
            raise UnsupportedError(f"struct {name}, which the kernel's types at hand do not have")
        return found

    def function(self, name: str) -> Parameters | None:
        """The function of that name, or None."""
        if name not in self._functions:
            found = self.find(name, Kind.FUNC)
            self._functions[name] = None if found is None else found[0].function_of(found[1])
        return self._functions[name]

    def function_of(self, type_id: int) -> Parameters | None:
        """The function with an id, or None where that is no function."""
        function = self.btf[type_id]
        if not isinstance(function, Function):
            return None
        prototype = self.btf[function.prototype]
        if not isinstance(prototype, FunctionPrototype):
            return None
        return Parameters(self, type_id, function.name, prototype.parameters, prototype.result, prototype.variadic)

    def prototype(self, type_id: int) -> FunctionPrototype | None:
        """The prototype behind a typedef, a pointer or a function, as ``btf_trace_*`` types are written."""
        for _ in range(_DEPTH):
            match found := self.btf.resolve(type_id):
                case FunctionPrototype():
                    return found
                case Pointer(target=target) | Function(prototype=target):
                    type_id = target
                case _:
                    return None
        return None

    def pointee(self, type_id: int) -> KernelType | None:
        """The type that a pointer type points to (void has the id 0); None where it is no pointer."""
        pointer = self.btf.resolve(type_id)
        return self.type(pointer.target) if isinstance(pointer, Pointer) else None

    def tags_of(self, type_id: int) -> frozenset[str]:
        """The type tags between a pointer type and what it points to."""
        pointer = self.btf.resolve(type_id)
        found = set()
        at = pointer.target if isinstance(pointer, Pointer) else 0
        for _ in range(_DEPTH):
            inner = self.btf[at]
            if not isinstance(inner, Modifier):
                break
            if isinstance(inner, TypeTag):
                found.add(inner.name)
            at = inner.target
        return frozenset(found)

    def listed(self, type_name: str, list_name: str) -> frozenset[str]:
        """The members of a structure that the kernel lists under a name, in a structure that is there for no more."""
        key = (type_name, list_name)
        found = self._listed.get(key)
        if found is None:
            lists = self.btf.find(f"{type_name}__{list_name}", Kind.STRUCT)
            members = () if lists is None else self.btf.members(lists)
            found = self._listed[key] = frozenset(member.name for member in members)
        return found

    def decl_tags(self, type_id: int) -> frozenset[tuple[int, str]]:
        """The declaration tags on a type: the member or parameter that each is on (-1: the whole), and its text."""
        if self._decl_tags is None:
            collected: dict[int, set[tuple[int, str]]] = {}
            for index in self.btf.of_kind(Kind.DECL_TAG):
                tag = self.btf[index]
                assert isinstance(tag, DeclTag)
                collected.setdefault(tag.target, set()).add((tag.component, tag.name))
            self._decl_tags = {target: frozenset(tags) for target, tags in collected.items()}
        return self._decl_tags.get(type_id, frozenset())

    @property
    def tags_kfuncs(self) -> bool:
        """Whether these types say which functions programs may call."""
        return self.btf.find(_KFUNC, Kind.DECL_TAG) is not None

    def tagged(self, tag: str) -> list[int]:
        """The types with a declaration tag on the whole."""
        self.decl_tags(0)
        assert self._decl_tags is not None
        return [type_id for type_id, tags in self._decl_tags.items() if (-1, tag) in tags]

    def is_kfunc(self, type_id: int) -> bool:
        """Whether a function is one that programs may call."""
        return (-1, _KFUNC) in self.decl_tags(type_id)

    def member_at(self, type: KernelType, offset: int, size: int) -> Place:
        """What ``size`` bytes at ``offset`` of a structure are. Raises OutsideError with the kernel's message."""
        key = (type.id, offset, size)
        found = self._places.get(key)
        if found is None:
            try:
                found = self._walk(type, offset, size)
            except OutsideError as error:
                found = error
            self._places[key] = found
        if isinstance(found, OutsideError):
            raise OutsideError(found.message)
        return found

    def _walk(self, type: KernelType, offset: int, size: int) -> Place:
        path: list[tuple[KernelType, Member]] = []
        here = type
        for _ in range(_DEPTH):
            whole = self.btf[here.id]
            assert isinstance(whole, Composite)
            if offset + size > whole.size:
                offset = self._in_flexible_array(here, whole, offset, size)
                inner = self._flexible_element(whole)
                if inner is None:
                    return Place(path=tuple(path))
                here = inner
                continue
            member, start = self._holding(here, whole, offset, size)
            if member is None:
                return Place(path=tuple(path))
            path.append((here, member))
            into, rest = self._entered(here, member, offset - start, size)
            if into is None:
                return self._final(here, member, start, offset, size, tuple(path))
            here, offset = into, rest
        raise OutsideError(f"access beyond struct {title(type)} at off {offset} size {size}")

    def _flexible_element(self, whole: Composite) -> KernelType | None:
        """The struct that a flexible array at the end holds, or None where it holds numbers."""
        array = self.btf.resolve(whole.members[-1].type)
        assert isinstance(array, Array)
        element = self.type(array.element)
        return element if isinstance(self.btf[element.id], Composite) else None

    def _in_flexible_array(self, here: KernelType, whole: Composite, offset: int, size: int) -> int:
        """An offset beyond the struct, as one in an element of the flexible array that it ends in."""
        beyond = OutsideError(f"access beyond struct {title(here)} at off {offset} size {size}")
        if not whole.members or isinstance(whole, Union):
            raise beyond
        last = whole.members[-1]
        array = self.btf.resolve(last.type)
        if not isinstance(array, Array) or array.length:
            raise beyond
        start = last.bit_offset // 8
        element = self.btf.resolve(array.element)
        if offset < start or (isinstance(element, Composite) and not element.size):
            raise beyond
        if not isinstance(element, Composite | Int):
            raise beyond
        if isinstance(element, Int):
            return offset
        return (offset - start) % element.size

    def _holding(self, here: KernelType, whole: Composite, offset: int, size: int) -> tuple[Member | None, int]:
        """The member that holds ``offset``, and where it starts; no member for an access that is all a number."""
        for member in whole.members:
            if member.bit_size:
                # A bit field holds numbers only; it may be read with what lies beside it, but not in part.
                end = (member.bit_offset + member.bit_size + 7) // 8
                if offset <= member.bit_offset // 8 and end <= offset + size:
                    return None, 0
                continue
            start = member.bit_offset // 8
            if offset < start:
                # Between members.
                break
            length = self._size(member.type)
            if offset >= start + length:
                continue
            return member, start
        raise OutsideError(f"struct {title(here)} doesn't have field at offset {offset}")

    def _size(self, type_id: int) -> int:
        try:
            return self.btf.size_of(type_id)
        except SkepError:
            return 0

    def _entered(self, here: KernelType, member: Member, offset: int, size: int) -> tuple[KernelType | None, int]:
        """The structure to walk into and the offset in it, or None where the member is no structure."""
        type_id = self.btf.resolve_id(member.type)
        for _ in range(_DEPTH):
            inner = self.btf[type_id]
            if not isinstance(inner, Array):
                break
            type_id = self.btf.resolve_id(inner.element)
        if not isinstance(inner := self.btf[type_id], Composite) or not inner.size:
            return None, 0
        if isinstance(self.btf.resolve(member.type), Array):
            offset %= inner.size
        return self.type(type_id), offset

    def _final(
        self,
        here: KernelType,
        member: Member,
        start: int,
        offset: int,
        size: int,
        path: tuple[tuple[KernelType, Member], ...],
    ) -> Place:
        """What a member that is no structure gives."""
        length = self._size(member.type)
        type_id, end = member.type, start + length
        pointer = self.btf.resolve(type_id)
        while isinstance(pointer, Array):
            type_id = pointer.element
            pointer = self.btf.resolve(type_id)
        if isinstance(pointer, Pointer):
            start += (offset - start) // 8 * 8
            if size != 8 or offset != start:
                raise OutsideError(
                    f"cannot access ptr member {member.name} with moff {start} in struct {title(here)} "
                    f"with off {offset} size {size}"
                )
            target = self.type(pointer.target)
            seen = target if isinstance(self.btf[target.id], Composite) else None
            return Place(seen, member, path, self.tags_of(type_id), is_pointer=True)
        place = Place(None, member, path)
        # Behind a union nothing is trusted, so that it does not matter where numbers end.
        if offset + size > end and not place.through_union:
            raise OutsideError(
                f"access beyond the end of member {member.name} (mend:{end}) in struct {title(here)} "
                f"with off {offset} size {size}"
            )
        return place

    def starts_with(self, type: KernelType, other: KernelType, offset: int = 0) -> bool:
        """Whether a pointer at ``offset`` of ``type`` may be taken for one to ``other``.

        It may where ``other`` is that type, or the type of what lies there, one structure inside another.
        """
        here = type
        for _ in range(_DEPTH):
            if same_type(here, other) and offset == 0:
                return True
            whole = here.btf[here.id]
            if not isinstance(whole, Composite):
                return False
            try:
                member, start = self._holding(here, whole, offset, 1)
            except OutsideError:
                return False
            if member is None:
                return False
            inner, rest = self._entered(here, member, offset - start, 1)
            if inner is None:
                return False
            here, offset = inner, rest
        return False


def title(type: KernelType) -> str:
    """What messages call a type that may have no name."""
    return type.name or "(anon)"


def same_type(one: KernelType, other: KernelType) -> bool:
    """Whether two types are one."""
    return one is other or (one.btf is other.btf and one.id == other.id)


@lru_cache(maxsize=4)
def kernel_table(btf: Btf, modules: Modules = tuple) -> TypeTable:
    """The table of a kernel's types, with what gives those of its modules; the same one each time."""
    return TypeTable(btf, of_kernel=True, modules=modules)


@cache
def default_types() -> Btf:
    """The types of the running kernel, else those that the package carries."""
    if _RUNNING.exists():
        try:
            return read_btf(str(_RUNNING))
        except SkepError:
            pass
    return carried_types()


def has_symbol(name: str) -> bool | None:
    """Whether the kernel that `default_types` are of has a symbol of that name; None where nobody tells.

    Some functions that its types name are not there any more: they were built into all their callers.
    """
    found = _symbols()
    return name in found if found and default_types() is not carried_types() else None


@cache
def _symbols() -> frozenset[str]:
    try:
        text = _SYMBOLS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    return frozenset(line.split(maxsplit=3)[2] for line in text.splitlines())


@cache
def default_modules() -> Sequence[Btf]:
    """The types of the running kernel's modules, where its own are those that `default_types` gives."""
    base = default_types()
    if base is carried_types():
        return ()
    found = []
    for file in sorted(_RUNNING.parent.iterdir()):
        if file.name == _RUNNING.name:
            continue
        # One that goes meanwhile, or does not fit this kernel, has nothing to say.
        with suppress(SkepError):
            found.append(read_btf(str(file), base))
    return found


@cache
def carried_types() -> Btf:
    """The types of Linux 6.18 that the package carries: without most of the kernel's functions."""
    return read_btf(str(_CARRIED))
