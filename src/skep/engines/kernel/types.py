"""BTF in the running kernel: hand it one's own, open what it holds."""

from __future__ import annotations

from ctypes import addressof, create_string_buffer
from typing import Self

from skep.engines.kernel import handle
from skep.engines.kernel.attributes import BtfLoad, Command
from skep.engines.kernel.handle import Handle
from skep.engines.kernel.information import BtfInformation, btf_information
from skep.engines.kernel.syscall import attempt, refusal

_LOG_BYTES = 1 << 16


class KernelBtf(Handle):
    """BTF that the kernel has checked and keeps."""

    noun = "BTF"

    @classmethod
    def load(cls, data: bytes, what: str = "BTF") -> Self:
        """Hand BTF to the kernel; raises KernelError with the kernel's log, whose last line is in the sentence."""
        place = create_string_buffer(data, max(len(data), 1))
        attribute = BtfLoad(btf=addressof(place), btf_size=len(data))
        fd, number = attempt(Command.BTF_LOAD, attribute)
        if not number:
            return cls(fd)
        log_place = create_string_buffer(_LOG_BYTES)
        attribute.btf_log_buf, attribute.btf_log_size, attribute.btf_log_level = addressof(log_place), _LOG_BYTES, 1
        fd, retried = attempt(Command.BTF_LOAD, attribute)
        if not retried:
            return cls(fd)
        log = log_place.value.decode("utf-8", "replace")
        last = next((line for line in reversed(log.splitlines()) if line.strip()), "")
        raise refusal(number, f"loading the {what} into the kernel" + (f": {last.strip()}" if last else ""), log=log)

    @classmethod
    def open_id(cls, identity: int) -> Self:
        """Open the loaded BTF with that id; raises KernelError if there is none."""
        return cls(handle.open_by_id(Command.BTF_GET_FD_BY_ID, identity, cls.noun))

    def information(self, *, with_data: bool = True) -> BtfInformation:
        """What the kernel tells of it, with its bytes."""
        return btf_information(self.fileno(), with_data=with_data)
