"""The table of helpers: complete, consistent, and what the running kernel answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skep.errors import RequestError
from skep.objects.kinds import AttachType, ProgramType
from skep.stdlib import permissions, prototypes
from skep.stdlib.prototype import Argument, ArgumentFlag, ArgumentKind, HelperPrototype, ReturnKind
from tests.programs import kernel_oracle as kernel
from tests.stdlib import kernel_probe as probe

HEADER = Path("/usr/include/linux/bpf.h")
needs_kernel = pytest.mark.skipif(
    not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18"
)
#: Types whose programs are loaded as they are, with neither attach type nor target.
PLAIN = {site.program: site for site in reversed(probe.SITES)}


def test_every_helper_of_linux_6_18_has_a_name_and_a_prototype() -> None:
    assert sorted(prototypes.NAMES) == list(range(1, 212))
    assert len(prototypes.NUMBERS) == 211
    assert prototypes.name(208) == "ktime_get_tai_ns"
    assert prototypes.number("bpf_map_lookup_elem") == prototypes.number("map_lookup_elem") == 1


@pytest.mark.skipif(not HEADER.exists(), reason="needs the kernel's headers")
def test_names_and_numbers_are_those_of_the_headers() -> None:
    text = HEADER.read_text()
    listed = dict(enumerate(re.findall(r"^\s+FN\((\w+)\),", text, re.M)))
    numbered = {int(number): name for name, number in re.findall(r"^\s+FN\((\w+), (\d+),", text, re.M)}
    for number, name in (numbered or listed).items():
        if number:
            assert prototypes.name(number) == name


def test_permissions_name_only_helpers_that_exist() -> None:
    for names in permissions.PERMITTED.values():
        assert names <= set(prototypes.NUMBERS)
    assert {name for _, name in permissions.ATTACH} <= set(prototypes.NUMBERS)
    everyone = frozenset[str]().union(*permissions.PERMITTED.values())
    assert everyone == set(prototypes.NUMBERS)


def test_every_argument_has_the_name_of_its_parameter() -> None:
    for row in prototypes.ROWS:
        fixed = [name for name in row.parameters if name != "..."]
        # Two helpers have trailing arguments that the verifier does not look at.
        ignored = {"get_branch_snapshot": 1, "get_cgroup_classid": len(fixed)}.get(row.name, 0)
        assert len(fixed) - len(row.arguments) in (0, ignored), row.name


def test_memory_is_followed_by_its_size_or_has_one_of_its_own() -> None:
    sizes = (ArgumentKind.SIZE, ArgumentKind.SIZE_OR_ZERO)
    for row in prototypes.ROWS:
        kinds = [argument.kind for argument in row.arguments] + [None]
        for argument, following in zip(row.arguments, kinds[1:], strict=False):
            if argument.kind is ArgumentKind.MEMORY:
                assert (following in sizes) != bool(argument.size), row.name
            if argument.kind in sizes:
                before = row.arguments[row.arguments.index(argument) - 1]
                assert before.kind is ArgumentKind.MEMORY, row.name


def test_a_program_type_gets_its_own_row_where_it_has_one() -> None:
    cookie = prototypes.number("get_socket_cookie")
    assert prototypes.prototype(cookie).arguments[0].kind is ArgumentKind.CONTEXT
    assert prototypes.prototype(cookie, ProgramType.TRACING).arguments[0].kind is ArgumentKind.BTF_SOCK_COMMON
    assert prototypes.prototype(cookie, ProgramType.XDP) is prototypes.prototype(cookie)


def test_releases_and_effects_are_read_off_the_row() -> None:
    release = prototypes.prototype(prototypes.number("sk_release"))
    assert release.releases == 0
    assert not release.acquires
    store = prototypes.prototype(prototypes.number("skb_store_bytes"))
    assert store.changes_packet
    assert store.releases is None
    assert prototypes.prototype(prototypes.number("csum_diff")).packet_access


def test_a_helper_may_depend_on_the_attach_type() -> None:
    bind = prototypes.number("bind")
    address = ProgramType.CGROUP_SOCK_ADDR
    assert prototypes.permitted(bind, address)
    assert prototypes.permitted(bind, address, AttachType.CGROUP_INET4_CONNECT)
    assert not prototypes.permitted(bind, address, AttachType.CGROUP_INET4_BIND)
    assert not prototypes.permitted(bind, ProgramType.XDP)
    assert not prototypes.permitted(999, ProgramType.XDP)


@pytest.mark.parametrize(("ask", "message"), [(0, "no helper number 0"), (212, "Linux 6.18 has 1 to 211")])
def test_an_unknown_number_is_one_clear_sentence(ask: int, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        prototypes.prototype(ask)


def test_an_unknown_name_is_one_clear_sentence() -> None:
    with pytest.raises(RequestError, match="no helper named bpf_map_loookup"):
        prototypes.number("bpf_map_loookup")


@needs_kernel
@pytest.mark.parametrize("site", probe.SITES, ids=lambda site: f"{site.program.label} {site.attach or ''}")
def test_the_kernel_permits_the_helpers_that_the_table_permits(site: probe.Site) -> None:
    there = {name for number, name in prototypes.NAMES.items() if probe.permitted(site, number)}
    here = {prototypes.NAMES[number] for number in prototypes.permitted_numbers(site.program, site.attach)}
    assert here - set(permissions.UNMEASURED_HELPERS) == there


@needs_kernel
def test_without_the_right_to_watch_the_kernel_permits_less() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs all rights, to give some up")
    asked = subprocess.run(
        [sys.executable, "-m", "tests.stdlib.kernel_probe", "--without-perfmon"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = asked.stdout.splitlines()
    assert len(lines) > 20
    for line in lines:
        program, attach, *names = line.split()
        here = prototypes.permitted_numbers(
            ProgramType[program.upper()], None if attach == "-" else AttachType[attach.upper()], perfmon=False
        )
        assert {prototypes.NAMES[number] for number in here} - set(permissions.UNMEASURED_HELPERS) == set(names), line


@needs_kernel
def test_licence_and_sleep_are_the_kernels() -> None:
    for number, name in prototypes.NAMES.items():
        for site in PLAIN.values():
            if site.program is not ProgramType.STRUCT_OPS and prototypes.permitted(number, site.program, site.attach):
                if name in permissions.UNMEASURED_HELPERS:
                    continue
                row = prototypes.prototype(number, site.program)
                assert probe.gpl_only(site, number) == row.gpl_only, name
                if site.program is not ProgramType.SYSCALL:
                    assert probe.might_sleep(site, number) == row.might_sleep, name
                break


#: What the verifier expects in a register, in its own words, and which of the values that we can pass it accepts.
MEMORY = "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_"
BTF = "ptr_, trusted_ptr_, rcu_ptr_"
SOCKETS = "sock_common, sock, tcp_sock, xdp_sock"
EXPECTED: dict[ArgumentKind, tuple[str, set[str]]] = {
    ArgumentKind.ANYTHING: (
        "",
        {"context", "map", "stack", "map value", "read-only", "null", "eight", "unknown"},
    ),
    ArgumentKind.MAP: ("map_ptr", {"map"}),
    ArgumentKind.MAP_KEY: (MEMORY, {"stack", "map value", "read-only"}),
    ArgumentKind.MAP_VALUE: (MEMORY, {"stack", "map value", "read-only"}),
    ArgumentKind.MEMORY: (MEMORY, {"stack", "map value", "read-only"}),
    ArgumentKind.SIZE: ("", {"eight"}),
    ArgumentKind.SIZE_OR_ZERO: ("", {"null", "eight"}),
    ArgumentKind.ALLOCATION_SIZE: ("", {"null", "eight"}),
    ArgumentKind.CONTEXT: ("ctx", {"context"}),
    ArgumentKind.FUNCTION: ("func", set()),
    ArgumentKind.STACK: ("fp", {"stack"}),
    ArgumentKind.CONSTANT_STRING: ("map_value", set()),
    ArgumentKind.SPIN_LOCK: ("map_value, ptr_", set()),
    ArgumentKind.TIMER: ("map_value", set()),
    ArgumentKind.KPTR_PLACE: ("map_value, ptr_", set()),
    ArgumentKind.DYNPTR: ("fp, dynptr_ptr", set()),
    ArgumentKind.RINGBUF_MEMORY: ("ringbuf_mem", set()),
    ArgumentKind.SOCKET: ("sock", set()),
    ArgumentKind.SOCK_COMMON: (SOCKETS, set()),
    ArgumentKind.BTF_SOCK_COMMON: (f"{SOCKETS}, ptr_, trusted_ptr_", set()),
    ArgumentKind.BTF_ID: (BTF, set()),
    ArgumentKind.PERCPU_BTF_ID: ("percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_", set()),
}


#: Something of each kind that every program can pass.
VALUE_FOR = {
    ArgumentKind.CONTEXT: "context",
    ArgumentKind.MAP: "map",
    ArgumentKind.MEMORY: "map value",
    ArgumentKind.MAP_KEY: "map value",
    ArgumentKind.MAP_VALUE: "map value",
    ArgumentKind.SIZE: "eight",
    ArgumentKind.SIZE_OR_ZERO: "eight",
    ArgumentKind.ANYTHING: "null",
}


def _accepted(argument: Argument, following: Argument | None) -> set[str]:
    found = set(EXPECTED[argument.kind][1])
    if argument.maybe_null:
        found.add("null")
    sized_later = following is not None and following.kind in (ArgumentKind.SIZE, ArgumentKind.SIZE_OR_ZERO)
    if ArgumentFlag.WRITE in argument.flags and not sized_later:
        found.discard("read-only")
    if argument.kind is ArgumentKind.DYNPTR and ArgumentFlag.UNINITIALISED in argument.flags:
        found.add("stack")
    return found


def _sized_memory(row: HelperPrototype) -> list[int]:
    arguments = enumerate(row.arguments[:-1])
    return [index for index, argument in arguments if argument.kind is ArgumentKind.MEMORY and not argument.size]


def _sites_of(row: HelperPrototype) -> Iterator[probe.Site]:
    for site in probe.SITES:
        if prototypes.permitted(row.number, site.program, site.attach):
            if (
                prototypes.prototype(row.number, site.program) is not row
                or row.name in permissions.UNMEASURED_HELPERS
            ):
                continue
            if row.might_sleep == (site.program is ProgramType.SYSCALL):
                yield site


@needs_kernel
@pytest.mark.parametrize("row", prototypes.ROWS, ids=lambda row: f"{row.name} {sorted(row.programs or [])}")
def test_the_kernel_accepts_the_arguments_that_the_row_says(row: HelperPrototype) -> None:
    site = next(_sites_of(row), None)
    if site is None:
        pytest.skip("this kernel lets no program of a measured type call the helper")
    with probe.values() as held:
        assert ("R1 !read_ok" in probe.complaint(site, held, row.number, [])) == bool(row.arguments)
        passed: list[str] = []
        for index, argument in enumerate(row.arguments):
            last = index + 1 == len(row.arguments)
            following = None if last else row.arguments[index + 1]
            words, _ = EXPECTED[argument.kind]
            accepted = set()
            for value in EXPECTED[ArgumentKind.ANYTHING][1]:
                said = probe.complaint(site, held, row.number, [*passed, value])
                # A map of the wrong type, a reference never released and flags are complaints after the arguments.
                later = (
                    rf"R{index + 2} !read_ok|cannot pass map_type|reference leak|expected prog array|non-zero flags"
                )
                if not said or re.search(later, said):
                    accepted.add(value)
                elif (found := re.search(r"expected=(.*)", said)) and words:
                    assert found[1] == words, f"argument {index + 1}"
            wanted = _accepted(argument, following)
            assert accepted == wanted, f"argument {index + 1}: {argument}"
            usable = [value for value in ("context", "map", "map value", "eight", "null") if value in wanted]
            if not usable:
                return
            passed.append(usable[0])


@needs_kernel
@pytest.mark.parametrize(
    "row",
    [row for row in prototypes.ROWS if _sized_memory(row)],
    ids=lambda row: f"{row.name} {sorted(row.programs or [])}",
)
def test_memory_that_is_written_may_not_be_read_only(row: HelperPrototype) -> None:
    site = next(_sites_of(row), None)
    pairs = _sized_memory(row)
    if site is None:
        pytest.skip("this kernel lets no program of a measured type call the helper")
    with probe.values() as held:
        for index in pairs:
            before = [VALUE_FOR.get(argument.kind) for argument in row.arguments[: index + 2]]
            if None in before:
                continue
            passed = [one for one in before if one is not None]
            passed[index] = "read-only"
            refused = "write into map forbidden" in probe.complaint(site, held, row.number, passed)
            assert refused == (ArgumentFlag.WRITE in row.arguments[index].flags), f"argument {index + 1}"


#: How the verifier's log shows what a call returned.
SHOWN = {
    ReturnKind.INTEGER: "scalar",
    ReturnKind.MAP_VALUE: "map_value",
    ReturnKind.SOCKET: "sock",
    ReturnKind.TCP_SOCK: "tcp_sock",
    ReturnKind.SOCK_COMMON: "sock_common",
}


def _callable_rows() -> list[HelperPrototype]:
    """The rows whose arguments are all of kinds that every program can pass."""
    return [
        row
        for row in prototypes.ROWS
        if all(argument.kind in VALUE_FOR for argument in row.arguments)
        and row.name != "tail_call"
        and next(_sites_of(row), None) is not None
    ]


@needs_kernel
@pytest.mark.parametrize("row", _callable_rows(), ids=lambda row: f"{row.name} {sorted(row.programs or [])}")
def test_the_kernel_finds_in_r0_what_the_row_says(row: HelperPrototype) -> None:
    with probe.values() as held:
        passed = [VALUE_FOR[argument.kind] for argument in row.arguments]
        shown = probe.returned(next(_sites_of(row)), held, row.number, passed)
    if "cannot pass map_type" in shown:
        pytest.skip("the helper needs a map of another type")
    if row.returns.kind is ReturnKind.VOID:
        assert "!read_ok" in shown
        return
    found = re.search(r"R0(?:_w)?=(\w+)", shown)
    assert found is not None, shown
    # A number that is known is shown as itself.
    kind = "scalar" if found[1].isdecimal() else found[1].removesuffix("_or_null")
    if row.returns.kind is ReturnKind.BTF_ID:
        assert "ptr_" in kind
    else:
        assert kind == SHOWN[row.returns.kind]
    assert found[1].endswith("_or_null") == row.returns.maybe_null
    assert ("ref_obj_id" in shown) == row.acquires


@needs_kernel
@pytest.mark.parametrize("row", _callable_rows(), ids=lambda row: f"{row.name} {sorted(row.programs or [])}")
def test_packet_pointers_are_void_after_the_calls_that_the_row_says(row: HelperPrototype) -> None:
    asked = 0
    for program in (ProgramType.SCHED_CLS, ProgramType.XDP, ProgramType.LWT_XMIT, ProgramType.LWT_SEG6LOCAL):
        if not prototypes.permitted(row.number, program) or prototypes.prototype(row.number, program) is not row:
            continue
        data, end = (0, 4) if program is ProgramType.XDP else (76, 80)
        with probe.values() as held:
            passed = [VALUE_FOR[argument.kind] for argument in row.arguments]
            said = probe.use_of_packet_after(probe.Site(program), held, row.number, passed, data, end)
        if re.search("cannot pass map_type|reference leak|might sleep", said):
            continue
        asked += 1
        assert ("invalid mem access 'scalar'" in said) == row.changes_packet, said
        assert said == "" or row.changes_packet, said
    if not asked:
        pytest.skip("no measured type with a packet can make the call")
