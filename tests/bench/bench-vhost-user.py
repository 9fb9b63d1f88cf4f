#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How fast a real guest flips on the vhost-user device while nobody watches, beside the virtio-gpu
that is built into QEMU.

Usage, in a build tree: make bench
"""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import BUILD, GUEST_PATIENCE, SOURCE, Process  # noqa: E402

QEMU = os.path.join(SOURCE, "tests/vhost-user/qemu-forky")
SECONDS = 4


def boot(*options):
    script = os.path.join(SOURCE, "examples/guest/boot-guest")
    guest = Process(
        [script, *options, BUILD, "scancast.mode=flip", "scancast.fps=0"], env={"QEMU": QEMU}
    )
    try:
        guest.wait_for(r"^guest ready", patience=GUEST_PATIENCE)
        since = guest.mark()
        for _ in range(SECONDS + 1):
            match = guest.wait_for(r"^guest rate (\S+)/s", since, GUEST_PATIENCE)
            since = guest.lines.index(match.string, since) + 1
        rates = [float(found.group(1)) for found in guest.find_all(r"^guest rate (\S+)/s")]
        return sorted(rates[-SECONDS:])[SECONDS // 2]
    finally:
        guest.stop()


def boot_on_scancast(folder, *options):
    socket = os.path.join(folder, "vm.sock")
    scancast = Process(
        [os.path.join(BUILD, "scancast"), "--listen=127.0.0.1:0", f"vhost-user:{socket}"]
    )
    try:
        scancast.wait_for(r"^listening on ")
        return boot(f"--vhost-user={socket}", *options)
    finally:
        scancast.stop()


def main():
    if subprocess.run([QEMU, "--fetch"], check=False).returncode != 0:
        print("guest rate: QEMU 11 cannot be had")
        return
    build_guest = os.path.join(SOURCE, "examples/guest/build-guest")
    subprocess.run([build_guest, BUILD], check=True)
    built_in = boot()
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (("with blobs", []), ("2D", ["--2d"])):
            rate = boot_on_scancast(folder, *options)
            print(
                f"guest's flips a second, nobody watching, {name}: {rate:.0f}; QEMU's own device: "
                f"{built_in:.0f}; ratio {rate / built_in:.2f} (goal: at least 0.8)",
                flush=True,
            )


if __name__ == "__main__":
    main()
