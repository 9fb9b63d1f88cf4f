#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""scancast and the dmabufs of a real QEMU: run by test-nested, inside its virtual machine,
over SPICE or D-Bus.

The guest flips between two buffers as fast as it can.
"""

import os
import re
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests/e2e"))

from harness import Case, main  # noqa: E402

PATIENCE = 120
METHOD = os.environ.get("NESTED_METHOD")  # how buffers come over D-Bus
STATS = r"^stats: (.*flushes_done=.*)$"
PATIENT = "--fence-deadline=10000"  # so slow may emulation be

# In test_zero_copy the driver is slow with so many pictures, not with as many, and so on: whatever
# else the machine has to do meanwhile, it does at both times. The guest waits for 50 ms at most before
# it draws the next picture.
BLOCK = 6
SLOW_MS = 15
N_PAIRS = 20
N_WARM_UP = 2 * BLOCK * 4

TOO_SLOW_MS = 200  # for the deadline that scancast has if it is not told another: 40 ms


def read_trace(path):
    """The events of the driver's trace: dictionaries, the event's name under ''."""
    events = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            time, name, *words = line.split()
            event = {"": name, "time": int(time)}
            event.update(word.split("=", 1) for word in words if "=" in word)
            events.append(event)
    return events


def select(events, name):
    return [event for event in events if event[""] == name]


def qemu_dmabufs():
    """The inodes of the dmabufs that QEMU has open: its guest's buffers."""
    folder = f"/proc/{os.environ['QEMU_PID']}/fd"
    inodes = set()
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        try:
            if "dmabuf" in os.readlink(path):
                inodes.add(str(os.stat(path).st_ino))
        except FileNotFoundError:
            pass  # closed meanwhile
    return inodes


def guest_rates(n):
    """The guest's next @n reports of how many flips it makes a second."""
    path = os.environ["GUEST_LOG"]
    rates = []
    deadline = time.monotonic() + PATIENCE
    start = os.path.getsize(path)
    while len(rates) < n and time.monotonic() < deadline:
        time.sleep(0.2)
        with open(path, encoding="utf-8", errors="replace") as file:
            file.seek(start)
            rates = re.findall(r"^guest rate (\S+)/s\r?$", file.read(), re.M)
    return [float(rate) for rate in rates]


