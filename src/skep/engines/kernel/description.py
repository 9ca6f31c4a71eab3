"""What the kernel is told of a program beside its instructions: types, functions, source lines.

An object's BTF goes to the kernel nearly as it is. What names things outside the object (extern functions and
variables, and the sections that list them) is not for the kernel and becomes ``const void``, so that every id
stays. The verifier takes a function for global when its type says so; that follows the linked program, where a
hidden function is static. Source: ``Documentation/bpf/btf.rst``; what the kernel refuses was tried on Linux 6.18.
"""

from __future__ import annotations

import dataclasses
import struct

from skep.btf.btf import Btf
from skep.btf.builder import BtfBuilder
from skep.btf.types import Const, DataSection, DeclTag, Function, Linkage, Type, Variable
from skep.objects.spec import ProgramSpec

_NOTHING = Const(target=0)


@dataclasses.dataclass(frozen=True, slots=True)
class Description:
    """BTF bytes for the kernel, and the function and line records that refer to them, in the order of their slots."""

    btf: bytes
    functions: bytes
    lines: bytes


def describe(spec: ProgramSpec) -> Description | None:
    """The description of a program that has BTF; None for one that has not."""
    if spec.btf is None:
        return None
    builder = _for_kernel(spec.btf)
    for function in spec.functions:
        kept = spec.btf[function.type_id] if function.type_id else None
        if isinstance(kept, Function):
            linkage = Linkage.GLOBAL if function.is_global else Linkage.STATIC
            builder.replace(function.type_id, dataclasses.replace(kept, linkage=linkage))
    functions = lines = b""
    # The kernel wants a record for every function or none at all, and a line where each function starts.
    if spec.functions and all(function.type_id for function in spec.functions):
        functions = b"".join(struct.pack("=II", function.start, function.type_id) for function in spec.functions)
        if all(function.start in spec.lines for function in spec.functions):
            lines = b"".join(
                struct.pack(
                    "=IIII",
                    slot,
                    builder.string(line.file),
                    builder.string(line.text),
                    min(line.line, (1 << 22) - 1) << 10 | min(line.column, (1 << 10) - 1),
                )
                for slot, line in sorted(spec.lines.items())
            )
    return Description(builder.build().encode(), functions, lines)


def types_for_kernel(btf: Btf) -> bytes:
    """The BTF of an object as the kernel takes it, for maps without a program."""
    return _for_kernel(btf).build().encode()


def _for_kernel(btf: Btf) -> BtfBuilder:
    """All types under their ids, without what the kernel does not take."""
    builder = BtfBuilder(btf.byte_order)
    outside: set[int] = set()
    for type_id in range(1, len(btf)):
        type = btf[type_id]
        if _is_outside(btf, type):
            outside.add(type_id)
            type = _NOTHING
        builder.add(type, unique=True)
    for type_id in range(1, len(btf)):
        type = btf[type_id]
        if isinstance(type, DeclTag) and type.target in outside:
            builder.replace(type_id, _NOTHING)
    return builder


def _is_outside(btf: Btf, type: Type) -> bool:
    match type:
        case Function() | Variable():
            return type.linkage == Linkage.EXTERN
        case DataSection():
            # A section is whole when its variables lie in order inside it; one that only lists externs is not.
            end = 0
            for variable in type.variables:
                named = btf[variable.variable]
                outside = not isinstance(named, Variable) or named.linkage == Linkage.EXTERN
                if outside or variable.offset < end or not variable.size:
                    return True
                end = variable.offset + variable.size
            return not type.variables or end > type.size
    return False
