#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""scancast with a real guest in QEMU, from its display and input devices to a SPICE client."""

from harness import GUEST_PATIENCE, Case, main, need_guest

# PC AT set 1 scancodes and what they are in the guest (linux/input-event-codes.h).
SCANCODES = {0x1E: 30, 0x11C: 96, 0x148: 103, 0x2A: 42}  # a, keypad enter, up, shift
CAPS_LOCK_SCANCODE = 0x3A
LED_CAPS_LOCK = 1  # LED_CAPSL in the guest
SPICE_CAPS_LOCK = 4  # SPICE_KEYBOARD_MODIFIER_FLAGS_CAPS_LOCK
BUTTONS = {1: 272, 2: 274, 3: 273}  # SPICE_MOUSE_BUTTON_* left, middle, right: BTN_*


class GuestCase(Case):
    def boot(self, *arguments, mouse=False):
        self.guest = self.start_guest(*arguments, mouse=mouse)
        self.scancast = self.start_scancast(self.guest.source)

    def connect(self, *arguments):
        client = self.start_client(self.scancast, *arguments)
        client.wait_for(r"^frame ")
        client.wait_for(r"^channel name=inputs state=open")
        return client

    def check_guest_picture(self, client, number=None, size=None):
        """Without GL QEMU sends a picture in pieces, some of which may be shown before others."""
        self.check_picture(client, number, size, settles=True)


class Pictures(GuestCase):
    def test_page_flips(self):
        self.boot("scancast.mode=flip", "scancast.fps=15")
        client = self.connect()
        client.wait_for(r"^frame number=\d+ count=40 ")
        self.assert_in_order(self.frame_numbers(client), 20, in_pieces=True)
        self.check_guest_picture(client, size=self.guest.size)

    def test_idle_guest_is_seen_at_once_by_everybody(self):
        self.boot("scancast.mode=idle", "scancast.first=305419896")
        for arguments in ([], ["--no-h264"], ["--overlay"]):
            client = self.connect(*arguments)
            self.wait_for_frame(client, 305419896)
            if "--overlay" not in arguments:
                self.check_guest_picture(client, number=305419896, size=self.guest.size)

    def test_last_picture_arrives(self):
        self.boot("scancast.mode=flip", "scancast.fps=0", "scancast.frames=2000")
        client = self.connect()
        self.wait_for_frame(client, 1999, patience=GUEST_PATIENCE)
        self.check_guest_picture(client, number=1999)

    def test_dirty_rectangles(self):
        self.boot("scancast.mode=dirty", "scancast.fps=15", "scancast.frames=60")
        client = self.connect()
        self.wait_for_frame(client, 59, patience=GUEST_PATIENCE)
        self.assert_in_order(self.frame_numbers(client), 20, in_pieces=True)
        self.check_guest_picture(client, number=59)

    def test_resolution_changes(self):
        self.boot("scancast.mode=resize", "scancast.fps=1", "scancast.frames=12")
        client = self.connect()
        self.guest.wait_for(r"^guest frame 11$", patience=GUEST_PATIENCE)
        sizes = [match.group(1) for match in self.guest.find_all(r"^guest mode (\d+x\d+)")]
        self.wait_for_frame(client, 11)
        self.check_guest_picture(client, number=11, size=sizes[-1])
        seen = [f"{m[1]}x{m[2]}" for m in client.find_all(r"^display width=(\d+) height=(\d+)")]
        # It came late perhaps, but missed none after the first it saw.
        self.assertGreater(len(set(seen)), 2)
        self.assertEqual(seen, sizes[len(sizes) - len(seen) :])


class Cursor(GuestCase):
    def test_shapes_and_positions(self):
        self.boot("scancast.mode=cursor", "scancast.fps=4", mouse=True)
        self.check_cursor(self.connect())

    def check_cursor(self, client):
        self.guest.wait_for(r"^guest cursor -1 ", self.guest.mark(), GUEST_PATIENCE)
        self.guest.wait_for(r"^guest cursor 2 ", self.guest.mark(), GUEST_PATIENCE)
        client.wait_for(r"^cursor-set ", client.mark())
        shapes = {m.group(1) for m in client.find_all(r"^cursor-set width=64 .* sha1=(\S+)")}
        self.assertGreaterEqual(len(shapes), 3)


