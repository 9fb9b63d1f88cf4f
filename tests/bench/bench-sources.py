#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a full picture of the guest costs by each way it can reach scancast without a GPU: the
processor time of scancast and of QEMU, side by side, for the same guest at the same rate.

The guest is the demonstration, whose pictures change everywhere: of the test picture of the other
modes little does, and QEMU's SPICE server sends what differs only.

The ratio 1.00 is the cheapest of this run. QEMU's time has the guest in it, which is emulated where
there is no KVM. The viewer is tests/client/spice-probe; scancast encodes on the processor for it.

Usage, in a build tree: make bench
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import BUILD, GUEST_PATIENCE, SOURCE, Process  # noqa: E402
from measure import cpu_seconds  # noqa: E402

FPS = 10  # what an emulated guest reaches on two cores beside the encoder and the viewer
SECONDS = 12
SETTLE_SECONDS = 3
MIN_SHARE = 0.9  # of FPS, below which figures of two guests are not comparable

QEMU_NEXT = os.path.join(SOURCE, "tests/va-lab/vm/qemu-next")
QEMU_FORKY = os.path.join(SOURCE, "tests/vhost-user/qemu-forky")


class Way:
    """From the guest to scancast."""

    def __init__(self, name, qemu, option, source, scancast_is_first=False, shares=False):
        self.name = name
        self.qemu = qemu
        self.option = option  # of boot-guest, which a path is appended to
        self.source = source  # likewise, of scancast
        self.scancast_is_first = scancast_is_first
        self.shares = shares  # scancast reads the pictures where QEMU draws them


WAYS = [
    Way("D-Bus, bytes", "qemu-system-x86_64", "--p2p=", "dbus:p2p:"),
    Way("D-Bus, shared map", QEMU_NEXT, "--p2p=", "dbus:p2p:", shares=True),
    Way("SPICE, surfaces", "qemu-system-x86_64", "--spice=", "spice+unix:"),
    Way("vhost-user", QEMU_FORKY, "--vhost-user=", "vhost-user:", scancast_is_first=True),
]


class Pair:
    """A guest that shows a new picture all the time, and scancast."""

    def __init__(self, folder, way):
        path = os.path.join(folder, "vm.sock")
        self.processes = []
        try:
            if way.scancast_is_first:
                self.start_scancast(way.source + path)
                self.start_guest(way, path)
            else:
                self.start_guest(way, path)
                self.start_scancast(way.source + path)
        except AssertionError:
            self.stop()
            raise

    def start_guest(self, way, path):
        script = os.path.join(SOURCE, "examples/guest/boot-guest")
        options = [way.option + path, BUILD, "scancast.mode=demo", f"scancast.fps={FPS}"]
        self.guest = Process([script, *options], env={"QEMU": way.qemu})
        self.processes.append(self.guest)
        self.guest.wait_for(r"^guest ready", patience=GUEST_PATIENCE)

    def start_scancast(self, source):
        program = os.path.join(BUILD, "scancast")
        self.scancast = Process([program, "--listen=127.0.0.1:0", "--stats", source])
        self.processes.append(self.scancast)
        self.address = self.scancast.wait_for(r"^listening on (\S+)$").group(1)

    def start_viewer(self):
        probe = os.path.join(BUILD, "tests/client/spice-probe")
        self.viewer = Process([probe, f"--uri=spice://{self.address}", "--seconds=600"])
        self.processes.append(self.viewer)
        self.viewer.wait_for(r"^frame ")

    def count_pictures(self):
        """How many scancast had encoded when it told so last."""
        counts = [re.search(r" packets=(\d+)", line.string) for line in
                  self.scancast.find_all(r"^stats: ")]  # fmt: skip
        return int(counts[-1][1]) if counts and counts[-1] else 0

    def measure(self):
        """Flips a second, the milliseconds that scancast and QEMU have used for each, and the
        pictures that were encoded for each."""
        time.sleep(SETTLE_SECONDS)
        pids = (self.scancast.pid, self.guest.pid)
        since, start = self.guest.mark(), time.monotonic()
        before = [cpu_seconds(pid) for pid in pids]
        pictures = -self.count_pictures()
        time.sleep(SECONDS)
        used = [cpu_seconds(pid) - old for pid, old in zip(pids, before)]
        seconds = time.monotonic() - start
        pictures += self.count_pictures()
        rates = [float(match[1]) for match in self.guest.find_all(r"^guest rate (\S+)/s", since)]
        rate = sum(rates) / len(rates)
        flips = rate * seconds
        return rate, *(1000 * cpu / flips for cpu in used), pictures / flips

    def has_shared_picture(self):
        """Whether scancast has mapped a picture that QEMU draws in."""
        with open(f"/proc/{self.scancast.pid}/maps", encoding="ascii") as stream:
            return re.search(r"^\S+ r--s .*memfd:", stream.read(), re.M) is not None

    def stop(self):
        for process in reversed(self.processes):
            process.stop()


def version(qemu):
    """None if it cannot be had."""
    if qemu in (QEMU_NEXT, QEMU_FORKY):
        fetched = subprocess.run([qemu, "--fetch"], stdout=subprocess.DEVNULL, check=False)
        if fetched.returncode != 0:
            return None
    elif shutil.which(qemu) is None:
        return None
    result = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True)
    return re.search(r"version (\d+\.\d+)", result.stdout)[1]


def bench(way):
    """A row of the table: the way, QEMU's version, the figures without and with a viewer; None if
    it cannot be had."""
    qemu_version = version(way.qemu)
    if qemu_version is None:
        print(f"{way.name}: its QEMU cannot be had", flush=True)
        return None
    with tempfile.TemporaryDirectory(prefix="scancast-") as folder:
        pair = Pair(folder, way)
        try:
            alone = pair.measure()
            pair.start_viewer()
            watched = pair.measure()
            shares = pair.has_shared_picture()
        finally:
            pair.stop()
    assert shares == way.shares, f"{way.name}: this is not how the pictures came"
    slowest = min(alone[0], watched[0])
    if slowest < MIN_SHARE * FPS:
        print(f"{way.name}: the guest made {slowest:.1f} of {FPS} flips a second: do not compare")
    return way, qemu_version, alone, watched


def print_table(rows):
    cheapest = min(watched[1] for _, _, _, watched in rows)
    print(
        "CPU for each flip:\n\n"
        "| way | QEMU | scancast, nobody watching | scancast, one viewer | ratio | pictures encoded "
        "| QEMU, nobody watching | QEMU, one viewer |\n|---|---|---|---|---|---|---|---|"
    )
    for way, qemu_version, alone, watched in rows:
        print(
            f"| {way.name} | {qemu_version} | {alone[1]:.2f} ms | {watched[1]:.2f} ms "
            f"| {watched[1] / cheapest:.2f} | {watched[3]:.2f} "
            f"| {alone[2]:.1f} ms | {watched[2]:.1f} ms |",
            flush=True,
        )


def main():
    build_guest = os.path.join(SOURCE, "examples/guest/build-guest")
    subprocess.run([build_guest, BUILD], check=True)
    print_table([row for row in map(bench, WAYS) if row is not None])


if __name__ == "__main__":
    main()
