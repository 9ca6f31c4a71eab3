"""A program's references made into numbers the kernel takes: map descriptors, BTF ids, addresses, distances.

Each kind of reference has one form of instruction (Documentation/bpf/standardization/instruction-set.rst, "64-bit
immediate instructions", and the ``BPF_PSEUDO_…`` constants of ``include/uapi/linux/bpf.h``). What is weak and
missing reads as zero, and a weak kernel function that is missing becomes a call that the verifier refuses unless it
is never reached.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from skep.btf.kinds import Kind
from skep.btf.types import Function
from skep.engines.kernel.handle import Handle
from skep.engines.kernel.maps import KernelMap
from skep.engines.kernel.symbols import symbol_address
from skep.engines.kernel.system_types import FoundType, find_type, open_module_btf
from skep.errors import LoadError
from skep.isa.instruction import Instruction, Instructions
from skep.objects.spec import (
    FunctionReference,
    KfuncReference,
    KsymReference,
    MapReference,
    ProgramSpec,
    Reference,
)

_MAP_FD, _MAP_VALUE, _BTF_ID, _FUNCTION = 1, 2, 3, 4
_KFUNC_CALL = 2

#: What a call of a missing weak function calls instead: the reference loader's number plus the slot, which its own
#: messages then find again.
POISONED_KFUNC = 2_002_000_000


def _signed(value: int) -> int:
    """The lower 32 bits of ``value`` as an immediate."""
    return (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


class Resolver:
    """Resolves the references of programs and keeps open what they need while they load: the BTF of modules."""

    def __init__(self, maps: Mapping[str, KernelMap]) -> None:
        self.maps = maps
        self.modules: dict[str, Handle] = {}

    @property
    def fd_array(self) -> list[int]:
        """The descriptors that calls of module functions refer to by index; index 0 is the kernel itself."""
        return [0, *(handle.fileno() for handle in self.modules.values())] if self.modules else []

    def close(self) -> None:
        """Close what was kept open for loading."""
        for handle in self.modules.values():
            handle.close()
        self.modules.clear()

    def instructions(self, spec: ProgramSpec) -> Instructions:
        """The program with every reference resolved; raises LoadError naming what is missing."""
        code = list(spec.instructions)
        for slot, reference in spec.references.items():
            self._resolve(spec, code, slot, reference)
        return tuple(code)

    def _resolve(self, spec: ProgramSpec, code: list[Instruction], slot: int, reference: Reference) -> None:
        match reference:
            case MapReference(map=name, offset=offset):
                if name not in self.maps:
                    raise _missing(spec, slot, f"map {name!r} is not among the maps of the program")
                fd = self.maps[name].fileno()
                if offset is None:
                    _wide(code, slot, _MAP_FD, fd)
                else:
                    _wide(code, slot, _MAP_VALUE, fd, offset)
            case FunctionReference(function=name):
                start = next((function.start for function in spec.functions if function.name == name), None)
                if start is None:
                    raise _missing(spec, slot, f"function {name!r} is not linked into the program")
                _wide(code, slot, _FUNCTION, start - slot - 1)
            case KfuncReference(name=name, weak=weak):
                self._kfunc(spec, code, slot, find_type(name, Kind.FUNC), name, weak)
            case KsymReference(name=name, weak=weak, type_id=type_id):
                self._variable(spec, code, slot, name, weak, type_id)

    def _kfunc(
        self,
        spec: ProgramSpec,
        code: list[Instruction],
        slot: int,
        found: FoundType | None,
        name: str,
        weak: bool,
    ) -> None:
        if found is None and not weak:
            raise _missing(spec, slot, f"the kernel has no function {name!r} for programs")
        if code[slot].is_wide:
            # The address of a kernel function, which a program takes only to see whether it is there.
            _wide(code, slot, _BTF_ID, found.id, self._module(found)) if found else _wide(code, slot, 0, 0)
        elif found is None:
            code[slot] = dataclasses.replace(code[slot], src=0, offset=0, imm=POISONED_KFUNC + slot)
        else:
            index = 0
            if found.module:
                self._module(found)
                index = 1 + list(self.modules).index(found.module)
            code[slot] = dataclasses.replace(code[slot], src=_KFUNC_CALL, offset=index, imm=found.id)

    def _variable(
        self, spec: ProgramSpec, code: list[Instruction], slot: int, name: str, weak: bool, type_id: int
    ) -> None:
        if type_id:
            # The type of a function that is only looked at is the function itself; a variable's is the type of its
            # value.
            is_function = spec.btf is not None and isinstance(spec.btf[type_id], Function)
            found = find_type(name, Kind.FUNC if is_function else Kind.VAR)
            if found is not None:
                _wide(code, slot, _BTF_ID, found.id, self._module(found))
                return
        else:
            address = symbol_address(name)
            if address is not None:
                _wide(code, slot, 0, address, address >> 32)
                return
        if not weak:
            where = "the kernel's types" if type_id else "/proc/kallsyms"
            raise _missing(spec, slot, f"the kernel's variable {name!r} is not in {where}")
        _wide(code, slot, 0, 0)

    def _module(self, found: FoundType) -> int:
        """The descriptor of the module that ``found`` is of, 0 for the kernel."""
        return self.module(found.module).fileno() if found.module else 0

    def module(self, name: str) -> Handle:
        """The BTF of a module, kept open until the program is loaded."""
        if name not in self.modules:
            self.modules[name] = open_module_btf(name)
        return self.modules[name]


def _wide(code: list[Instruction], slot: int, source: int, low: int, high: int = 0) -> None:
    code[slot] = dataclasses.replace(code[slot], src=source, imm=_signed(low))
    code[slot + 1] = dataclasses.replace(code[slot + 1], imm=_signed(high))


def _missing(spec: ProgramSpec, slot: int, problem: str) -> LoadError:
    line = spec.line_of(slot)
    return LoadError(
        f"program {spec.name!r}: {problem}",
        file=spec.file,
        section=spec.section or None,
        instruction=slot,
        source=f"{line.file}:{line.line}" if line else None,
    )
