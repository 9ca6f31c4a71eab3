"""What a memory access means that no cell of the execution covers: look the address up, check it, make a new cell.

A *cell* is what an instruction remembers of the memory it reached last: the first and the last address at which an
access of its size may begin, and a view whose first byte is the first address. Templates try the cell and come here
when it does not fit. Context accesses always come here, because what a program sees of a context is not what lies
in memory.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from skep.engines.interpreter.templates import FRAME_SIZE
from skep.errors import Fault
from skep.lang.layout import struct_type
from skep.memory import Region, RegionKind
from skep.memory.contexts import FlowKeys, Socket
from skep.objects.kinds import ProgramType
from skep.programs import FieldKind

if TYPE_CHECKING:
    from skep.engines.interpreter.execution import Execution

#: First and last address at which an access may begin, and the bytes from the first one on.
Cell = tuple[int, int, memoryview]

#: Memory that was looked up: its first address, the one past its last, its bytes, and whether they may be written.
Known = tuple[int, int, memoryview, bool]

#: A cell that covers nothing.
EMPTY: Final[Cell] = (1, 0, memoryview(b""))

READERS: Final = {size: Struct(f"={letter}") for size, letter in zip((1, 2, 4, 8), "BHIQ", strict=True)}

#: Structures that a field of the context points at: their size, and whether programs may write to them.
_POINTEES: Final = {
    FieldKind.FLOW_KEYS: (struct_type(FlowKeys).size, True),
    FieldKind.SOCKET: (struct_type(Socket).size, False),
}

#: An address below this is null and an offset, not a pointer that went astray.
_NULL_PAGE: Final = 4096

#: Memory that programs only ever hand to helpers.
_OPAQUE: Final = {
    RegionKind.MAP: "maps are reached through helpers only",
    RegionKind.CPU: "it belongs to the machine",
}


def reach(e: Execution, address: int, size: int, verb: str, *, store: bool) -> Known:
    """Check an access to memory that is no visible context field, and give all that may be accessed around it."""
    region = e.space.find(address, size)
    if region is None:
        raise stray(e, verb, size, address)
    if region.kind in _OPAQUE:
        problem = f"{verb} {_bytes(size)} {region.describe(address)}: {_OPAQUE[region.kind]}"
        raise Fault(problem, address=address, region=region)
    if store and not region.writable:
        raise Fault(
            f"{verb} {_bytes(size)} {region.describe(address)}, which is read-only", address=address, region=region
        )
    low, high = _bounds(e, region, address, size, verb, store)
    start = low - region.address
    return low, high, e.view(region)[start : start + high - low], region.writable


def _bounds(e: Execution, region: Region, address: int, size: int, verb: str, store: bool) -> tuple[int, int]:
    """From where to where accesses are in order, the one asked for among them; raises Fault if that one is not."""
    if region.kind is RegionKind.STACK:
        depth = e.stack.depth_of(region, address)
        if depth is None or depth > len(e.frames):
            owner = "a function that has returned" if depth is not None else "another run"
            raise Fault(
                f"{verb} {_bytes(size)} at {address:#x}, in the stack of {owner}", address=address, region=region
            )
        start = e.stack.frame_address(depth)
        if not start <= address <= start + FRAME_SIZE - size:
            raise stray(e, verb, size, address)
        return start, start + FRAME_SIZE
    if region.kind is RegionKind.CONTEXT:
        return _behind_context(e, region, address, size, verb, store)
    low, high = region.address, region.end
    if region.stride:
        low = address - (address - low) % region.stride
        high = low + region.element_size
    elif region.kind is RegionKind.PACKET and e.kind.type is not ProgramType.RAW:
        low, high = e.packet_bounds()
        if not low <= address <= address + size <= high:
            packet = Region("packet", low, max(high - low, 1), RegionKind.PACKET)
            problem = f"{verb} {_bytes(size)} at {address:#x}, {packet.describe(address)}"
            raise Fault(problem, address=address, region=packet)
    return low, high


def _behind_context(e: Execution, region: Region, address: int, size: int, verb: str, store: bool) -> tuple[int, int]:
    """Structures that the context points at lie behind it; a program reaches them once it has read that pointer."""
    for low, high, writable in e.granted:
        if low <= address and address + size <= high and (writable or not store):
            return low, high
    raise stray(e, verb, size, address)


def load_context(e: Execution, offset: int, size: int) -> int:
    """What a program reads at ``offset`` of its context."""
    row = e.kind.field_at(offset, size, attach_type=e.code.spec.attach_type)
    if row is None:
        raise _refused(e, "reads", offset, size)
    if row.kind is FieldKind.SCALAR:
        return _read(row.native_offset + offset - row.offset, size, e)
    value = _read(row.native_offset, 8, e)
    if row.kind in _POINTEES and value:
        length, writable = _POINTEES[row.kind]
        e.granted.append((value, value + length, writable))
    return value


def store_context(e: Execution, offset: int, size: int, value: int) -> None:
    """A program's store at ``offset`` of its context."""
    row = e.kind.field_at(offset, size, write=True, attach_type=e.code.spec.attach_type)
    if row is None:
        raise _refused(e, "writes", offset, size)
    if row.ignored_from is not None and value >= row.ignored_from:
        return
    width = min(size, row.native_size) if row.kind is FieldKind.SCALAR else 8
    place = row.native_offset + (offset - row.offset if row.kind is FieldKind.SCALAR else 0)
    READERS[width].pack_into(e.context, place, value & ((1 << width * 8) - 1))


def _read(place: int, size: int, e: Execution) -> int:
    value: int = READERS[size].unpack_from(e.context, place)[0]
    return value


def _refused(e: Execution, verb: str, offset: int, size: int) -> Fault:
    row = next((row for row in e.kind.fields if row.offset <= offset < row.offset + row.size), None)
    name = f"struct {e.kind.context_name}"
    what = f"{verb} {_bytes(size)} at offset {offset} of its context ({name})"
    address = e.context_low + offset
    if row is None:
        return Fault(f"{what}, where no field begins that programs of type {e.kind.label} may use", address=address)
    sizes = row.writes if verb == "writes" else row.reads
    if not sizes:
        return Fault(
            f"{what}: the field {row.name} cannot be {'written' if verb == 'writes' else 'read'}", address=address
        )
    allowed = " or ".join(str(width) for width in sorted(sizes))
    return Fault(f"{what}: the field {row.name} takes aligned accesses of {allowed} bytes", address=address)


def stray(e: Execution, verb: str, size: int, address: int) -> Fault:
    """The fault of an access to ``size`` bytes where there is no region, or beyond the end of one."""
    what = f"{verb} {_bytes(size)} at {address:#x}"
    region = e.space.nearest(address)
    if address < _NULL_PAGE:
        return Fault(f"{what}: the pointer is null", address=address, region=region)
    if region is None:
        return Fault(f"{what}, but there is no memory that the program may touch", address=address)
    where = region.describe(address)
    if region.address == e.stack.region.address:
        frame = e.stack.frame_address(len(e.frames))
        below, above = frame - address, address - frame - FRAME_SIZE
        where = f"{_bytes(below)} below" if below > 0 else f"{_bytes(above)} above" if above > 0 else "at the end of"
        where += f" the stack frame of this function, which has {FRAME_SIZE} bytes from {frame:#x}"
    elif region.address <= address < region.end:
        where += ", and not all of it lies inside"
    return Fault(f"{what}, {where}", address=address, region=region)


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"
