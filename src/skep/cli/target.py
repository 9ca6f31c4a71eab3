"""``OBJECT[:PROGRAM]``: which file, and which program in it, a command is asked about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skep.errors import RequestError

if TYPE_CHECKING:
    from skep.objects import ProgramSpec, Spec


def split_target(target: str) -> tuple[str, str | None]:
    """The file and the program's name, None where none is given; a file whose name has a colon is still a file."""
    path, colon, name = target.rpartition(":")
    if not colon or not path or Path(target).exists():
        return target, None
    return path, name


def choose_program(spec: Spec, name: str | None) -> ProgramSpec:
    """The program called ``name``, or without a name the only one that no program array holds."""
    everything = ", ".join(spec.programs)
    if not everything:
        raise RequestError(
            'the object has no program: functions need a section of their own, as SEC("xdp")', file=spec.file
        )
    if name is not None:
        if name not in spec.programs:
            raise RequestError(f"there is no program {name!r}; there are: {everything}", file=spec.file)
        return spec.programs[name]
    members = {member for one in spec.maps.values() for member in one.slots.values()}
    entries = [one for one in spec.programs.values() if one.name not in members]
    if len(entries) != 1:
        raise RequestError(
            f"the object has several programs; choose one with {spec.file}:NAME: {everything}", file=spec.file
        )
    return entries[0]


def choose_programs(
    targets: Sequence[str], names: Sequence[str] = (), type_name: str | None = None
) -> Iterator[ProgramSpec]:
    """The programs that targets name, of those with one of ``names`` if any are given.

    Functions in ``.text`` are among them only where somebody asks for them. ``type_name`` stands in where a section
    name says no type.
    """
    from dataclasses import replace

    from skep import objects

    chosen = None
    if type_name is not None:
        known = {one.label: one for one in objects.ProgramType}
        if type_name not in known:
            raise RequestError(f"there is no program type {type_name!r}")
        chosen = known[type_name]
    missing = set(names)
    for target in targets:
        path, name = split_target(target)
        spec = objects.open(path)
        if name is not None and name not in spec.programs:
            raise RequestError(f"there is no program {name!r}; there are: {', '.join(spec.programs)}", file=path)
        for program in spec.programs.values():
            if name not in (None, program.name) or (names and program.name not in names):
                continue
            asked_for = name is not None or names or chosen is not None
            if program.section == ".text" and len(spec.programs) > 1 and not asked_for:
                # Functions for programs of other objects: the kernel's loaders take them for nothing else.
                continue
            missing.discard(program.name)
            yield program if program.type is not None or chosen is None else replace(program, type=chosen)
    if missing:
        raise RequestError(f"no object has a program {min(missing)!r}")


def with_target(program: ProgramSpec, target: str) -> ProgramSpec:
    """A program with the other program that it replaces or watches a function of; others as they are.

    Programs that watch a function are about another program only if that has a function of the name. Without a
    program's name the only one of the object that has that function is meant.
    """
    from dataclasses import replace

    from skep import objects

    watching = (objects.AttachType.TRACE_FENTRY, objects.AttachType.TRACE_FEXIT, objects.AttachType.MODIFY_RETURN)
    replaces = program.type is objects.ProgramType.EXT
    if not replaces and program.attach_type not in watching:
        return program
    path, name = split_target(target)
    spec = objects.open(path)
    if name is not None or program.attach_target is None:
        chosen = choose_program(spec, name)
        if not replaces and program.attach_target is not None and not _has(chosen, program.attach_target):
            return program
        return replace(program, target_program=chosen)
    having = [one for one in spec.programs.values() if _has(one, program.attach_target)]
    if not having and not replaces:
        return program
    if not having:
        functions = sorted({function.name for one in spec.programs.values() for function in one.functions})
        raise RequestError(
            f"no program here has function {program.attach_target!r}, which {program.name!r} is to replace; their "
            f"functions are: {', '.join(functions) or 'none'}",
            file=path,
        )
    if len(having) > 1:
        names = ", ".join(one.name for one in having)
        raise RequestError(
            f"program {program.name!r} names function {program.attach_target!r}; choose the program that has it with "
            f"--target {path}:NAME: {names}",
            file=path,
        )
    return replace(program, target_program=having[0])


def _has(program: ProgramSpec, function: str) -> bool:
    return any(one.name == function for one in program.functions)
