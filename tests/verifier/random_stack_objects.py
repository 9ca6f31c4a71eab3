"""Programs made at random around what the kernel keeps on the stack: dynptrs, iterators, interrupt flags, sections.

A generator knows roughly what lies where, so that most calls make sense; now and then it does what makes none. The
same seed gives the same program.
"""

from __future__ import annotations

import random

from skep.isa import assemble
from skep.objects import FunctionSpec, KfuncReference, MapReference, ProgramSpec, ProgramType
from skep.objects.spec import Reference
from skep.stdlib.prototypes import NUMBERS
from tests.verifier.programs import MAPS

#: Where objects go: dynptrs at the first kind of place, what takes one slot at the second.
_WIDE = (-16, -32, -48)
_NARROW = (-56, -64, -72)
_BUFFER = -96
#: Registers that calls leave alone.
_KEPT = (7, 8, 9)


class Generator:
    """One program; ``held`` says what lies at an offset from the frame pointer, ``sections`` what is open."""

    def __init__(self, seed: int, *, kfuncs: bool) -> None:
        self.random = random.Random(seed)
        self.kfuncs = kfuncs
        self.lines: list[str] = []
        self.held: dict[int, str] = {}
        self.sections: list[str] = []
        self.slices: dict[int, str] = {}
        self.labels = 0
        self.depth = 0
        #: The functions that the program calls, each with its lines.
        self.functions: list[list[str]] = []

    def emit(self, *lines: str) -> None:
        self.lines += lines

    def label(self) -> str:
        self.labels += 1
        return f"l{self.labels}"

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def place(self, kind: str, *, wide: bool) -> int:
        """Where something of a kind lies, mostly; anywhere, sometimes."""
        found = [offset for offset, one in self.held.items() if one.startswith(kind)]
        if found and self.chance(0.93):
            return self.random.choice(found)
        return self.random.choice(_WIDE if wide else _NARROW)

    def room(self, *, wide: bool) -> int:
        """Where nothing lies, mostly."""
        places = _WIDE if wide else _NARROW
        empty = [offset for offset in places if offset not in self.held]
        return self.random.choice(empty if empty and self.chance(0.95) else places)

    def address(self, register: int, offset: int) -> None:
        self.emit(f"r{register} = r10", f"r{register} += {offset}")

    def call(self, name: str) -> None:
        self.emit(f"call kfunc[{name}]" if name not in NUMBERS else f"call bpf_{name}")

    # What the program does.

    def build(self, length: int) -> str:
        self.emit("r6 = r1", f"*(u64 *)(r10 - {-_BUFFER}) = 1", f"*(u64 *)(r10 - {-_BUFFER - 8}) = 2")
        for register in _KEPT:
            self.emit(f"r{register} = 0")
        self.steps(length)
        self.clean_up()
        self.emit("r0 = 0", "exit")
        for lines in self.functions:
            self.emit(*lines)
        return "\n".join(self.lines)

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def step(self) -> None:
        actions = [
            (4, self.make_local),
            (3, self.make_record),
            (3, self.give_back),
            (3, self.read),
            (3, self.write),
            (4, self.cut),
            (4, self.use_slice),
            (1, self.store),
            (1, self.store_somewhere),
            (1, self.load),
            (3, self.branch),
            (1, self.join),
            (2, self.call_function),
        ]
        if self.kfuncs:
            actions += [
                (3, self.make_packet),
                (3, self.clone),
                (2, self.ask),
                (3, self.slice),
                (3, self.make_iterator),
                (2, self.next_element),
                (2, self.destroy_iterator),
                (4, self.iterate),
                (3, self.open_section),
                (3, self.close_section),
                (1, self.move_packet),
            ]
        total = sum(weight for weight, _ in actions)
        roll = self.random.randrange(total)
        for weight, action in actions:
            roll -= weight
            if roll < 0:
                action()
                return

    def make_local(self) -> None:
        offset = self.room(wide=True)
        self.emit("r1 = map[wide][0]+0 ll")
        self.emit(f"r2 = {self.random.choice((8, 16, 64))}", "r3 = 0")
        self.address(4, offset)
        self.call("dynptr_from_mem")
        self.held[offset] = "dynptr local"

    def make_record(self) -> None:
        offset = self.room(wide=True)
        self.emit("r1 = map[ring] ll", f"r2 = {self.random.choice((8, 16, 64))}", "r3 = 0")
        self.address(4, offset)
        self.call("ringbuf_reserve_dynptr")
        self.held[offset] = "dynptr record"

    def give_back(self) -> None:
        offset = self.place("dynptr record", wide=True)
        if self.held.get(offset) != "dynptr record" and self.chance(0.8):
            return
        self.address(1, offset)
        self.emit("r2 = 0")
        self.call(self.random.choice(("ringbuf_submit_dynptr", "ringbuf_discard_dynptr")))
        self.held.pop(offset, None)
        if self.chance(0.9):
            self.slices.clear()

    def read(self) -> None:
        offset = self.place("dynptr", wide=True)
        if offset not in self.held and self.chance(0.9):
            return
        self.address(1, _BUFFER if self.chance(0.95) else self.random.choice((-24, -40)))
        self.emit(f"r2 = {self.random.choice((1, 8, 16))}")
        self.address(3, offset)
        self.emit("r4 = 0", "r5 = 0")
        self.call("dynptr_read")

    def write(self) -> None:
        offset = self.place("dynptr", wide=True)
        if offset not in self.held and self.chance(0.9):
            return
        self.address(1, offset)
        self.emit("r2 = 0")
        self.address(3, _BUFFER if self.chance(0.95) else offset)
        self.emit(f"r4 = {self.random.choice((1, 8, 16))}", "r5 = 0")
        self.call("dynptr_write")

    def cut(self) -> None:
        offset = self.place("dynptr", wide=True)
        if offset not in self.held and self.chance(0.9):
            return
        self.address(1, offset)
        self.emit("r2 = 0", f"r3 = {self.random.choice((1, 8, 16))}")
        self.call("dynptr_data")
        self.keep_slice()

    def keep_slice(self) -> None:
        register = self.random.choice(_KEPT)
        self.emit(f"r{register} = r0")
        self.slices[register] = "maybe"

    def use_slice(self) -> None:
        if not self.slices:
            return
        register = self.random.choice(list(self.slices))
        if self.chance(0.95):
            label = self.label()
            self.emit(f"if r{register} == 0 goto {label}")
            self.access(register)
            self.emit(f"{label}: r0 = 0")
        else:
            self.access(register)

    def access(self, register: int) -> None:
        offset = self.random.choice((0, 0, 0, 1, 7, 8))
        if self.chance(0.6):
            self.emit(f"r1 = *(u8 *)(r{register} + {offset})")
        else:
            self.emit(f"*(u8 *)(r{register} + {offset}) = 1")

    def store(self) -> None:
        offset = self.random.choice((*_WIDE, *_NARROW, -8, -24, -40))
        size = self.random.choice((8, 32, 64))
        self.emit(f"*(u{size} *)(r10 - {-offset}) = {self.random.choice((0, 1))}")
        for start in (offset, offset - 8):
            if self.held.get(start, "").startswith("dynptr") or (start == offset and start in self.held):
                self.held.pop(start)

    def store_somewhere(self) -> None:
        if self.chance(0.6):
            return
        self.call("get_prandom_u32")
        self.emit("r0 &= 15", "r1 = r10", f"r1 += {self.random.choice((-32, -72, -96))}", "r1 += r0")
        self.emit("*(u8 *)(r1 + 0) = 0")

    def load(self) -> None:
        offset = self.random.choice((*_WIDE, *_NARROW, _BUFFER))
        if offset in self.held and self.chance(0.9):
            return
        self.emit(f"r0 = *(u64 *)(r10 - {-offset})")

    def branch(self) -> None:
        """Do something or not; what lies where is as before, mostly."""
        if self.depth > 2:
            return
        label = self.label()
        self.call("get_prandom_u32")
        self.emit(f"if r0 > {self.random.choice((1, 100))} goto {label}")
        before = dict(self.held), list(self.sections), dict(self.slices)
        self.depth += 1
        self.steps(self.random.randrange(1, 4))
        self.depth -= 1
        if self.chance(0.9):
            self.undo(before[0], before[1])
        self.held, self.sections = before[0], before[1]
        self.slices = {one: kind for one, kind in self.slices.items() if one in before[2]}
        self.emit(f"{label}: r0 = 0")

    def undo(self, held: dict[int, str], sections: list[str]) -> None:
        """Give back what was taken since, so far as that can be done."""
        while len(self.sections) > len(sections):
            self.close_section()
        for offset in [one for one in self.held if one not in held]:
            self.drop(offset)
        for offset, kind in held.items():
            if self.held.get(offset) != kind:
                self.held.pop(offset, None)
                self.make_at(offset, kind)

    def make_at(self, offset: int, kind: str) -> None:
        if kind == "dynptr record":
            self.emit("r1 = map[ring] ll", "r2 = 8", "r3 = 0")
            self.address(4, offset)
            self.call("ringbuf_reserve_dynptr")
        elif kind == "dynptr local":
            self.emit("r1 = map[wide][0]+0 ll", "r2 = 8", "r3 = 0")
            self.address(4, offset)
            self.call("dynptr_from_mem")
        elif kind == "iterator":
            self.address(1, offset)
            self.emit("r2 = 0", "r3 = 10")
            self.call("bpf_iter_num_new")

    def join(self) -> None:
        """Make the same thing in two ways."""
        if self.depth > 2:
            return
        offset = self.room(wide=True)
        other, behind = self.label(), self.label()
        kinds = ("dynptr local", "dynptr record")
        one = self.random.choice(kinds)
        self.call("get_prandom_u32")
        self.emit(f"if r0 > 5 goto {other}")
        self.make_at(offset, one)
        self.emit(f"goto {behind}", f"{other}: r0 = 0")
        self.make_at(offset, one if self.chance(0.85) else self.random.choice(kinds))
        self.emit(f"{behind}: r0 = 0")
        self.held[offset] = one

    def drop(self, offset: int) -> None:
        kind = self.held.pop(offset)
        if kind == "dynptr record":
            self.address(1, offset)
            self.emit("r2 = 0")
            self.call("ringbuf_discard_dynptr")
        elif kind == "iterator":
            self.address(1, offset)
            self.call("bpf_iter_num_destroy")

    def clean_up(self) -> None:
        if self.chance(0.05):
            return
        while self.sections:
            self.close_section()
        for offset in list(self.held):
            self.drop(offset)

    # Functions that are given the address of something.

    def function(self, name: str) -> None:
        """Write a function that does one thing with what r1 points to."""
        before, self.lines = self.lines, []
        self.emit(f"{name}: r6 = r1", "*(u64 *)(r10 - 8) = 0")
        names = ["dynptr_write", "dynptr_read", "dynptr_data", "ringbuf_submit_dynptr", "store", "dynptr_from_mem"]
        if self.kfuncs:
            names += ["bpf_dynptr_size", "bpf_iter_num_next", "bpf_iter_num_destroy", "bpf_local_irq_restore"]
        match action := self.random.choice(names):
            case "dynptr_write":
                self.emit("r1 = r6", "r2 = 0", "r3 = r10", "r3 += -8", "r4 = 8", "r5 = 0")
            case "dynptr_read":
                self.emit("r1 = r10", "r1 += -8", "r2 = 8", "r3 = r6", "r4 = 0", "r5 = 0")
            case "dynptr_data":
                self.emit("r1 = r6", "r2 = 0", "r3 = 8")
            case "dynptr_from_mem":
                self.emit("r1 = map[wide][0]+0 ll", "r2 = 8", "r3 = 0", "r4 = r6")
            case "store":
                self.emit("*(u64 *)(r6 + 0) = 0")
            case _:
                self.emit("r1 = r6", "r2 = 0")
        if action != "store":
            self.call(action)
        self.emit("r0 = 0", "exit")
        self.functions.append(self.lines)
        self.lines = before

    def call_function(self) -> None:
        if not self.held:
            return
        name = f"f{len(self.functions)}"
        self.address(1, self.random.choice(list(self.held)))
        self.emit(f"call {name}")
        self.function(name)

    # With kernel functions.

    def make_packet(self) -> None:
        offset = self.room(wide=True)
        self.emit("r1 = r6", "r2 = 0")
        self.address(3, offset)
        self.call(self.random.choice(("bpf_dynptr_from_skb", "bpf_dynptr_from_skb", "bpf_dynptr_from_skb_meta")))
        self.held[offset] = "dynptr packet"

    def clone(self) -> None:
        offset = self.place("dynptr", wide=True)
        if offset not in self.held and self.chance(0.9):
            return
        target = self.room(wide=True)
        self.address(1, offset)
        self.address(2, target)
        self.call("bpf_dynptr_clone")
        # A clone of a record is given back with it.
        kind = self.held.get(offset, "dynptr local")
        self.held[target] = "dynptr clone" if kind in ("dynptr record", "dynptr clone") else kind

    def ask(self) -> None:
        offset = self.place("dynptr", wide=True)
        if offset not in self.held and self.chance(0.9):
            return
        self.address(1, offset)
        name = self.random.choice(("bpf_dynptr_size", "bpf_dynptr_is_null", "bpf_dynptr_adjust"))
        if name == "bpf_dynptr_adjust":
            self.emit("r2 = 0", "r3 = 1")
        self.call(name)

    def slice(self) -> None:
        offset = self.place("dynptr", wide=True)
        if offset not in self.held and self.chance(0.9):
            return
        self.address(1, offset)
        self.emit("r2 = 0")
        if self.chance(0.7):
            self.address(3, _BUFFER)
        else:
            self.emit("r3 = 0")
        self.emit(f"r4 = {self.random.choice((1, 8, 16))}")
        self.call(self.random.choice(("bpf_dynptr_slice", "bpf_dynptr_slice_rdwr")))
        self.keep_slice()

    def move_packet(self) -> None:
        self.emit("r1 = r6", "r2 = 8")
        self.call("skb_pull_data")

    def make_iterator(self) -> None:
        offset = self.room(wide=False)
        self.make_at(offset, "iterator")
        self.held[offset] = "iterator"

    def next_element(self) -> None:
        offset = self.place("iterator", wide=False)
        if offset not in self.held and self.chance(0.9):
            return
        self.address(1, offset)
        self.call("bpf_iter_num_next")
        if self.chance(0.5):
            self.keep_slice()

    def destroy_iterator(self) -> None:
        offset = self.place("iterator", wide=False)
        if self.held.get(offset) != "iterator" and self.chance(0.9):
            return
        self.held[offset] = "iterator"
        self.drop(offset)

    def iterate(self) -> None:
        """A loop over an iterator."""
        if self.depth > 1:
            return
        offset = self.room(wide=False)
        self.make_at(offset, "iterator")
        self.held[offset] = "iterator"
        again, out = self.label(), self.label()
        self.emit(f"{again}: r1 = r10", f"r1 += {offset}")
        self.call("bpf_iter_num_next")
        self.emit(f"if r0 == 0 goto {out}")
        if self.chance(0.5):
            self.emit("r1 = *(u32 *)(r0 + 0)")
        if self.chance(0.4):
            register = self.random.choice(_KEPT)
            if register not in self.slices:
                self.emit(f"r{register} += {self.random.choice((0, 1, 8))}")
        before = dict(self.held), list(self.sections), dict(self.slices)
        self.depth += 1
        self.steps(self.random.randrange(0, 4))
        self.depth -= 1
        if self.chance(0.9):
            self.undo(before[0], before[1])
        self.held, self.sections = before[0], before[1]
        self.slices = {one: kind for one, kind in self.slices.items() if one in before[2]}
        self.emit(f"goto {again}", f"{out}: r0 = 0")
        if self.chance(0.9):
            self.drop(offset)

    def open_section(self) -> None:
        kind = self.random.choice(("preempt", "preempt", "rcu", "irq"))
        if kind == "rcu" and "rcu" in self.sections and self.chance(0.9):
            return
        if kind == "irq":
            offset = self.room(wide=False)
            self.address(1, offset)
            self.call("bpf_local_irq_save")
            self.held[offset] = "flags"
            self.sections.append(f"irq {offset}")
            return
        self.call("bpf_preempt_disable" if kind == "preempt" else "bpf_rcu_read_lock")
        self.sections.append(kind)

    def close_section(self) -> None:
        if not self.sections:
            return
        kind = self.sections.pop()
        if kind.startswith("irq"):
            offset = int(kind.split()[1])
            self.address(1, offset)
            self.call("bpf_local_irq_restore")
            self.held.pop(offset, None)
            return
        self.call("bpf_preempt_enable" if kind == "preempt" else "bpf_rcu_read_unlock")


