#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A viewer that joins an idle guest whose pictures the GPU encodes without copies: sees the picture
at once all the same where it lies in memory that the CPU reads well."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests/e2e"))

from harness import BUILD, SKIP, Case, main  # noqa: E402

LAB = [os.path.join(BUILD, "tests/va-lab/mock-node"), "--plugins"]
LAB += ["app,coreelements,jpeg,va,videoconvertscale,videoparsersbad,x264"]
LIMIT = 100_000  # microseconds from the display's channel to the picture
NUMBER = 7


class Greeting(Case):
    def tell(self, command):
        since = self.host.mark()
        self.host.send(command)
        self.host.wait_for(r"^ok", since)

    def show(self, size):
        self.host = self.start(os.path.join(BUILD, "tests/fence/gl-host"), self.path("vm.sock"))
        self.tell(f"buffers 2 {size}")
        self.tell(f"fill 0 {NUMBER}")
        self.tell("scanout 0")
        return self.start_scancast(f"spice+unix:{self.path('vm.sock')}", wrapper=LAB)

    def join(self, scancast):
        """Microseconds from the open display to the first picture, and to H.264's."""
        client = self.start_client(scancast, "--latency")
        opened = client.wait_for(r"^channel name=display state=open time=(\d+)")
        shown = client.wait_for(rf"^frame number={NUMBER} .*time=(\d+)")
        decoded = client.wait_for(rf"^decoded number={NUMBER} time=(\d+)")
        self.assertEqual(set(self.frame_numbers(client)), {NUMBER})
        client.send("quit")
        return [int(event.group(1)) - int(opened.group(1)) for event in (shown, decoded)]

    def test_idle_guest_is_seen_at_once(self):
        for size in ("640x480", "1920x1080"):
            scancast = self.show(size)
            times = [self.join(scancast) for _ in range(4)]
            print(f"{self.id()}: {size}, shown, H.264 decoded after (us): {times}", flush=True)
            scancast.wait_for("encoding H.264 with va-dmabuf")
            # Not each time: a client that is too busy throws away what comes late.
            shown, decoded = (min(event) for event in zip(*times))
            self.assertLess(shown, decoded)
            if size == "640x480":
                self.assertLess(shown, LIMIT)
            self.assertEqual(scancast.stop(), 0)
            self.host.stop()


if __name__ == "__main__":
    if shutil.which("umockdev-run") is None:
        print("umockdev-run is not installed (umockdev)")
        sys.exit(SKIP)
    main()
