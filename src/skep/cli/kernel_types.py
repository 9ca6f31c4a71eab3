"""What ``--btf`` names: the kernel whose types count, by files, folders or the package's own."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skep.objects.fitting import KernelFacts

#: What ``--btf`` calls the types that the package carries.
CARRIED = "distribution"


@cache
def kernel_facts(files: tuple[str, ...]) -> KernelFacts | None:
    """The kernel whose types are in files, or in the package; None, which is the running one, without files."""
    if not files:
        return None
    from skep.objects.fitting import KernelFacts, facts_of_files

    if files == (CARRIED,) and not os.path.exists(CARRIED):
        from skep.verifier.kernel.kernel_types import carried_types

        return KernelFacts(carried_types)
    return facts_of_files(files)
