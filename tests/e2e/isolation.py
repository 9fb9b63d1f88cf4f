#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one viewer's misbehaviour costs the guest and others, and how soon one that joins is served:
rates and times, each compared with others of the same run."""

import signal
import time

from harness import PATIENCE, main
from throttle import Throttle
from viewers import SIZE, ViewersCase, now, wait_until

FRAMES = 190  # three seconds of them
SLOW = 50_000 // 8  # bytes a second
RATIO = 0.95  # what may be left of a frame rate when a viewer misbehaves
ATTEMPTS = 5  # machines have other things to do; what is wrong here is wrong each time


class IsolationCase(ViewersCase):
    """One viewer misbehaves. What the guest and another viewer get is compared with what they got in
    the seconds before."""

    def set_up(self, listen="127.0.0.1:0"):
        self.scancast = self.start_scancast(self.start_host(), listen=listen)
        self.show(1)
        self.peer = self.watch(self.scancast, frames=1)

    def measure(self):
        """Frames a second of the guest, and those that the other viewer decoded."""
        start = now()
        since = self.peer.mark()
        last = self.run_guest(FRAMES)
        end = now()
        self.wait_for_frame(self.peer, last, since)
        times = [int(m[1]) for m in self.peer.find_all(r"^frame .* time=(\d+)", since)]
        seconds = (end - start) / 1e6
        return FRAMES / seconds, sum(start <= t <= end for t in times) / seconds

    def compare(self, misbehave, behave):
        for _ in range(ATTEMPTS):
            before = self.measure()
            misbehave()
            self.run_guest(FRAMES)  # what fits into buffers does so now
            after = self.measure()
            # Who was dropped disturbs nobody.
            self.assertEqual(self.scancast.find_all(r"viewer \S+: gone"), [])
            behave()
            ratios = [b / a for a, b in zip(before, after)]
            print(
                f"{self.id()}: guest {after[0]:.1f} of {before[0]:.1f} frames/s, other viewer "
                f"{after[1]:.1f} of {before[1]:.1f}",
                flush=True,
            )
            if min(ratios) >= RATIO:
                return
        self.fail(f"the others keep {ratios} of their frame rates")


class Isolation(IsolationCase):
    def compare_stopped(self, *arguments):
        self.set_up()
        victim = self.watch(self.scancast, *arguments, frames=1)
        self.addCleanup(victim.signal, signal.SIGCONT)
        self.compare(
            lambda: victim.signal(signal.SIGSTOP), lambda: victim.signal(signal.SIGCONT)
        )
        self.assertEqual(self.peer.find_all(r"^closed|^error|^display-destroy"), [])

    def test_stopped_viewer(self):
        self.compare_stopped()

    def test_stopped_viewer_of_another_codec(self):
        self.compare_stopped("--no-h264")

    def test_slow_viewer(self):
        self.set_up()
        victim, link = self.through(self.scancast)
        self.compare(lambda: link.limit(SLOW), lambda: link.limit(0))
        # It still gets what it can take, and at last the current picture.
        last = self.run_guest(10)
        self.wait_for_frame(victim, last)

    def test_viewer_that_vanishes(self):
        self.set_up()
        links = [self.through(self.scancast)[1] for _ in range(ATTEMPTS)]
        self.compare(lambda: links.pop().vanish(), lambda: None)


class Dead(ViewersCase):
    def test_are_dropped(self):
        """One that does nothing any more, and one of which only the main channel answers."""
        scancast = self.start_scancast(f"pattern:{SIZE}@20")
        peer = self.watch(scancast)
        dead = self.watch(scancast)
        deaf, link = self.through(scancast)
        dead.signal(signal.SIGSTOP)
        self.addCleanup(dead.signal, signal.SIGCONT)
        for connection in link.connections[1:]:
            connection.stop()
        since = peer.mark()
        scancast.wait_for(r"viewer \S+: has read nothing", patience=2 * PATIENCE)
        deaf.wait_for(r"^channel name=main state=closed|^closed|^error channel=main")
        wait_until(lambda: len(scancast.find_all(r"viewer \S+: gone")) == 2, 2 * PATIENCE)
        peer.wait_for(r"^frame ", peer.mark())
        self.assertEqual(peer.find_all(r"^closed|^error|^display", since), [])


class Joining(ViewersCase):
    LIMIT = 100_000  # microseconds from the display's channel to the picture
    PICTURE = 1000  # bytes at least; whatever else is sent to a client that joins is smaller

    def start_behind(self, scancast, *arguments, rate=0):
        link = Throttle(scancast.address)
        self.addCleanup(link.close)
        link.limit(rate)
        return self.start_client(link, "--latency", *arguments), link

    def join(self, scancast, number, *arguments):
        """A client, and microseconds from its open display until it had the picture, showed it, and
        showed it as H.264 if it can do that."""
        client, link = self.start_behind(scancast, *arguments)
        first = client.wait_for(r"^frame number=(\d+) .*time=(\d+)")
        self.assertEqual(int(first.group(1)), number)
        self.check_picture(client, number, SIZE)
        last = first
        if "--no-h264" not in arguments:
            client.wait_for(rf"^decoded number={number} ")
            path = "overlay" if "--overlay" in arguments else "canvas"
            last = client.wait_for(rf"^frame number=({number}) count=2 .*path={path} time=(\d+)")
            self.check_picture(client, number, SIZE)
        # Nothing else was there meanwhile, and no other size.
        self.assertEqual(set(self.frame_numbers(client)), {number})
        self.assertEqual(len(client.find_all(r"^display")), 1)
        display = client.wait_for(r"^channel name=display state=open time=(\d+)")
        opened = int(display.group(1))
        given = [when for when, size in link.arrivals if when > opened and size >= self.PICTURE]
        times = [given[0] if given else opened, int(first.group(2)), int(last.group(2))]
        return client, [when - opened for when in times]

    def test_idle_guest_is_seen_at_once_and_nobody_notices(self):
        scancast = self.start_scancast(self.start_host())
        self.show(7)
        kinds = [[], ["--overlay"], ["--no-h264"]]
        watchers = [self.watch(scancast, *kind, frames=1) for kind in kinds]
        time.sleep(1)  # MJPEG comes twice
        since = [watcher.mark() for watcher in watchers]
        joiners = []
        for kind in kinds:
            clients, times = zip(*[self.join(scancast, 7, *kind) for _ in range(4)])
            print(f"{self.id()}: {kind}, there, shown, as a stream (us): {times}", flush=True)
            self.assertLess(min(shown for _, shown, _ in times), self.LIMIT)
            joiners += clients
        last = self.run_guest(100)
        for joiner in joiners:
            self.wait_for_frame(joiner, last)
        for watcher, mark in zip(watchers, since):
            self.wait_for_frame(watcher, last, mark)
            self.assertEqual(watcher.find_all(r"^closed|^error|^display|^stream", mark), [])
            numbers = self.frame_numbers(watcher, mark)
            self.assertEqual([n for n in numbers if n not in range(1, last + 1)], [])
            joined = [n for n in numbers if n == 7]
            self.assert_in_order(numbers[len(joined) :], 20)

    def test_slow_network(self):
        """The greeting takes longer than its client waits for it. What follows comes all the same, and
        the greeting does not come again."""
        scancast = self.start_scancast(self.start_host())
        self.show(7)
        client, link = self.start_behind(scancast, "--overlay", rate=SLOW)
        client.wait_for(r"^frame number=7 .*path=overlay")
        scancast.wait_for(r"shows H.264")
        self.assertLessEqual(len(client.find_all(r"path=canvas")), 1)
        last = self.run_guest(5)
        self.wait_for_frame(client, last)


if __name__ == "__main__":
    main()
