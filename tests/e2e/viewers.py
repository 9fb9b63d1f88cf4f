#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many viewers of one guest: who gets a place, what each gets, and how they share one guest."""

import os
import signal
import socket
import struct
import subprocess
import time

from harness import BUILD, PATIENCE, Case, main
from throttle import Throttle

SIZE = "640x480"
INTERVAL_MS = 16  # near 60 frames a second

A_KEY, A_PRESSED, A_RELEASED = 0x1E, "1e", "9e"
SHIFT_KEY, SHIFT_RELEASED = 0x2A, "aa"


def now():
    """Microseconds, of the clock that spice-probe and gl-host use."""
    return time.monotonic_ns() // 1000


def count_threads(pid, prefix=""):
    names = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/comm", encoding="ascii") as stream:
                names.append(stream.read().strip())
        except FileNotFoundError:
            pass  # it has ended
    return len([name for name in names if name.startswith(prefix)])


def wait_until(condition, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{condition} after {patience} s")
        time.sleep(0.05)


class ViewersCase(Case):
    def wait_for_stream(self, client, *arguments):
        """Until it is past its greeting, an MJPEG picture, and shows what it keeps."""
        client.wait_for(r"^frame " if "--no-h264" in arguments else r"^decoded ")

    def watch(self, scancast, *arguments, frames=3):
        client = self.start_client(scancast, "--latency", *arguments)
        self.wait_for_stream(client, *arguments)
        client.wait_for(rf"^frame number=\d+ count={frames} ")
        return client

    def through(self, scancast, *arguments):
        """A client at the end of a bad network, and the network."""
        link = Throttle(scancast.address)
        self.addCleanup(link.close)
        client = self.start_client(link, "--latency", *arguments)
        self.wait_for_stream(client, *arguments)
        return client, link

    def knock(self, scancast):
        """A connection that stops in the middle of its handshake, where the library waits for it."""
        host, port = scancast.address.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), timeout=10)
        self.addCleanup(connection.close)
        link = struct.pack("<IBBIII", 0, 1, 0, 0, 0, 18)  # the main channel, no capabilities
        connection.sendall(b"REDQ" + struct.pack("<III", 2, 2, len(link)) + link)
        return connection

    def start_host(self):
        """Plays QEMU; see tests/fence/gl-host-main.c."""
        self.host = self.start(os.path.join(BUILD, "tests/fence/gl-host"), self.path("vm.sock"))
        self.tell(f"buffers 2 {SIZE}")
        return f"spice+unix:{self.path('vm.sock')}"

    def tell(self, command):
        since = self.host.mark()
        self.host.send(command)
        self.host.wait_for(r"^ok", since)

    def show(self, number):
        self.tell(f"fill 0 {number}")
        self.tell("scanout 0")
        since = self.host.mark()
        self.tell(f"draw {number}")
        self.host.wait_for(rf"^done {number} ", since)

    def run_guest(self, count, interval=INTERVAL_MS):
        since = self.host.mark()
        self.host.send(f"run {count} {interval}")
        self.host.wait_for(r"^ran ", since)
        return int(self.host.find_all(r"^done (\d+) ", since)[-1].group(1))


class Places(ViewersCase):
    def test_one_place_goes_to_who_joined_last(self):
        file = self.path("password")
        with open(file, "w", encoding="ascii") as stream:
            stream.write("sesame\n")
        scancast = self.start_scancast(
            "--max-viewers=1", f"--password-file={file}", f"pattern:{SIZE}@20"
        )
        first = self.watch(scancast, "--password=sesame")
        # Who does not know the password ousts nobody, whatever it does.
        self.knock(scancast)
        stranger = self.start_client(scancast, "--password=wrong")
        stranger.wait_for(r"^error channel=main reason=auth")
        first.wait_for(r"^frame ", first.mark())
        self.assertEqual(scancast.find_all(r"sent away"), [])

        self.watch(scancast, "--password=sesame")
        first.wait_for(r"^closed|^error channel=main")
        scancast.wait_for(r"viewer \S+: sent away, for viewer \S+ joins")
        # One that has stopped goes as well.
        second = self.processes[-1]
        second.signal(signal.SIGSTOP)
        third = self.watch(scancast, "--password=sesame")
        second.signal(signal.SIGCONT)
        second.wait_for(r"^closed|^error channel=main")
        third.wait_for(r"^frame ", third.mark())
        self.assertEqual(scancast.stop(), 0)  # sanitizers speak up here

    def test_no_more_than_there_are_places(self):
        scancast = self.start_scancast("--max-viewers=2", f"pattern:{SIZE}@20")
        first, second = self.watch(scancast), self.watch(scancast)
        third = self.start_client(scancast)
        third.wait_for(r"^error channel=main")
        scancast.wait_for(r"--max-viewers")
        for client in (first, second):
            client.wait_for(r"^frame ", client.mark())
        first.send("quit")
        scancast.wait_for(r"viewer \S+: gone")
        self.watch(scancast)
        second.wait_for(r"^frame ", second.mark())

    def test_strangers_take_no_place(self):
        scancast = self.start_scancast("--max-viewers=2", f"pattern:{SIZE}@20")
        fds = f"/proc/{scancast.pid}/fd"
        before = len(os.listdir(fds))
        strangers = [self.knock(scancast) for _ in range(100)]
        first = self.watch(scancast)
        # Each costs some; most of them have been sent away.
        self.assertLess(len(os.listdir(fds)) - before, 2 * len(strangers))
        self.watch(scancast)
        first.wait_for(r"^frame ", first.mark())
        self.assertEqual(first.find_all(r"^closed|^error"), [])
        for stranger in strangers:
            stranger.close()
        wait_until(lambda: len(os.listdir(fds)) < before + 80)


