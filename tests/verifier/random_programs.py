"""Programs made at random that lean towards what is hard to decide: bounds, spills, packets, maps, loops, locks.

A generator knows roughly what each register holds, so that most instructions make sense and verdicts are not all
"uninitialised". The same seed gives the same program.
"""

from __future__ import annotations

import random
from dataclasses import replace

from skep.isa import assemble
from skep.objects import ProgramSpec, ProgramType
from tests.verifier.programs import program

_NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    31,
    32,
    48,
    63,
    64,
    255,
    256,
    4095,
    65535,
    -1,
    -8,
    -16,
    0x7FFFFFFF,
    -0x80000000,
)
_OPERATORS = ("+=", "-=", "&=", "|=", "^=", "<<=", ">>=", "s>>=", "*=", "/=", "%=")
_CONDITIONS = ("==", "!=", "<", "<=", ">", ">=", "s<", "s<=", "s>", "s>=", "&")


class Generator:
    """One program: ``number``, ``packet``, ``end``, ``value``, ``stack``, ``context`` are what registers hold."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.kinds: dict[int, str] = {1: "context", 10: "stack"}
        self.spills: dict[int, str] = {}
        self.labels = 0

    def emit(self, text: str) -> None:
        self.lines.append(text)

    def pick(self, *kinds: str) -> int | None:
        found = [index for index, kind in self.kinds.items() if kind in kinds]
        return self.random.choice(found) if found else None

    def free(self) -> int:
        return self.random.choice([0, 2, 3, 4, 5, 7, 8, 9])

    def build(self, length: int) -> str:
        choose = self.random
        self.emit("r6 = r1")
        self.kinds[6] = "context"
        if choose.random() < 0.6:
            self.packet_start()
        if choose.random() < 0.6:
            self.lookup()
        self.any_number()
        for _ in range(length):
            self.step()
        if choose.random() < 0.9:
            self.emit(f"r0 = {choose.choice((0, 1, 2))}")
        self.emit("goto out")
        self.emit("out: r0 = 0")
        self.emit("exit")
        return "\n".join(self.lines)

    def step(self) -> None:
        actions = (
            (5, self.arithmetic),
            (4, self.compare),
            (2, self.move),
            (3, self.spill),
            (3, self.fill),
            (3, self.move_pointer),
            (4, self.access),
            (1, self.any_number),
            (1, self.packet_start),
            (2, self.packet_check),
            (1, self.lookup),
            (1, self.loop),
            (1, self.call),
            (1, self.sign_extend),
            (1, self.byte_store),
            (1, self.atomic),
        )
        total = sum(weight for weight, _ in actions)
        roll = self.random.randrange(total)
        for weight, action in actions:
            roll -= weight
            if roll < 0:
                action()
                return

    def any_number(self) -> None:
        register = self.free()
        way = self.random.randrange(4)
        if way == 0:
            self.emit(f"r{register} = *(u32 *)(r6 + 12)")
        elif way == 1:
            self.emit(f"r{register} = {self.random.choice(_NUMBERS)}")
        elif (value := self.pick("value")) is not None:
            size = self.random.choice((8, 16, 32, 64))
            self.emit(f"r{register} = *(u{size} *)(r{value} + {self.random.choice((0, 8, 16))})")
        else:
            self.emit("call bpf_ktime_get_ns")
            self.forget()
            register = 0
        self.kinds[register] = "number"

    def forget(self) -> None:
        for index in range(1, 6):
            self.kinds.pop(index, None)
        self.kinds[0] = "number"

    def arithmetic(self) -> None:
        target = self.pick("number")
        if target is None:
            return
        letter = self.random.choice("rrw")
        operator = self.random.choice(_OPERATORS)
        other = self.pick("number")
        if other is not None and self.random.random() < 0.4:
            self.emit(f"{letter}{target} {operator} {letter}{other}")
            return
        value = self.random.choice(_NUMBERS)
        if operator in ("<<=", ">>=", "s>>="):
            value = self.random.choice((0, 1, 2, 3, 8, 16, 24, 31, *((32, 33, 48, 56, 63) if letter == "r" else ())))
        if operator in ("/=", "%=") and value == 0:
            value = 3
        self.emit(f"{letter}{target} {operator} {value}")

    def compare(self) -> None:
        target = self.pick("number")
        if target is None:
            return
        letter = self.random.choice("rrw")
        condition = self.random.choice(_CONDITIONS)
        other = self.pick("number")
        right = str(self.random.choice(_NUMBERS))
        if other is not None and self.random.random() < 0.35:
            right = f"{letter}{other}"
        if self.random.random() < 0.6:
            self.emit(f"if {letter}{target} {condition} {right} goto out")
            return
        self.labels += 1
        label = f"l{self.labels}"
        self.emit(f"if {letter}{target} {condition} {right} goto {label}")
        before = dict(self.kinds)
        for _ in range(self.random.randrange(1, 3)):
            self.random.choice((self.arithmetic, self.arithmetic, self.move, self.spill))()
        self.kinds = {index: kind for index, kind in self.kinds.items() if before.get(index) == kind}
        self.emit(f"{label}: r{target} = r{target}" if self.random.random() < 0.5 else f"{label}: w9 = 0")
        if self.lines[-1].endswith("w9 = 0"):
            self.kinds[9] = "number"

    def move(self) -> None:
        source = self.random.choice(list(self.kinds))
        target = self.free()
        letter = self.random.choice("rrrw")
        self.emit(f"{letter}{target} = {letter}{source}")
        self.kinds[target] = self.kinds[source] if letter == "r" else "number"

    def sign_extend(self) -> None:
        source = self.pick("number")
        if source is not None:
            target = self.free()
            self.emit(f"r{target} = (s{self.random.choice((8, 16, 32))})r{source}")
            self.kinds[target] = "number"

    def spill(self) -> None:
        source = self.random.choice(list(self.kinds))
        offset = self.random.choice((-8, -16, -24, -32))
        size = 64 if self.kinds[source] != "number" else self.random.choice((64, 64, 32, 16, 8))
        self.emit(f"*(u{size} *)(r10 - {-offset}) = r{source}")
        self.spills[offset] = self.kinds[source] if size == 64 else "number"

    def byte_store(self) -> None:
        size = self.random.choice((8, 16, 32, 64))
        offset = self.random.choice((-8, -12, -16, -20, -24, -4))
        offset -= offset % (size // 8)
        self.emit(f"*(u{size} *)(r10 - {-offset}) = {self.random.choice((0, 0, 1, 7, -1))}")
        self.spills.pop(offset - offset % 8, None)

    def fill(self) -> None:
        offset = self.random.choice((-8, -16, -24, -32))
        target = self.free()
        kind = self.spills.get(offset, "number")
        size = 64 if kind != "number" else self.random.choice((64, 64, 32, 16, 8))
        self.emit(f"r{target} = *(u{size} *)(r10 - {-offset})")
        self.kinds[target] = kind

    def move_pointer(self) -> None:
        pointer = self.pick("value", "packet", "stack")
        if pointer is None:
            return
        target = pointer
        if pointer == 10 or self.random.random() < 0.6:
            target = self.free()
            self.emit(f"r{target} = r{pointer}")
            self.kinds[target] = self.kinds[pointer]
        number = self.pick("number")
        if number is not None and self.random.random() < 0.5:
            if self.random.random() < 0.6:
                self.emit(f"r{number} &= {self.random.choice((3, 7, 15, 31, 63))}")
            self.emit(f"r{target} += r{number}")
        else:
            self.emit(f"r{target} += {self.random.choice((1, 2, 4, 8, 14, 20, 40, -1, -8, -16, -24))}")

    def access(self) -> None:
        pointer = self.pick("value", "value", "packet", "stack")
        if pointer is None:
            return
        size = self.random.choice((8, 8, 16, 32, 64))
        offset = self.random.choice((0, 0, 0, 1, 4, 8, 16, 40))
        if self.kinds[pointer] == "stack":
            offset = -self.random.choice((8, 16, 24, 32)) if pointer == 10 else self.random.choice((0, -8))
        place = f"(r{pointer} {'-' if offset < 0 else '+'} {abs(offset)})"
        if self.random.random() < 0.5:
            target = self.free()
            self.emit(f"r{target} = *(u{size} *){place}")
            self.kinds[target] = "number"
        else:
            number = self.pick("number")
            self.emit(f"*(u{size} *){place} = {'1' if number is None else f'r{number}'}")

    def atomic(self) -> None:
        pointer, number = self.pick("value", "stack"), self.pick("number")
        if pointer is None or number is None:
            return
        offset = "- 8" if pointer == 10 else "+ 0"
        self.emit(
            self.random.choice(
                (
                    f"lock *(u64 *)(r{pointer} {offset}) += r{number}",
                    f"r{number} = xchg_64(r{pointer} {offset}, r{number})",
                    f"r{number} = atomic_fetch_add((u64 *)(r{pointer} {offset}), r{number})",
                )
            )
        )

    def packet_start(self) -> None:
        packet, end = self.random.sample((2, 3, 4, 5, 7, 8), 2)
        self.emit(f"r{packet} = *(u32 *)(r6 + 0)")
        self.emit(f"r{end} = *(u32 *)(r6 + 4)")
        self.kinds[packet], self.kinds[end] = "packet", "end"

    def packet_check(self) -> None:
        packet, end = self.pick("packet"), self.pick("end")
        if packet is None or end is None:
            return
        target = self.free()
        if target == end:
            return
        self.emit(f"r{target} = r{packet}")
        self.emit(f"r{target} += {self.random.choice((1, 8, 14, 34, 64))}")
        self.kinds[target] = "packet"
        self.emit(
            self.random.choice(
                (
                    f"if r{target} > r{end} goto out",
                    f"if r{target} > r{end} goto out",
                    f"if r{end} < r{target} goto out",
                    f"if r{target} >= r{end} goto out",
                    f"if r{end} <= r{target} goto out",
                )
            )
        )

    def lookup(self) -> None:
        name, size = self.random.choice((("array", 4), ("hash", 8), ("lru", 4), ("percpu", 4)))
        key = self.pick("number")
        self.emit(f"*(u{size * 8} *)(r10 - 8) = {'0' if key is None or self.random.random() < 0.5 else f'r{key}'}")
        self.spills.pop(-8, None)
        self.emit("r2 = r10")
        self.emit("r2 += -8")
        self.emit(f"r1 = map[{name}] ll")
        self.emit("call bpf_map_lookup_elem")
        self.forget()
        if self.random.random() < 0.93:
            self.emit("if r0 == 0 goto out")
        target = self.random.choice((0, 7, 8, 9))
        if target:
            self.emit(f"r{target} = r0")
        self.kinds[0] = self.kinds[target] = "value"

    def loop(self) -> None:
        counter = self.random.choice((7, 8, 9))
        self.labels += 1
        self.emit(f"r{counter} = {self.random.choice((0, 1))}")
        self.kinds[counter] = "number"
        self.emit(f"l{self.labels}: r{counter} += {self.random.choice((1, 1, 2))}")
        label = self.labels
        for _ in range(self.random.randrange(0, 3)):
            self.random.choice((self.arithmetic, self.spill, self.access, self.fill))()
        if self.kinds.get(counter) == "number":
            limit = self.random.choice((3, 5, 10, 20))
            sign = self.random.choice(("<", "s<", "!=", "<="))
            self.emit(f"if r{counter} {sign} {limit} goto l{label}")

    def call(self) -> None:
        way = self.random.randrange(3)
        if way == 0:
            self.emit("call bpf_get_smp_processor_id")
        elif way == 1:
            number = self.pick("number")
            self.emit(f"r2 = {'16' if number is None else f'r{number}'}")
            self.emit("r1 = r10")
            self.emit("r1 += -32")
            self.emit("r3 = 0")
            self.emit("call bpf_probe_read_kernel")
            self.spills.clear()
        else:
            self.emit("r1 = r6")
            self.emit("r2 = 0")
            self.emit("call bpf_xdp_adjust_head")
            for index, kind in list(self.kinds.items()):
                if kind in ("packet", "end"):
                    self.kinds.pop(index)
        self.forget()


def random_program(seed: int) -> ProgramSpec:
    """The program of a seed; most have 10 to 60 instructions."""
    generator = Generator(seed)
    text = generator.build(generator.random.randrange(4, 28))
    return program(text, ProgramType.XDP)


#: The source field of a wide load of a function's address.
_FUNCTION_ADDRESS = 4


class DeepGenerator(Generator):
    """The same with what is rarer and harder: functions and callbacks, references, odd spills, variable offsets."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.functions: list[str] = []

    def build(self, length: int) -> str:
        return "\n".join((super().build(length), *self.functions))

    def step(self) -> None:
        if self.random.random() < 0.55:
            super().step()
            return
        self.random.choice(
            (
                self.odd_spill,
                self.odd_spill,
                self.odd_fill,
                self.signed_load,
                self.variable_packet,
                self.variable_packet,
                self.variable_stack,
                self.subprogram,
                self.callback,
                self.reference,
                self.narrow_compare,
                self.narrow_compare,
                self.nested_loop,
                self.shifted_link,
            )
        )()

    def _offset(self, bits: int) -> int:
        """How far below the frame pointer, mostly aligned."""
        size = bits // 8
        return self.random.randrange(1, 32 // size + 1) * size + (self.random.random() < 0.02)

    def odd_spill(self) -> None:
        number = self.pick("number")
        size = self.random.choice((8, 16, 32, 64))
        offset = self._offset(size)
        right = (
            f"r{number}" if number is not None and self.random.random() < 0.7 else str(self.random.choice(_NUMBERS))
        )
        self.emit(f"*(u{size} *)(r10 - {offset}) = {right}")

    def odd_fill(self) -> None:
        target = self.free()
        size = self.random.choice((8, 16, 32, 64))
        offset = self._offset(size)
        self.emit(f"r{target} = *({self.random.choice('us')}{size} *)(r10 - {offset})".replace("s64", "u64"))
        self.kinds[target] = "number"

    def signed_load(self) -> None:
        value = self.pick("value")
        if value is not None:
            target = self.free()
            self.emit(f"r{target} = *(s{self.random.choice((8, 16, 32))} *)(r{value} + 4)")
            self.kinds[target] = "number"

    def variable_packet(self) -> None:
        packet, end, number = self.pick("packet"), self.pick("end"), self.pick("number")
        if packet is None or end is None or number is None:
            return
        target = self.free()
        if target in (end, number):
            return
        self.emit(f"r{number} &= {self.random.choice((7, 15, 60, 255, 4095, 65535))}")
        self.emit(f"r{target} = r{packet}")
        self.emit(f"r{target} += r{number}")
        reach = self.random.choice((1, 4, 8, 20))
        self.kinds[target] = "packet"
        ahead = self.free()
        if ahead in (end, target):
            return
        self.emit(f"r{ahead} = r{target}")
        self.emit(f"r{ahead} += {reach}")
        self.kinds[ahead] = "packet"
        self.emit(f"if r{ahead} > r{end} goto out")
        read = self.free()
        self.emit(f"r{read} = *(u8 *)(r{target} + {self.random.choice((0, reach - 1, reach))})")
        self.kinds[read] = "number"

    def variable_stack(self) -> None:
        number = self.pick("number")
        target = self.free()
        if number is None or target == number:
            return
        self.emit(f"r{number} &= {self.random.choice((1, 3, 7, 8, 15, 24))}")
        self.emit(f"r{target} = r10")
        self.emit(f"r{target} += -32")
        self.emit(f"r{target} += r{number}")
        self.kinds[target] = "stack"
        size = self.random.choice((8, 8, 32, 64))
        if self.random.random() < 0.5:
            self.emit(f"*(u{size} *)(r{target} + 0) = {self.random.choice((0, 0, 1))}")
            self.spills.clear()
        else:
            read = self.free()
            self.emit(f"r{read} = *(u{size} *)(r{target} + 0)")
            self.kinds[read] = "number"

    def _function(self, body: list[str]) -> str:
        name = f"f{len(self.functions)}"
        self.functions.append(f"{name}: " + "\n".join(body))
        return name

    def _body(self) -> list[str]:
        inner = DeepGenerator(self.random.randrange(1 << 30))
        inner.kinds = {1: "number", 2: "number", 10: "stack"}
        inner.labels = 1000 * (len(self.functions) + 1) + self.labels
        for _ in range(self.random.randrange(1, 5)):
            self.random.choice((inner.arithmetic, inner.narrow_compare, inner.odd_spill, inner.arithmetic))()
        leave = f"e{inner.labels}x{len(self.functions)}"
        lines = [line.replace("goto out", f"goto {leave}") for line in inner.lines]
        return [*lines, f"{leave}: r0 = {self.random.choice((0, 1, 7))}", "exit"]

    def subprogram(self) -> None:
        numbers = [index for index, kind in self.kinds.items() if kind == "number" and index not in (1, 2)]
        if len(self.functions) >= 3 or not numbers:
            return
        body = self._body()
        if self.random.random() < 0.5:
            body[-2] = body[-2].split(":")[0] + ": r0 = r1"
        self.emit(f"r1 = r{self.random.choice(numbers)}")
        self.emit(f"r2 = r{self.random.choice(numbers)}")
        self.emit(f"call {self._function(body)}")
        self.forget()

    def callback(self) -> None:
        if len(self.functions) >= 3:
            return
        body = self._body()
        body[-2] = body[-2].split(":")[0] + f": r0 = {self.random.choice((0, 0, 1))}"
        body = ["r2 = 0", *body]
        number = self.pick("number")
        rounds = self.random.choice(("0", "1", "3", "100"))
        self.emit(f"r1 = {rounds}" if number is None or self.random.random() < 0.7 else f"r1 = r{number}")
        self.emit(f"r2 = {self._function(body)} ll")
        self.emit("r3 = r10")
        self.emit("r4 = 0")
        self.emit("call bpf_loop")
        self.forget()

    def reference(self) -> None:
        self.emit("r1 = map[ring] ll")
        self.emit(f"r2 = {self.random.choice((8, 16, 64))}")
        self.emit("r3 = 0")
        self.emit("call bpf_ringbuf_reserve")
        self.forget()
        self.labels += 1
        label = f"l{self.labels}"
        self.emit(f"if r0 == 0 goto {label}")
        if self.random.random() < 0.7:
            self.emit("*(u64 *)(r0 + 0) = 1")
        if self.random.random() < 0.3:
            self.emit("if r6 == 0 goto out")
        self.emit("r1 = r0")
        self.emit("r2 = 0")
        if self.random.random() < 0.95:
            self.emit(f"call bpf_ringbuf_{self.random.choice(('submit', 'discard'))}")
        self.emit(f"{label}: r0 = 0")
        self.kinds[0] = "number"

    def narrow_compare(self) -> None:
        number = self.pick("number")
        if number is None:
            return
        letter = self.random.choice("wwr")
        low, high = sorted((self.random.choice(_NUMBERS), self.random.choice(_NUMBERS)))
        sign = self.random.choice(("s", ""))
        self.emit(f"if {letter}{number} {sign}< {low} goto out")
        self.emit(f"if {letter}{number} {sign}> {high} goto out")

    def nested_loop(self) -> None:
        outer, inner = self.random.sample((0, 7, 8, 9), 2)
        self.labels += 1
        label = self.labels
        self.emit(f"r{outer} = 0")
        self.emit(f"l{label}: r{outer} += 1")
        self.emit(f"r{inner} = {self.random.choice((0, 3))}")
        self.emit(f"m{label}: r{inner} += 1")
        self.kinds[outer] = self.kinds[inner] = "number"
        self.random.choice((self.arithmetic, self.odd_spill, self.odd_fill, self.access))()
        if self.kinds.get(inner) == "number":
            self.emit(f"if r{inner} < {self.random.choice((4, 6))} goto m{label}")
        if self.kinds.get(outer) == "number":
            self.emit(f"if r{outer} s< {self.random.choice((3, 6))} goto l{label}")

    def shifted_link(self) -> None:
        number, target = self.pick("number"), self.free()
        if number is None or number == target:
            return
        self.emit(f"r{target} = r{number}")
        self.emit(
            f"{self.random.choice('rw')}{target} {self.random.choice(('+=', '-='))} {self.random.choice((1, 5, 64))}"
        )
        self.kinds[target] = "number"
        self.narrow_compare()


def deep_program(seed: int) -> ProgramSpec:
    """The deeper program of a seed."""
    generator = DeepGenerator(seed)
    text = generator.build(generator.random.randrange(4, 20))
    spec = program(text, ProgramType.XDP)
    instructions = list(spec.instructions)
    starts: dict[str, int] = {}
    start = len(instructions)
    for number, body in reversed(list(enumerate(generator.functions))):
        start -= len(assemble(body).instructions)
        starts[f"f{number}"] = start
    for slot, symbol in assemble(text, helpers=lambda name: 1).symbols.items():
        if symbol.name in starts:
            distance = starts[symbol.name] - slot - 1
            instructions[slot] = replace(instructions[slot], src=_FUNCTION_ADDRESS, imm=distance)
    return replace(spec, instructions=tuple(instructions))
