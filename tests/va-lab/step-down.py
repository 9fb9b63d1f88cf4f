#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon on a software VA driver that fails: what its viewers, its log and --stats show."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests/e2e"))

from harness import BUILD, SKIP, Case, main  # noqa: E402

LAB = [os.path.join(BUILD, "tests/va-lab/mock-node"), "--plugins"]
LAB += ["app,coreelements,va,videoparsersbad,x264"]
STATS = r'^stats: .* rung="([^"]*)" .* step_downs=(\d+) step_down_reason="([^"]*)"'


class StepDown(Case):
    def test_failing_driver(self):
        scancast = self.start_scancast(
            "--stats", "pattern:320x240@20", wrapper=LAB, env={"SCANCAST_VA_FAIL_ENCODES": "5-"}
        )
        client = self.start_client(scancast)
        scancast.wait_for("encoding H.264 with va-upload")
        scancast.wait_for("va-upload encoder given up until the scanout changes, for 320x240 ")
        client.wait_for(r"^frame number=\d+ count=40 ")
        self.assert_in_order(self.frame_numbers(client), 30)
        self.check_picture(client)

        stats = scancast.wait_for(STATS, scancast.mark())
        changes = [match.string for match in scancast.find_all("encoder (set aside|given up)")]
        self.assertEqual(stats.group(1), "software (x264enc)")
        self.assertEqual(int(stats.group(2)), len(changes))
        self.assertEqual(len(set(changes)), len(changes))
        what, _, reason = stats.group(3).partition(": ")
        self.assertEqual(what, "va-upload given up until the scanout changes")
        self.assertTrue(changes[-1].endswith(": " + reason), (changes[-1], reason))


if __name__ == "__main__":
    if shutil.which("umockdev-run") is None:
        print("umockdev-run is not installed (umockdev)")
        sys.exit(SKIP)
    main()
