"""The interpreter as an engine: options, loading, and executions that share stacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from skep.engines import Binding
from skep.engines.interpreter.code import Code
from skep.engines.interpreter.execution import MAX_TURNS, Execution
from skep.engines.interpreter.hooks import Hook
from skep.engines.interpreter.prepare import prepare
from skep.engines.interpreter.stack import Stack
from skep.errors import RequestError, SkepError
from skep.objects.spec import ProgramSpec

#: Instructions in one run: enough for a loop of eight instructions to use up all the turns of ``may_goto``.
DEFAULT_BUDGET: Final = 8 * MAX_TURNS


class Interpreter:
    """The reference engine: checks every access, counts every instruction, can be stepped and watched.

    ``budget`` is how many instructions one run may execute, ``turns`` how often the ``may_goto`` instructions of one
    function call may go on; ``hooks`` are told of every instruction of every run.
    """

    name = "interpreter"

    def __init__(self, *, budget: int = DEFAULT_BUDGET, turns: int = MAX_TURNS, hooks: Sequence[Hook] = ()) -> None:
        if budget <= 0:
            raise RequestError(f"a budget of {budget} instructions lets no program run; give a positive number")
        self.budget = budget
        self.turns = turns
        self.hooks = tuple(hooks)

    def load(self, spec: ProgramSpec, binding: Binding) -> InterpretedProgram:
        """Make a program ready: milliseconds, whatever its length. Raises LoadError for names nothing is bound to."""
        return InterpretedProgram(prepare(spec, binding), self)


class InterpretedProgram:
    """A program in the interpreter. Stacks are kept between runs; two runs at once have one each."""

    #: There is no native entry point.
    address = 0

    def __init__(self, code: Code, engine: Interpreter) -> None:
        self.code = code
        self._engine = engine
        self._stacks: list[Stack] = []
        self._closed = False

    @property
    def spec(self) -> ProgramSpec:
        """What it was loaded from."""
        return self.code.spec

    def start(self, r1: int, r2: int, cpu: int, *, hooks: Sequence[Hook] = ()) -> Execution:
        """A run at its first instruction, to be stepped or run by the caller, who also closes it."""
        if self._closed:
            raise RequestError(f"the program {self.spec.name} is closed and cannot run")
        stack = self._stacks.pop() if self._stacks else Stack(self.code.binding.space)
        stack.clear()
        engine = self._engine
        try:
            return Execution(
                self.code,
                stack,
                r1,
                r2,
                cpu,
                budget=engine.budget,
                turns=engine.turns,
                hooks=(*engine.hooks, *hooks),
                give_back=self._stacks.append,
            )
        except SkepError:
            self._stacks.append(stack)
            raise

    def run(self, r1: int, r2: int, cpu: int) -> int:
        """Run once and return r0. Raises Fault."""
        with self.start(r1, r2, cpu) as execution:
            return execution.run()

    def close(self) -> None:
        """Give the stacks back; executions that are not closed keep theirs."""
        self._closed = True
        while self._stacks:
            self._stacks.pop().close()
