"""Values of the map ``.kconfig``: what a program asks of the kernel's configuration, as bytes of the type it asks
with.

``CONFIG_…`` names are options of the kernel's build; a few names in ``LINUX_…`` are facts about it. An option that
is off is not in the kernel's list: then a weak value is zero, and any other is an error, since the program cannot
do without. Source: the kinds of variable and their conversions are those that libbpf documents for ``__kconfig``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from skep.btf import Array, Btf, Enumeration, Int
from skep.errors import ObjectError
from skep.objects.spec import GlobalVariable, MapSpec

#: An option's letter as an enumeration of three states has it: no, yes, module.
_STATES = {"n": 0, "y": 1, "m": 2}


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """What a kernel says of itself: its options (name to value as a ``.config`` writes it), and facts by their
    LINUX_… name.
    """

    options: Callable[[], Mapping[str, str]]
    facts: Mapping[str, Callable[[], int]]


def with_configuration(spec: MapSpec, btf: Btf, settings: KernelSettings) -> bytes:
    """The contents of a ``.kconfig`` map for one kernel; values that are set already stay. Raises ObjectError
    naming one.
    """
    contents = bytearray(spec.contents or bytes(spec.value_size))
    for variable in spec.configuration:
        place = slice(variable.offset, variable.offset + variable.size)
        if not any(contents[place]):
            contents[place] = _value(variable, btf, settings)
    return bytes(contents)


def _value(variable: GlobalVariable, btf: Btf, settings: KernelSettings) -> bytes:
    name = variable.name
    if name in settings.facts:
        return _integer(variable, btf, settings.facts[name](), name)
    if name.startswith("LINUX_"):
        text = None
    else:
        text = settings.options().get(name)
    if text is None:
        if variable.weak:
            return bytes(variable.size)
        raise ObjectError(
            f"the program needs {name}, and the kernel's configuration has no such value; "
            "declare it __weak to do without"
        )
    return _convert(variable, btf, text)


def _convert(variable: GlobalVariable, btf: Btf, text: str) -> bytes:
    type = btf.resolve(variable.type_id)
    misfit = ObjectError(
        f"{variable.name} is {text} in the kernel's configuration, which its type here cannot hold; "
        "options are bool, char, integers, char arrays and enum libbpf_tristate"
    )
    if text in _STATES:
        match type:
            case Int(is_bool=True) if text != "m":
                return _integer(variable, btf, int(text == "y"), text)
            case Enumeration(name="libbpf_tristate"):
                return _integer(variable, btf, _STATES[text], text)
            case Int(size=1, is_bool=False):
                return text.encode("ascii")
        raise misfit
    if text.startswith('"'):
        if not (isinstance(type, Array) and btf.size_of(type.element) == 1):
            raise misfit
        # Cut to the room there is, with a zero at the end in any case.
        return text.strip('"').encode()[: variable.size - 1].ljust(variable.size, b"\0")
    if not isinstance(type, Int) or type.is_bool:
        raise misfit
    try:
        return _integer(variable, btf, int(text, 0), text)
    except ValueError:
        raise misfit from None


def _integer(variable: GlobalVariable, btf: Btf, number: int, text: str) -> bytes:
    type = btf.resolve(variable.type_id)
    signed = isinstance(type, Int | Enumeration) and type.signed
    try:
        return number.to_bytes(variable.size, btf.byte_order, signed=signed)
    except OverflowError:
        raise ObjectError(
            f"{variable.name} is {text} for this kernel, which does not fit its {variable.size} bytes"
        ) from None
