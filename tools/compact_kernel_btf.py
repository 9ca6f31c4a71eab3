"""Cut a kernel's BTF down to what the package carries for machines whose kernel does not tell its types.

    python tools/compact_kernel_btf.py OUTPUT [KERNEL MODULE...]

KERNEL is a file of a kernel's types, the running one's unless given; the types of each MODULE (as its file in
/sys/kernel/btf has them) are added as if it were built in. The file in the package was made from Debian's kernel
6.18.15 and those of its modules that programs call or attach to.

Kept are the functions that programs call or attach to by their type (kfuncs, LSM hooks, iterators, members of
struct_ops tables), tracepoints, variables and all structures; not the other functions of the kernel, nor what only
those know.
"""

from __future__ import annotations

import lzma
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from skep.btf import Btf, BtfBuilder, Kind
from skep.btf.files import read_btf
from skep.btf.types import (
    Array,
    Composite,
    DataSection,
    DeclTag,
    Forward,
    Function,
    FunctionPrototype,
    Modifier,
    Pointer,
    Struct,
    Type,
    Typedef,
    Variable,
)
from skep.stdlib.kfuncs import KFUNCS

#: Functions that are kept beside kfuncs: LSM hooks, iterators, what programs of struct_ops tables stand for.
_FUNCTIONS = re.compile(r"bpf_(lsm|iter|fentry_test|modify_return_test|struct_ops|test)_?\w*|\w+_ops__\w+")


class _Kept:
    """What is kept: the ids reached so far."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self.ids: set[int] = set()
        self.waiting: list[int] = []

    def add(self, type_id: int) -> None:
        """Keep a type and all that it refers to."""
        if type_id and type_id not in self.ids:
            self.ids.add(type_id)
            self.waiting.append(type_id)

    def follow(self) -> None:
        """Add what the types added so far refer to."""
        while self.waiting:
            for other in _referred(self.btf[self.waiting.pop()]):
                self.add(other)


def _referred(type: Type) -> list[int]:
    match type:
        case Modifier() | DeclTag():
            return [type.target]
        case Pointer():
            return [type.target]
        case Array():
            return [type.element, type.index]
        case Function():
            return [type.prototype]
        case FunctionPrototype():
            return [type.result, *(one.type for one in type.parameters)]
        case Variable():
            return [type.type]
        case DataSection():
            return [one.variable for one in type.variables]
        case Composite():
            return [member.type for member in type.members]
    return []


def _renumbered(type: Type, ids: dict[int, int]) -> Type:
    match type:
        case Modifier() | DeclTag():
            return replace(type, target=ids[type.target])
        case Pointer():
            return replace(type, target=ids[type.target])
        case Array():
            return replace(type, element=ids[type.element], index=ids[type.index])
        case Function():
            return replace(type, prototype=ids[type.prototype])
        case FunctionPrototype():
            parameters = tuple(replace(one, type=ids[one.type]) for one in type.parameters)
            return replace(type, result=ids[type.result], parameters=parameters)
        case Variable():
            return replace(type, type=ids[type.type])
        case DataSection():
            kept = tuple(replace(one, variable=ids[one.variable]) for one in type.variables)
            return replace(type, variables=kept)
        case Composite():
            return replace(type, members=tuple(replace(one, type=ids[one.type]) for one in type.members))
    return type


def built_in(kernel: Btf, modules: Sequence[Btf]) -> Btf:
    """The types of a kernel and of modules in one: a structure that several have is one, and is known everywhere."""
    types: list[tuple[Type, dict[int, int]]] = []
    known: dict[tuple[str, str], int] = {}
    declared: dict[tuple[str, str], list[int]] = {}
    base: dict[int, int] = {0: 0}
    for table in (kernel, *modules):
        first = 1 if table is kernel else len(kernel)
        ids = base if table is kernel else dict(base)
        for old in range(first, len(table)):
            type = table[old]
            key = (type.kind.name, type.name)
            if isinstance(type, Composite) and type.name:
                if key in known and table is not kernel:
                    ids[old] = known[key]
                    continue
                known.setdefault(key, len(types) + 1)
            elif isinstance(type, Forward):
                key = (Kind.UNION.name if type.is_union else Kind.STRUCT.name, type.name)
                declared.setdefault(key, []).append(len(types) + 1)
            types.append((type, ids))
            ids[old] = len(types)
    seen_as = {new: known[key] for key, all in declared.items() if key in known for new in all}
    builder = BtfBuilder(kernel.byte_order)
    for type, ids in types:
        builder.add(_renumbered(type, _Through(ids, seen_as)), unique=True)
    return builder.build()


class _Through(dict[int, int]):
    """Ids looked up, and where what is found is only declared, that of the whole."""

    def __init__(self, ids: dict[int, int], seen_as: dict[int, int]) -> None:
        super().__init__()
        self._ids = ids
        self._seen_as = seen_as

    def __missing__(self, old: int) -> int:
        new = self._ids[old]
        return self._seen_as.get(new, new)


def compact(btf: Btf) -> Btf:
    """The part of a kernel's types that programs get to see."""
    kept = _Kept(btf)
    tags = [(index, btf[index]) for index in range(1, len(btf)) if btf.kind(index) is Kind.DECL_TAG]
    tagged = {tag.target for _, tag in tags if isinstance(tag, DeclTag)}
    for index in range(1, len(btf)):
        match btf[index]:
            case Function(name=name) if index in tagged or name in KFUNCS or _FUNCTIONS.fullmatch(name):
                kept.add(index)
            case Typedef(name=name) if name.startswith("btf_trace_"):
                kept.add(index)
            case DataSection():
                kept.add(index)
            case Struct(name=name) if name:
                kept.add(index)
    kept.follow()
    for index, tag in tags:
        if isinstance(tag, DeclTag) and tag.target in kept.ids:
            kept.ids.add(index)
    order = sorted(kept.ids)
    ids = {0: 0, **{old: new for new, old in enumerate(order, 1)}}
    builder = BtfBuilder(btf.byte_order)
    for old in order:
        builder.add(_renumbered(btf[old], ids), unique=True)
    return builder.build()


def main(output: str, kernel: str = "/sys/kernel/btf/vmlinux", *modules: str) -> None:
    """Write the compact types of a kernel and modules to a file."""
    types = read_btf(kernel)
    found = compact(built_in(types, [read_btf(module, types) for module in modules]))
    data = lzma.compress(found.encode(), preset=9 | lzma.PRESET_EXTREME)
    Path(output).write_bytes(data)
    print(f"{len(found)} types, {len(found.encode())} bytes, {len(data)} compressed")


if __name__ == "__main__":
    main(*sys.argv[1:])
