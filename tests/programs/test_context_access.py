"""Every offset, size and direction of access to every context: the table and the running kernel agree."""

from __future__ import annotations

import os

import pytest

from skep.errors import UnsupportedError
from skep.isa.instruction import Instruction
from skep.objects.kinds import AttachType, ProgramType
from skep.programs import KINDS, FieldKind, ProgramKind, of
from tests.programs import kernel_oracle as kernel

needs_kernel = pytest.mark.skipif(
    not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18"
)
LOAD = {1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79}
STORE = {1: 0x73, 2: 0x6B, 4: 0x63, 8: 0x7B}
EXIT = (Instruction(0xB7), Instruction(0x95))


def _accepted(program: ProgramType, attach: AttachType | None, *code: Instruction) -> bool:
    answer = kernel.load(program, code, attach_type=attach or 0, log_level=0)
    if answer.accepted:
        os.close(answer.fd)
    return answer.accepted


@needs_kernel
@pytest.mark.parametrize(
    ("program", "attach"),
    [
        *((kind, None) for kind in KINDS if kind is not ProgramType.RAW),
        (ProgramType.XDP, AttachType.XDP_DEVMAP),
        (ProgramType.CGROUP_SKB, AttachType.CGROUP_INET_EGRESS),
    ],
)
def test_the_kernel_permits_what_the_table_permits(program: ProgramType, attach: AttachType | None) -> None:
    kind = of(program)
    for size in (1, 2, 4, 8):
        for offset in range(kind.context_size + 8):
            load = _accepted(program, attach, Instruction(LOAD[size], 0, 1, offset), *EXIT)
            store = _accepted(program, attach, Instruction(0xB7), Instruction(STORE[size], 1, 0, offset), *EXIT)
            here = kind.field_at(offset, size, attach_type=attach)
            there = kind.field_at(offset, size, attach_type=attach, write=True)
            assert (here is not None, there is not None) == (load, store), f"{size} bytes at {offset}"


@needs_kernel
@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.fields], ids=lambda kind: kind.label)
def test_the_kernel_knows_the_pointers_by_the_same_kind(kind: ProgramKind) -> None:
    names = {
        FieldKind.PACKET: "pkt(",
        FieldKind.PACKET_END: "pkt_end(",
        FieldKind.PACKET_META: "pkt_meta(",
        FieldKind.FLOW_KEYS: "flow_keys(",
        FieldKind.SOCKET: "sock_common_or_null(",
        FieldKind.SCALAR: "scalar(",
    }
    for row in kind.fields:
        attach = next(iter(kind.attach_fields.get(row.name, [None])))
        size = max(row.reads)
        code = (Instruction(LOAD[size], 0, 1, row.offset), Instruction(0xBF, 7, 0), *EXIT)
        answer = kernel.load(kind.type, code, attach_type=attach or 0, log_level=2)
        if answer.accepted:
            os.close(answer.fd)
        assert f"R0={names[row.kind]}" in answer.log.replace("R0_w=", "R0="), (row.name, answer.log)


def test_a_field_is_found_by_offset_and_name_and_refused_where_it_is_not() -> None:
    xdp = of(ProgramType.XDP)
    assert xdp.field_at(4, 4) == xdp.field_named("data_end")
    assert xdp.field_at(4, 2) is None
    assert xdp.field_at(4, 4, write=True) is None
    assert xdp.field_at(20, 4) is None
    assert xdp.field_at(20, 4, attach_type=AttachType.XDP_DEVMAP) == xdp.field_named("egress_ifindex")
    tc = of(ProgramType.SCHED_CLS)
    assert tc.field_at(48, 8, write=True) == tc.field_named("cb")
    assert tc.field_at(52, 8, write=True) is None
    assert tc.field_named("tc_index").native_size == 2


def test_return_values_have_the_names_that_c_programs_write() -> None:
    assert of(ProgramType.XDP).return_name(2) == "XDP_PASS"
    assert of(ProgramType.XDP).return_name(5) is None
    assert of(ProgramType.SCHED_CLS).return_name(0xFFFFFFFF) == "TC_ACT_UNSPEC"
    assert of(ProgramType.SCHED_CLS).return_name((1 << 64) - 1) == "TC_ACT_UNSPEC"
    assert of(ProgramType.FLOW_DISSECTOR).return_name(129) == "BPF_FLOW_DISSECTOR_CONTINUE"
    assert of(ProgramType.RAW).return_name(0) is None


def test_an_unknown_type_is_one_clear_sentence() -> None:
    with pytest.raises(
        UnsupportedError, match=r"programs of type kprobe cannot run here.*known are raw, socket_filter"
    ):
        of(ProgramType.KPROBE)