class Nested(Case):
    def run(self, result=None):
        bad_before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > bad_before:
            with open(os.environ["GUEST_LOG"], encoding="utf-8", errors="replace") as file:
                print("--- the guest", file.read(), sep="\n", flush=True)
        return result

    def view(self, slow, *arguments):
        """scancast with a driver that is slow as told, and a client."""
        self.trace = self.path("trace")
        scancast = self.start_scancast(
            "--encoder=va", "--stats", *arguments, os.environ["GUEST_SOURCE"],
            listen=f"unix:{self.path('viewers')}",
            env={
                "SCANCAST_VA_TRACE": self.trace,
                "G_MESSAGES_DEBUG": "scancast-capture",
                **slow,
            },
        )  # fmt: skip
        client = self.start_client(scancast)
        client.wait_for(r"^frame number=\d+ count=3 ", patience=PATIENCE)
        return scancast, client

    def finish(self, scancast, client):
        """Its last statistics; H.264's, which come before MJPEG's of the greeting."""
        client.stop()
        scancast.stop()
        line = scancast.find_all(STATS)[-1].group(1)
        print("   ", line, flush=True)
        return dict(reversed(re.findall(r'(\w+)="?([^" ]*)', line)))

    def test_zero_copy(self):
        slow = {
            "SCANCAST_VA_ENCODE_MS": str(SLOW_MS),
            "SCANCAST_VA_SLOW_EVERY": str(BLOCK),
        }
        scancast, client = self.view(slow, PATIENT)
        if METHOD is not None:
            scancast.wait_for(rf"{METHOD}: \d+x\d+ ")
        self.check_picture(client, settles=True)
        last = N_WARM_UP + 2 * BLOCK * N_PAIRS + 1
        # And the greeting, for which no guest waits.
        client.wait_for(rf"^frame number=\d+ count={last + 1} ", patience=PATIENCE)
        self.check_picture(client, settles=True)
        scanouts = qemu_dmabufs()
        numbers = self.frame_numbers(client)
        stats = self.finish(scancast, client)
        self.assertEqual((stats["rung"], stats["step_downs"]), ("va-dmabuf", "0"))
        self.assertEqual((stats["flushes_outstanding"], stats["flushes_expired"]), ("0", "0"))
        self.assertGreaterEqual(int(stats["flushes_done"]), last)
        events = read_trace(self.trace)
        self.check_imports(events, scanouts)
        self.check_pace(events, numbers)

    def check_imports(self, events, scanouts):
        """Every picture came from the guest's own buffers, and no processor copied it."""
        imports = select(events, "import")
        origins = {event["origin"] for event in select(events, "encode-begin")}
        self.assertEqual({event["result"] for event in imports}, {"ok"})
        self.assertLessEqual({event["type"] for event in imports}, {"prime", "prime2"})
        self.assertLessEqual({event["inode"] for event in imports}, scanouts)
        self.assertEqual(origins, {event["inode"] for event in imports})
        self.assertGreaterEqual(len(origins), 2, "the guest flips between two buffers")
        self.assertEqual(select(events, "put-image") + select(events, "get-image"), [])

    def check_pace(self, events, numbers):
        """The guest's flips follow the encoder: each is encoded, and when the driver takes longer,
        the guest flips that much more rarely, and no more than that."""
        steps = [after - before for before, after in zip(numbers, numbers[1:])]
        if METHOD is None:
            self.assertGreater(steps.count(1), 0.8 * len(steps), numbers)
        else:
            # QEMU loses some of the scanouts it should tell of; no old one takes their places. But a
            # guest that has stopped waiting draws the next pictures before these are shown, and then
            # they are seen twice.
            onwards = sum(step > 0 for step in steps)
            self.assertGreater(onwards, 0.8 * len(steps), numbers)
        times = [event["time"] / 1000 for event in select(events, "encode-begin")]
        intervals = [after - before for before, after in zip(times, times[1:])]
        blocks = [
            statistics.median(intervals[i : i + BLOCK])
            for i in range(N_WARM_UP, N_WARM_UP + 2 * BLOCK * N_PAIRS, BLOCK)
        ]
        growth = statistics.median(slow - fast for slow, fast in zip(blocks[::2], blocks[1::2]))
        print(f"    intervals, ms: {' '.join(f'{block:.0f}' for block in blocks)}")
        print(f"    {SLOW_MS} ms more made {growth:.1f} ms more", flush=True)
        self.assertGreater(growth, 0.75 * SLOW_MS)  # half of it: as if released before the encode
        self.assertLess(growth, 1.5 * SLOW_MS)

    def test_too_slow(self):
        scancast, client = self.view({"SCANCAST_VA_ENCODE_MS": str(TOO_SLOW_MS)})
        scancast.wait_for("va-dmabuf encoder set aside .* longer than guests", patience=PATIENCE)
        scancast.wait_for("va-dmabuf encoder given up until the scanout", patience=PATIENCE)
        client.wait_for(r"^frame ", client.mark(), PATIENCE)
        rates = guest_rates(4)[1:]  # the first is of before, in part
        self.check_picture(client, settles=True)
        scancast.wait_for(STATS, scancast.mark(), PATIENCE)
        stats = self.finish(scancast, client)
        self.assertEqual((stats["rung"], stats["flushes_outstanding"]), ("va-upload", "0"))
        self.assertGreater(int(stats["flushes_expired"]), 0)
        self.assertGreater(int(stats["encode_us"]), 1000 * TOO_SLOW_MS)
        print(f"    {rates} flips a second", flush=True)
        self.assertGreater(statistics.median(rates), 2 * 1000 / TOO_SLOW_MS)


if __name__ == "__main__":
    main()
