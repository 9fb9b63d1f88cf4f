#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""scancast with a real guest in QEMU over its D-Bus display: QEMU, the bus and the listener can be
lost, and others take their places; and what a guest costs that draws without a pause."""

import os
import re
import signal
import time

import guest
from dbus import Bus, Direct, need_bus
from harness import GUEST_PATIENCE, main, need_guest

MIB = 1024 * 1024


class Restart(Bus, guest.Restart):
    def test_bus_goes_and_comes_back(self):
        """QEMU does not notice that its bus has gone: its pictures still come, and only QEMU's next
        life is on the new bus."""
        bus = self.start_bus()
        self.boot("scancast.mode=flip", "scancast.fps=5")
        client = self.connect()
        bus.stop()
        self.scancast.wait_for("pictures still come")
        client.wait_for(r"^frame number=\d+", client.mark())
        os.path.exists(self.path("bus")) and os.unlink(self.path("bus"))
        self.start_bus()
        self.guest.stop()
        self.guest = self.start_guest("scancast.mode=idle", "scancast.first=77")
        self.wait_for_frame(client, 77, patience=GUEST_PATIENCE)
        client.send("key 30")
        self.guest.wait_for(r"^guest key 30 0$")

    def test_two_listeners(self):
        self.boot("scancast.mode=flip", "scancast.fps=10")
        first = self.connect()
        other = self.start_scancast(self.guest.source)
        second = self.start_client(other)
        for client in (first, second):
            self.assert_in_order(self.watch(client), 10)
        other.stop()
        first.wait_for(r"^frame ", first.mark())
        self.check_guest_picture(first)

    def watch(self, client):
        """The numbers of some frames."""
        since = client.mark()
        while len(client.find_all(r"^frame ", since)) < 20:
            client.wait_for(r"^frame ", client.mark())
        return self.frame_numbers(client, since)

    def test_migration(self):
        """Another QEMU waits for the name on the bus, as the destination of a migration does."""
        self.boot("scancast.mode=idle", "scancast.first=1")
        client = self.connect()
        self.wait_for_frame(client, 1)
        other = self.start_guest("scancast.mode=idle", "scancast.first=2")
        client.send("key 30")
        self.guest.wait_for(r"^guest key 30 0$")
        self.guest.stop()
        self.wait_for_frame(client, 2)
        client.send("key 48")
        other.wait_for(r"^guest key 48 0$")
        self.assertEqual(client.find_all(r"^closed|^error"), [])


class DirectRestart(Direct, guest.Restart):
    pass


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as stream:
        return int(re.search(r"^VmRSS:\s+(\d+)", stream.read(), re.M)[1]) * 1024


class Memory(Bus, guest.GuestCase):
    def test_busy_guest_and_stopped_viewer(self):
        """QEMU does not wait for its listener. Nothing grows, neither there nor here, though a
        viewer reads nothing and another one is slow to say so."""
        self.boot("scancast.mode=flip", "scancast.fps=0")
        client = self.connect()
        other = self.connect()
        client.wait_for(r"^frame number=\d+ count=20 ")
        client.signal(signal.SIGSTOP)
        try:
            time.sleep(2)
            before = [resident_bytes(p.pid) for p in (self.guest, self.scancast)]
            first = self.frame_numbers(other)[-1]
            time.sleep(8)
            after = [resident_bytes(p.pid) for p in (self.guest, self.scancast)]
            frames = self.frame_numbers(other)[-1] - first
        finally:
            client.signal(signal.SIGCONT)
        sent = frames * 1280 * 800 * 4
        print(f"{frames} frames, {sent // MIB} MiB; QEMU grew by "
              f"{(after[0] - before[0]) // MIB} MiB, scancast by {(after[1] - before[1]) // MIB}")
        self.assertGreater(frames, 50)
        for index in (0, 1):
            self.assertLess(after[index] - before[index], max(64 * MIB, sent // 10))
        since = client.mark()
        client.wait_for(r"^frame ", since)


if __name__ == "__main__":
    need_bus()
    need_guest()
    main()
