"""Random programs that a kernel accepts by construction, with the structure that compilers give programs.

Packets are parsed behind bounds checks, maps looked up and checked for null, locks taken and given back, loops
counted, subprograms and callbacks called, registers spilled. In between stands arithmetic of every width. At its end
a program stores all numbers that it holds into the map ``results``, so that a wrong one is seen.

A program is made from its seed alone: ``program(seed)`` is the same program everywhere.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from random import Random
from types import MappingProxyType

from skep.fuzz.helpers import HELPERS, Context, Memory, Number, Size
from skep.fuzz.maps import KEYS, MAPS, MOST_ARGUMENTS, TYPE_IDS, TYPES, VALUE
from skep.fuzz.writer import CLOBBERED, FRAME, Writer
from skep.isa import Instruction
from skep.objects import MapType, ProgramSpec, ProgramType
from skep.objects.spec import FunctionReference, FunctionSpec, MapReference

#: Where things lie in a frame, from its end: eight slots to play with, a key, a pointer that is put aside.
_PLAYGROUND, _KEY, _ASIDE = 64, 72, 80
_SUBPROGRAM_PLAYGROUND = 16
_CONTEXT = 6

#: Whether the kernel lets programs access packets and maps at any address.
_UNALIGNED = platform.machine() in ("x86_64", "aarch64")

_LOOKUP, _UPDATE, _DELETE, _LOOP, _LOCK, _UNLOCK = 1, 2, 3, 181, 93, 94

#: Fields of the contexts that mean the same everywhere: (offset, size). Those of the second kind may be written.
_READABLE = {
    ProgramType.XDP: ((12, 4), (16, 4)),
    ProgramType.SCHED_CLS: ((0, 4), (4, 4), (8, 4), (16, 4), (20, 4), (32, 4), (40, 4), (44, 4), (48, 20), (164, 4)),
}
_WRITABLE = {ProgramType.XDP: (), ProgramType.SCHED_CLS: ((8, 4), (32, 4), (44, 4), (48, 20))}
#: Where `data` and `data_end` stand.
_PACKET = {ProgramType.XDP: (0, 4), ProgramType.SCHED_CLS: (76, 80)}


def program(seed: int) -> ProgramSpec:
    """The program of that number."""
    random = Random(seed)
    type = random.choice((ProgramType.XDP, ProgramType.SCHED_CLS))
    maker = _Maker(random, type)
    maker.make()
    writer = maker.writer
    named = {one.map for one in writer.references.values() if isinstance(one, MapReference)}
    return ProgramSpec(
        f"fuzz_{seed:x}",
        "",
        type,
        tuple(writer.code),
        functions=tuple(writer.functions),
        references=MappingProxyType(writer.references),
        maps=MappingProxyType({name: MAPS[name] for name in MAPS if name in named}),
        license="GPL",
        btf=TYPES,
    )


class _Maker:
    """Statements, each a few instructions that leave every register with a number or unused."""

    def __init__(self, random: Random, type: ProgramType) -> None:
        self.random = random
        self.type = type
        self.writer = Writer(random)
        #: Calls to fill in, by the name of the subprogram.
        self.calls: list[tuple[int, str]] = []
        #: Name, name of its type, and what writes it.
        self.subprograms: list[tuple[str, str, Callable[[], None]]] = []
        self.depth = 0
        self.in_main = True
        self.playground = _PLAYGROUND

    def make(self) -> None:
        """The whole program: its own code, then that of its subprograms."""
        writer = self.writer
        self.in_main = True
        writer.functions.append(FunctionSpec("main", 0, TYPE_IDS["main"]))
        writer.emit("mov64_reg", _CONTEXT, 1)
        writer.busy.add(_CONTEXT)
        for offset in range(8, _PLAYGROUND + 1, 8):
            writer.emit("st_u64", FRAME, 0, -offset, writer.number())
        for register in [*self.random.sample(range(6), 3), 7, 8]:
            writer.give(register)
        for _ in range(self.random.randint(3, 6)):
            self.statement(_STATEMENTS)
        self._finish()
        self.in_main = False
        self.playground = _SUBPROGRAM_PLAYGROUND
        for name, kind, body in self.subprograms:
            writer.functions.append(FunctionSpec(name, len(writer.code), TYPE_IDS[kind]))
            writer.busy.clear()
            writer.live.clear()
            body()
        starts = {function.name: function.start for function in writer.functions}
        named = (
            (slot, one.function) for slot, one in writer.references.items() if isinstance(one, FunctionReference)
        )
        for slot, name in (*self.calls, *named):
            writer.code[slot] = _with_distance(writer, slot, starts[name])

    def _finish(self) -> None:
        """Store what there is, and return one of it."""
        writer = self.writer
        if not writer.live:
            writer.give(0)
        writer.map(_CONTEXT, "results", 0)
        for register in sorted(writer.live):
            writer.emit("stx_u64", _CONTEXT, register, 8 * register)
        writer.emit("mov64_reg", 0, writer.one())
        writer.emit("exit")

    def statement(self, kinds: tuple[tuple[int, Callable[[_Maker], None]], ...]) -> None:
        """One of ``kinds``, each with its weight."""
        weights = [weight for weight, _ in kinds]
        self.random.choices(kinds, weights)[0][1](self)

    # Statements that only compute.

    def numbers(self) -> None:
        """A stretch of arithmetic."""
        for _ in range(self.random.randint(2, 5)):
            self.writer.arithmetic()

    def stack(self) -> None:
        """Spill numbers, read them back in other widths, change them in place."""
        for _ in range(self.random.randint(1, 3)):
            self.writer.access(FRAME, -self.playground, 0, align=True, atomics=True)

    def condition(self) -> None:
        """If, sometimes with an else."""
        writer = self.writer
        if not writer.live:
            return
        jump = writer.jump()
        with writer.branch():
            self._body(_SIMPLE)
        if self.random.random() < 0.4:
            over = writer.emit("goto")
            writer.land(jump)
            with writer.branch():
                self._body(_SIMPLE)
            writer.land(over)
        else:
            writer.land(jump)

    def _body(self, kinds: tuple[tuple[int, Callable[[_Maker], None]], ...]) -> None:
        self.depth += 1
        for _ in range(self.random.randint(1, 2)):
            self.statement(_FLAT if self.depth > 2 else kinds)
        self.depth -= 1

    def loop(self) -> None:
        """A loop that counts up or down, perhaps with a second limit of its own."""
        writer = self.writer
        turns = self.random.randint(1, 6)
        with writer.pointers(1) as counters:
            if not counters or writer.lasting:
                return
            (counter,) = counters
            down = self.random.random() < 0.5
            writer.emit("mov64_imm", counter, imm=turns if down else 0)
            top = len(writer.code)
            limit = writer.emit("may_goto") if self.random.random() < 0.2 else None
            writer.lasting = True
            with writer.branch():
                self._body(_FLAT)
            writer.lasting = False
            width = self.random.choice((32, 64))
            writer.emit(f"add{width}_imm", counter, imm=-1 if down else 1)
            row = self.random.choice(("jne", "jgt", "jsgt") if down else ("jne", "jlt", "jslt"))
            back = writer.emit(f"{row}{width}_imm", counter, imm=0 if down else turns)
            writer.code[back] = _jump(writer, back, top)
            if limit is not None:
                writer.land(limit)

    # Statements about memory that is not the program's own.

    def packet(self) -> None:
        """Packet bytes behind a bounds check, at a fixed or a variable place."""
        writer, random = self.writer, self.random
        with writer.pointers(3) as pointers:
            if len(pointers) < 3 or not self.in_main:
                return
            start, end, limit = pointers
            at, at_end = _PACKET[self.type]
            writer.emit("ldx_u32", start, _CONTEXT, at)
            writer.emit("ldx_u32", end, _CONTEXT, at_end)
            if writer.live and not writer.lasting and random.random() < 0.3:
                number = writer.one()
                writer.emit("and64_imm", number, imm=random.choice((1, 3, 7, 15, 31, 63)))
                writer.emit("add64_reg", start, number)
            length = random.choice((1, 2, 4, 8, 14, 14, 20, 34, 54))
            writer.emit("mov64_reg", limit, start)
            writer.emit("add64_imm", limit, imm=length)
            row = random.choice(("jgt64_reg", "jle64_reg", "jlt64_reg"))
            if row == "jle64_reg":
                inside = writer.emit(row, limit, end)
                skip = writer.emit("goto")
                writer.land(inside)
            else:
                left, right = (limit, end) if row == "jgt64_reg" else (end, limit)
                skip = writer.emit(row, left, right)
            with writer.branch():
                self._accesses(start, 0, length, atomics=False)
            writer.land(skip)

    def _accesses(self, base: int, low: int, high: int, *, atomics: bool) -> None:
        """Some accesses to one place, with arithmetic in between."""
        for _ in range(self.random.randint(1, 4)):
            align = not _UNALIGNED or self.random.random() < 0.7
            self.writer.access(base, low, high, align=align, atomics=atomics)
            if self.random.random() < 0.3:
                self.writer.arithmetic()

    def global_variable(self) -> None:
        """A variable that is reached by its address."""
        writer = self.writer
        with writer.pointers(1) as pointers:
            if pointers:
                place = self.random.randrange(0, 56, 8)
                writer.map(pointers[0], "globals", place)
                self._accesses(pointers[0], -place if self.random.random() < 0.3 else 0, 64 - place, atomics=True)

    def context(self) -> None:
        """A field of the context."""
        writer, random = self.writer, self.random
        writable = _WRITABLE[self.type]
        if not self.in_main:
            return
        write = bool(writable) and random.random() < 0.4
        at, size = random.choice(writable if write else _READABLE[self.type])
        if size > 4:
            # Scratch space is plain memory to a program.
            writer.access(_CONTEXT, at, at + size, align=True, atomics=False)
        elif write and writer.live:
            writer.emit("stx_u32", _CONTEXT, writer.one(), at)
        elif not write and (possible := [number for number in range(10) if number not in writer.busy]):
            register = random.choice(possible)
            writer.emit("ldx_u32", register, _CONTEXT, at)
            writer.live.add(register)

    def aside(self) -> None:
        """Put the context's address on the stack and fetch it again."""
        writer = self.writer
        if not self.in_main or writer.lasting:
            return
        writer.emit("stx_u64", FRAME, _CONTEXT, -_ASIDE)
        writer.emit("mov64_imm", _CONTEXT, imm=writer.number())
        self.numbers()
        writer.emit("ldx_u64", _CONTEXT, FRAME, -_ASIDE)

    # Statements that call.

    def helper(self) -> None:
        """Call one of the helpers for packets."""
        writer, random = self.writer, self.random
        if not self.in_main:
            return
        chosen = random.choice(HELPERS[self.type])
        size = 0
        held: set[int] = set()
        for register, argument in enumerate(chosen.arguments, 1):
            match argument:
                case Context():
                    writer.emit("mov64_reg", register, _CONTEXT)
                case Memory(sizes):
                    size = random.choice(sizes)
                    writer.emit("mov64_reg", register, FRAME)
                    writer.emit("add64_imm", register, imm=-random.randrange(16, _PLAYGROUND + 1, 8))
                case Size():
                    writer.emit("mov64_imm", register, imm=size)
                case Number(choices, low, high, any):
                    others = writer.live - held
                    if others and any and (not choices or random.random() < 0.5):
                        source = random.choice(sorted(others))
                        writer.emit("mov64_reg", register, source)
                    else:
                        number = random.choice(choices) if choices else random.randrange(low, max(high, low + 1))
                        writer.emit("mov64_imm", register, imm=number)
            writer.live.discard(register)
            held.add(register)
        writer.call(chosen.number)
        writer.live.add(0)

    def _key(self, name: str) -> None:
        """A key into its place on the stack, and the place into r2."""
        writer = self.writer
        size = MAPS[name].key_size
        beyond = self.random.random() < 0.1
        if writer.live and not writer.lasting and self.random.random() < 0.5:
            number = writer.one()
            writer.emit("and64_imm", number, imm=2 * KEYS - 1 if beyond else KEYS // 2 - 1)
            writer.emit(f"stx_u{8 * size}", FRAME, number, -_KEY)
        else:
            index = self.random.randrange(KEYS if beyond else KEYS // 2)
            writer.emit(f"st_u{8 * size}", FRAME, 0, -_KEY, index)
        writer.emit("mov64_reg", 2, FRAME)
        writer.emit("add64_imm", 2, imm=-_KEY)
        writer.live.discard(2)

    def lookup(self) -> None:
        """Look an element up and, if it is there, work on it."""
        writer = self.writer
        if not self.in_main:
            return
        name = self.random.choice(_LOOKED_UP)
        self._key(name)
        writer.map(1, name)
        writer.live -= CLOBBERED | {0}
        writer.call(_LOOKUP)
        writer.busy.add(0)
        skip = writer.emit("jeq64_imm", 0)
        with writer.branch():
            self._accesses(0, 0, VALUE, atomics=True)
        writer.busy.discard(0)
        writer.land(skip)
        writer.live.discard(0)

    def change(self) -> None:
        """Store an element whose value lies on the stack, or remove one."""
        writer = self.writer
        if not self.in_main:
            return
        removes = self.random.random() < 0.3
        name = self.random.choice(_REMOVED_FROM if removes else _LOOKED_UP)
        self._key(name)
        writer.map(1, name)
        if not removes:
            writer.emit("mov64_reg", 3, FRAME)
            writer.emit("add64_imm", 3, imm=-self.random.randrange(VALUE, _PLAYGROUND + 1, 8))
            writer.emit("mov64_imm", 4, imm=self.random.choice((0, 0, 0, 1, 2)))
        writer.live -= CLOBBERED | {0}
        writer.call(_DELETE if removes else _UPDATE)
        writer.live.add(0)

    def lock(self) -> None:
        """Work on a value while its lock is held."""
        writer = self.writer
        with writer.pointers(1, saved=True) as pointers:
            if not pointers or not self.in_main:
                return
            (value,) = pointers
            writer.emit("st_u32", FRAME, 0, -_KEY, self.random.randrange(2))
            writer.emit("mov64_reg", 2, FRAME)
            writer.emit("add64_imm", 2, imm=-_KEY)
            writer.map(1, "locked")
            writer.live -= CLOBBERED | {0}
            writer.call(_LOOKUP)
            skip = writer.emit("jeq64_imm", 0)
            with writer.branch():
                writer.emit("mov64_reg", value, 0)
                writer.emit("mov64_reg", 1, 0)
                writer.call(_LOCK)
                self._accesses(value, 4, 24, atomics=True)
                writer.emit("mov64_reg", 1, value)
                writer.live -= CLOBBERED | {0}
                writer.call(_UNLOCK)
            writer.land(skip)
            writer.live.discard(0)

    def subprogram(self) -> None:
        """Call a subprogram, with numbers or with a piece of this frame."""
        writer, random = self.writer, self.random
        with_memory = random.random() < 0.4
        count = random.randint(1, MOST_ARGUMENTS)
        name = f"sub{len(self.subprograms)}"
        self.subprograms.append((name, f"subprogram{count}", lambda: self._subprogram(count, with_memory)))
        self._arguments(count, with_memory)
        self.calls.append((writer.emit("call_subprogram"), name))
        writer.live -= CLOBBERED
        writer.live.add(0)

    def _arguments(self, count: int, with_memory: bool) -> None:
        writer = self.writer
        if with_memory:
            writer.live.discard(1)
        for register in range(1, count + 1):
            if register == 1 and with_memory:
                writer.emit("mov64_reg", 1, FRAME)
                writer.emit("add64_imm", 1, imm=-self.random.randrange(16, _PLAYGROUND + 1, 8))
                writer.busy.add(1)
            elif register not in writer.live:
                writer.give(register)
        writer.busy.discard(1)

    def _subprogram(self, count: int, with_memory: bool) -> None:
        writer = self.writer
        writer.live |= set(range(1, count + 1))
        if with_memory:
            writer.live.discard(1)
            writer.busy.add(1)
        writer.give(0)
        for offset in range(8, _SUBPROGRAM_PLAYGROUND + 1, 8):
            writer.emit("st_u64", FRAME, 0, -offset, writer.number())
        if with_memory:
            for _ in range(self.random.randint(1, 3)):
                writer.access(1, 0, 16, align=True, atomics=True)
        for _ in range(self.random.randint(1, 2)):
            self.statement(_SIMPLE)
        if 0 not in writer.live:
            writer.give(0)
        writer.emit("exit")

    def callback(self) -> None:
        """bpf_loop over a callback that works on a piece of this frame."""
        writer, random = self.writer, self.random
        if not self.in_main:
            return
        name = f"callback{len(self.subprograms)}"
        self.subprograms.append((name, "callback", self._callback))
        writer.live -= CLOBBERED | {0}
        writer.emit("mov64_imm", 1, imm=random.randint(0, 5))
        writer.function(2, name)
        writer.emit("mov64_reg", 3, FRAME)
        writer.emit("add64_imm", 3, imm=-random.randrange(16, _PLAYGROUND + 1, 8))
        writer.emit("mov64_imm", 4)
        writer.call(_LOOP)
        writer.live.add(0)

    def _callback(self) -> None:
        writer = self.writer
        writer.live.add(1)
        writer.busy.add(2)
        for _ in range(self.random.randint(1, 3)):
            writer.access(2, 0, 16, align=True, atomics=True)
            writer.arithmetic()
        if writer.live and self.random.random() < 0.4:
            stop = writer.jump()
            writer.emit("mov64_imm", 0, imm=1)
            writer.emit("exit")
            writer.land(stop)
        writer.emit("mov64_imm", 0)
        writer.emit("exit")


def _jump(writer: Writer, slot: int, target: int) -> Instruction:
    return replace(writer.code[slot], offset=target - slot - 1)


def _with_distance(writer: Writer, slot: int, target: int) -> Instruction:
    return replace(writer.code[slot], imm=target - slot - 1)


#: Maps whose elements programs look up and store, and those that they can be removed from.
_LOOKED_UP = ("table", "hash", "table_per_cpu", "hash_per_cpu")
_REMOVED_FROM = tuple(name for name in _LOOKED_UP if MAPS[name].type in (MapType.HASH, MapType.PERCPU_HASH))

#: What may stand where, with weights: in the innermost blocks, in blocks, at the top.
_FLAT = (
    (6, _Maker.numbers),
    (3, _Maker.stack),
    (2, _Maker.global_variable),
    (2, _Maker.context),
)
_SIMPLE = (*_FLAT, (3, _Maker.condition))
_STATEMENTS = (
    *_SIMPLE,
    (5, _Maker.packet),
    (3, _Maker.loop),
    (3, _Maker.lookup),
    (2, _Maker.change),
    (2, _Maker.lock),
    (2, _Maker.subprogram),
    (1, _Maker.callback),
    (3, _Maker.helper),
    (1, _Maker.aside),
)
