"""A program fitted to one kernel: its accesses to the kernel's types relocated, its configuration values filled in.

The result is a `ProgramSpec` like the one that came in, which any engine loads; the kernel it is for may be the
running one or any whose BTF is at hand. What is left for an engine to bind are maps, kernel functions and kernel
variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from skep.btf import Btf
from skep.btf.relocation import relocate
from skep.errors import RequestError, SkepError
from skep.objects.configuration import KernelSettings, with_configuration
from skep.objects.reader import read
from skep.objects.spec import ProgramSpec

_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """What fitting needs to know of a kernel. Each is asked for only if the program depends on it.

    ``types`` is the kernel's BTF (for a file: ``lambda: read_types(file)``), ``modules`` that of its loaded
    modules; without ``settings`` configuration values stay as they are in the object.
    """

    types: Callable[[], Btf]
    modules: Callable[[], Sequence[Btf]] = tuple
    settings: KernelSettings | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """A program for one kernel. ``unresolved`` says, by slot, what of it the kernel does not have.

    Such an instruction has become a call that no kernel accepts, so that the program loads only if it never gets
    there.
    """

    program: ProgramSpec
    unresolved: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))


def read_types(file: str) -> Btf:
    """The BTF in ``file``: an ELF file that has it in a section, or nothing but BTF, as in ``/sys/kernel/btf``.

    Raises RequestError, ObjectError or BtfError, which name the file.
    """
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise RequestError(f"the file cannot be read: {error.strerror}", file=file) from None
    if data.startswith(_ELF):
        btf = read(data, file).btf
        if btf is None:
            raise RequestError("the object has no BTF; build it with clang -g", file=file)
        return btf
    try:
        return Btf.parse(data)
    except SkepError as error:
        error.file = file
        raise


def fit(program: ProgramSpec, kernel: KernelFacts) -> Fitted:
    """Fit ``program`` to ``kernel``. Raises BtfError for a relocation that is damaged or ambiguous, ObjectError for
    a value.

    Both name the program's file and the place.
    """
    if program.btf is None:
        return Fitted(program)
    unresolved: Mapping[int, str] = {}
    try:
        if program.core_relocations:
            relocated = relocate(
                program.instructions, program.core_relocations, program.btf, kernel.types(), kernel.modules
            )
            unresolved = relocated.unresolved
            program = replace(program, instructions=relocated.instructions, core_relocations=MappingProxyType({}))
        assert program.btf is not None
        maps = dict(program.maps)
        for name, spec in maps.items():
            if spec.configuration and kernel.settings is not None:
                maps[name] = replace(spec, contents=with_configuration(spec, program.btf, kernel.settings))
    except SkepError as error:
        error.file = error.file or program.file
        if error.instruction is not None:
            error.section = error.section or program.section
            line = program.line_of(error.instruction)
            error.source = f"{line.file}:{line.line}" if line else None
        raise
    return Fitted(replace(program, maps=MappingProxyType(maps)), MappingProxyType(dict(unresolved)))
