#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""scancast with a real guest in QEMU over its D-Bus display: what guest.py proves, and what there is
to lose besides: the bus, the listener, memory."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import guest
from harness import BUILD, GUEST_PATIENCE, PATIENCE, SKIP, main, need_guest

MIB = 1024 * 1024


class Bus:
    """Mix-in: QEMU's display is on a bus of the test's own."""

    def display(self):
        address = f"unix:path={self.path('bus')}"
        if not os.path.exists(self.path("bus")):
            self.start_bus()
        return f"--dbus={address}", f"dbus:{address}"

    def start_bus(self):
        address = f"--address=unix:path={self.path('bus')}"
        bus = self.start("dbus-daemon", "--session", "--nofork", "--nopidfile", address, "--print-address")
        bus.wait_for("^unix:path=")
        return bus


class Direct:
    """Mix-in: QEMU gives its display to whoever asks its monitor."""

    def display(self):
        return f"--p2p={self.path('qmp')}", f"dbus:p2p:{self.path('qmp')}"


class BusPictures(Bus, guest.Pictures):
    pass


class BusCursor(Bus, guest.Cursor):
    pass


class BusInput(Bus, guest.Input):
    def test_print_and_pause(self):
        """Keys whose scan codes are unlike the others'."""
        self.boot("scancast.mode=idle")
        client = self.connect()
        for scancode, code in ((0x137, 99), (0x146, 119), (0x15B, 125)):
            client.send(f"key {scancode}")
            self.guest.wait_for(rf"^guest key {code} 0$")


class BusRestart(Bus, guest.Restart):
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


class DirectPictures(Direct, guest.GuestCase):
    def test_flips_and_input(self):
        self.boot("scancast.mode=flip", "scancast.fps=15")
        client = self.connect()
        client.wait_for(r"^frame number=\d+ count=40 ")
        self.assert_in_order(self.frame_numbers(client), 20)
        self.check_guest_picture(client, size=self.guest.size)
        client.send("key 30")
        self.guest.wait_for(r"^guest key 30 0$")

    def test_list(self):
        """Asking takes QEMU's only direct connection, and scancast takes it back."""
        self.boot("scancast.mode=flip", "scancast.fps=5")
        client = self.connect()
        result = subprocess.run(
            [os.path.join(BUILD, "scancast"), "--list", self.guest.source],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        self.assertRegex(result.stdout, rf"(?m)^{self.guest.source}#0  {self.guest.size}  Graphic ")
        self.scancast.wait_for("connected", self.scancast.mark())
        client.wait_for(r"^frame ", client.mark())
        client.send("key 30")
        self.guest.wait_for(r"^guest key 30 0$")


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
    if shutil.which("dbus-daemon") is None:
        print("there is no bus to test with (install dbus-daemon)")
        sys.exit(SKIP)
    need_guest()
    main()
