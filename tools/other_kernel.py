"""Run a command under another Linux kernel, in qemu: the files are this machine's, the kernel is a distribution's.

    python tools/other_kernel.py linux-image-6.18.15-amd64.deb -- .venv/bin/skep diff examples/xdp_counter.bpf.o

So a program is asked of kernels that this machine does not run, with what its own kernel may lack: security hooks,
tables of programs, modules. No rights are needed here; the command is root there. Software emulation boots in some
five seconds and is about twenty times slower than the processor: ask many questions in one run.

It takes a kernel package of Debian's form (or a folder where one was unpacked), and ``qemu-system-x86_64``,
``dpkg-deb``, ``depmod``, ``cpio`` and a static ``busybox``. The command's output, and what the kernel prints, come
together; the status is the command's. In the command ``$MODULES`` is the folder for ``modprobe -d``.
"""

from __future__ import annotations

import argparse
import lzma
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

#: What has to be loaded before the files of this machine are there, first what the others need.
_WANTED: Final = re.compile(r"/(virtio_pci|9pnet_virtio|9p)\.ko(\.xz)?$")
_TOOLS: Final = ("qemu-system-x86_64", "dpkg-deb", "depmod", "cpio", "busybox")
_STATUS: Final = re.compile(r"^skep-status (\d+)\s*$")

_INIT: Final = """#!/busybox sh
b=/busybox
$b mkdir -p /proc /sys /host
$b mount -t proc proc /proc
for module in $($b cat /modules/order); do $b insmod /modules/$module; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose host /host
$b mount -t proc proc /host/proc
$b mount -t sysfs sys /host/sys
$b mount -t devtmpfs dev /host/dev
$b mount -t tmpfs tmp /host/run
$b mount -t bpf bpf /host/sys/fs/bpf
$b mount -t cgroup2 none /host/sys/fs/cgroup
$b mount -t tracefs none /host/sys/kernel/tracing
$b mount -t securityfs none /host/sys/kernel/security
$b ip link set lo up
$b echo skep-begins
$b chroot /host /bin/sh -c "$($b cat /command)"
$b echo skep-status $?
$b sync
$b poweroff -f
"""


def main() -> int:
    """Read the command line, run, and give the command's status."""
    parser = argparse.ArgumentParser(description="Run a command under another Linux kernel, in qemu.")
    parser.add_argument("package", type=Path, help="a kernel package (.deb), or a folder where one was unpacked")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="the command and its arguments, behind --")
    parser.add_argument("--seconds", type=int, default=900, help="end it after so many seconds (900)")
    parser.add_argument("--memory", type=int, default=3072, help="memory in MiB (3072)")
    parser.add_argument("--lsm", default="bpf", help="the security modules that are on (bpf)")
    asked = parser.parse_args()
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        print(f"other_kernel: install {', '.join(missing)} first", file=sys.stderr)
        return 2
    if not asked.package.exists():
        print(f"other_kernel: {asked.package} is not there", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as place:
        kernel = asked.package
        if kernel.is_file():
            kernel = Path(place) / "kernel"
            subprocess.run(["dpkg-deb", "-x", asked.package, kernel], check=True)
        return _run(kernel.resolve(), Path(place), asked)


def _run(kernel: Path, place: Path, asked: argparse.Namespace) -> int:
    images = sorted(kernel.glob("boot/vmlinuz*"))
    modules = sorted([*kernel.glob("usr/lib/modules/*"), *kernel.glob("lib/modules/*")])
    if len(images) != 1 or not modules:
        print(f"other_kernel: {asked.package} holds no kernel with its modules", file=sys.stderr)
        return 2
    folder = modules[0].parents[2]
    subprocess.run(["depmod", "-b", folder, modules[0].name], check=True)
    exports = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/"), "MODULES": str(folder)}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    lines += [f"cd {shlex.quote(os.getcwd())}", shlex.join(asked.command)]
    first = _first_files(modules[0], place, "\n".join(lines))
    machine = [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", str(asked.memory), "-nic", "none"),
        *("-nographic", "-no-reboot", "-kernel", str(images[0]), "-initrd", str(first)),
        *("-append", f"console=ttyS0 quiet panic=-1 oops=panic mitigations=off lsm={asked.lsm}"),
        *("-virtfs", "local,path=/,mount_tag=host,security_model=none,multidevs=remap"),
    ]
    status = 2
    with subprocess.Popen(
        machine, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as vm:
        assert vm.stdout is not None
        watch = threading.Timer(asked.seconds, vm.kill)
        watch.start()
        try:
            began = False
            for line in vm.stdout:
                if found := _STATUS.match(line):
                    status = int(found[1])
                elif began:
                    print(line.rstrip("\r\n"), flush=True)
                began = began or line.rstrip().endswith("skep-begins")
        finally:
            watch.cancel()
            vm.kill()
    return status


def _first_files(modules: Path, place: Path, command: str) -> Path:
    """The archive that the kernel starts from: busybox, the modules for this machine's files, and the command."""
    root = place / "root"
    (root / "modules").mkdir(parents=True)
    order: list[str] = []
    for line in (modules / "modules.dep").read_text().splitlines():
        name, _, needs = line.partition(":")
        if _WANTED.search(name):
            order += [one for one in (*reversed(needs.split()), name) if one not in order]
    for one in order:
        data = (modules / one).read_bytes()
        name = Path(one).name.removesuffix(".xz")
        (root / "modules" / name).write_bytes(lzma.decompress(data) if one.endswith(".xz") else data)
    (root / "modules" / "order").write_text("\n".join(Path(one).name.removesuffix(".xz") for one in order))
    shutil.copy(shutil.which("busybox") or "", root / "busybox")
    (root / "command").write_text(command)
    (root / "init").write_text(_INIT)
    (root / "init").chmod(0o755)
    names = "\n".join(str(one.relative_to(root)) for one in sorted(root.rglob("*")))
    archive = place / "first.cpio"
    with archive.open("wb") as out:
        subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=names.encode(), stdout=out, check=True
        )
    return archive


if __name__ == "__main__":
    sys.exit(main())
