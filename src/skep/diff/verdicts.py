"""What verifiers say of a program: skep's, which needs no kernel, beside the running kernel's own.

The program is asked about as it is, not as it is made ready for a comparison of runs: what stands in for the time or
a random number there is a constant, of which a verifier knows more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from skep.errors import SkepError
from skep.objects import ProgramSpec, ProgramType

#: A verifier's answer; ``unsupported`` is skep's where a program depends on what it does not check.
Answer = Literal["accept", "reject", "unsupported"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says: its answer, and why it is not ``accept``, in one line."""

    answer: Answer
    message: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the program is accepted."""
        return self.answer == "accept"

    def __str__(self) -> str:
        return f"{self.answer}: {self.message}" if self.message else self.answer


def own_verdict(spec: ProgramSpec, type: ProgramType | None = None, limit: int | None = None) -> Verdict:
    """What skep says, having followed ``limit`` instructions at most; CO-RE relocations are fitted to this kernel."""
    from skep.engines.kernel.running import RUNNING_KERNEL
    from skep.objects.fitting import fit
    from skep.verifier import verify
    from skep.verifier.paths.exploration import INSTRUCTION_LIMIT

    try:
        fitted = fit(spec, RUNNING_KERNEL).program
    except SkepError as error:
        return Verdict("unsupported", error.problem)
    # A program that asks for the configuration gets this kernel's, as it does from the kernel.
    facts = RUNNING_KERNEL if any(one.configuration for one in fitted.maps.values()) else None
    report = verify(fitted, type=type, facts=facts, limit=INSTRUCTION_LIMIT if limit is None else limit)
    return Verdict(report.verdict, report.message)


def kernel_verdict(spec: ProgramSpec, type: ProgramType | None = None) -> Verdict:
    """What the running kernel says. Raises KernelError where its verifier was not asked, other errors of loading."""
    from skep.engines.kernel import Kernel

    # Level 4 writes the message and the sums, and not every step.
    said = Kernel().verdict(spec, type=type, log_level=4)
    return refusal_of(said.lines) if not said.accepted else Verdict("accept")


def refusal_of(lines: tuple[str, ...]) -> Verdict:
    """A refusal from the lines that a log ends with; the last is the message, those before it are about states."""
    return Verdict("reject", lines[-1] if lines else "")


def ask(spec: ProgramSpec, type: ProgramType | None, *, kernel: bool, limit: int | None = None) -> dict[str, Verdict]:
    """What each verifier says, by name: ``skep``, and ``kernel`` if it is to be asked and lets itself be."""
    if (spec.type if spec.type is not None else type) in (None, ProgramType.RAW):
        return {}
    verdicts = {"skep": own_verdict(spec, type, limit)}
    if kernel:
        with suppress(SkepError):
            verdicts["kernel"] = kernel_verdict(spec, type)
    return verdicts


def differ(verdicts: Mapping[str, Verdict]) -> bool:
    """Whether two verifiers decided, and not the same.

    Of two refusals the messages count too, if the kernel is of the version whose messages skep gives.
    """
    decided = [one for one in verdicts.values() if one.answer != "unsupported"]
    if len({one.answer for one in decided}) > 1:
        return True
    return len({_comparable(one.message) for one in decided}) > 1 and _same_version()


def _comparable(message: str) -> str:
    """A message without what only the kernel can know: where an instruction lies in the program as it rewrote it."""
    return message.partition(" at insn ")[0] if message.startswith("verifier bug") else message


def _same_version() -> bool:
    from skep.engines.kernel.kconfig import kernel_version
    from skep.verifier import KERNEL

    version = kernel_version()
    return f"{version >> 16}.{version >> 8 & 0xFF}" == KERNEL


def still_differ(
    verdicts: Mapping[str, Verdict], type: ProgramType | None, limit: int
) -> Callable[[ProgramSpec], bool]:
    """Whether another program gets answers that differ in the same way; with ``limit`` as for `own_verdict`."""
    messages = {name: one.message for name, one in verdicts.items()}

    def shows(candidate: ProgramSpec) -> bool:
        try:
            kernel = kernel_verdict(candidate, type)
        except SkepError:
            return False
        # The quicker one first: most candidates are refused for something else.
        if (kernel.answer, kernel.message) != (verdicts["kernel"].answer, messages["kernel"]):
            return False
        own = own_verdict(candidate, type, limit)
        return (own.answer, own.message) == (verdicts["skep"].answer, messages["skep"])

    return shows
