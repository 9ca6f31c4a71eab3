"""States as the kernel's log writes them: ``R1=ctx() R2=scalar(umax=255,var_off=(0x0; 0xff)) fp-8=mmmm????``.

Formats as Linux 6.18 was seen to print them; ``tests/verifier`` compares logs line by line.
"""

from __future__ import annotations

from collections.abc import Sequence

from skep.verifier.answers.text import number_text
from skep.verifier.maps.facts import MapFacts
from skep.verifier.numbers.scalar import S32_MAX, S32_MIN, S64_MAX, S64_MIN, U32, Scalar, signed64
from skep.verifier.numbers.tnum import U64
from skep.verifier.states.register import NON_OWNING, SHIFTED, Kind, Register
from skep.verifier.states.slots import INVALID, MISC, SPILL, ZERO, Slot
from skep.verifier.states.stack_objects import Dynptr, DynptrType, IrqFlag, Iterator
from skep.verifier.states.state import Frame, State

_MAPS = frozenset({Kind.MAP, Kind.MAP_VALUE, Kind.MAP_KEY})
_PACKET = frozenset({Kind.PACKET, Kind.PACKET_META, Kind.PACKET_END})
_S16_MIN, _S16_MAX = -(1 << 15), (1 << 15) - 1


def signed_text(value: int) -> str:
    """A signed number: in decimal where that is short, otherwise in hexadecimal as 64 bits."""
    return str(value) if _S16_MIN <= value <= _S16_MAX else f"{value & U64:#x}"


def _as_32_bits(value: int) -> int:
    """A number of 32 bits as it is compared and printed: with its sign where it is written in decimal."""
    return value if _S16_MIN <= value <= _S16_MAX else value & U32


def ranges(number: Scalar) -> list[str]:
    """``smin=smin32=0``, ``umax=9``: ends that say something, those that are equal together."""
    ends = [
        ("smin", number.smin, number.smin == S64_MIN),
        ("smax", number.smax, number.smax == S64_MAX),
        ("umin", number.umin, number.umin == 0),
        ("umax", number.umax, number.umax == U64),
        ("smin32", _as_32_bits(number.smin32), number.smin32 == S32_MIN),
        ("smax32", _as_32_bits(number.smax32), number.smax32 == S32_MAX),
        ("umin32", number.umin32, number.umin32 == 0),
        ("umax32", number.umax32, number.umax32 == U32),
    ]
    parts: list[str] = []
    done: set[str] = set()
    for place, (name, value, says_nothing) in enumerate(ends):
        if says_nothing or name in done:
            continue
        # Of the same side, least or greatest.
        names = [name]
        for other, its, nothing in ends[place + 2 :: 2]:
            if not nothing and its == value and other not in done:
                names.append(other)
                done.add(other)
        text = signed_text(value) if name[0] == "s" else number_text(value)
        parts.append("=".join([*names, text]))
    return parts


def _scalar_parts(number: Scalar) -> list[str]:
    parts = ranges(number)
    if number.mask != U64:
        parts.append(f"var_off=({number.value:#x}; {number.mask:#x})")
    return parts


def register_text(one: Register, frame: int) -> str:
    """One register; ``frame`` is the frame that it is printed in."""
    number = one.scalar
    if one.kind is Kind.SCALAR and number.is_constant:
        return signed_text(signed64(number.value))
    name = one.type_name
    if one.kind is Kind.STACK:
        where = "" if one.frame == frame else f"[{one.frame}]"
        if number.is_constant:
            return f"{name}{where}{signed_text(one.offset + signed64(number.value))}"
        name += where
    elif one.kind is Kind.ARENA:
        return name
    elif one.kind is Kind.OBJECT:
        subject = getattr(one.subject, "name", None)
        name += subject if isinstance(subject, str) else ""
    return f"{name}({','.join(_parts(one))})"