class Input(GuestCase):
    def test_keyboard(self):
        self.boot("scancast.mode=idle")
        self.check_keyboard(self.connect())

    def check_keyboard(self, client):
        for scancode, code in SCANCODES.items():
            since = self.guest.mark()
            client.send(f"key {scancode} down")
            self.guest.wait_for(rf"^guest key {code} 1$", since)
            client.send(f"key {scancode} up")
            self.guest.wait_for(rf"^guest key {code} 0$", since)

    def test_lamps(self):
        self.boot("scancast.mode=idle")
        self.check_lamps(self.connect())

    def check_lamps(self, client):
        client.send(f"key {CAPS_LOCK_SCANCODE}")
        self.guest.wait_for(rf"^guest led {LED_CAPS_LOCK} 1$")
        client.wait_for(rf"^leds value={SPICE_CAPS_LOCK}$")
        since = client.mark()
        client.send(f"key {CAPS_LOCK_SCANCODE}")
        self.guest.wait_for(rf"^guest led {LED_CAPS_LOCK} 0$")
        client.wait_for(r"^leds value=0$", since)

    def test_tablet(self):
        self.boot("scancast.mode=idle")
        self.check_tablet(self.connect())

    def check_tablet(self, client):
        client.wait_for(r"^mouse-mode mode=client$")
        width, height = map(int, self.guest.size.split("x"))
        for x, y in ((123, 456), (width - 1, height - 1), (0, 0)):
            since = self.guest.mark()
            client.send(f"position {x} {y}")
            self.wait_for_pointer(x, y, since)
        self.press_buttons(client)

    def wait_for_pointer(self, x, y, since):
        """Positions are scaled twice on their way; a pixel may be lost."""
        match = self.guest.wait_for(r"^guest pointer (\d+) (\d+)$", since)
        self.assertAlmostEqual(int(match.group(1)), x, delta=1)
        self.assertAlmostEqual(int(match.group(2)), y, delta=1)

    def press_buttons(self, client):
        for button, code in BUTTONS.items():
            since = self.guest.mark()
            client.send(f"button {button} down")
            self.guest.wait_for(rf"^guest button {code} 1$", since)
            client.send(f"button {button} up")
            self.guest.wait_for(rf"^guest button {code} 0$", since)
        for steps in (1, -2):
            since = self.guest.mark()
            client.send(f"wheel {steps}")
            self.guest.wait_for(rf"^guest wheel {-1 if steps > 0 else 1}$", since)

    def test_mouse(self):
        self.boot("scancast.mode=idle", mouse=True)
        self.check_mouse(self.connect())

    def check_mouse(self, client):
        client.wait_for(r"^mouse-mode mode=server$")
        client.send("motion 7 -3")
        self.guest.wait_for(r"^guest rel 7 -3$")
        self.press_buttons(client)


class Restart(GuestCase):
    def test_qemu_goes_and_comes_back(self):
        self.boot("scancast.mode=idle", "scancast.first=1")
        client = self.connect()
        self.wait_for_frame(client, 1)
        self.guest.stop()
        # Nobody is sent away, and who comes now sees the last picture.
        late = self.start_client(self.scancast)
        self.wait_for_frame(late, 1)
        self.guest = self.start_guest("scancast.mode=idle", "scancast.first=2")
        self.wait_for_frame(client, 2, patience=GUEST_PATIENCE)
        self.check_guest_picture(client, number=2)
        self.assertEqual(client.find_all(r"^closed|^error"), [])
        client.send("key 30")
        self.guest.wait_for(r"^guest key 30 0$")


if __name__ == "__main__":
    need_guest()
    main()
