#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""scancast as the virtual GPU of a real guest, through vhost-user, up to a SPICE client."""

import os
import shutil
import subprocess
import sys

from harness import BUILD, GUEST_PATIENCE, SKIP, SOURCE, Case, main, need_guest

QEMU = os.path.join(SOURCE, "tests/vhost-user/qemu-forky")

# "the quick brown fox jumps over the lazy dog" and Enter: scancodes, which for these keys are the
# guest's codes (linux/input-event-codes.h).
ROWS = {16: "qwertyuiop", 30: "asdfghjkl", 44: "zxcvbnm", 57: " ", 28: "\n"}
CODES = {letter: first + i for first, row in ROWS.items() for i, letter in enumerate(row)}
# Not longer: a guest that is slow to read loses what is more than 64 events (EVDEV_MIN_BUFFER_SIZE).
SENTENCE = [CODES[letter] for letter in "the quick fox\n"]


class GuestCase(Case):
    """The daemon first: it is the device that QEMU connects to."""

    options = []  # of boot-guest

    def boot(self, *arguments, with_input=False):
        self.socket = self.path("vm.sock")
        inputs = self.path("input.sock")
        self.scancast = self.start_scancast(
            *([f"--input={inputs}"] if with_input else []), f"vhost-user:{self.socket}"
        )
        self.guest_options = [f"--input={inputs}"] if with_input else []
        self.guest = self.start_vhost_guest(*arguments)

    def start_vhost_guest(self, *arguments):
        guest = self.start(
            os.path.join(SOURCE, "examples/guest/boot-guest"),
            f"--vhost-user={self.socket}",
            *self.options,
            *self.guest_options,
            BUILD,
            *arguments,
            env={"QEMU": QEMU},
        )
        guest.size = guest.wait_for(r"^guest ready (\d+x\d+)", patience=GUEST_PATIENCE).group(1)
        return guest

    def connect(self, *arguments):
        client = self.start_client(self.scancast, *arguments)
        client.wait_for(r"^frame ")
        client.wait_for(r"^channel name=inputs state=open")
        return client

    def check_flips(self, mode):
        self.boot(f"scancast.mode={mode}", "scancast.fps=15")
        client = self.connect()
        client.wait_for(r"^frame number=\d+ count=40 ")
        self.assert_in_order(self.frame_numbers(client), 20)
        self.check_picture(client, size=self.guest.size)

    def check_dirty(self):
        self.boot("scancast.mode=dirty", "scancast.fps=15", "scancast.frames=60")
        client = self.connect()
        self.wait_for_frame(client, 59, patience=GUEST_PATIENCE)
        self.assert_in_order(self.frame_numbers(client), 20)
        self.check_picture(client, number=59, settles=True)


