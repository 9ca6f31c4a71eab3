"""CPUs as threads, runs of one packet or a million, captures."""

from skep.machine.capture import Capture, Packet, read_capture, write_capture
from skep.machine.machine import Machine
from skep.machine.program import Program, Result
from skep.machine.runs import Runs

__all__ = ["Capture", "Machine", "Packet", "Program", "Result", "Runs", "read_capture", "write_capture"]
