#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What many viewers cost, and what one that has stopped takes from the guest.

The cost is the daemon's user time: what it and the libraries compute. Handing the same bytes to
sixteen sockets is work of the kernel, which nobody could save; it is printed beside it.

Usage, in a build tree: make bench
"""

import os
import re
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import BUILD, Process  # noqa: E402
from measure import cpu_times, resident_mib  # noqa: E402

PROBE = os.path.join(BUILD, "tests/client/spice-probe")
SOURCE = "pattern:1280x720@30"
SECONDS = 15
FLIPS = 300
INTERVAL_MS = 16


def start_scancast(*arguments):
    program = os.path.join(BUILD, "scancast")
    scancast = Process([program, "--listen=127.0.0.1:0", "--stats", *arguments])
    scancast.address = scancast.wait_for(r"^listening on (\S+)$").group(1)
    return scancast


def start_client(scancast):
    client = Process([PROBE, f"--uri=spice://{scancast.address}", "--seconds=600"])
    client.wait_for(r"^frame ")
    return client


def count_frames(clients):
    return sum(len(client.find_all("^frame ")) for client in clients)


def count_pictures(scancast):
    return int(re.search(r" packets=(\d+)", scancast.find_all("^stats: ")[-1].string)[1])


class Cost:
    """Of one daemon that so many look at."""

    def __init__(self, viewers):
        scancast = start_scancast(SOURCE)
        clients = [start_client(scancast) for _ in range(viewers)]
        time.sleep(2)
        before = (*cpu_times(scancast.pid), count_pictures(scancast), count_frames(clients))
        time.sleep(SECONDS)
        after = (*cpu_times(scancast.pid), count_pictures(scancast), count_frames(clients))
        user, system, pictures, shown = (b - a for a, b in zip(before, after))
        self.user, self.system = user / pictures * 1000, system / pictures * 1000
        self.pictures, self.shown = pictures / SECONDS, shown / viewers / SECONDS
        self.memory = resident_mib(scancast.pid)
        for process in clients + [scancast]:
            process.stop()


def bench_cost():
    alone = None
    for viewers in (1, 4, 16):
        cost = Cost(viewers)
        alone = alone or cost
        print(
            f"viewers {viewers:2}  user time for a picture {cost.user:.2f} ms, ratio "
            f"{cost.user / alone.user:.2f} (goal 1.30 with 16), system time {cost.system:.2f} ms, "
            f"resident {cost.memory:.0f} MiB; {cost.pictures:.1f} pictures/s encoded, each viewer "
            f"shows {cost.shown:.1f}",
            flush=True,
        )


class Guest:
    """A program that plays QEMU, the daemon, and two clients."""

    def __init__(self, folder):
        path = os.path.join(folder, "vm.sock")
        self.host = Process([os.path.join(BUILD, "tests/fence/gl-host"), path])
        for command in ("buffers 2 1280x720", "fill 0 1", "scanout 0"):
            self.tell(command)
        self.scancast = start_scancast(f"spice+unix:{path}")
        self.clients = [start_client(self.scancast), start_client(self.scancast)]

    def tell(self, command):
        since = self.host.mark()
        self.host.send(command)
        self.host.wait_for(r"^ok", since)

    def measure(self):
        """Frames a second."""
        since, start = self.host.mark(), time.monotonic()
        self.host.send(f"run {FLIPS} {INTERVAL_MS}")
        self.host.wait_for(r"^ran ", since)
        return FLIPS / (time.monotonic() - start)

    def stop(self):
        for process in self.clients + [self.scancast, self.host]:
            process.stop()


def bench_stopped():
    with tempfile.TemporaryDirectory(prefix="scancast-") as folder:
        guest = Guest(folder)
        guest.measure()
        before = guest.measure()
        guest.clients[1].signal(signal.SIGSTOP)
        guest.measure()
        after = guest.measure()
        guest.clients[1].signal(signal.SIGCONT)
        guest.stop()
    print(
        f"stopped viewer  guest {before:.1f} frames/s without, {after:.1f} with it, ratio "
        f"{after / before:.3f} (goal 0.95)",
        flush=True,
    )


def main():
    bench_cost()
    bench_stopped()


if __name__ == "__main__":
    main()
