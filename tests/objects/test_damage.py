"""Whatever is wrong with a file is one clear error; nothing else comes out, however the bytes are damaged."""

from __future__ import annotations

import resource
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import skep.objects
from skep.btf import values
from skep.btf.c_dump import dump_c
from skep.errors import BtfError, ObjectError, RequestError, SkepError
from skep.objects import Spec, read
from tests.objects.samples import SAMPLES, build, build_text, clangs, sample_bytes

GIGABYTE = 1 << 30
SHT_REL, SHT_SYMTAB = 9, 2

needs_clang = pytest.mark.skipif(not clangs(), reason="clang is not installed")


@pytest.fixture(autouse=True, scope="module")
def _little_memory() -> Iterator[None]:
    """Damaged sizes must not become memory: an allocation of gigabytes fails here, and the test with it."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (2 * GIGABYTE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


def sections(data: bytes) -> dict[str, int]:
    """Where in a little-endian file the header of each section is, by name."""
    (table,) = struct.unpack_from("<Q", data, 40)
    count, names = struct.unpack_from("<HH", data, 60)
    (strings,) = struct.unpack_from("<Q", data, table + 64 * names + 24)
    found = {}
    for index in range(count):
        (name,) = struct.unpack_from("<I", data, table + 64 * index)
        found[data[strings + name : data.index(0, strings + name)].decode()] = table + 64 * index
    return found


def place(data: bytes, section: str) -> int:
    """Where the bytes of a section start."""
    found: int = struct.unpack_from("<Q", data, sections(data)[section] + 24)[0]
    return found


def patch(data: bytes, at: int, layout: str, *fields: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<" + layout, changed, at, *fields)
    return bytes(changed)


def problem_of(data: bytes) -> str:
    with pytest.raises(SkepError) as caught:
        read(data, "broken.o")
    text = str(caught.value)
    assert text.startswith("broken.o: ")
    assert "\n" not in text
    return text


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.o", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ObjectError) as caught:
            skep.objects.open(path)
        assert str(caught.value).startswith(f"{path}: the file cannot be read: {reason}")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b"\x7fELF", "the file is cut: 4 bytes"),
        (b"#!/bin/sh\n", "not an ELF object (it starts with 23 21 2f 62); build it with clang -target bpf -c"),
        (b"\x7fELF" + bytes(60), "byte order 0"),
    ],
)
def test_what_is_no_object_is_said_to_be_none(data: bytes, problem: str) -> None:
    assert problem in problem_of(data)


@pytest.mark.parametrize(
    ("at", "layout", "field", "problem"),
    [
        (18, "H", 62, "the object is for machine x86-64, not BPF; build it with clang -target bpf"),
        (18, "H", 263, "Solana's BPF"),
        (18, "H", 9999, "machine number 9999"),
        (16, "H", 2, "an executable, not a relocatable object"),
        (4, "B", 1, "not 64 bit"),
        (60, "H", 0, "there are no sections"),
        (58, "H", 0, "does not lie in the file"),
        (40, "Q", 1 << 62, "does not lie in the file"),
        (62, "H", 0xFFFF, "is to hold the section names"),
    ],
)
def test_a_damaged_header_is_explained(at: int, layout: str, field: int, problem: str) -> None:
    assert problem in problem_of(patch(sample_bytes("functions"), at, layout, field))


def test_a_cut_file_says_so_wherever_it_is_cut() -> None:
    data = sample_bytes("maps")
    for end in range(0, len(data), 97):
        problem_of(data[:end])


@needs_clang
def test_an_object_for_another_machine_is_named() -> None:
    data = build("bare", clangs()[-1], target="x86_64-linux-gnu")
    assert "is for machine x86-64, not BPF; build it with clang -target bpf" in problem_of(data)


def test_a_section_beyond_the_end_is_named() -> None:
    data = sample_bytes("functions")
    assert "ends at byte" in problem_of(patch(data, sections(data)["xdp"] + 32, "Q", 1 << 40))


def test_code_of_half_an_instruction_is_refused() -> None:
    data = sample_bytes("functions")
    assert "section xdp: 68 bytes of code are not a whole number" in problem_of(
        patch(data, sections(data)["xdp"] + 32, "Q", 68)
    )


def test_sections_that_share_bytes_are_refused() -> None:
    data = sample_bytes("functions")
    everything = patch(data, sections(data)[".BTF"] + 24, "QQ", 0, len(data))
    assert "they overlap; the file is damaged" in problem_of(everything)


def test_a_program_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(RequestError, match="there is no program 'plane'; there are plain, calls_middle"):
        read(sample_bytes("functions"))["plane"]


def test_a_huge_section_without_contents_is_refused() -> None:
    data = sample_bytes("data")
    assert "bytes of zeros are more than" in problem_of(patch(data, sections(data)[".bss"] + 32, "Q", 1 << 45))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        (0, 4, "a relocation is at no instruction"),
        (0, 1 << 20, "a relocation is at no instruction"),
        (8, 0xFFFFFF_00000001, "the relocation refers to symbol"),
        (8, 0x1_00000002, "a relocation of type 2"),
        (0, 8, "does not fit the instruction there (opcode 0x00)"),
    ],
)
def test_a_relocation_that_fits_nothing_is_refused(field: int, value: int, problem: str) -> None:
    data = sample_bytes("data")
    text = problem_of(patch(data, place(data, ".relxdp") + field, "Q", value))
    assert problem in text
    assert "section xdp" in text


@needs_clang
@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (
            "NUMBER(type, 99); NUMBER(max_entries, 1);",
            "the map 'm' has the unknown type 99; Linux 6.18 has types 1 to 33",
        ),
        ("NUMBER(max_entries, 1);", "the map 'm' has no type; write __uint(type, BPF_MAP_TYPE_...)"),
        ("NUMBER(type, HASH); NUMBER(size, 3);", "has the member 'size', which map definitions do not know"),
        ("NUMBER(type, HASH); NUMBER(key_size, 3); TYPE(key, u32);", "has a key of 4 bytes, but says key_size 3"),
        ("NUMBER(type, HASH); u32 key;", "has a key that is no pointer"),
        ("u32 type;", "has a member 'type' that holds no number"),
        ("NUMBER(type, HASH); struct nothing *value;", "has no size"),
    ],
)
def test_an_impossible_map_is_explained(definition: str, problem: str) -> None:
    source = f"""
        #include "bpf.h"
        struct {{ {definition} }} m SEC(".maps");
        SEC("xdp") int p(void *ctx) {{ u32 key = 0; return map_lookup_elem(&m, &key) != 0; }}
    """
    assert problem in problem_of(build_text(source, clangs()[-1], "-g", "-Wno-everything"))


@needs_clang
def test_maps_without_btf_are_explained() -> None:
    assert (
        "section .maps: what the section holds is described by BTF only, and there is none; build with clang -g"
        in (problem_of(build("maps", clangs()[-1])))
    )


@needs_clang
def test_an_older_map_definition_that_is_cut_or_says_more_is_refused() -> None:
    source = '#include "bpf.h"\nSEC("maps") u32 m[{}] = {{ 1, 4, 4, 1, 0, 0, 7 }};'
    clang = clangs()[-1]
    assert "has 16 bytes; struct bpf_map_def has 20" in problem_of(
        build_text(source.format(4), clang, "-Wno-everything")
    )
    assert "says more than type" in problem_of(build_text(source.replace("0, 0, 7", "0, 7").format(6), clang))
    assert read(build_text(source.format(7), clang)).maps["m"].pinning == 1


@needs_clang
def test_a_section_whose_name_says_nothing_is_kept_without_a_type() -> None:
    spec = read(build_text('#include "bpf.h"\nSEC("what/ever") int p(void *ctx) { return 1; }', clangs()[-1]))
    assert spec["p"].type is None
    assert spec["p"].section == "what/ever"


def test_an_object_without_programs_is_read() -> None:
    data = sample_bytes("bare")
    cleared = patch(data, sections(data)[".text"] + 8, "Q", 2)
    assert not read(cleared).programs


def use(spec: Spec) -> None:
    """What a user would do with what came out; it may fail, with an error of ours."""
    try:
        if spec.btf is not None:
            dump_c(spec.btf)
            for variable in spec.variables.values():
                contents = spec.maps[variable.map].contents or b""
                part = contents[variable.offset : variable.offset + variable.size]
                if variable.type_id:
                    values.decode(spec.btf, variable.type_id, part)
    except BtfError:
        pass


def check(data: bytes) -> None:
    """Reading ends in a spec or in an error of ours that names the file."""
    try:
        spec = read(data, "fuzzed.o")
    except SkepError as caught:
        error: SkepError | None = caught
    else:
        error = None
        use(spec)
    assert error is None or (str(error).startswith("fuzzed.o: ") and str(error).isprintable())


FUZZED = settings(
    max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow], derandomize=True, database=None
)
words = st.sampled_from([0, 1, 8, 9, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]) | st.integers(0, 0xFFFFFFFF)
samples = st.sampled_from(SAMPLES).map(sample_bytes)


@FUZZED
@given(st.binary(max_size=600))
@example(b"\x7fELF\2\1\1" + bytes(57))
def test_bytes_at_random(data: bytes) -> None:
    check(data)


@FUZZED
@given(st.binary(max_size=400), st.binary(min_size=44, max_size=44))
def test_a_header_with_bytes_at_random_behind_it(data: bytes, fields: bytes) -> None:
    check(b"\x7fELF\2\1\1" + bytes(9) + b"\1\0\xf7\0" + fields + data)


@FUZZED
@given(samples, st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 7)), min_size=1, max_size=12))
def test_flipped_bits(data: bytes, flips: list[tuple[int, int]]) -> None:
    changed = bytearray(data)
    for at, bit in flips:
        changed[at % len(data)] ^= 1 << bit
    check(bytes(changed))


@FUZZED
@given(samples, st.lists(st.tuples(st.integers(0, 1 << 20), words), min_size=1, max_size=4))
def test_other_words(data: bytes, changes: list[tuple[int, int]]) -> None:
    changed = bytearray(data)
    for at, word in changes:
        struct.pack_into("<I", changed, at % (len(data) // 4) * 4, word)
    check(bytes(changed))


@FUZZED
@given(samples, st.lists(st.tuples(st.integers(0, 1 << 20), words), min_size=1, max_size=3))
def test_other_section_headers(data: bytes, changes: list[tuple[int, int]]) -> None:
    changed = bytearray(data)
    order = "little" if data[5] == 1 else "big"
    table = int.from_bytes(data[40:48], order)  # type: ignore[arg-type]
    for at, word in changes:
        start = table + at % ((len(data) - table) // 4) * 4
        changed[start : start + 4] = word.to_bytes(4, order)  # type: ignore[arg-type]
    check(bytes(changed))


@FUZZED
@given(samples, samples, st.integers(0, 1 << 20), st.integers(0, 1 << 20), st.integers(1, 2000))
def test_pieces_of_one_object_in_another(data: bytes, other: bytes, to: int, start: int, size: int) -> None:
    to, start = to % len(data), start % len(other)
    check(data[:to] + other[start : start + size] + data[to + size :])


@FUZZED
@given(samples, st.integers(0, 1 << 20), st.integers(0, 1 << 20))
def test_missing_pieces(data: bytes, start: int, size: int) -> None:
    start %= len(data)
    check(data[:start] + data[start + size % (len(data) - start) :])
