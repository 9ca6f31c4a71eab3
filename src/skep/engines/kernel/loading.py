"""One load: maps made and filled, references resolved, programs handed to the verifier, in the order in which they
need each other.

Whatever a load makes is put on a stack that closes it all if a later step fails, so that a refusal leaves nothing
behind.
"""

from __future__ import annotations

import errno
import mmap
import os
import platform
import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from skep.btf.relocation import POISON
from skep.engines.kernel.arena import fill_arena
from skep.engines.kernel.cpus import possible_cpus
from skep.engines.kernel.description import Description, describe, types_for_kernel
from skep.engines.kernel.features import why_no_map_type, why_no_program_type
from skep.engines.kernel.handle import Handle
from skep.engines.kernel.maps import KernelMap
from skep.engines.kernel.programs import SLEEPABLE, DebugInformation, KernelProgram
from skep.engines.kernel.references import Resolver
from skep.engines.kernel.targets import AttachPoint, attach_point, struct_ops_member, struct_ops_type
from skep.engines.kernel.types import KernelBtf
from skep.errors import KernelError, LoadError, RequestError
from skep.objects.fitting import Fitted, KernelFacts, fit
from skep.objects.kinds import MapType, ProgramType
from skep.objects.spec import MapSpec, ProgramSpec

#: Creation flag: programs may only read.
_READ_ONLY_FOR_PROGRAMS = 1 << 7

_RING_BUFFERS = frozenset({MapType.RINGBUF, MapType.USER_RINGBUF})
_MAPS_OF_MAPS = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})


@dataclass
class Loading:
    """What has been made so far, by name.

    ``facts`` are of the kernel to fit programs to, ``pins`` is where maps are pinned by name, if anywhere. ``maps``
    begins with those that the caller gave. ``programs`` may be asked for by program arrays; ``tables`` are the
    struct_ops maps that say which member of which structure a program is.
    """

    stack: ExitStack
    facts: KernelFacts
    pins: str | None = None
    maps: dict[str, KernelMap] = field(default_factory=dict)
    programs: Mapping[str, ProgramSpec] = field(default_factory=dict)
    tables: tuple[MapSpec, ...] = ()
    log_level: int = 0
    loaded: dict[str, KernelProgram] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.filled.update(self.maps)

    def program(self, spec: ProgramSpec, type: ProgramType | None = None) -> KernelProgram:
        """Load a program and all it needs; ``type`` stands in where the spec has none that the kernel knows."""
        if spec.name in self.loaded:
            return self.loaded[spec.name]
        chosen = type if type is not None and spec.type in (None, ProgramType.RAW) else spec.type
        if chosen is None:
            raise LoadError(
                f"program {spec.name!r} has no type: section {spec.section!r} is not a known one; say which it is",
                file=spec.file,
            )
        if spec.btf is not None and spec.btf.byte_order != sys.byteorder:
            raise LoadError(
                f"program {spec.name!r} is for {spec.btf.byte_order}-endian machines, and this kernel is not; "
                "build it with -target bpf",
                file=spec.file,
            )
        fitted = fit(spec, self.facts)
        spec = fitted.program
        description = describe(spec)
        btf, problem = self._btf(spec, description)
        for map_spec in spec.maps.values():
            self.map(map_spec, btf)
        point = attach_point(spec, chosen, struct_ops_member(spec, (*self.tables, *spec.tables)))
        resolver = Resolver(self.maps)
        try:
            program = KernelProgram.load(
                chosen,
                resolver.instructions(spec),
                name=spec.name,
                license=spec.license,
                expected_attach_type=point.attach_type,
                flags=spec.flags | (SLEEPABLE if spec.sleepable else 0),
                log_level=self.log_level,
                kernel_version=spec.kernel_version,
                debug=_debug(btf, description),
                attach_btf_id=point.id,
                attach_to=self._target(spec, type, point, resolver),
                fd_array=resolver.fd_array,
            )
        except KernelError as error:
            if error.errno == errno.EINVAL and not error.log and why_no_program_type(chosen):
                raise _too_old(error, f"program {spec.name!r}", f"programs of type {chosen.label}", spec) from None
            raise _explained(error, fitted, problem) from None
        finally:
            resolver.close()
        self.stack.callback(program.close)
        self.loaded[spec.name] = program
        for map_spec in spec.maps.values():
            self._fill(map_spec, spec, type)
        return program

    def _target(
        self, spec: ProgramSpec, type: ProgramType | None, point: AttachPoint, resolver: Resolver
    ) -> Handle | None:
        """What holds the function that a program attaches to, if that is not the kernel itself."""
        if spec.target_program is not None:
            # Its maps are its own, whatever their names.
            return Loading(self.stack, self.facts, self.pins).program(spec.target_program, type)
        return resolver.module(point.module) if point.module else None

    def map(self, spec: MapSpec, btf: KernelBtf | None = None) -> KernelMap:
        """The map of that name, made if it is not there yet."""
        if spec.name in self.maps:
            return self.maps[spec.name]
        if btf is None and spec.btf is not None:
            btf = self._load_btf(types_for_kernel(spec.btf), f"BTF of map {spec.name!r}")[0]
        try:
            made = self._pinned(spec) or self._new_map(spec, btf)
        except KernelError as error:
            if error.errno == errno.EINVAL and why_no_map_type(spec.type):
                raise _too_old(error, f"map {spec.name!r}", f"maps of type {spec.type.label}") from None
            raise
        self.maps[spec.name] = made
        self.stack.callback(made.close)
        return made

    def _new_map(self, spec: MapSpec, btf: KernelBtf | None) -> KernelMap:
        wanted = spec
        if spec.type == MapType.PERF_EVENT_ARRAY and not spec.max_entries:
            wanted = replace(wanted, max_entries=possible_cpus())
        if spec.type in _RING_BUFFERS:
            wanted = replace(wanted, max_entries=_ring_size(spec.max_entries))
        if spec.frozen:
            wanted = replace(wanted, flags=wanted.flags | _READ_ONLY_FOR_PROGRAMS)
        if spec.type in _MAPS_OF_MAPS:
            if spec.inner is None:
                raise LoadError(f"map {spec.name!r} ({spec.type.label}) does not say what its inner maps are")
            with self._new_map(spec.inner, btf) as template:
                made = KernelMap.create(wanted, btf=btf, inner=template)
        elif spec.type == MapType.STRUCT_OPS:
            kernel_type, size = struct_ops_type(spec)
            made = KernelMap.create(replace(wanted, value_size=size), btf=btf, kernel_type_id=kernel_type)
        else:
            made = KernelMap.create(wanted, btf=btf)
        try:
            self._initialise(made, spec)
            if spec.pinning and self.pins:
                made.pin(os.path.join(self.pins, spec.name))
        except BaseException:
            made.close()
            raise
        return made

    def _initialise(self, made: KernelMap, spec: MapSpec) -> None:
        """Put the initial contents in place, and freeze them if they are constant."""
        # Storing the contents of a struct_ops map would register its programs with the kernel.
        if spec.type == MapType.ARENA:
            # A program that uses it loads only once it has an address.
            fill_arena(made, spec.contents or b"")
        elif spec.contents is not None and spec.type != MapType.STRUCT_OPS:
            made.update(bytes(spec.key_size), spec.contents.ljust(spec.value_size, b"\0"))
        if spec.frozen:
            made.freeze()

    def _pinned(self, spec: MapSpec) -> KernelMap | None:
        """The map that an earlier load pinned under this name, if pins are used and it is there."""
        if not (spec.pinning and self.pins):
            return None
        path = os.path.join(self.pins, spec.name)
        return KernelMap.open_pinned(path, spec) if os.path.exists(path) else None

    def _fill(self, spec: MapSpec, program: ProgramSpec, type: ProgramType | None) -> None:
        """Put the initial members into a program array or a map of maps."""
        if spec.name in self.filled or not spec.slots:
            return
        self.filled.add(spec.name)
        for key, name in spec.slots.items():
            member: KernelMap | KernelProgram
            if spec.type in _MAPS_OF_MAPS:
                if name not in self.maps and name not in program.maps:
                    raise LoadError(f"map {spec.name!r} holds map {name!r}, which the program does not define")
                member = self.maps[name] if name in self.maps else self.map(program.maps[name])
            else:
                member = self._member(spec, name, program, type)
            self.maps[spec.name].update(_number(key, spec.key_size), _number(member.fileno(), 4))

    def _member(self, spec: MapSpec, name: str, program: ProgramSpec, type: ProgramType | None) -> KernelProgram:
        for known in (self.programs, program.siblings):
            if name in self.loaded or name in known:
                return self.loaded.get(name) or self.program(known[name], type)
        raise RequestError(f"program array {spec.name!r} holds program {name!r}; give its spec among the programs")

    def _btf(self, spec: ProgramSpec, description: Description | None) -> tuple[KernelBtf | None, str]:
        """The program's BTF in the kernel, or None and why not: most programs do without."""
        return self._load_btf(description.btf, f"BTF of program {spec.name!r}") if description else (None, "")

    def _load_btf(self, data: bytes, what: str) -> tuple[KernelBtf | None, str]:
        try:
            btf = KernelBtf.load(data, what)
        except KernelError as error:
            return None, error.problem
        self.stack.callback(btf.close)
        return btf, ""


