"""A program fitted to one kernel: its accesses to the kernel's types relocated, its configuration values filled in.

The result is a `ProgramSpec` like the one that came in, which any engine loads; the kernel it is for may be the
running one or any whose BTF is at hand. What is left for an engine to bind are maps, kernel functions and kernel
variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

from skep.btf import Btf
from skep.btf.files import read_btf
from skep.btf.relocation import relocate
from skep.errors import RequestError, SkepError
from skep.objects.configuration import KernelSettings, with_configuration
from skep.objects.reader import open as read_object
from skep.objects.spec import ProgramSpec

#: What the kernel's own file is called among those of its modules.
_KERNEL = "vmlinux"
_ELF = b"\x7fELF"
#: The machine number of BPF in either byte order, and where in an ELF header it ends.
_BPF_MACHINE = (b"\xf7\0", b"\0\xf7")
_MACHINE_END = 20


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


def read_types(file: str, base: Btf | None = None) -> Btf:
    """The BTF in ``file``: that of a kernel, alone, in its vmlinux or compressed, or that of a BPF object.

    ``base`` are the types that it continues, if it is of a module. Raises RequestError, ObjectError or BtfError,
    which name the file.
    """
    if base is None and _is_bpf_object(file):
        # The compiler leaves some sizes and offsets in the types to whoever reads the object.
        found = read_object(file).btf
        if found is None:
            raise RequestError("the object has no BTF; build it with clang -g", file=file)
        return found
    return read_btf(file, base)


def facts_of_files(files: Sequence[str]) -> KernelFacts:
    """A kernel known by files alone: the first has its types, the others those of its modules.

    A folder stands for the files in it, as ``/sys/kernel/btf`` has them: ``vmlinux`` is the kernel, all others are
    modules, which are read when a program asks for something that the kernel has not. Files are read at once; raises
    what `read_types` does. Configuration values stay as they are in the object.
    """
    if not files:
        raise RequestError("name a file with the types of a kernel")
    first, *others = files
    folder = Path(first)
    if folder.is_dir():
        if not (folder / _KERNEL).is_file():
            raise RequestError(f"the folder has no file {_KERNEL} with the types of the kernel itself", file=first)
        types = read_types(str(folder / _KERNEL))
        others.insert(0, first)
    else:
        types = read_types(first)
    named = [read_types(file, types) for file in others if not Path(file).is_dir()]
    folders = [file for file in others if Path(file).is_dir()]

    @cache
    def modules() -> Sequence[Btf]:
        return [*named, *(read_types(file, types) for one in folders for file in _modules_in(one))]

    return KernelFacts(lambda: types, modules)


def _modules_in(folder: str) -> list[str]:
    return sorted(str(file) for file in Path(folder).iterdir() if file.is_file() and file.name != _KERNEL)


def _is_bpf_object(file: str) -> bool:
    try:
        with Path(file).open("rb") as stream:
            if not stream.seekable():
                return False
            start = stream.read(_MACHINE_END)
    except OSError:
        return False
    return start.startswith(_ELF) and start[_MACHINE_END - 2 :] in _BPF_MACHINE


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
