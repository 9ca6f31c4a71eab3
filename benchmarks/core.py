"""Opening an object of some 5,000 instructions, fitting it to the kernel by CO-RE and loading it; what bpftool takes
for the same beside. Milliseconds of processor time, the kernel's whole BTF read in each round.

    python benchmarks/core.py [ROUNDS]

Needs clang, libbpf's headers and the right to use bpf(2); bpftool for the comparison. Each round is a process of its
own, which has imported skep before the clock starts, because bpftool has no imports to make.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

#: Fields of ``struct task_struct`` and what they lead to, each read again and again.
_READS = 50
_SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
struct inner {{ unsigned int val; }} __attribute__((preserve_access_index));
struct cred {{ struct inner uid, euid; }} __attribute__((preserve_access_index));
struct mm_struct {{ unsigned long arg_start, arg_end; }} __attribute__((preserve_access_index));
struct task_struct {{
	int pid, tgid, prio;
	struct task_struct *real_parent, *group_leader;
	struct cred *cred;
	struct mm_struct *mm;
	unsigned long start_time;
	char comm[16];
}} __attribute__((preserve_access_index));
unsigned long sums[8];
SEC("raw_tp/sys_enter") int look(void *ctx)
{{
	struct task_struct *task = (void *)bpf_get_current_task();
	unsigned long sum = 0;
{reads}
	sums[0] = sum;
	return 0;
}}
char LICENSE[] SEC("license") = "GPL";
"""
_READ = """
	sum += BPF_CORE_READ(task, pid) * {n} + BPF_CORE_READ(task, real_parent, tgid);
	sum ^= BPF_CORE_READ(task, group_leader, real_parent, prio) + BPF_CORE_READ(task, cred, uid.val) + {n};
	if (bpf_core_field_exists(task->start_time) && bpf_core_field_size(task->comm) > 8)
		sum += BPF_CORE_READ(task, start_time) >> {n};
	sum += BPF_CORE_READ(task, mm, arg_start);
"""


def build(place: Path) -> Path:
    """The object, built by whichever clang there is."""
    clang = next((name for name in ("clang", "clang-19", "clang-22") if shutil.which(name)), None)
    if clang is None:
        sys.exit("clang is needed to build the object")
    source, built = place / "core.c", place / "core.o"
    source.write_text(_SOURCE.format(reads="".join(_READ.format(n=number) for number in range(_READS))))
    headers = f"-I/usr/include/{os.uname().machine}-linux-gnu"
    subprocess.run([clang, "-O2", "-g", "-target", "bpf", "-mcpu=v3", headers, "-c", source, "-o", built], check=True)
    return built


def once(path: str) -> None:
    """One round: prints milliseconds of processor time for each step."""
    import elftools.elf.elffile  # noqa: F401  # opening imports it late

    from skep import objects
    from skep.engines.kernel import Kernel
    from skep.engines.kernel.running import RUNNING_KERNEL
    from skep.objects.fitting import fit

    times = [time.process_time()]
    spec = objects.open(path)["look"]
    times.append(time.process_time())
    fitted = fit(spec, RUNNING_KERNEL).program
    times.append(time.process_time())
    with Kernel().load(fitted):
        times.append(time.process_time())
    steps = [(after - before) * 1e3 for before, after in pairwise(times)]
    print(json.dumps([len(spec.instructions), len(spec.core_relocations), *steps]))


def by_bpftool(path: Path, pin: str) -> float | None:
    """Milliseconds of processor time that bpftool takes for the same, None without it."""
    if shutil.which("bpftool") is None:
        return None
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(["bpftool", "prog", "load", path, pin], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    Path(pin).unlink(missing_ok=True)
    if ended.returncode:
        return None
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def main(rounds: int) -> None:
    """Print medians of some rounds."""
    with tempfile.TemporaryDirectory() as folder:
        path = build(Path(folder))
        rows, others = [], []
        for number in range(rounds):
            answer = subprocess.run(
                [sys.executable, __file__, "--once", path], capture_output=True, text=True, check=False
            )
            if answer.returncode:
                sys.exit(answer.stderr.strip().splitlines()[-1])
            rows.append(json.loads(answer.stdout))
            others.append(by_bpftool(path, f"/sys/fs/bpf/skep-benchmark-{os.getpid()}-{number}"))
    slots, relocations = rows[0][:2]
    opening, fitting, loading = (statistics.median(row[column] for row in rows) for column in (2, 3, 4))
    whole = statistics.median(sum(row[2:]) for row in rows)
    print(f"{slots} instructions, {relocations} CO-RE relocations, median of {rounds} rounds, ms of processor time")
    print(f"open {opening:.0f}, relocate {fitting:.0f}, load {loading:.0f}; together {whole:.0f} (wanted: < 400)")
    known = [one for one in others if one is not None]
    if known:
        print(
            f"bpftool {statistics.median(known):.0f}: skep takes {whole / statistics.median(known):.1f} times as long"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        once(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
