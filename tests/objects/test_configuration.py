"""Values of the kernel's configuration as programs ask for them: by type, weak or not, and what does not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skep.btf import BtfBuilder
from skep.errors import ObjectError
from skep.objects import GlobalVariable, MapSpec, MapType
from skep.objects.configuration import KernelSettings, with_configuration

BUILDER = BtfBuilder()
TYPES = {
    "bool": BUILDER.integer("_Bool", 1, is_bool=True),
    "char": BUILDER.integer("char", 1, signed=True),
    "int": BUILDER.integer("int", 4, signed=True),
    "u64": BUILDER.integer("unsigned long", 8),
    "state": BUILDER.enum("libbpf_tristate", {"TRI_NO": 0, "TRI_YES": 1, "TRI_MODULE": 2}),
}
TYPES["text"] = BUILDER.array(TYPES["char"], 6)
BTF = BUILDER.build()

SETTINGS = KernelSettings(
    options=lambda: {
        "CONFIG_ON": "y",
        "CONFIG_MODULE": "m",
        "CONFIG_NUMBER": "-5",
        "CONFIG_HEX": "0xffffffffff",
        "CONFIG_TEXT": '"longer than that"',
    },
    facts={"LINUX_KERNEL_VERSION": lambda: 0x061200},
)


def ask(name: str, type: str, *, weak: bool = False, contents: bytes | None = None) -> bytes:
    """What a program gets that asks for ``name`` as ``type``."""
    variable = GlobalVariable(name, ".kconfig", 0, BTF.size_of(TYPES[type]), TYPES[type], weak)
    spec = MapSpec(".kconfig", MapType.ARRAY, 4, variable.size, 1, configuration=(variable,))
    return with_configuration(replace(spec, contents=contents), BTF, SETTINGS)


@pytest.mark.parametrize(
    ("name", "type", "value"),
    [
        ("CONFIG_ON", "bool", b"\1"),
        ("CONFIG_ON", "char", b"y"),
        ("CONFIG_ON", "state", b"\1\0\0\0"),
        ("CONFIG_MODULE", "char", b"m"),
        ("CONFIG_MODULE", "state", b"\2\0\0\0"),
        ("CONFIG_NUMBER", "int", b"\xfb\xff\xff\xff"),
        ("CONFIG_HEX", "u64", b"\xff\xff\xff\xff\xff\0\0\0"),
        ("CONFIG_TEXT", "text", b"longe\0"),
        ("LINUX_KERNEL_VERSION", "int", b"\0\x12\x06\0"),
    ],
)
def test_a_value_has_the_bytes_of_its_type(name: str, type: str, value: bytes) -> None:
    assert ask(name, type) == value


@pytest.mark.parametrize(
    ("name", "type", "problem"),
    [
        ("CONFIG_OFF", "bool", "the program needs CONFIG_OFF, .* declare it __weak to do without"),
        ("LINUX_IS_TIRED", "int", "the program needs LINUX_IS_TIRED"),
        ("CONFIG_MODULE", "bool", "CONFIG_MODULE is m in .*, which its type here cannot hold"),
        ("CONFIG_ON", "int", "CONFIG_ON is y"),
        ("CONFIG_TEXT", "int", "CONFIG_TEXT is"),
        ("CONFIG_NUMBER", "text", "CONFIG_NUMBER is -5"),
        ("CONFIG_NUMBER", "u64", "CONFIG_NUMBER is -5 for this kernel, which does not fit its 8 bytes"),
        ("CONFIG_HEX", "int", "CONFIG_HEX is 0xffffffffff for this kernel, which does not fit its 4 bytes"),
    ],
)
def test_a_value_that_is_missing_or_does_not_fit_is_named(name: str, type: str, problem: str) -> None:
    with pytest.raises(ObjectError, match=problem):
        ask(name, type)


def test_a_weak_value_that_is_missing_is_zero() -> None:
    assert ask("CONFIG_OFF", "bool", weak=True) == b"\0"
    assert ask("LINUX_IS_TIRED", "int", weak=True) == bytes(4)


def test_a_value_that_is_set_already_stays() -> None:
    assert ask("CONFIG_NUMBER", "int", contents=b"\7\0\0\0") == b"\7\0\0\0"
