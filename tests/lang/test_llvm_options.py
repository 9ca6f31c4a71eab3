"""Code never depends on what was compiled before it in the process, though LLVM's options are the process's."""

from __future__ import annotations

import threading

from skep.lang import bpf as bpf_compiler
from skep.lang.llvm_options import options_for
from skep.lang.target import BPF, HOST
from tests.lang.test_bpf import lookup


def test_bpf_instructions_are_the_same_before_and_after_native_code() -> None:
    element = lookup.specialise(value_size=8)
    first = bpf_compiler._compile(element).data
    with options_for(HOST):
        pass
    assert bpf_compiler._compile(element).data == first


def test_threads_that_compile_for_other_targets_wait() -> None:
    entered = threading.Event()

    def other() -> None:
        with options_for(BPF):
            entered.set()

    thread = threading.Thread(target=other)
    with options_for(HOST), options_for(HOST):
        thread.start()
        assert not entered.wait(0.05)
    thread.join()
    assert entered.is_set()
