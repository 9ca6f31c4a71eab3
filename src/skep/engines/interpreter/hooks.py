"""What can be watched or done at each step of an execution.

A hook sees the execution before and after each instruction; it may read and change registers and memory. Accesses
to memory are announced before they happen by :func:`next_access`, which the race explorer uses to know what would
conflict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skep.engines.interpreter.execution import Execution


class Hook:
    """Does nothing; subclasses override what they need."""

    def before(self, execution: Execution) -> None:
        """``execution.pc`` is about to be executed."""

    def after(self, execution: Execution, slot: int) -> None:
        """The instruction at ``slot`` was executed."""
