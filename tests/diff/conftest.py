"""The comparison's tests use the fuzzer's wrong JIT."""

from tests.fuzz.conftest import skep, wrong_jit

__all__ = ["skep", "wrong_jit"]