class Encoders(ViewersCase):
    def count(self, scancast):
        # One feeds each pipeline. It is GLib's, who keeps it 15 s more for others.
        return count_threads(scancast.pid, "appsrc")

    def test_one_for_each_codec_that_is_watched(self):
        scancast = self.start_scancast(f"pattern:{SIZE}@20")
        self.assertEqual(self.count(scancast), 0)
        threads = count_threads(scancast.pid)
        clients = [self.watch(scancast) for _ in range(3)]
        wait_until(lambda: self.count(scancast) == 1)  # the other one made the greetings
        other = self.watch(scancast, "--no-h264")
        self.assertIn(self.count(scancast), (2, 3))  # perhaps with that for greetings
        other.send("quit")
        wait_until(lambda: self.count(scancast) == 1)
        for client in clients:
            self.assertEqual(client.find_all(r"^closed|^error|^display-destroy"), [])
            client.wait_for(r"^frame ", client.mark())
            client.send("quit")
        wait_until(lambda: self.count(scancast) == 0)
        # Threads of GStreamer's and GLib's pools are kept a while for others.
        wait_until(lambda: count_threads(scancast.pid) <= threads + 2)
        # And all of it comes back.
        for arguments in ([], ["--no-h264"]):
            client = self.watch(scancast, *arguments)
            self.check_picture(client, size=SIZE)
        self.assertEqual(scancast.stop(), 0)

    def test_without_an_encoder_for_mjpeg(self):
        """Nobody is greeted, nobody waits for it, and one warning is enough."""
        scancast = self.start_scancast(f"pattern:{SIZE}@20", env=self.hide_plugin("jpeg"))
        for _ in range(2):
            self.watch(scancast)
        other = self.start_client(scancast, "--no-h264")
        scancast.wait_for(r"viewer \S+: cannot show H.264")
        other.wait_for(r"^closed|^error")
        self.assertEqual(len(scancast.find_all(r"MJPEG cannot be encoded")), 1)
        self.assertEqual(len(scancast.find_all(r"shows MJPEG")), 1)

    def hide_plugin(self, name):
        """Environment for a program that finds all of GStreamer's plugins but this one."""
        command = ["pkg-config", "--variable=pluginsdir", "gstreamer-1.0"]
        folder = subprocess.check_output(command, text=True).strip()
        os.mkdir(self.path("plugins"))
        for file in os.listdir(folder):
            if file.endswith(".so") and file != f"libgst{name}.so":
                os.symlink(os.path.join(folder, file), self.path(f"plugins/{file}"))
        return {
            "GST_PLUGIN_SYSTEM_PATH_1_0": self.path("plugins"),
            "GST_REGISTRY_1_0": self.path("registry.bin"),
        }


class Return(ViewersCase):
    def test_stopped_viewer_is_current_at_once(self):
        scancast = self.start_scancast(self.start_host())
        self.show(1)
        peer, victim = self.watch(scancast, frames=1), self.watch(scancast, frames=1)
        victim.signal(signal.SIGSTOP)
        self.addCleanup(victim.signal, signal.SIGCONT)
        missed = self.run_guest(400, 8)
        self.wait_for_frame(peer, missed)
        since = victim.mark()
        self.host.send("run 300 8")
        time.sleep(0.5)
        victim.signal(signal.SIGCONT)
        self.host.wait_for(r"^ran 300")
        last = int(self.host.find_all(r"^done (\d+) ")[-1].group(1))
        self.wait_for_frame(victim, last, since)
        numbers = self.frame_numbers(victim, since)
        old = [number for number in numbers if number <= missed]
        # What the library and the socket held, but nothing of what could not be sent.
        print(f"{self.id()}: {len(old)} old frames, then number {numbers[len(old)]}", flush=True)
        self.assertLess(len(old), 60)
        self.assert_in_order(numbers, 2)
        self.assertEqual(victim.find_all(r"^closed|^error|^display-destroy", since), [])

    def test_last_picture_reaches_who_was_congested(self):
        scancast = self.start_scancast(self.start_host())
        self.show(1)
        for arguments in ([], ["--no-h264"], ["--overlay"]):
            peer = self.watch(scancast, *arguments, frames=1)
            victim = self.watch(scancast, *arguments, frames=1)
            victim.signal(signal.SIGSTOP)
            self.addCleanup(victim.signal, signal.SIGCONT)
            last = self.run_guest(300, 8)
            self.wait_for_frame(peer, last)
            time.sleep(1)  # the guest is idle, and all that was to be sent is
            victim.signal(signal.SIGCONT)
            self.wait_for_frame(victim, last)
            peer.send("quit")
            victim.send("quit")


