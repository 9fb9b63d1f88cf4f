#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bit rate follows what the networks of viewers carry. Figures are compared with others of the
same run, for machines differ."""

import re
import time

from harness import Case, PATIENCE, main
from throttle import Throttle

BITRATE = 4000  # kbit/s; the test picture needs more than half of it
SOURCE = "pattern:1280x720@30"
SLOW = 120_000  # bytes a second, less than half of what the test picture needs
FAR_SLOWER = 30_000
WATCH = 4  # seconds


class Rates(Case):
    def setUp(self):
        super().setUp()
        self.scancast = self.start_scancast(
            "--stats", "--encoder=software", f"--bitrate={BITRATE}", "--max-fps=30", SOURCE
        )

    def watch_through_link(self):
        link = Throttle(self.scancast.address)
        self.addCleanup(link.close)
        client = self.start_client(link)
        client.wait_for(r"^frame number=\d+ count=30 ")
        return link, client

    def stats(self):
        """Of the latest line that has them."""
        line = self.scancast.find_all(r"^stats: .* bitrate_kbit=")[-1].string
        return dict(re.findall(r"(\w+)=(\"[^\"]*\"|\S+)", line))

    def bitrate(self):
        return int(self.stats()["bitrate_kbit"])

    def assert_full_bitrate(self):
        """Or nearly: on a busy machine any network may seem slow for a moment."""
        self.assertGreater(self.bitrate(), BITRATE // 2)

    def wait_for_bitrate(self, low, high):
        deadline = time.monotonic() + PATIENCE
        while not low <= self.bitrate() <= high:
            self.assertLess(time.monotonic(), deadline, f"{self.bitrate()} kbit/s")
            time.sleep(0.2)

    def count_frames(self, client):
        since = client.mark()
        time.sleep(WATCH)
        return len(self.frame_numbers(client, since))

    def test_follows_the_network(self):
        link, client = self.watch_through_link()
        usual = self.count_frames(client)
        self.assert_full_bitrate()

        link.limit(SLOW)
        self.wait_for_bitrate(0, SLOW * 8 // 1000)
        time.sleep(2)  # what was too much is still on its way
        slow = self.count_frames(client)
        self.assertGreater(slow, usual * 0.8, f"{slow} frames, {usual} without a limit")
        self.assertLess(self.bitrate(), SLOW * 8 // 1000 * 2)
        self.assertGreater(self.bitrate(), SLOW * 8 // 1000 // 4)

        link.limit(0)
        self.wait_for_bitrate(BITRATE * 3 // 4, BITRATE)
        self.assertGreater(self.count_frames(client), usual * 0.8)
        # None is lost (tests/server/test-rate.c holds the rule to that), but for once on a busy
        # machine, where what the network carries is known too late.
        self.assertLessEqual(int(self.stats()["keys"]), 2)
        self.assertLess(int(self.stats()["lost"]), usual // WATCH)
        self.assert_in_order(self.frame_numbers(client), usual)

    def test_far_slower_viewer_costs_others_nothing(self):
        client = self.start_client(self.scancast)
        client.wait_for(r"^frame number=\d+ count=30 ")
        usual = self.count_frames(client)
        link, slow = self.watch_through_link()
        link.limit(FAR_SLOWER)
        self.scancast.wait_for(r"viewer .*: takes far less than the others")
        self.assert_full_bitrate()
        self.assertGreater(self.count_frames(client), usual * 0.8)
        self.assert_full_bitrate()

        link.limit(0)
        self.scancast.wait_for(r"viewer .*: keeps up with the others again")
        self.assertGreater(self.count_frames(slow), usual * 0.8)
        self.assert_full_bitrate()

    def test_stopped_viewer_costs_others_nothing(self):
        client = self.start_client(self.scancast)
        client.wait_for(r"^frame number=\d+ count=30 ")
        link, stopped = self.watch_through_link()
        link.stop()
        self.count_frames(client)
        self.assert_full_bitrate()
        link.resume()
        self.assertGreater(self.count_frames(stopped), 0)
        self.count_frames(client)
        self.assert_full_bitrate()


if __name__ == "__main__":
    main()