def random_program(seed: int, *, kfuncs: bool = True, length: int = 0) -> ProgramSpec:
    """A tc program from a seed; ``kfuncs`` says whether it may call kernel functions."""
    generator = Generator(seed, kfuncs=kfuncs)
    return assembled(generator.build(length or generator.random.randrange(3, 14)), f"seed_{seed}")


def assembled(text: str, name: str, type: ProgramType = ProgramType.SCHED_CLS) -> ProgramSpec:
    """A program from assembly that may call kernel functions by name."""
    assembly = assemble(text, helpers=lambda called: NUMBERS.get(called.removeprefix("bpf_")))
    references: dict[int, Reference] = {}
    for slot, symbol in assembly.symbols.items():
        match symbol.kind:
            case "map":
                references[slot] = MapReference(symbol.name)
            case "map value":
                references[slot] = MapReference(symbol.name, symbol.offset)
            case "kfunc":
                references[slot] = KfuncReference(symbol.name)
            case _:
                pass
    functions = sorted((one for one in assembly.labels if one.startswith("f")), key=assembly.labels.__getitem__)
    maps = {one.map: MAPS[one.map] for one in references.values() if isinstance(one, MapReference)}
    return ProgramSpec(
        name,
        type.label,
        type,
        assembly.instructions,
        functions=(FunctionSpec(name, 0), *(FunctionSpec(one, assembly.labels[one]) for one in functions)),
        references=references,
        maps=maps,
        license="GPL",
    )