class Hostile(ViewersCase):
    """Others watch meanwhile, and notice nothing."""

    def send(self, scancast, data):
        """All of it, then the end; returns when the server has closed."""
        host, port = scancast.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass

    def link(self, n_common=0, n_channel=0, offset=18, words=0, channel=1, size=None):
        """A link message with so many words of capabilities, all of them there."""
        body = struct.pack("<IBBIII", 0, channel, 0, n_common, n_channel, offset)
        body += b"\xff" * (4 * words)
        return b"REDQ" + struct.pack("<III", 2, 2, len(body) if size is None else size) + body

    def test_links_that_cannot_be(self):
        scancast = self.start_scancast(f"pattern:{SIZE}@20")
        peer = self.watch(scancast)
        fds = f"/proc/{scancast.pid}/fd"
        before = len(os.listdir(fds))
        most = 0xFFFFFFFF
        for data in (
            self.link(1, 1, words=2),  # all there are, and more
            self.link(100, 100, words=200),
            self.link(1, 1, words=2, channel=255),
            self.link(most, most, words=2),
            self.link(0x40000000, 0, words=2),
            self.link(1, 0, offset=most, words=1),
            self.link(1, 0, offset=0, words=1),
            self.link(1000, 1000, words=2000),
            self.link(size=most),
            self.link(size=0x7FFFFFFF) + b"x" * 1000000,
            self.link(size=0),
            self.link() + b"\xff" * 1000000,
            b"REDQ" + b"\xff" * 100000,
            b"GET / HTTP/1.1\r\n" + b"x" * 1000000,
            os.urandom(100000),
        ):
            self.send(scancast, data)
        wait_until(lambda: len(os.listdir(fds)) <= before)
        peer.wait_for(r"^frame ", peer.mark())
        self.assertEqual(peer.find_all(r"^closed|^error|^display-destroy"), [])
        self.watch(scancast)
        self.assertEqual(scancast.stop(), 0)


class Input(ViewersCase):
    def test_keys_of_several_viewers(self):
        scancast = self.start_scancast(self.start_host())
        self.show(1)
        first, second = self.watch(scancast, frames=1), self.watch(scancast, frames=1)
        for client in (first, second):
            client.wait_for(r"^channel name=inputs state=open")
            since = self.host.mark()
            client.send(f"key {A_KEY} down")
            self.host.wait_for(rf"^key {A_PRESSED}$", since)
        second.send(f"key {SHIFT_KEY} down")
        self.host.wait_for(r"^key 2a$")
        # The second one still holds it.
        first.signal(signal.SIGKILL)
        scancast.wait_for(r"viewer \S+: gone")
        self.assertEqual(self.host.find_all(rf"^key {A_RELEASED}$"), [])
        second.signal(signal.SIGKILL)
        self.host.wait_for(rf"^key {A_RELEASED}$")
        self.host.wait_for(rf"^key {SHIFT_RELEASED}$")


class Windows(ViewersCase):
    def test_last_wish_reaches_the_guest(self):
        scancast = self.start_scancast(self.start_host())
        self.show(1)
        first, second = self.watch(scancast, frames=1), self.watch(scancast, frames=1)
        for client in (first, second):
            client.wait_for(r"^channel name=inputs state=open")
        first.send("window 1111 700")  # nobody listens, nothing happens
        self.tell("agent")
        for client, width in ((first, 1024), (second, 1280), (first, 800)):
            since = self.host.mark()
            wait_until(lambda: self.wish(client, f"{width} 600", since))
        self.assertEqual(self.host.find_all(r"^window 9 |^window 1111 "), [])

    def wish(self, client, size, since):
        """The daemon may not know of the agent yet."""
        client.send("window 9 9")
        client.send(f"window {size}")
        time.sleep(0.5)
        return self.host.find_all(rf"^window {size}$", since)


if __name__ == "__main__":
    main()
