"""The verifier: abstract interpretation of one program, with a reason for every verdict."""

from skep.verifier.answers.report import KERNEL, Report
from skep.verifier.verification import verify

__all__ = ["KERNEL", "Report", "verify"]
