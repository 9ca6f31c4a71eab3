"""Setting global variables before a program runs: a new `Spec` with other contents in the map of a data section."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType

from skep.btf import Field, values
from skep.errors import RequestError
from skep.objects.spec import GlobalVariable, MapSpec, ProgramSpec, Spec


def with_global(spec: Spec, name: str, value: values.Value) -> Spec:
    """``spec`` with the global variable ``name`` set.

    ``name`` may go on to a member (``settings.limit``). With BTF the value is what `skep.btf.values.encode` takes
    for the variable's type, or text as from a command line; without, an integer of the variable's size. Members that
    a dict leaves out keep their value. Raises `RequestError` for an unknown name, with close ones, and for a value
    that does not fit.
    """
    variable, path = _find(spec, name)
    section = spec.maps[variable.map]
    contents = section.contents or bytes(section.value_size)
    old = contents[variable.offset : variable.offset + variable.size]
    try:
        new = _encode(spec, variable, path, value, old)
    except RequestError as error:
        raise RequestError(f"the global variable {name!r}: {error.problem}", file=spec.file) from None
    changed = replace(
        section, contents=contents[: variable.offset] + new + contents[variable.offset + variable.size :]
    )
    return _with_map(spec, changed)


def _find(spec: Spec, name: str) -> tuple[GlobalVariable, list[str]]:
    """The variable, and the members that follow its name."""
    parts = name.split(".")
    # The names of static variables in functions have dots themselves: the longest name counts.
    for count in range(len(parts), 0, -1):
        if (variable := spec.variables.get(".".join(parts[:count]))) is not None:
            return variable, parts[count:]
    close = get_close_matches(name, spec.variables, n=3, cutoff=0.5)
    known = close or sorted(spec.variables)[:10]
    hint = f"{'did you mean' if close else 'there are'} {', '.join(known)}" if known else "the object has none"
    raise RequestError(f"there is no global variable {name!r}; {hint}", file=spec.file)


def _encode(spec: Spec, variable: GlobalVariable, path: list[str], value: values.Value, old: bytes) -> bytes:
    if not variable.type_id or spec.btf is None:
        return _encode_integer(spec, variable, path, value)
    btf, type_id = spec.btf, variable.type_id
    if isinstance(value, str):
        leaf = type_id
        for member in path:
            field: Field | None = btf.member(leaf, member)
            if field is None:
                break
            leaf = field.type
        else:
            value = values.from_text(btf, leaf, value)
    for member in reversed(path):
        value = {member: value}
    size = btf.size_of(type_id)
    if size > len(old):
        raise RequestError(f"its type has {size} bytes, but it has {len(old)}; the object is damaged")
    # An initialised array at the end of a struct that leaves its length open makes the variable larger than its type.
    return values.encode(btf, type_id, value, old[:size]) + old[size:]


def _encode_integer(spec: Spec, variable: GlobalVariable, path: list[str], value: values.Value) -> bytes:
    if path:
        raise RequestError("its members are not known without BTF; build with clang -g")
    if isinstance(value, bytes | bytearray) and len(value) == variable.size:
        return bytes(value)
    try:
        number = int(value, 0) if isinstance(value, str) else value
    except ValueError:
        number = None
    if not isinstance(number, int):
        raise RequestError(f"{value!r} is not a number, and the object has no BTF that says what else it could be")
    bits = 8 * variable.size
    if not -(1 << bits - 1) <= number < 1 << bits:
        raise RequestError(f"{number} does not fit its {variable.size} bytes")
    return (number & (1 << bits) - 1).to_bytes(variable.size, spec.byte_order)  # type: ignore[arg-type]


def _with_map(spec: Spec, changed: MapSpec) -> Spec:
    """``spec`` with one map exchanged, in its programs too."""
    programs: dict[str, ProgramSpec] = {}
    siblings = MappingProxyType(programs)
    for name, program in spec.programs.items():
        maps = program.maps
        if changed.name in maps:
            maps = MappingProxyType({**maps, changed.name: changed})
        programs[name] = replace(program, maps=maps, siblings=siblings)
    return replace(spec, maps=MappingProxyType({**spec.maps, changed.name: changed}), programs=siblings)
