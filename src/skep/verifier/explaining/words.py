"""What a register holds, in words for a person: ``a number from 0 to 255``, ``a value of map counts, or null``."""

from __future__ import annotations

import re

from skep.verifier.maps.facts import MapFacts
from skep.verifier.numbers.scalar import S32_MAX, S32_MIN, S64_MAX, S64_MIN, U32, Scalar, signed64
from skep.verifier.numbers.tnum import U64
from skep.verifier.states.register import MAYBE_NULL, READ_ONLY, RINGBUF, UNTRUSTED, Kind, Register

_LARGEST_DECIMAL = 1 << 20

#: What a pointer points to, in words; ``{map}`` is the map's name.
_KINDS = {
    Kind.CONTEXT: "the context",
    Kind.MAP: "the map {map}",
    Kind.MAP_VALUE: "a value of map {map}",
    Kind.MAP_KEY: "a key of map {map}",
    Kind.STACK: "the stack",
    Kind.PACKET: "the packet",
    Kind.PACKET_META: "the packet's metadata",
    Kind.PACKET_END: "the end of the packet",
    Kind.FLOW_KEYS: "the flow keys",
    Kind.SOCKET: "a socket",
    Kind.SOCK_COMMON: "a socket (common part)",
    Kind.TCP_SOCK: "a TCP socket",
    Kind.XDP_SOCK: "an XDP socket",
    Kind.TRACEPOINT_BUFFER: "the tracepoint's buffer",
    Kind.OBJECT: "a kernel object",
    Kind.MEMORY: "memory",
    Kind.BUFFER: "a buffer",
    Kind.FUNCTION: "a function",
    Kind.DYNPTR: "a dynptr",
}


def plain(value: int) -> str:
    """A number as people write it: decimal where that is short."""
    return str(value) if abs(value) < _LARGEST_DECIMAL else f"{'-' if value < 0 else ''}{abs(value):#x}"


def singular(text: str) -> str:
    """A sentence in which one byte or argument is not called several."""
    return re.sub(r"\b1 (byte|argument)s\b", r"1 \1", text)


def range_text(number: Scalar) -> str:
    """``from 0 to 255``, ``at least 5``, ``at most 9``; empty where neither end is known."""
    if number.umin == 0 and number.umax == U64:
        if number.smin > S64_MIN and number.smax < S64_MAX:
            return f"from {plain(number.smin)} to {plain(number.smax)} as a signed number"
        if number.smax < S64_MAX:
            return f"at most {plain(number.smax)} as a signed number, so it may be negative"
        if number.smin > S64_MIN:
            return f"at least {plain(number.smin)} as a signed number"
        return ""
    if number.umax == U64 or (number.umax > S64_MAX and number.smin < 0 and number.umin == 0):
        if number.umin:
            return f"at least {plain(number.umin)}, with no upper bound"
        return ""
    if number.umax == U32 and number.umin == 0:
        return "of 32 bits, any"
    return f"from {plain(number.umin)} to {plain(number.umax)}"


def number_words(number: Scalar) -> str:
    """A number, with what is known of it."""
    if number.is_constant:
        return f"the number {plain(signed64(number.value))}"
    text = range_text(number)
    if text:
        return "any number of 32 bits" if text == "of 32 bits, any" else f"a number {text}"
    if number.smin32 > S32_MIN or number.smax32 < S32_MAX or number.umax32 < U32:
        low, high = (number.umin32, number.umax32) if number.umax32 < U32 else (number.smin32, number.smax32)
        if low == high:
            return f"a number whose lower 32 bits are {plain(low)}, and whose upper are unknown"
        return f"a number whose lower 32 bits are from {plain(low)} to {plain(high)}, and whose upper are unknown"
    return "any number"


def place_words(pointer: Register) -> str:
    """Where in what it points to a pointer points: `` + 14``, `` + 0 to 255``."""
    scalar, fixed = pointer.scalar, pointer.offset
    if scalar.is_constant:
        total = fixed + signed64(scalar.value)
        return "" if not total else f" {'+' if total > 0 else '-'} {abs(total)}"
    if scalar.smin == S64_MIN or scalar.smax == S64_MAX:
        spread = "an unknown offset"
    else:
        low, high = (scalar.umin, scalar.umax) if scalar.umax <= S64_MAX else (scalar.smin, scalar.smax)
        spread = f"({plain(low)} to {plain(high)})"
    return f" + {spread}" + (f" {'+' if fixed > 0 else '-'} {abs(fixed)}" if fixed else "")


def kind_words(pointer: Register) -> str:
    """What a pointer points to, without where and without whether it is null."""
    kind, flags = pointer.kind, pointer.flags
    subject = pointer.subject
    map_name = subject.name if isinstance(subject, MapFacts) else "?"
    text = _KINDS.get(kind, kind.value).format(map=map_name)
    if kind is Kind.OBJECT:
        name = getattr(subject, "name", None)
        text = f"a struct {name}" if isinstance(name, str) and name else text
    if kind is Kind.MEMORY:
        text = "a ring buffer's record" if flags & RINGBUF else "read-only memory" if flags & READ_ONLY else text
        text += f" of {pointer.extent} bytes" if pointer.extent else ""
    if flags & UNTRUSTED:
        text += " that is not trusted"
    return text


def words(value: Register) -> str:
    """What a register holds."""
    if value.kind is Kind.NOT_INITIALISED:
        return "nothing"
    if value.kind is Kind.SCALAR:
        return number_words(value.scalar)
    if value.kind is Kind.STACK:
        return _stack_words(value)
    text = kind_words(value)
    if value.kind is not Kind.PACKET_END and value.kind is not Kind.MAP:
        text += place_words(value)
    if value.kind in (Kind.PACKET, Kind.PACKET_META) and value.extent > 0:
        text += f", with {value.extent} byte{'s' if value.extent > 1 else ''} known to be there"
        if not value.scalar.is_constant:
            text += " from where the known part starts"
    return text + (", or null" if value.flags & MAYBE_NULL else "")


def _stack_words(value: Register) -> str:
    scalar = value.scalar
    if not scalar.is_constant:
        return "the stack" + place_words(value)
    offset = value.offset + signed64(scalar.value)
    if not offset:
        return "the frame pointer"
    return f"the stack, {abs(offset)} bytes {'below' if offset < 0 else 'above'} the frame pointer"
