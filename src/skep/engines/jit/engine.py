"""The JIT as an engine: load a program, run it natively, keep its machine code on disk."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import skep
from skep import codecache
from skep.codecache import CodeCache
from skep.engines import Binding
from skep.engines.jit import native, slow_paths
from skep.engines.jit.graph import CALL
from skep.engines.jit.module import ModuleTranslation, Translated
from skep.engines.missing import missing_call
from skep.errors import Fault, LoadError, SkepError
from skep.isa import encode
from skep.isa.disassembler import instruction_text
from skep.lang import offset_of, view
from skep.memory.cpu import Cpu, CpuBlock
from skep.objects.spec import MapReference, MapSpec, ProgramSpec

if TYPE_CHECKING:
    from skep.lang import Function

_ENTRY = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p)
#: Changes whenever the form of cache entries does.
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class _Module:
    """LLVM IR of one or more programs with the helpers they need, and what to do with it.

    ``symbols`` name maps and their values. ``variables`` have addresses in this process, so that code which refers to
    any cannot be kept for another. ``apart`` are functions of the standard library that the code calls and that are
    compiled elsewhere (`slow_paths`).
    """

    text: str
    level: int
    symbols: tuple[str, ...]
    variables: Mapping[str, int]
    apart: tuple[Function[..., Any], ...]


@dataclass(frozen=True, slots=True)
class _Ready:
    """Machine code to link: ``objects``, ``symbols`` of maps, and ``addresses`` of everything else that it needs."""

    symbols: tuple[str, ...]
    objects: bytes
    addresses: Mapping[str, int]


class JitLoaded:
    """A program in native code; it may run on several threads at once, without the interpreter lock."""

    def __init__(self, spec: ProgramSpec, binding: Binding, linked: native.Linked, name: str) -> None:
        self._spec = spec
        self._linked = linked
        self._address = linked.addresses[name]
        self._entry = _ENTRY(self._address)
        self._binding = binding
        _running[self._address] = self

    @property
    def spec(self) -> ProgramSpec:
        """What it was loaded from."""
        return self._spec

    @property
    def address(self) -> int:
        """The native entry point, 0 after :meth:`close`."""
        return self._address

    def run(self, r1: int, r2: int, cpu: int) -> int:
        """Run once and return r0; see :class:`skep.engines.Loaded`. The program is trusted: nothing is checked.

        Only a call that cannot be made stops it: Fault or UnsupportedError says which.
        """
        if not self._address:
            raise LoadError(f"program {self._spec.name!r} was closed and cannot run", file=self._spec.file)
        cpu = cpu or _own_cpus().address(0)
        result = int(self._entry(r1, r2, cpu))
        error = fault_of(cpu)
        if error is not None:
            raise error
        return result

    def missing(self, slot: int) -> SkepError:
        """Why the call at ``slot`` cannot be made, with its place."""
        error = missing_call(self._spec, self._binding.type, slot, self._binding.unresolved)
        assert error is not None
        error.instruction = slot
        if isinstance(error, Fault):
            error.text = instruction_text(self._spec.instructions[slot])
            error.problem = f"`{error.text}`: {error.problem}"
        _locate(error, self._spec)
        return error

    def close(self) -> None:
        """Give the machine code back, once every program of its module is closed."""
        if self._address:
            self._address = 0
            self._linked.release()


_FAULT_SLOT = offset_of(Cpu, "fault_slot")
#: The programs that may run, by their entry.
_running: WeakValueDictionary[int, JitLoaded] = WeakValueDictionary()


def fault_of(cpu: int) -> SkepError | None:
    """Why the program that ran last on the CPU at this address gave up, None if it did not; then it is forgotten."""
    slot = ctypes.c_uint32.from_address(cpu + _FAULT_SLOT)
    if not slot.value:
        return None
    program = _running[int(view(Cpu, cpu).fault_program)]
    error = program.missing(slot.value - 1)
    slot.value = 0
    return error


@cache
def _own_cpus() -> CpuBlock:
    """A CPU for programs that are given none."""
    return CpuBlock(1)


class Jit:
    """The engine that compiles with LLVM.

    ``cache`` keeps machine code between processes; None for none. ``level`` -1 to 3 forces a pipeline
    (`native.optimised`) instead of the one that the size of the program deserves.
    """

    name = "jit"

    def __init__(self, *, cache: CodeCache | str | None = "default", level: int | None = None) -> None:
        self._cache = codecache.default() if isinstance(cache, str) else cache
        self._level = level

    def load(self, spec: ProgramSpec, binding: Binding) -> JitLoaded:
        """Make ``spec`` ready to run. Raises LoadError, or UnsupportedError naming what is not implemented."""
        return self.load_many([spec], [binding])[0]

    def load_many(self, specs: Sequence[ProgramSpec], bindings: Sequence[Binding]) -> list[JitLoaded]:
        """Make programs ready to run in one module: much faster than one by one where they are small.

        Maps of the same name must be the same map in all bindings.
        """
        cache = None if _calls_foreign_helpers(specs) else self._cache
        key = self._key(specs, bindings) if cache is not None else ""
        ready = self._kept(key, cache) if cache is not None else None
        if ready is None:
            module = self._module(specs, bindings)
            # What is apart may be kept even where this program cannot be: its key is its text.
            slow = slow_paths.compiled(module.apart, self._cache) if module.apart else None
            ready = _Ready(
                module.symbols,
                native.machine_code(module.text, module.level),
                {**module.variables, **(slow.addresses if slow is not None else {})},
            )
            if cache is not None and not module.variables and (slow is None or slow.key is not None):
                cache.put(key, _packed(module.symbols, slow.key if slow is not None else None, ready.objects))
        names = _names(len(specs))
        imports = {**ready.addresses, **_addresses(ready.symbols, bindings)}
        objects = ready.objects
        linked = native.Linked(objects, names, imports, users=len(specs))
        return [
            JitLoaded(spec, binding, linked, name) for spec, binding, name in zip(specs, bindings, names, strict=True)
        ]

    def _kept(self, key: str, cache: CodeCache) -> _Ready | None:
        """What ``cache`` has of the programs, None if it or anything that it needs is gone."""
        entry = cache.get(key)
        if entry is None:
            return None
        symbols, needed, objects = _unpacked(entry)
        if needed is None:
            return _Ready(symbols, objects, {})
        slow = slow_paths.kept(needed, cache)
        return None if slow is None else _Ready(symbols, objects, slow.addresses)

    def ir(self, spec: ProgramSpec, binding: Binding, *, optimised: bool = False) -> str:
        """The LLVM IR of a program, as it was translated or after the passes."""
        module = self._module([spec], [binding])
        return str(native.optimised(module.text, module.level)) if optimised else module.text

    def assembly(self, spec: ProgramSpec, binding: Binding) -> str:
        """The native assembly of a program."""
        module = self._module([spec], [binding])
        return native.assembly(module.text, module.level)

    def _module(self, specs: Sequence[ProgramSpec], bindings: Sequence[Binding]) -> _Module:
        parts: list[Translated] = []
        for spec, binding, name in zip(specs, bindings, _names(len(specs)), strict=True):
            try:
                parts.append(ModuleTranslation(spec, binding.type, name, binding.unresolved).translate())
            except SkepError as error:
                _locate(error, spec)
                raise
        helpers = {function.symbol: function for part in parts for function in part.helpers}
        library = ""
        variables: dict[str, int] = {}
        apart: tuple[Function[..., Any], ...] = ()
        if helpers:
            from skep.lang import HOST, emit

            emitted = emit(helpers.values(), HOST, apart=slow_paths.is_apart)
            library, apart = emitted.text, emitted.apart
            variables = {symbol: variable.address for symbol, variable in emitted.variables.items()}
        texts = dict.fromkeys(line for part in parts for line in part.globals)
        return _Module(
            text="\n".join([*texts, library, *(part.text for part in parts)]),
            level=native.level_for(max(part.size for part in parts)) if self._level is None else self._level,
            symbols=tuple(dict.fromkeys(symbol for part in parts for symbol in part.symbols)),
            variables=variables,
            apart=apart,
        )

    def _key(self, specs: Sequence[ProgramSpec], bindings: Sequence[Binding]) -> str:
        """Everything that the machine code depends on, known before anything is translated."""
        digest = hashlib.blake2b(_identity().encode(), digest_size=20)
        digest.update(repr(self._level).encode())
        for spec, binding in zip(specs, bindings, strict=True):
            code = encode(spec.instructions)
            references = sorted(spec.references.items())
            maps = sorted(
                _shape(name, one)
                for name, one in spec.maps.items()
                if any(isinstance(reference, MapReference) and reference.map == name for _, reference in references)
            )
            digest.update(repr((len(code), binding.type, spec.attach_type, references, maps)).encode())
            digest.update(code)
        return digest.hexdigest()


def _locate(error: SkepError, spec: ProgramSpec) -> None:
    """Add to ``error`` what the spec knows of its place."""
    error.file = error.file or spec.file
    error.section = error.section or spec.section or None
    if error.instruction is not None and error.source is None:
        line = spec.line_of(error.instruction)
        error.source = None if line is None else f"{line.file}:{line.line}"


def _calls_foreign_helpers(specs: Sequence[ProgramSpec]) -> bool:
    """Whether a program calls a helper that a user has registered, whose source no key speaks of."""
    from skep.stdlib.registry import foreign

    helpers = foreign()
    return bool(helpers) and any(
        one.opcode == CALL and not one.src and one.imm in helpers for spec in specs for one in spec.instructions
    )


def _addresses(symbols: Sequence[str], bindings: Sequence[Binding]) -> dict[str, int]:
    """The addresses of ``map.<name>`` and ``values.<name>``."""
    maps = {name: one for binding in bindings for name, one in binding.maps.items()}
    found: dict[str, int] = {}
    for symbol in symbols:
        kind, _, name = symbol.partition(".")
        if name not in maps:
            raise LoadError(f"the program refers to map {name!r}, which the machine does not have")
        address = maps[name].address if kind == "map" else maps[name].values_address
        if address is None:
            raise LoadError(f"the program refers to the values of map {name!r}, which have no address of their own")
        found[symbol] = address
    return found


def _shape(name: str, one: MapSpec) -> tuple[object, ...]:
    """What of a map the code of a program may depend on."""
    constant = one.contents if one.frozen else None
    return name, one.type, one.key_size, one.value_size, one.max_entries, one.flags, constant


def _names(count: int) -> tuple[str, ...]:
    return ("program",) if count == 1 else tuple(f"program{index}" for index in range(count))


def _packed(symbols: Sequence[str], needed: str | None, objects: bytes) -> bytes:
    head = json.dumps([symbols, needed]).encode()
    return len(head).to_bytes(4, "little") + head + objects


def _unpacked(entry: bytes) -> tuple[tuple[str, ...], str | None, bytes]:
    end = 4 + int.from_bytes(entry[:4], "little")
    symbols, needed = json.loads(entry[4:end])
    return tuple(symbols), needed, entry[end:]


@cache
def _identity() -> str:
    """The state of the sources of skep (which is more than a version says), of LLVM and of the CPU."""
    root = Path(skep.__file__).parent
    newest = count = 0
    for directory, _, files in os.walk(root):
        for file in files:
            if file.endswith(".py"):
                state = os.stat(os.path.join(directory, file))
                newest = max(newest, state.st_mtime_ns)
                count += state.st_size
    return f"jit {_FORMAT} {newest} {count} {native.identity()}"