def _parts(one: Register) -> list[str]:
    parts: list[str] = []
    if one.id:
        added = f"{one.offset:+d}" if one.kind is Kind.SCALAR and one.flags & SHIFTED else ""
        parts.append(f"id={one.id}{added}")
    if one.reference:
        parts.append(f"ref_obj_id={one.reference}")
    if one.flags & NON_OWNING:
        parts.append("non_own_ref")
    if one.kind in _MAPS and isinstance(one.subject, MapFacts):
        map = one.subject
        # The maps in a map have no name that is known here.
        parts += [f"map={map.name[:15]}"] if map.name and not map.is_template else []
        parts += [f"ks={map.key_size}", f"vs={map.value_size}"]
    if one.kind is not Kind.SCALAR and one.offset:
        parts.append(f"off={signed_text(one.offset)}")
    if one.kind in _PACKET and one.kind is not Kind.PACKET_END:
        parts.append(f"r={number_text(one.extent & U32) if one.extent >= 0 else number_text(one.extent & U64)}")
    if one.kind is Kind.MEMORY:
        parts.append(f"sz={number_text(one.extent)}")
    if one.kind is Kind.DYNPTR and isinstance(one.subject, DynptrType):
        parts.append(f"type={one.subject.value}")
    if one.kind is Kind.SCALAR or not one.scalar.is_constant:
        parts += _scalar_parts(one.scalar)
    elif one.scalar.value:
        parts.append(f"imm={signed_text(signed64(one.scalar.value))}")
    return parts


def slot_text(one: Slot, offset: int, frame: int, *, precise: bool = False) -> str | None:
    """One stack slot, with its offset; None for one that nothing was written to, or that another slot tells of."""
    match one.object:
        case Dynptr(type=type, id=id, reference=reference, position=position):
            owned = f"ref_id={reference}," if reference else ""
            return f"fp{offset}=dynptr_{type.value}(id={id},{owned}dynptr_id=1)" if not position else None
        case Iterator(name=name, reference=reference, progress=progress, depth=depth, position=position):
            state = f"ref_id={reference},state={progress.value},depth={depth}"
            return f"fp{offset}={name}({state})" if not position else None
        case IrqFlag():
            return f"fp{offset}={''.join(reversed(one.bytes))}"
        case _:
            pass
    if not one.bytes.strip(INVALID):
        return None
    if one.is_spill:
        # The log names the byte at the highest address first.
        others = "".join("" if byte == SPILL else byte for byte in reversed(one.bytes))
        mark = "P" if precise and one.register.kind is Kind.SCALAR else ""
        return f"fp{offset}={others}{mark}{register_text(one.register, frame)}"
    return f"fp{offset}={''.join(byte if byte in (MISC, ZERO) else '?' for byte in reversed(one.bytes))}"


def state_text(
    state: State,
    frame: Frame,
    registers: int | None = None,
    slots: int | None = None,
    precise: Sequence[int] = (0, 0),
) -> str:
    """The registers and slots of a frame, with a leading space; only those in the masks, where there are masks.

    ``precise`` are masks of the registers and slots whose numbers something depends on.
    """
    parts = [f" frame{frame.index}:"] if frame.index else []
    for index, one in enumerate(frame.registers):
        if one.kind is not Kind.NOT_INITIALISED and (registers is None or registers >> index & 1):
            mark = "P" if precise[0] >> index & 1 and one.kind is Kind.SCALAR else ""
            parts.append(f" R{index}={mark}{register_text(one, frame.index)}")
    for index, one_slot in enumerate(frame.slots):
        if slots is None or slots >> index & 1:
            text = slot_text(one_slot, -8 * (index + 1), frame.index, precise=bool(precise[1] >> index & 1))
            if text is not None:
                parts.append(f" {text}")
    held = _held(state)
    if held:
        parts.append(" refs=" + ",".join(map(str, held)))
    if frame.callback is not None:
        parts.append(" cb" if frame.index else " async_cb")
    return "".join(parts)


def _held(state: State) -> list[int]:
    """The ids of what was acquired, locks among them, in the order of acquisition: none where the first has none."""
    found: list[tuple[float, int]] = [(one.id, one.id) for one in (*state.references, *state.irqs)]
    found += [(one.since + 0.5, one.id) for one in state.locks]
    ids = [id for _, id in sorted(found)]
    return [id for id in ids if id] if ids and ids[0] else []
