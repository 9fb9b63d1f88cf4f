#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""scancast with a real guest in QEMU over its D-Bus display: pictures, the pointer, input, consoles."""

import os
import shutil
import subprocess
import sys

import guest
from harness import BUILD, GUEST_PATIENCE, PATIENCE, SKIP, main, need_guest

# Keys whose scancodes are unlike the others', and what they are in the guest: print, pause, super.
ODD_SCANCODES = {0x137: 99, 0x146: 119, 0x15B: 125}


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


def list_consoles(source):
    program = os.path.join(BUILD, "scancast")
    result = subprocess.run(
        [program, "--list", source], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return result.stdout


class Pictures(Bus, guest.GuestCase):
    test_page_flips = guest.Pictures.test_page_flips
    test_dirty_rectangles = guest.Pictures.test_dirty_rectangles
    test_resolution_changes = guest.Pictures.test_resolution_changes

    def test_last_picture_arrives(self):
        """QEMU 7 sends more slowly than the guest draws."""
        self.boot("scancast.mode=flip", "scancast.fps=0", "scancast.frames=600")
        client = self.connect()
        self.wait_for_frame(client, 599, patience=GUEST_PATIENCE)
        self.check_guest_picture(client, number=599)


class Input(Bus, guest.Input):
    test_keyboard = test_lamps = test_tablet = test_mouse = None  # one guest for all of them

    def test_keyboard_and_tablet(self):
        """The tablet is one as soon as the guest has a driver for it."""
        self.guest = self.switch_guest_on("scancast.mode=idle")
        self.scancast = self.start_scancast(self.guest.source)
        client = self.start_client(self.scancast)
        client.wait_for(r"^mouse-mode mode=server$")
        self.assertEqual(self.guest.find_all(r"^guest ready"), [])
        self.wait_for_guest(self.guest)
        width, height = self.guest.size.split("x")
        client.wait_for(rf"^display width={width} height={height}$")
        self.check_tablet(client)
        self.check_keyboard(client)
        self.check_lamps(client)
        for scancode, code in ODD_SCANCODES.items():
            client.send(f"key {scancode}")
            self.guest.wait_for(rf"^guest key {code} 0$")


class Pointer(Bus, guest.Cursor, guest.Input):
    test_keyboard = test_lamps = test_tablet = test_mouse = test_shapes_and_positions = None

    def test_cursor_and_mouse(self):
        self.boot("scancast.mode=cursor", "scancast.fps=4", mouse=True)
        client = self.connect()
        self.check_cursor(client)
        self.check_mouse(client)


class Peer(Direct, guest.GuestCase):
    def test_flips_and_input(self):
        self.boot("scancast.mode=flip", "scancast.fps=15")
        client = self.connect()
        client.wait_for(r"^frame number=\d+ count=40 ")
        self.assert_in_order(self.frame_numbers(client), 20)
        self.check_guest_picture(client, size=self.guest.size)
        client.send("key 30 down")
        self.guest.wait_for(r"^guest key 30 1$")
        self.check_list(client)

    def check_list(self, client):
        """Asking takes QEMU's only direct connection, and scancast takes it back; what was pressed
        then is pressed no longer."""
        self.assertRegex(
            list_consoles(self.guest.source),
            rf"(?m)^{self.guest.source}#0  {self.guest.size}  Graphic ",
        )
        self.scancast.wait_for("another client has taken it")
        self.guest.wait_for(r"^guest key 30 0$")
        client.wait_for(r"^frame ", client.mark())
        client.send("key 48")
        self.guest.wait_for(r"^guest key 48 0$")


def need_bus():
    """Ends the test as skipped where there is no bus to be had."""
    if shutil.which("dbus-daemon") is None:
        print("there is no bus to test with (install dbus-daemon)")
        sys.exit(SKIP)


if __name__ == "__main__":
    need_bus()
    need_guest()
    main()
