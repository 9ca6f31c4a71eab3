"""Random programs in C around dynptrs, iterators and sections, with static functions and callbacks that share them.

All objects lie in one structure on the stack, whose address functions and callbacks are given; loops over iterators
stand inside each other, in callbacks and in sections. Most of what is begun is ended. The same seed gives the same
programs. ``python -m tests.verifier.random_c_objects FIRST LAST`` builds those of many seeds with clang, verifies
them and asks the running kernel, and prints where they differ.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import skep
from skep.objects import ProgramSpec
from skep.verifier import verify
from tests.verifier import c_programs
from tests.verifier.programs import ask_kernel

#: Programs a source.
_PROGRAMS = 8
_DEEPEST = 3

_BEFORE = """
#include "on_stack.h"
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");
u64 global[8];
struct all {
	struct bpf_dynptr dynptrs[2];
	struct bpf_iter_num iterators[2];
	unsigned long flags[2];
	u64 a, b;
	u64 *slice;
};
"""
_PAIRS = {
    "preemption": ("bpf_preempt_disable", "bpf_preempt_enable"),
    "rcu": ("bpf_rcu_read_lock", "bpf_rcu_read_unlock"),
}


class Generator:
    """One program. ``dynptrs`` are those that were made, ``iterators`` and ``flags`` those that are free."""

    def __init__(self, seed: int, name: str) -> None:
        self.random = random.Random(seed)
        self.name = name
        self.functions: list[str] = []
        self.dynptrs: set[int] = set()
        self.iterators = [0, 1]
        self.flags = [0, 1]
        self.depth = 0
        self.count = 0
        #: How the structure is reached: in the program itself, or through the pointer that a function was given.
        self.all = "all."

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def source(self) -> str:
        body = self.block(self.random.randrange(2, 7))
        start = self.random.choice(("0", "skb->len", "5"))
        return "\n".join(
            (
                *self.functions,
                f'SEC("tc") int {self.name}(struct __sk_buff *skb)\n{{',
                "struct all all;",
                "all.a = bpf_get_prandom_u32();",
                f"all.b = {start};",
                "all.slice = 0;",
                body,
                "return all.a & all.b & 1;\n}\n",
            )
        )

    def block(self, count: int) -> str:
        return "\n".join(self.statement() for _ in range(count))

    def inner(self, count: int) -> str:
        """Statements of a block that may not be run, or more than once: what it makes does not count behind it."""
        before = set(self.dynptrs)
        self.depth += 1
        body = self.block(count)
        self.depth -= 1
        self.dynptrs &= before
        return body

    def number(self) -> str:
        return self.all + self.random.choice("ab")

    def statement(self) -> str:
        plain: list[tuple[int, Callable[[], str]]] = [
            (4, self.make),
            (4, self.write),
            (3, self.read),
            (4, self.cut),
            (2, self.cut_by_kfunc),
            (1, self.clone),
            (5, self.calculate),
            (4, self.index),
        ]
        nested: list[tuple[int, Callable[[], str]]] = [
            (3, self.record),
            (4, self.branch),
            (2, self.count_up),
            (4, self.iterate),
            (3, self.section),
            (2, self.call),
            (2, self.call_back),
        ]
        choices = plain if self.depth >= _DEEPEST else plain + nested
        weights = [weight for weight, _ in choices]
        return self.random.choices([action for _, action in choices], weights)[0]()

    def dynptr(self) -> str | None:
        """The address of one that was made; of one that was not, now and then."""
        if self.dynptrs and self.chance(0.95):
            return f"&{self.all}dynptrs[{self.random.choice(sorted(self.dynptrs))}]"
        return f"&{self.all}dynptrs[{self.random.randrange(2)}]" if self.chance(0.05) else None

    def make(self) -> str:
        number = self.random.randrange(2)
        if number in self.dynptrs and self.chance(0.8):
            return self.calculate()
        self.dynptrs.add(number)
        return f"bpf_dynptr_from_mem(global, {self.random.choice((8, 16, 64))}, 0, &{self.all}dynptrs[{number}]);"

    def write(self) -> str:
        dynptr = self.dynptr()
        offset = self.random.choice(("0", self.number()))
        return f"bpf_dynptr_write({dynptr}, {offset}, &{self.number()}, 8, 0);" if dynptr else self.calculate()

    def read(self) -> str:
        dynptr = self.dynptr()
        offset = self.random.choice(("0", "8", self.number()))
        return f"bpf_dynptr_read(&{self.number()}, 8, {dynptr}, {offset}, 0);" if dynptr else self.calculate()

    def cut(self) -> str:
        dynptr = self.dynptr()
        if dynptr is None:
            return self.calculate()
        slice = f"{self.all}slice"
        size, at = self.random.choice((8, 16)), self.random.choice((0, 0, 0, 1))
        return (
            f"{slice} = bpf_dynptr_data({dynptr}, 0, {size});\n"
            f"if ({slice}) {self.number()} {self.random.choice(('+=', '='))} {slice}[{at}];"
        )

    def cut_by_kfunc(self) -> str:
        dynptr = self.dynptr()
        if dynptr is None:
            return self.calculate()
        size, at = self.random.choice((8, 16)), self.random.choice((0, 0, 1))
        return (
            f"{{ u64 buffer[2] = {{}}; u64 *slice = bpf_dynptr_slice({dynptr}, 0, buffer, {size});\n"
            f"if (slice) {self.number()} += slice[{at}]; }}"
        )

    def clone(self) -> str:
        if not self.dynptrs:
            return self.calculate()
        source = self.random.choice(sorted(self.dynptrs))
        self.dynptrs.add(1 - source)
        return f"bpf_dynptr_clone(&{self.all}dynptrs[{source}], &{self.all}dynptrs[{1 - source}]);"

    def calculate(self) -> str:
        target = self.number()
        return self.random.choice(
            (
                f"{target} += {self.random.choice((1, 3, 8))};",
                f"{target} &= {self.random.choice((3, 7, 15, 255))};",
                f"{target} = bpf_get_prandom_u32();",
                f"{target} = {self.random.choice((0, 1, 5))};",
                f"{self.all}a = {self.all}b;",
                f"{target} >>= 1;",
            )
        )

    def index(self) -> str:
        number = self.number()
        return self.random.choice(
            (
                f"if ({number} < {self.random.choice((8, 8, 8, 9))}) global[{number}] = 1;",
                f"global[{number} & {self.random.choice((7, 7, 7, 15))}] = 1;",
            )
        )

    def record(self) -> str:
        number = self.random.randrange(2)
        before = self.dynptrs - {number}
        self.dynptrs.add(number)
        body = self.inner(self.random.randrange(1, 4))
        self.dynptrs &= before
        name = self.random.choice(("submit", "discard"))
        place = f"&{self.all}dynptrs[{number}]"
        end = f"bpf_ringbuf_{name}_dynptr({place}, 0);" if self.chance(0.96) else ""
        return f"bpf_ringbuf_reserve_dynptr(&ring, 64, 0, {place});\n{body}\n{end}"

    def branch(self) -> str:
        condition = f"{self.number()} {self.random.choice('<>&')} {self.random.choice((1, 5, 64))}"
        return (
            f"if ({condition}) {{\n{self.inner(self.random.randrange(1, 3))}\n}} else {{\n"
            f"{self.inner(self.random.randrange(2))}\n}}"
        )

    def count_up(self) -> str:
        self.count += 1
        name = f"i{self.count}"
        body = self.inner(self.random.randrange(1, 3))
        return f"for (int {name} = 0; {name} < {self.random.choice((2, 5))}; {name}++) {{\n{body}\n}}"

    def iterate(self) -> str:
        if not self.iterators:
            return self.calculate()
        number = self.iterators.pop()
        self.count += 1
        name, place = f"x{self.count}", f"&{self.all}iterators[{number}]"
        body = self.inner(self.random.randrange(1, 4))
        self.iterators.append(number)
        use = self.random.choice(
            (
                "",
                f"{self.number()} = *{name};",
                f"{self.number()} += *{name};",
                f"if (*{name} == 3) break;",
                f"if (*{name} < 8u) global[*{name} & 7] = 2;",
            )
        )
        end = f"bpf_iter_num_destroy({place});" if self.chance(0.97) else ""
        return (
            f"bpf_iter_num_new({place}, 0, 10);\n"
            f"{{ int *{name}; while (({name} = bpf_iter_num_next({place}))) {{\n{use}\n{body}\n}} }}\n{end}"
        )

    def section(self) -> str:
        kind = self.random.choice(("preemption", "rcu", "flags"))
        ends = self.chance(0.97)
        if kind != "flags":
            start, end = _PAIRS[kind]
            return f"{start}();\n{self.inner(self.random.randrange(1, 3))}\n{f'{end}();' if ends else ''}"
        if not self.flags:
            return self.calculate()
        number = self.flags.pop()
        body = self.inner(self.random.randrange(1, 3))
        self.flags.append(number)
        place = f"&{self.all}flags[{number}]"
        return f"bpf_local_irq_save({place});\n{body}\n{f'bpf_local_irq_restore({place});' if ends else ''}"

    def function(self, head: str, result: str) -> tuple[str, str]:
        """Write a function that gets the structure; its name, and the address to call it with."""
        self.count += 1
        name = f"{self.name}_{self.count}"
        address = "&all" if self.all == "all." else "all"
        outside, self.all = self.all, "all->"
        depth, self.depth = self.depth, max(self.depth, _DEEPEST - 2)
        body = self.inner(self.random.randrange(1, 3))
        self.all, self.depth = outside, depth
        self.functions.append(f"{head.format(name=name)}\n{{\n{body}\nreturn {result};\n}}\n")
        return name, address

    def call(self) -> str:
        name, address = self.function("static __noinline int {name}(struct all *all)", "all->a")
        return f"{self.all}b += {name}({address});"

    def call_back(self) -> str:
        result = self.random.choice(("0", "1", "all->a & 1", "i > 2"))
        name, address = self.function("static long {name}(u64 i, struct all *all)", result)
        rounds = self.random.choice(("3", "10", f"{self.all}a & 7"))
        return f"bpf_loop({rounds}, {name}, {address}, 0);"


def programs(seed: int) -> list[ProgramSpec]:
    """The programs of a seed, built by clang."""
    names = [f"p{seed}_{number}" for number in range(_PROGRAMS)]
    source = _BEFORE + "\n".join(Generator(seed * _PROGRAMS + at, name).source() for at, name in enumerate(names))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "random.o"
        c_programs.compile_to(target, source, "-O2", "v4")
        return list(skep.open(target).programs.values())


def main(first: int, last: int) -> None:
    """Compare the programs of many seeds with the running kernel."""
    same = compared = processed = expected = 0
    for seed in range(first, last):
        for spec in programs(seed):
            answer = ask_kernel(spec)
            if answer.processed > 3_000 or answer.message.startswith("verifier bug"):
                continue
            report = verify(spec, limit=30_000)
            compared += 1
            here, there = (report.verdict, report.message), (answer.verdict, answer.message)
            same += here == there
            if here != there:
                print(f"{spec.name}: kernel {there}, here {here}")
            elif report.accepted:
                processed += report.processed
                expected += answer.processed
    print(f"{same} of {compared} the same; {processed} instructions followed, {expected} by the kernel")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