class Blobs(GuestCase):
    """Blob resources, whose flushes have fences."""

    def test_page_flips(self):
        self.check_flips("flip")

    def test_atomic_flips(self):
        self.check_flips("atomic")

    def test_dirty_rectangles(self):
        self.check_dirty()

    def test_idle_guest_is_seen_at_once_by_everybody(self):
        self.boot("scancast.mode=idle", "scancast.first=305419896")
        for arguments in ([], ["--no-h264"], ["--overlay"]):
            client = self.connect(*arguments)
            self.wait_for_frame(client, 305419896)
            if "--overlay" not in arguments:
                self.check_picture(client, number=305419896, size=self.guest.size)

    def test_last_picture_arrives(self):
        self.boot("scancast.mode=flip", "scancast.fps=0", "scancast.frames=2000")
        client = self.connect()
        self.wait_for_frame(client, 1999, patience=GUEST_PATIENCE)
        self.check_picture(client, number=1999)

    def test_what_nobody_saw_being_drawn_is_seen_at_once(self):
        self.boot("scancast.mode=flip", "scancast.fps=0", "scancast.frames=100")
        self.guest.wait_for(r"^guest frame 99$", patience=GUEST_PATIENCE)
        client = self.connect()
        self.assertEqual(self.frame_numbers(client)[0], 99)
        self.check_picture(client, number=99)

    def test_resolution_changes(self):
        self.boot("scancast.mode=resize", "scancast.fps=1", "scancast.frames=8")
        client = self.connect()
        self.guest.wait_for(r"^guest frame 7$", patience=GUEST_PATIENCE)
        sizes = [match.group(1) for match in self.guest.find_all(r"^guest mode (\d+x\d+)")]
        self.wait_for_frame(client, 7)
        self.check_picture(client, number=7, size=sizes[-1])

    def test_window_size_reaches_the_guest(self):
        self.boot("scancast.mode=follow")
        client = self.connect()
        for size in ("1000x700", "1604x902"):
            since = self.guest.mark()
            client.send("window " + size.replace("x", " "))
            self.guest.wait_for(rf"^guest mode {size}$", since)
            client.wait_for(rf"^display width={size.replace('x', ' height=')}")
            self.check_picture(client, size=size, settles=True)

    def test_cursor(self):
        self.boot("scancast.mode=cursor", "scancast.fps=4")
        client = self.connect()
        self.guest.wait_for(r"^guest cursor -1 ", self.guest.mark(), GUEST_PATIENCE)
        self.guest.wait_for(r"^guest cursor 2 ", self.guest.mark(), GUEST_PATIENCE)
        client.wait_for(r"^cursor-set ", client.mark())
        shapes = {m.group(1) for m in client.find_all(r"^cursor-set width=64 .* sha1=(\S+)")}
        self.assertGreaterEqual(len(shapes), 3)

    def test_qemu_goes_and_comes_back(self):
        self.boot("scancast.mode=idle", "scancast.first=1")
        client = self.connect()
        self.wait_for_frame(client, 1)
        self.guest.stop()
        late = self.start_client(self.scancast)
        self.wait_for_frame(late, 1)
        self.guest = self.start_vhost_guest("scancast.mode=idle", "scancast.first=2")
        self.wait_for_frame(client, 2)
        self.check_picture(client, number=2)
        self.assertEqual(client.find_all(r"^closed|^error"), [])


class TwoD(GuestCase):
    """QEMU's own vhost-user-gpu: no blobs, no fences, transfers."""

    options = ["--2d"]

    def test_page_flips(self):
        self.check_flips("flip")

    def test_dirty_rectangles(self):
        self.check_dirty()


class Input(GuestCase):
    def test_keyboard_and_tablet(self):
        self.boot("scancast.mode=idle", with_input=True)
        client = self.connect()
        client.wait_for(r"^mouse-mode mode=client$")
        client.send("key 30")
        self.guest.wait_for(r"^guest key 30 1$")
        self.guest.wait_for(r"^guest key 30 0$")
        client.send("position 123 456")
        match = self.guest.wait_for(r"^guest pointer (\d+) (\d+)$")
        self.assertAlmostEqual(int(match.group(1)), 123, delta=1)
        self.assertAlmostEqual(int(match.group(2)), 456, delta=1)
        client.send("button 3")
        self.guest.wait_for(r"^guest button 273 1$")
        client.send("wheel -2")
        self.guest.wait_for(r"^guest wheel 1$")
        client.send("key 0x3a")
        self.guest.wait_for(r"^guest led 1 1$")
        client.wait_for(r"^leds value=4$")

    def test_a_sentence_typed_at_once(self):
        """The ring of vhost-user-input-pci has room for two of its keystrokes."""
        self.boot("scancast.mode=idle", with_input=True)
        client = self.connect()
        since = self.guest.mark()
        client.send("\n".join(f"key {code}" for code in SENTENCE))
        self.guest.wait_for(r"^guest key 28 0$", since)
        typed = [match.groups() for match in self.guest.find_all(r"^guest key (\d+) (\d)$", since)]
        expected = [(str(code), state) for code in SENTENCE for state in "10"]
        self.assertEqual(typed, expected)


def need_qemu():
    """Fetches a QEMU that has the devices; ends the test as skipped where that is impossible."""
    result = subprocess.run([QEMU, "--fetch"], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        print(result.stderr)
        print("QEMU 11 cannot be had: see tests/vhost-user/qemu-forky")
        sys.exit(SKIP)


if __name__ == "__main__":
    if shutil.which("dpkg") is None:
        print("only for Debian")
        sys.exit(SKIP)
    need_guest()
    need_qemu()
    main()
