"""Trees of comparisons: whatever their shape, a switch made of one chooses what the comparisons choose."""

from __future__ import annotations

from random import Random

from skep.engines.jit import graph
from skep.engines.jit.graph import Switch
from skep.engines.jit.switches import recover_switches
from skep.isa.assembler import assemble
from tests.engines.jit.compiled import compiled

CONDITIONS = ("==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=")


class Tree:
    """A random tree of comparisons of one byte, its text, and what it gives for each value."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.lines = ["r2 = *(u8 *)(r1 + 0)", "r3 = 100", "r0 = 0"]
        self.count = 0
        # Sometimes all leaves choose constants, as a table has them; sometimes one of them computes.
        self.computes = random.random() < 0.3
        self.width = random.choice(("r2", "w2"))
        self.values = dict.fromkeys(range(256), 0)
        self.node(list(range(256)), {}, random.randrange(2, 6))
        self.lines += ["end:", "r0 += r3", "exit"]

    def label(self) -> str:
        self.count += 1
        return f"l{self.count}"

    def node(self, reaching: list[int], known: dict[str, int], depth: int) -> None:
        random = self.random
        if random.random() < 0.3:
            known = {**known, "r3": random.randrange(5)}
            self.lines.append(f"r3 = {known['r3']}")
        if not depth or random.random() < 0.15:
            self.leaf(reaching, known)
            return
        condition, constant = random.choice(CONDITIONS), random.randrange(256)
        taken = self.label()
        self.lines.append(f"if {self.width} {condition} {constant} goto {taken}")
        operator = condition.removeprefix("s")
        holds = {value for value in range(256) if eval(f"{value} {operator} {constant}")}
        others = [value for value in reaching if value not in holds]
        for part, label in ((others, ""), ([value for value in reaching if value in holds], taken)):
            if label:
                self.lines.append(f"{label}:")
            # Compilers leave jumps to jumps between the nodes.
            for _ in range(random.choice((0, 0, 1, 2))):
                further = self.label()
                self.lines += [f"goto {further}", f"{further}:"]
            self.node(part, known, depth - 1)

    def leaf(self, reaching: list[int], known: dict[str, int]) -> None:
        result = self.random.randrange(8)
        self.lines.append(f"r0 = {result}")
        further = 0
        if self.computes and self.random.random() < 0.3:
            self.lines.append("r0 += r2")
            further = 1
        self.lines.append("goto end")
        for value in reaching:
            self.values[value] = result + further * value + known.get("r3", 100)


def test_random_trees_choose_what_they_did() -> None:
    trees = [Tree(Random(seed)) for seed in range(60)]
    for level in (1, 3):
        with compiled(["\n".join(tree.lines) for tree in trees], level=level) as batch:
            for value in range(256):
                batch.memory.write(0, bytes([value]))
                for index, tree in enumerate(trees):
                    assert batch.run(index) == tree.values[value], (level, index, value)


def test_many_of_them_are_switches_and_some_are_tables() -> None:
    switches = []
    for seed in range(60):
        instructions = assemble("\n".join(Tree(Random(seed)).lines)).instructions
        function = graph.build(instructions, 0)
        graph.finish(function, instructions)
        recover_switches(function, instructions)
        switches += [one.terminator for one in function.blocks.values() if isinstance(one.terminator, Switch)]
    assert len(switches) > 20
    assert 5 < sum(one.default is None for one in switches) < len(switches)
    for one in switches:
        if one.default is None:
            assert [value for value, _ in one.cases] == list(range(256))
