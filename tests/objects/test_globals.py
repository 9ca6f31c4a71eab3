"""Data sections become maps with variables in them, and variables can be set before anything runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skep.btf import values
from skep.errors import RequestError
from skep.objects import MapReference, MapType, Spec, with_global
from tests.objects.samples import sample

RDONLY_PROG, MMAPABLE = 1 << 7, 1 << 10


def value(spec: Spec, name: str) -> values.Value:
    variable = spec.variables[name]
    contents = spec.maps[variable.map].contents
    assert contents is not None
    assert spec.btf is not None
    return values.decode(spec.btf, variable.type_id, contents[variable.offset : variable.offset + variable.size])


@pytest.mark.parametrize(
    ("name", "size", "flags", "frozen"),
    [
        (".data", 34, MMAPABLE, False),
        (".rodata", 48, RDONLY_PROG | MMAPABLE, True),
        (".bss", 40, MMAPABLE, False),
        (".data.named", 4, MMAPABLE, False),
        (".bss.named", 8, MMAPABLE, False),
        # Nothing outside can see what is in it, so libbpf does not map it into memory either.
        (".rodata.named", 4, RDONLY_PROG, True),
    ],
)
def test_a_data_section_is_an_array_of_one_element(name: str, size: int, flags: int, frozen: bool) -> None:
    section = sample("data").maps[name]
    assert (section.type, section.key_size, section.max_entries) == (MapType.ARRAY, 4, 1)
    assert (section.value_size, section.flags, section.frozen) == (size, flags, frozen)
    assert section.contents is not None
    assert len(section.contents) == size


@pytest.mark.parametrize("name", ["data", "data.big"])
def test_variables_have_their_places_and_values(name: str) -> None:
    spec = sample(name)
    assert value(spec, "counter") == 41
    assert value(spec, "hidden") == 0x1234
    assert value(spec, "negative") == -3
    assert value(spec, "enabled") is True
    assert value(spec, "table") == [1, 20, 300, 4000, 50000]
    assert value(spec, "zeroes") == [0, 0, 0, 0]
    assert value(spec, "settings") == {"limit": 99, "mode": "LOUD", "low": 5, "high": 17, "name": "skep"}


@pytest.mark.parametrize("name", ["data", "data.big", "data.plain"])
def test_every_access_to_a_variable_names_its_section_and_byte(name: str) -> None:
    spec = sample(name)
    program = spec["sum"]
    seen = set()
    starts = {(variable.map, variable.offset) for variable in spec.variables.values()}
    for slot, reference in program.references.items():
        assert isinstance(reference, MapReference)
        assert reference.offset is not None
        assert program.instructions[slot].src == 2
        assert program.instructions[slot + 1].imm == reference.offset
        seen.add((reference.map, reference.offset))
    assert seen == starts
    assert set(program.maps) == set(spec.maps)


def test_setting_a_variable_makes_another_spec() -> None:
    spec = sample("data")
    changed = with_global(spec, "counter", 7)
    assert value(changed, "counter") == 7
    assert value(spec, "counter") == 41
    assert changed["sum"].maps[".data"] is changed.maps[".data"]
    assert value(changed, "negative") == -3


@pytest.mark.parametrize(
    ("name", "given", "variable", "expected"),
    [
        ("counter", "0x10", "counter", 16),
        ("negative", -9, "negative", -9),
        ("negative", "-9", "negative", -9),
        ("enabled", "false", "enabled", False),
        ("table", [9, 8], "table", [9, 8, 300, 4000, 50000]),
        ("table", "[9, 8]", "table", [9, 8, 300, 4000, 50000]),
        ("settings.mode", "QUIET", "settings", {"limit": 99, "mode": "QUIET", "low": 5, "high": 17, "name": "skep"}),
        ("settings.high", 31, "settings", {"limit": 99, "mode": "LOUD", "low": 5, "high": 31, "name": "skep"}),
        ("settings", {"name": "hive", "low": 0}, "settings",
         {"limit": 99, "mode": "LOUD", "low": 0, "high": 17, "name": "hive"}),
        ("settings", '{"limit": 1}', "settings", {"limit": 1, "mode": "LOUD", "low": 5, "high": 17, "name": "skep"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sample_name", ["data", "data.big"])
def test_values_are_set_through_their_type(
    sample_name: str, name: str, given: values.Value, variable: str, expected: values.Value
) -> None:
    assert value(with_global(sample(sample_name), name, given), variable) == expected


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        ("cuonter", 1, "there is no global variable 'cuonter'; did you mean counter"),
        ("zzzzzz", 1, "there are counter, enabled, hidden"),
        ("settings.limits", 1, "there is no member 'limits'; there are limit, mode, low, high, name"),
        ("counter", 1 << 32, "does not fit 32 bits"),
        ("counter", "seven", "'seven' is not a number"),
        ("counter", 1.5, "1.5 is not a number"),
        ("settings.mode", "SOFT", "'SOFT' is not one of QUIET, LOUD"),
        ("settings.low", 8, "does not fit 3 bits, it has to be 0 to 7"),
        ("settings.name", "a name too long for it", "do not fit an array of 12"),
        ("enabled", 2, "neither true nor false"),
        ("table", [1] * 6, "6 elements do not fit an array of 5"),
        ("table", "[1, 2", "is not a list"),
        ("settings", "loud", "is not members and their values"),
        ("settings", "[" * 100_000, "is not members and their values"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, given: values.Value, problem: str) -> None:
    with pytest.raises(RequestError) as caught:
        with_global(sample("data"), name, given)
    assert problem in str(caught.value)


def test_a_variable_may_be_larger_than_its_type_and_not_smaller() -> None:
    spec = sample("data")
    settings = spec.variables["settings"]
    longer = replace(spec, variables={"settings": replace(settings, size=settings.size + 4)})
    assert value(with_global(longer, "settings.limit", 1), "settings")["limit"] == 1
    shorter = replace(spec, variables={"settings": replace(settings, size=settings.size - 4)})
    with pytest.raises(RequestError, match="its type has 24 bytes, but it has 20; the object is damaged"):
        with_global(shorter, "settings.limit", 1)


def test_without_btf_a_variable_is_an_integer_of_its_size() -> None:
    spec = sample("data.plain")
    changed = with_global(with_global(spec, "counter", "0x11223344"), "negative", -2)
    contents = changed.maps[".data"].contents
    assert contents is not None
    counter, negative = spec.variables["counter"], spec.variables["negative"]
    assert contents[counter.offset : counter.offset + 4] == b"\x44\x33\x22\x11"
    assert contents[negative.offset : negative.offset + 4] == b"\xfe\xff\xff\xff"
    for name, given, problem in (
        ("settings.limit", 1, "not known without BTF"),
        ("counter", 1 << 32, "does not fit its 4 bytes"),
        ("counter", "x", "not a number"),
    ):
        with pytest.raises(RequestError, match=problem):
            with_global(spec, name, given)
