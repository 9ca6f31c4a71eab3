"""What the tests try in short, at length: run it after a change to the verifier, as root for the kernel's answers.

    python -m tests.verifier.at_length agreement --programs 20000
    python -m tests.verifier.at_length soundness --steps 1000000
    python -m tests.verifier.at_length robustness --programs 20000

``agreement`` holds verdict, message and instructions followed of programs made at random against the running
kernel's; ``soundness`` runs accepted ones and looks at every step whether it lies in what was proved;
``robustness`` gives damaged programs to the verifier, which has to answer each. What differs is printed with the
generator and seed that make it again. Exit status 1 if anything did.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from skep.errors import SkepError
from skep.objects import ProgramSpec
from skep.verifier import verify
from tests.verifier import random_helpers, random_iterations, random_kfuncs, random_stack_objects
from tests.verifier.programs import ask_kernel, kernel_is_there
from tests.verifier.random_programs import deep_program, random_program
from tests.verifier.test_robustness import mutated
from tests.verifier.test_soundness import followed

#: Programs that one process makes and compares before it is given others.
_BATCH = 50
#: Of programs that the kernel follows further the verdicts are not compared: they take seconds each.
_LONGEST = 20_000


@cache
def _kfuncs() -> list[str]:
    return random_kfuncs.names()


#: By name: the program of a seed.
GENERATORS: dict[str, Callable[[int], ProgramSpec]] = {
    "plain": random_program,
    "deep": deep_program,
    "stack objects": random_stack_objects.random_program,
    "iterations": random_iterations.random_program,
    "helpers": random_helpers.random_program,
    "kernel functions": lambda seed: random_kfuncs.random_program(seed, _kfuncs()),
}


@dataclass(slots=True)
class Tally:
    """What came of a batch: counts by generator and what they count, and a line for each program that differs."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.counts.update(other.counts)
        self.findings += other.findings


def agreement(generator: str, first: int) -> Tally:
    """Compare a batch of programs with the kernel."""
    tally = Tally()
    for seed in range(first, first + _BATCH):
        spec = GENERATORS[generator](seed)
        answer = ask_kernel(spec)
        if answer.processed > _LONGEST or answer.message.startswith("verifier bug"):
            tally.counts[generator, "left out"] += 1
            continue
        report = verify(spec, limit=10 * _LONGEST)
        tally.counts[generator, answer.verdict] += 1
        if report.verdict != answer.verdict:
            what = (
                "accepts what Linux rejects" if report.accepted else f"says {report.verdict}, Linux {answer.verdict}"
            )
            tally.counts[generator, "other verdict"] += 1
        elif report.message != answer.message:
            what = "has another message"
            tally.counts[generator, "other message"] += 1
        elif report.processed != answer.processed:
            what = f"followed {report.processed}, Linux {answer.processed}"
            tally.counts[generator, "other count"] += 1
        else:
            continue
        ours, theirs = report.message or report.verdict, answer.message or answer.verdict
        tally.findings.append(f"{generator} {seed}: skep {what}: {ours!r}, Linux {theirs!r}")
    return tally


def soundness(generator: str, first: int) -> Tally:
    """Run the accepted ones of a batch of programs and look at every step."""
    tally = Tally()
    for seed in range(first, first + _BATCH):
        spec = GENERATORS[generator](seed)
        if not verify(spec, limit=300).accepted:
            continue
        try:
            steps = followed(spec, random.Random(seed))
        except (AssertionError, SkepError) as error:
            tally.findings.append(f"{generator} {seed}: {error}")
            continue
        tally.counts[generator, "programs"] += steps > 0
        tally.counts[generator, "steps"] += steps
    return tally


def robustness(generator: str, first: int) -> Tally:
    """Give a batch of damaged programs to the verifier."""
    tally = Tally()
    for seed in range(first, first + _BATCH):
        chance = random.Random(seed)
        spec = mutated(GENERATORS[generator](seed), chance)
        started = time.process_time()
        try:
            tally.counts[generator, verify(spec, limit=_LONGEST).verdict] += 1
        except SkepError:
            tally.counts[generator, "refused"] += 1
        except Exception as error:
            tally.findings.append(f"{generator} {seed}: {error!r}")
        if time.process_time() - started > 10:
            tally.findings.append(f"{generator} {seed}: took more than ten seconds")
    return tally


_TASKS = {"agreement": agreement, "soundness": soundness, "robustness": robustness}


def _batches(names: list[str], first: int) -> Iterator[tuple[str, int]]:
    """Batches of each generator in turn, without end."""
    for start in itertools.count(first, _BATCH):
        for name in names:
            yield name, start


def _run(task: str, names: list[str], first: int, jobs: int, enough: Callable[[Tally], bool]) -> Tally:
    total = Tally()
    batches = _batches(names, first)
    with ProcessPoolExecutor(jobs) as pool:
        while not enough(total):
            chosen = list(itertools.islice(batches, 2 * jobs))
            for tally in pool.map(_TASKS[task], *zip(*chosen, strict=True)):
                total.add(tally)
                for line in tally.findings:
                    print(line, flush=True)
    return total


def main() -> int:
    """Run one task and print its sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=_TASKS)
    parser.add_argument("--programs", type=int, default=20_000, help="how many to compare, or to damage")
    parser.add_argument("--steps", type=int, default=1_000_000, help="how many steps to look at (soundness)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--generator", action="append", choices=GENERATORS, help="only these; all if none is given")
    chosen = parser.parse_args()
    names = chosen.generator or list(GENERATORS)
    if chosen.task == "soundness":
        # What the interpreter has no implementation of cannot be run.
        names = chosen.generator or ["plain", "deep"]
    elif chosen.task == "agreement" and (why := kernel_is_there()) is not None:
        print(f"the running kernel cannot be asked: {why}", file=sys.stderr)
        return 2
    counted = {
        "soundness": lambda total: sum(n for (_, what), n in total.counts.items() if what == "steps") >= chosen.steps,
        "agreement": lambda total: (
            sum(n for (_, what), n in total.counts.items() if what in ("accept", "reject")) >= chosen.programs
        ),
        "robustness": lambda total: sum(total.counts.values()) >= chosen.programs,
    }[chosen.task]
    started = time.monotonic()
    total = _run(chosen.task, names, chosen.first, chosen.jobs, counted)
    kinds = sorted({what for _, what in total.counts})
    print(f"{'':<18}", *(f"{kind:>14}" for kind in kinds))
    for name in names:
        print(f"{name:<18}", *(f"{total.counts[name, kind]:>14,}" for kind in kinds))
    print(f"{'all':<18}", *(f"{sum(total.counts[name, kind] for name in names):>14,}" for kind in kinds))
    print(f"{len(total.findings)} findings in {time.monotonic() - started:.0f} s")
    return 1 if total.findings else 0


if __name__ == "__main__":
    sys.exit(main())
