#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""MJPEG of a guest whose pictures the GPU encodes without copies: who joins while it is idle sees
the picture at once all the same, and clients that have no H.264 see it at all. Where it lies in
memory that the CPU reads well the CPU copies it, where not ("far") the GPU reads it for the CPU."""

import itertools
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests/e2e"))

from harness import BUILD, SKIP, Case, main  # noqa: E402

LAB = [os.path.join(BUILD, "tests/va-lab/mock-node"), "--plugins"]
LAB += ["app,coreelements,jpeg,va,videoconvertscale,videoparsersbad,x264"]
LIMIT = 100_000  # microseconds from the display's channel to the picture
NUMBER = 77
FRAMES = 20
SIZES, PLACES = ("640x480", "1920x1080"), ("", "far")


class Greeting(Case):
    def tell(self, command):
        since = self.host.mark()
        self.host.send(command)
        self.host.wait_for(r"^ok", since)

    def show(self, size, memory, **switches):
        self.host = self.start(os.path.join(BUILD, "tests/fence/gl-host"), self.path("vm.sock"))
        self.tell("no-primary")
        self.tell(f"buffers 2 {size} XR24 {memory}")
        self.tell(f"fill 0 {NUMBER}")
        self.tell("scanout 0")
        return self.start_scancast(
            f"spice+unix:{self.path('vm.sock')}", wrapper=LAB, env=switches)  # fmt: skip

    def join(self, scancast):
        """Microseconds from the open display to the first picture, and to H.264's."""
        client = self.start_client(scancast, "--latency")
        opened = client.wait_for(r"^channel name=display state=open time=(\d+)")
        shown = client.wait_for(rf"^frame number={NUMBER} .*time=(\d+)")
        decoded = client.wait_for(rf"^decoded number={NUMBER} time=(\d+)")
        self.assertEqual(set(self.frame_numbers(client)), {NUMBER})
        client.send("quit")
        return [int(event.group(1)) - int(opened.group(1)) for event in (shown, decoded)]

    def assert_read_by_whom_it_should(self, scancast, memory):
        scancast.wait_for(f"encoding MJPEG with {'va-download' if memory else 'software'}")
        # Nor did anything fail; on a busy machine it may take longer than guests wait.
        self.assertEqual(scancast.find_all("Internal data stream error"), [])

    def test_idle_guest_is_seen_at_once(self):
        for size, memory in itertools.product(SIZES, PLACES):
            scancast = self.show(size, memory)
            times = [self.join(scancast) for _ in range(4)]
            print(f"{self.id()}: {size} {memory}, shown, H.264 decoded after (us): {times}", flush=True)
            scancast.wait_for("encoding H.264 with va-dmabuf")
            self.assert_read_by_whom_it_should(scancast, memory)
            # Not each time: a client that is too busy throws away what comes late.
            shown, decoded = (min(event) for event in zip(*times))
            self.assertLess(shown, decoded)
            if size == SIZES[0]:
                self.assertLess(shown, LIMIT)
            self.assertEqual(scancast.stop(), 0)
            self.host.stop()

    def watch_without_h264(self, scancast):
        """A guest that draws as soon as it may, over what it has drawn before."""
        client = self.start_client(scancast, "--no-h264")
        self.wait_for_frame(client, NUMBER)
        self.check_picture(client, NUMBER, SIZES[0])
        self.tell("poison on")
        since = client.mark()
        self.host.send(f"run {FRAMES} 40")
        self.host.wait_for(r"^ran ")
        self.tell("poison off")
        numbers = self.frame_numbers(client, since)
        self.assert_in_order(numbers[numbers.count(NUMBER) :], FRAMES // 2)
        self.assertLessEqual(numbers[-1], FRAMES)
        self.assertEqual(len(self.host.find_all(r"^done ")), FRAMES)
        client.send("quit")

    def test_client_without_h264(self):
        for memory in PLACES:
            scancast = self.show(SIZES[0], memory)
            self.watch_without_h264(scancast)
            self.assert_read_by_whom_it_should(scancast, memory)
            self.assertEqual(scancast.stop(), 0)
            self.host.stop()

    def test_client_without_h264_nor_import(self):
        scancast = self.show(SIZES[0], "far", SCANCAST_VA_REFUSE_IMPORTS="0-")
        self.watch_without_h264(scancast)
        scancast.wait_for("va-download encoder .*Internal data stream error")
        scancast.wait_for("encoding MJPEG with software")
        self.assertEqual(scancast.stop(), 0)


if __name__ == "__main__":
    if shutil.which("umockdev-run") is None:
        print("umockdev-run is not installed (umockdev)")
        sys.exit(SKIP)
    main()
