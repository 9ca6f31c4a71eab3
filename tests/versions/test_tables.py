"""The tables of versions: complete, in the order of the kernel's numbers, and as headers and sources of kernels show.

SKEP_KERNELS may name a folder that holds, under the name of a version (``6.1``), ``include/uapi/linux/bpf.h`` of it,
and the C sources in which kernel functions are listed, for as many versions as are at hand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from skep.isa import TABLE
from skep.objects.kinds import AttachType, MapType, ProgramType
from skep.programs import KINDS
from skep.stdlib.kfuncs import KFUNCS as KNOWN_KFUNCS
from skep.stdlib.permissions import PERMITTED
from skep.stdlib.prototypes import NAMES
from skep.versions import LATEST, NEWEST, OLDEST, KernelVersion, fields, kinds, replacements
from skep.versions.helpers import HELPERS
from skep.versions.helpers_by_type import LATER
from skep.versions.instructions import family_of
from skep.versions.kfuncs import KFUNCS
from skep.versions.table import by_name

HEADER = Path("/usr/include/linux/bpf.h")
FOLDER = os.environ.get("SKEP_KERNELS")
KERNELS = sorted(Path(FOLDER).iterdir()) if FOLDER else []


def installed() -> list[tuple[str, Path]]:
    """The version of the headers that are installed here, and the one that is asked for."""
    place = HEADER.with_name("version.h")
    if not (HEADER.exists() and place.exists()):
        return []
    numbers = dict(re.findall(r"#define LINUX_VERSION_(MAJOR|PATCHLEVEL) (\d+)", place.read_text()))
    return [(f"{numbers['MAJOR']}.{numbers['PATCHLEVEL']}", HEADER)] if len(numbers) == 2 else []


#: Versions and their headers.
HEADERS = installed() + [(path.name, path / "include/uapi/linux/bpf.h") for path in KERNELS]


def given(cases: Sequence[Any], what: str) -> Any:
    """The cases, or one that is skipped and says what is missing."""
    return cases or [pytest.param(None, marks=pytest.mark.skip(reason=f"there are no {what}"))]


#: Kernel functions that are there only for the kernel's own tests.
OF_TESTS = {
    "bpf_kfunc_call_test_release",
    "bpf_kfunc_call_memb_release",
    "bpf_fentry_test1",
    "bpf_modify_return_test",
    "bpf_modify_return_test2",
    "bpf_modify_return_test_tp",
}


def not_falling(versions: Iterable[KernelVersion]) -> bool:
    listed = list(versions)
    return listed == sorted(listed)


def test_every_helper_has_a_version_and_they_came_in_the_order_of_their_numbers() -> None:
    assert list(HELPERS) == [NAMES[number] for number in sorted(NAMES)]
    assert not_falling(HELPERS.values())


def test_every_kind_of_program_map_and_attachment_has_a_version() -> None:
    assert set(kinds.PROGRAM_TYPES) == set(ProgramType) - {ProgramType.RAW, ProgramType.UNSPEC}
    assert set(kinds.MAP_TYPES) == set(MapType) - {MapType.UNSPEC}
    assert set(kinds.ATTACH_TYPES) == set(AttachType)
    assert not_falling(since for _, since in sorted(kinds.PROGRAM_TYPES.items()))
    assert not_falling(since for _, since in sorted(kinds.MAP_TYPES.items()))
    assert not_falling(since for _, since in sorted(kinds.ATTACH_TYPES.items()))
    assert not_falling(since for _, _, since in kinds.MAP_FLAGS)
    assert not_falling(since for _, _, since in kinds.LOAD_FLAGS)


def test_every_kernel_function_that_programs_may_call_has_a_version() -> None:
    assert set(KNOWN_KFUNCS) - set(KFUNCS) == OF_TESTS


def test_every_field_of_the_contexts_that_are_known_has_a_version() -> None:
    assert list(fields.XDP) != []
    assert {one.name for one in KINDS[ProgramType.XDP].fields} == set(fields.XDP)
    for type, kind in KINDS.items():
        if type not in (ProgramType.XDP, ProgramType.RAW):
            assert {one.name for one in kind.fields} <= set(fields.SKB)


def test_no_version_lies_outside_what_is_known() -> None:
    every = [*HELPERS.values(), *KFUNCS.values(), *kinds.MAP_TYPES.values(), *kinds.ATTACH_TYPES.values()]
    assert max(every) == LATEST
    assert min(every) < OLDEST
    for since in {*every, *(KernelVersion.of(row.linux) for row in TABLE if row.linux)}:
        assert since < OLDEST or KernelVersion.parse(str(since)) == since


def test_every_instruction_that_came_later_says_what_older_kernels_say() -> None:
    named = {row.name for row in TABLE if row.linux not in (None, "3.18") and row.name != "call_kfunc"}
    assert {name for name in named if family_of(name) is None} == set()


def test_helpers_came_later_only_for_types_that_may_call_them_now() -> None:
    for (type, helper), (earliest, latest) in LATER.items():
        assert helper in PERMITTED[type], (type, helper)
        assert HELPERS[helper] <= earliest <= latest <= NEWEST
        assert kinds.PROGRAM_TYPES[type] <= latest


def test_what_is_used_instead_replaces_something_that_exists() -> None:
    assert set(replacements.HELPERS) <= set(HELPERS)
    assert set(replacements.MAP_TYPES) <= {one.name for one in MapType}
    assert set(replacements.PROGRAM_TYPES) <= {one.name for one in ProgramType}
    for start in replacements.KFUNCS:
        assert any(name.startswith(start) for name in KFUNCS)


def test_a_name_that_stands_in_two_rows_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="x stands in two rows"):
        by_name({"5.1": "x", "5.2": "y x"})


# What kernels themselves show.


def enumerated(text: str, name: str) -> list[str]:
    """The members of an enumeration of the header, in order; obsolete names for one are told by their equal sign."""
    found = re.search(rf"enum {name}\s*{{(.*?)}}", re.sub(r"/\*.*?\*/", "", text, flags=re.S), re.S)
    assert found is not None
    members = [member.strip() for member in found[1].split(",")]
    return [member for member in members if member and "=" not in member and not member.startswith("__")]


def helpers_of(text: str) -> list[str]:
    return [
        name for name in re.findall(r"\bFN\((\w+)(?:, \d+, ##ctx)?\)", text) if name not in ("unspec", "name", "x")
    ]


@pytest.mark.skipif(not HEADER.exists(), reason="needs the kernel's headers")
def test_the_tables_follow_the_order_of_the_installed_headers() -> None:
    text = HEADER.read_text()
    shown = helpers_of(text)
    assert shown == list(HELPERS)[: len(shown)]
    types = [name.removeprefix("BPF_PROG_TYPE_") for name in enumerated(text, "bpf_prog_type")[1:]]
    assert types == [one.name for one in sorted(kinds.PROGRAM_TYPES)][: len(types)]


@pytest.mark.parametrize("kernel", given(HEADERS, "headers of a kernel"), ids=lambda one: one and one[0])
def test_what_a_header_has_came_by_then_and_what_it_lacks_later(kernel: tuple[str, Path]) -> None:
    version = KernelVersion.of(kernel[0])
    text = kernel[1].read_text()

    assert helpers_of(text) == [name for name, since in HELPERS.items() if since <= version]

    program_types = {f"BPF_PROG_TYPE_{one.name}" for one, since in kinds.PROGRAM_TYPES.items() if since <= version}
    assert set(enumerated(text, "bpf_prog_type")[1:]) == program_types

    attach_types = {f"BPF_{one.name}" for one, since in kinds.ATTACH_TYPES.items() if since <= version}
    assert set(enumerated(text, "bpf_attach_type")) == attach_types

    shown = set(re.findall(r"\bBPF_MAP_TYPE_(\w+)", re.sub(r"/\*.*?\*/", "", text, flags=re.S)))
    for map_type, since in kinds.MAP_TYPES.items():
        assert (map_type.name in shown) == (since <= version), map_type

    flags = {int(bit): name for name, bit in re.findall(r"BPF_F_(\w+)\s*=?\s*\(1U << (\d+)\)", text)}
    named = set(re.findall(r"\bBPF_F_(\w+)\b", text))
    for bit, name, since in (*kinds.MAP_FLAGS, *kinds.LOAD_FLAGS):
        assert (name in named) == (since <= version), name
        assert since > version or f"BPF_F_{name}" in text
        assert bit.bit_length() - 1 in flags or since > version

    for structure, rows in (("__sk_buff", fields.SKB), ("xdp_md", fields.XDP)):
        body = re.search(rf"struct {structure} {{(.*?)\n}};", text, re.S)
        assert body is not None
        for name, since in rows.items():
            assert bool(re.search(rf"\b{name}\b", body[1])) == (since <= version), name


@cache
def callable_functions(kernel: Path) -> frozenset[str]:
    """What the sources list as kernel functions that programs may call."""
    found: set[str] = set()
    for path in kernel.rglob("*.c"):
        text = path.read_text(errors="replace")
        if "BTF_" in text:
            found.update(re.findall(r"BTF_ID(?:_FLAGS)?\(func, *(\w+)", text))
        if "__bpf_kfunc" in text:
            found.update(re.findall(r"__bpf_kfunc[^;{(]*?[\s*](\w+)\(", text))
    return frozenset(found)


WITH_SOURCES = [path for path in KERNELS if (path / "kernel/bpf/helpers.c").exists()]


@pytest.mark.parametrize(
    "kernel", given(WITH_SOURCES, "sources of a kernel in SKEP_KERNELS"), ids=lambda path: path and path.name
)
def test_the_sources_list_the_kernel_functions_that_came_by_then(kernel: Path) -> None:
    version, listed = KernelVersion.of(kernel.name), callable_functions(kernel)
    # Renamed or given up again before the version came out.
    gone = {
        "bpf_list_push_front",
        "bpf_list_push_back",
        "bpf_rbtree_add",
        "hid_bpf_attach_prog",
        "bpf_stream_vprintk",
    }
    wrong = {name for name, since in KFUNCS.items() if (name in listed) != (since <= version)} - gone
    assert wrong == set()


def helpers_by_type(kernel: Path) -> dict[str, set[str]]:
    """The helpers that the sources name for each program type, or for all of them."""
    functions: dict[str, str] = {}
    operations: dict[str, str] = {}
    for path in kernel.rglob("*.c"):
        text = path.read_text(errors="replace")
        if "bpf_func_proto" in text:
            signature = r"bpf_func_proto \*\s*(\w+)\(enum bpf_func_id func_id[^)]*\)\s*\{(.*?)\n\}"
            functions.update(re.findall(signature, text, re.S))
            for name, body in re.findall(r"struct bpf_verifier_ops (\w+)_verifier_ops[^=]*= \{(.*?)\}", text, re.S):
                if given := re.search(r"get_func_proto\s*=\s*(\w+)", body):
                    operations[name] = given[1]

    def named(function: str, seen: frozenset[str] = frozenset()) -> set[str]:
        body = functions.get(function, "")
        found = set(re.findall(r"case BPF_FUNC_(\w+):", body))
        for called in re.findall(r"(\w+)\(func_id(?:, prog)?\)", body):
            if called not in seen | {function}:
                found |= named(called, seen | {function})
        return found

    types = (kernel / "include/linux/bpf_types.h").read_text()
    rows = re.findall(r"BPF_PROG_TYPE\(BPF_PROG_TYPE_(\w+), (\w+)", types)
    return {type: named(operations[name]) for type, name in rows if name in operations}


@pytest.mark.parametrize(
    "kernel", given(WITH_SOURCES, "sources of a kernel in SKEP_KERNELS"), ids=lambda path: path and path.name
)
def test_the_sources_give_helpers_to_the_types_that_could_call_them_by_then(kernel: Path) -> None:
    version, found = KernelVersion.of(kernel.name), helpers_by_type(kernel)
    for (type, helper), (earliest, latest) in LATER.items():
        if version < earliest:
            assert helper not in found.get(type.name, set()), (type, helper)
        elif latest <= version:
            assert helper in found[type.name], (type, helper)
