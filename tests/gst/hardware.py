#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest's own memory in gst-launch-1.0: to a VA encoder without a copy, and to a viewer.

tests/fence/gl-host is the guest, the driver that of tests/va-driver. It runs on a pretended render
node, or where SCANCAST_LAB says that there is one already (tests/va-lab).
"""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys

from launch import LaunchCase
from harness import BUILD, GUEST_PATIENCE, SKIP, main

# Of the pictures; those of DRM came with GStreamer 1.24.
CAPS = r"src: caps = video/x-raw\(memory:DMABuf\), .*format=\(string\)"
OLD_FORMAT, DRM_FORMAT = "BGRx", r"DMA_DRM, drm-format=\(string\)XR24"

# But what the encoder of 1.26 says of its own latency: it has none without a frame rate.
COMPLAINTS = "CRITICAL(?!.*(denom != 0|gst_video_encoder_set_latency))|WARNING"

IN_LAB = "SCANCAST_LAB" in os.environ
NODE = os.path.join(BUILD, "tests/va-lab/mock-node")
PLUGINS = "app,coreelements,va,videoparsersbad"


def inodes_of(process):
    """Of the memory that a program shares by descriptors."""
    found = set()
    for link in glob.glob(f"/proc/{process.pid}/fd/*"):
        if re.match("/memfd:|/dmabuf:", os.readlink(link)):
            found.add(os.stat(link).st_ino)
    return found


def get_version():
    """GStreamer's, as far as it counts."""
    text = subprocess.run(["gst-launch-1.0", "--version"], capture_output=True, text=True, check=True)
    return tuple(map(int, re.search(r"GStreamer (\d+)\.(\d+)", text.stdout).groups()))


def find(lines, pattern):
    return [match for match in (re.search(pattern, line) for line in lines) if match]


class Hardware(LaunchCase):
    def start_guest_of_two_buffers(self, socket):
        guest = self.start(os.path.join(BUILD, "tests/fence/gl-host"), socket)
        guest.wait_for("^ok ready")
        guest.send("no-primary")
        guest.send("buffers 2 640x480")
        guest.wait_for("^ok udmabuf" if IN_LAB else "^ok memfd")
        return guest

    def launch_in_lab(self, line, trace):
        variables = [f"GST_PLUGIN_PATH_1_0={BUILD}/.libs", f"SCANCAST_VA_TRACE={trace}"]
        wrapper = [] if IN_LAB else [NODE, "--plugins", PLUGINS]
        return self.launch(line, "-v", wrapper=[*wrapper, "env", *variables])

    def check_trace(self, trace, inodes):
        with open(trace, encoding="ascii") as stream:
            lines = stream.read().splitlines()
        imported = {int(match[1]) for match in find(lines, r" import .*inode=(\d+) .*result=ok")}
        encoded = {int(match[1]) for match in find(lines, r" encode-end .*origin=(\d+)")}
        self.assertTrue(encoded and encoded <= imported & inodes, f"{encoded} {imported} {inodes}")
        self.assertEqual(find(lines, " put-image "), [])

    def test_zero_copy(self):
        socket, trace = self.path("vm.sock"), self.path("trace")
        guest = self.start_guest_of_two_buffers(socket)
        inodes = inodes_of(guest)
        process = self.launch_in_lab(
            f"scanoutsrc location=spice+unix:{socket} copy=never fence-deadline=10000 ! vapostproc "
            "! vah264enc ! spicesink listen=127.0.0.1:0",
            trace,
        )
        guest.wait_for("^channel 2 up", patience=GUEST_PATIENCE)
        guest.send("run 1000 100")
        client = self.start_viewer(process)
        client.wait_for(r"^frame number=\d+ count=20 ", patience=GUEST_PATIENCE)
        self.assert_in_order(self.frame_numbers(client), 10)
        self.check_picture(client, size="640x480")
        process.wait_for(CAPS + (DRM_FORMAT if get_version() >= (1, 24) else OLD_FORMAT))
        process.signal(signal.SIGINT)
        process.wait()
        self.check_trace(trace, inodes)
        self.assertEqual(guest.find_all("^error"), [])
        self.assertEqual(process.find_all(COMPLAINTS), [])


if __name__ == "__main__":
    if not IN_LAB and not shutil.which("umockdev-run"):
        print("umockdev-run is not installed (umockdev)")
        sys.exit(SKIP)
    main()
