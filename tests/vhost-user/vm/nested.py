#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""scancast as the GPU of a real guest that flips as fast as it can: run by test-nested, inside its
virtual machine."""

import os
import signal
import statistics
import sys

TESTS = os.path.join(os.environ["top_srcdir"], "tests")
sys.path.insert(0, os.path.join(TESTS, "e2e"))
sys.path.insert(0, os.path.join(TESTS, "va-lab/vm"))

from harness import BUILD, SOURCE, Case, main  # noqa: E402
from nested import read_trace, select  # noqa: E402

PATIENCE = 200
QEMU = os.path.join(SOURCE, "tests/vhost-user/qemu-forky")

# Small pictures (but not so small that they are copied): a guest waits for 50 ms at most, and
# emulation is slow.
SIZE = "160x120"

# The driver is slow with so many pictures, not with as many, and so on: whatever else the machine has
# to do meanwhile, it does at both times.
BLOCK = 6
N_PAIRS = 16
N_WARM_UP = 2 * BLOCK * 4


class Paced(Case):
    def boot(self, slow_ms):
        socket = self.path("vm.sock")
        self.trace = self.path("trace")
        self.scancast = self.start_scancast(
            "--encoder=va", "--stats", "--fence-deadline=10000", f"vhost-user:{socket}",
            listen=f"unix:{self.path('viewers')}",
            env={
                "SCANCAST_VA_TRACE": self.trace,
                "SCANCAST_VA_ENCODE_MS": str(slow_ms),
                "SCANCAST_VA_SLOW_EVERY": str(BLOCK),
            },
        )  # fmt: skip
        self.guest = self.start(
            os.path.join(SOURCE, "examples/guest/boot-guest"),
            f"--vhost-user={socket}", BUILD, "scancast.mode=flip", "scancast.fps=0",
            f"scancast.size={SIZE}", "tsc=reliable", "no_timer_check",
            env={"QEMU": QEMU},
        )  # fmt: skip
        self.guest.wait_for(r"^guest ready", patience=PATIENCE)

    def rates(self, n):
        """The guest's next @n whole seconds: flips a second."""
        since = self.guest.mark()
        for _ in range(n + 1):
            match = self.guest.wait_for(r"^guest rate (\S+)/s", since, PATIENCE)
            since = self.guest.lines.index(match.string, since) + 1
            last = float(match.group(1))
            yield last

    def rate(self):
        return statistics.median(list(self.rates(3))[1:])

    def dmabufs(self):
        """The inodes of the dmabufs that scancast has made of the guest's pages."""
        folder = f"/proc/{self.scancast.pid}/fd"
        inodes = set()
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            try:
                if "dmabuf" in os.readlink(path):
                    inodes.add(str(os.stat(path).st_ino))
            except FileNotFoundError:
                pass
        return inodes

    def intervals(self):
        events = read_trace(self.trace)
        times = [event["time"] / 1000 for event in select(events, "encode-begin")]
        between = [after - before for before, after in zip(times, times[1:])]
        return [
            statistics.median(between[i : i + BLOCK])
            for i in range(N_WARM_UP, N_WARM_UP + 2 * BLOCK * N_PAIRS, BLOCK)
        ]

    def check_pace(self, slow_ms, every_flip, least):
        self.boot(slow_ms)
        free = self.rate()
        client = self.start_client(self.scancast)
        last = N_WARM_UP + 2 * BLOCK * N_PAIRS + 1
        client.wait_for(rf"^frame number=\d+ count={last} ", patience=PATIENCE)
        watched = self.rate()
        inodes = self.dmabufs()
        numbers = self.frame_numbers(client)
        self.check_picture(client, settles=True)
        client.signal(signal.SIGSTOP)
        stopped = self.rate()
        client.signal(signal.SIGCONT)
        client.stop()
        left = self.rate()

        events = read_trace(self.trace)
        imports = {event["inode"] for event in select(events, "import")}
        self.assertLessEqual(imports, inodes, "not the guest's own pages")
        self.assertGreaterEqual(len(imports), 2, "the guest flips between two buffers")
        self.assertEqual({event["result"] for event in select(events, "import")}, {"ok"})
        self.assertEqual(select(events, "put-image") + select(events, "get-image"), [])
        blocks = self.intervals()
        growth = statistics.median(slow - fast for slow, fast in zip(blocks[::2], blocks[1::2]))
        print(f"    intervals, ms: {' '.join(f'{block:.0f}' for block in blocks)}")
        print(f"    {slow_ms} ms more made {growth:.1f} ms more; flips a second: {free:.0f} "
              f"unwatched, {watched:.0f} watched, {stopped:.0f} with a viewer that is stopped, "
              f"{left:.0f} after it", flush=True)  # fmt: skip
        steps = [after - before for before, after in zip(numbers, numbers[1:])]
        self.assertGreater(steps.count(1), every_flip * len(steps), numbers)
        self.assertGreater(growth, least * slow_ms)
        self.assertLess(growth, 2 * slow_ms)  # emulation has its moods
        self.assertGreater(free, 2 * watched)
        self.assertGreater(stopped, 0.8 * watched)
        self.assertGreater(left, 2 * watched)

    def test_15_ms(self):
        self.check_pace(15, 0.8, 0.75)

    def test_30_ms(self):
        # With what else a picture takes it may be longer than the 50 ms that guests wait: then they
        # draw while the one before is still being encoded, and save the time for that.
        self.check_pace(30, 0.5, 0.35)


if __name__ == "__main__":
    main()
