"""Programs made at random that calculate in loops over iterators: what has to settle from round to round.

The arithmetic, spills, packets and maps are those of ``random_programs``; here they stand in loops whose rounds
nobody counts, one inside the other sometimes. The same seed gives the same program.
"""

from __future__ import annotations

from skep.objects import ProgramSpec, ProgramType
from tests.verifier.random_programs import Generator
from tests.verifier.random_stack_objects import assembled

#: Iterators are made first and destroyed last, so that a jump out of a loop leaves none behind.
_ITERATORS = (-64, -72, -80)


class IterationGenerator(Generator):
    """One program with up to three loops over iterators."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.left = list(_ITERATORS)
        self.depth = 0

    def build(self, length: int) -> str:
        choose = self.random
        self.emit("r6 = r1")
        self.kinds[6] = "context"
        for offset in _ITERATORS:
            self.emit("r1 = r10", f"r1 += {offset}", "r2 = 0", "r3 = 10", "call kfunc[bpf_iter_num_new]")
        self.forget()
        for register in (7, 8, 9):
            if choose.random() < 0.7:
                self.emit(f"r{register} = {choose.choice((0, 0, 1, 5, 64))}")
                self.kinds[register] = "number"
        if choose.random() < 0.4:
            self.packet_start()
        if choose.random() < 0.4:
            self.lookup()
        for _ in range(length):
            if self.left and choose.random() < 0.3:
                self.iterate()
            else:
                self.step()
        self.emit("goto out", "out: r0 = 0")
        for offset in _ITERATORS:
            self.emit("r1 = r10", f"r1 += {offset}", "call kfunc[bpf_iter_num_destroy]")
        self.emit("r0 = 0", "exit")
        return "\n".join(self.lines)

    def emit(self, *lines: str) -> None:
        self.lines += lines

    def iterate(self) -> None:
        """A loop; what registers hold behind it is what they held before, where the body leaves them alone."""
        offset = self.left.pop()
        self.labels += 2
        again, behind = f"l{self.labels - 1}", f"l{self.labels}"
        before = dict(self.kinds)
        self.emit(f"{again}: r1 = r10", f"r1 += {offset}", "call kfunc[bpf_iter_num_next]")
        self.forget()
        self.emit(f"if r0 == 0 goto {behind}")
        self.kinds.pop(0, None)
        if self.random.random() < 0.6:
            register = self.free()
            self.emit(f"r{register} = *(u32 *)(r0 + 0)")
            self.kinds[register] = "number"
        self.depth += 1
        for _ in range(self.random.randrange(1, 6)):
            if self.left and self.depth < 3 and self.random.random() < 0.15:
                self.iterate()
            else:
                self.step()
        self.depth -= 1
        self.emit(f"goto {again}", f"{behind}: r0 = 0")
        kept = {index: kind for index, kind in self.kinds.items() if before.get(index) == kind and index > 5}
        self.kinds = {**kept, 0: "number", 6: "context", 10: "stack"}


def random_program(seed: int) -> ProgramSpec:
    """The program of a seed."""
    generator = IterationGenerator(seed)
    return assembled(generator.build(generator.random.randrange(3, 14)), f"seed_{seed}", ProgramType.XDP)
