"""The running kernel as a target to fit programs to: its types, its configuration, and what ``LINUX_…`` values ask
of it.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence

from skep.btf.btf import Btf
from skep.engines.kernel.features import has_helper
from skep.engines.kernel.kconfig import kernel_config, kernel_version
from skep.engines.kernel.symbols import has_symbol
from skep.engines.kernel.system_types import kernel_btf, module_btf, module_names
from skep.objects.configuration import KernelSettings
from skep.objects.fitting import KernelFacts
from skep.objects.kinds import ProgramType

#: The helper that reads the number a program was attached with.
_GET_ATTACH_COOKIE = 174

#: By machine, what stands before ``sys_`` in the names of system calls where the kernel wraps them.
_WRAPPERS = {"x86_64": "x64", "i686": "ia32", "aarch64": "arm64", "s390x": "s390x", "riscv64": "riscv"}


def _modules() -> Sequence[Btf]:
    return [module_btf(name) for name in module_names()]


def _wraps_system_calls() -> int:
    prefix = _WRAPPERS.get(platform.machine())
    return int(prefix is not None and has_symbol(f"__{prefix}_sys_bpf"))


def _has_cookies() -> int:
    return int(has_helper(ProgramType.TRACEPOINT, _GET_ATTACH_COOKIE))


RUNNING_KERNEL = KernelFacts(
    types=kernel_btf,
    modules=_modules,
    settings=KernelSettings(
        options=kernel_config,
        facts={
            "LINUX_KERNEL_VERSION": kernel_version,
            "LINUX_HAS_BPF_COOKIE": _has_cookies,
            "LINUX_HAS_SYSCALL_WRAPPER": _wraps_system_calls,
        },
    ),
)