def _debug(btf: KernelBtf | None, description: Description | None) -> DebugInformation | None:
    if btf is None or description is None:
        return None
    return DebugInformation(btf, description.functions, description.lines)


def _ring_size(wanted: int) -> int:
    """The size of a ring buffer as the kernel takes it: pages to a power of two. libbpf rounds up like this."""
    size = mmap.PAGESIZE
    while size < wanted:
        size *= 2
    return size if wanted and size < 1 << 32 else wanted


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, sys.byteorder)


def _too_old(error: KernelError, subject: str, kind: str, spec: ProgramSpec | None = None) -> KernelError:
    sentence = f"{subject}: this kernel (Linux {platform.release()}) has no {kind}, even in their simplest form"
    return KernelError(sentence, errno=error.errno, file=spec.file if spec else None)


def _explained(error: KernelError, fitted: Fitted, problem: str) -> KernelError:
    """A refusal with what is known of its cause: a poisoned instruction that it reaches, types that did not load."""
    spec = fitted.program
    poisoned = re.findall(rf"^(\d+): \(85\) call unknown#{POISON}$", error.log, re.MULTILINE)
    slot = int(poisoned[-1]) if poisoned else -1
    if slot in fitted.unresolved:
        line = spec.line_of(slot)
        place = f"instruction {slot}" + (f", {line.file}:{line.line}" if line else "")
        sentence = (
            f"program {spec.name!r} cannot run on this kernel: it reaches a CO-RE relocation ({place}) "
            f"that has no answer here, {fitted.unresolved[slot]}"
        )
        return KernelError(sentence, errno=error.errno, log=error.log, file=spec.file)
    also = f" (it was loaded without its types, because {problem})" if problem else ""
    return KernelError(error.problem + also, errno=error.errno, log=error.log, file=spec.file)
