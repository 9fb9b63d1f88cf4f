#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""scancast with its own test picture, and clients of several kinds."""

import signal
import socket
import subprocess
import os

from harness import BUILD, Case, main

SIZE = "640x480"


class Pictures(Case):
    def watch(self, source, *client_arguments, frames=20):
        """A client that has seen so many frames, and in order."""
        scancast = self.start_scancast(source)
        client = self.start_client(scancast, *client_arguments)
        client.wait_for(rf"^frame number=\d+ count={frames} ")
        self.assert_in_order(self.frame_numbers(client), frames // 2)
        return scancast, client

    def test_frames_and_picture(self):
        _, client = self.watch(f"pattern:{SIZE}@20")
        self.check_picture(client, size=SIZE)

    def test_overlay_client(self):
        self.watch(f"pattern:{SIZE}@20", "--overlay")

    def test_odd_size(self):
        _, client = self.watch("pattern:803x601@20", frames=5)
        self.check_picture(client, size="803x601")

    def test_client_without_h264(self):
        _, client = self.watch(f"pattern:{SIZE}@20", "--no-h264")
        self.check_picture(client, size=SIZE)

    def test_two_clients_of_two_kinds(self):
        scancast, first = self.watch(f"pattern:{SIZE}@20", frames=5)
        second = self.start_client(scancast, "--no-h264")
        second.wait_for(r"^frame number=\d+ count=10 ")
        first.wait_for(r"^frame ", first.mark())
        self.check_picture(first, size=SIZE)
        self.check_picture(second, size=SIZE)

    def test_client_that_stops_does_not_stop_others(self):
        scancast, first = self.watch(f"pattern:{SIZE}@20", frames=5)
        second = self.start_client(scancast)
        second.wait_for(r"^frame number=\d+ count=5 ")
        first.signal(signal.SIGSTOP)
        try:
            # More than fits into the stopped client's connection and the library's window.
            second.wait_for(r"^frame number=\d+ count=120 ")
            self.assert_in_order(self.frame_numbers(second), 60)
        finally:
            first.signal(signal.SIGCONT)

    def test_unix_socket(self):
        path = self.path("viewers.sock")
        scancast = self.start_scancast(f"pattern:{SIZE}@20", listen=f"unix:{path}")
        client = self.start_client(scancast)
        client.wait_for(r"^frame number=\d+ count=5 ")
        self.assertEqual(scancast.stop(), 0)
        self.assertFalse(os.path.exists(path))

    def test_custom_pipeline(self):
        scancast = self.start_scancast(
            "--encoder=x264enc tune=zerolatency speed-preset=ultrafast", f"pattern:{SIZE}@20"
        )
        client = self.start_client(scancast)
        client.wait_for(r"^frame number=\d+ count=5 ")
        self.check_picture(client, size=SIZE)


class Passwords(Case):
    def setUp(self):
        super().setUp()
        file = self.path("password")
        with open(file, "w", encoding="ascii") as stream:
            stream.write("open sesame\n")
        self.scancast = self.start_scancast(f"--password-file={file}", f"pattern:{SIZE}@20")

    def test_right_password(self):
        client = self.start_client(self.scancast, "--password=open sesame")
        client.wait_for(r"^frame number=\d+ count=5 ")

    def test_wrong_password(self):
        client = self.start_client(self.scancast, "--password=wrong")
        client.wait_for(r"^error channel=main reason=auth")
        self.assertEqual(client.wait(), 1)
        self.assertEqual(self.frame_numbers(client), [])

    def test_no_password(self):
        client = self.start_client(self.scancast)
        client.wait_for(r"^error channel=main reason=auth")
        self.assertEqual(self.frame_numbers(client), [])


class Endings(Case):
    def test_signals_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            scancast = self.start_scancast(f"pattern:{SIZE}@20")
            client = self.start_client(scancast)
            client.wait_for(r"^frame number=\d+ count=3 ")
            scancast.signal(number)
            self.assertEqual(scancast.wait(), 0)
            client.wait_for(r"^closed|^error")

    def test_garbage_harms_nobody(self):
        scancast = self.start_scancast(f"pattern:{SIZE}@20")
        client = self.start_client(scancast)
        client.wait_for(r"^frame number=\d+ count=3 ")
        host, port = scancast.address.rsplit(":", 1)
        for garbage in (b"GET / HTTP/1.1\r\n\r\n" * 100, b"\0" * 100000, b"REDQ" + b"\xff" * 64, b""):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(garbage)
        scancast.wait_for(r"connection \S+: closed, no viewer: ")
        for _ in range(200):  # of which the log says little
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(b"\0" * 100)
        for target in ("main", "display", "inputs", "cursor"):
            other = self.start_client(scancast)
            other.wait_for(r"^frame ")
            other.send(f"raw {target} " + "ff" * 600)
            other.send("quit")
        since = client.mark()
        client.wait_for(r"^frame number=\d+ ", since)
        self.assertTrue(scancast.is_running())
        self.assertEqual(scancast.stop(), 0)
        self.assertLess(len(scancast.find_all(r": closed, no viewer: ")), 10)
        more = scancast.find_all(r"(\d+) more connection\(s\) closed")
        self.assertGreater(sum(int(match.group(1)) for match in more), 100)

    def test_migration_messages_harm_nobody(self):
        """libspice-server would end the process at most of these."""
        flush_mark, data = "040000000000", "050004000000" + "00" * 4
        migrations = ["6d0000000000", "6e000400000000000000", "6f0000000000"]
        messages = {
            "main": [flush_mark, data, *migrations, "6b0000000000"],
            "display": [flush_mark, data],
            "cursor": [flush_mark, data],
            "inputs": [flush_mark, data],
        }
        scancast = self.start_scancast(f"pattern:{SIZE}@20")
        watcher = self.start_client(scancast)
        watcher.wait_for(r"^frame number=\d+ count=3 ")
        for target, items in messages.items():
            for message in items:
                client = self.start_client(scancast)
                client.wait_for(rf"^channel name={target} state=open")
                since = scancast.mark()
                client.send(f"raw {target} {message}")
                scancast.wait_for(rf"message \d+ .* {target} channel", since)
                client.stop()
        since = watcher.mark()
        watcher.wait_for(r"^frame number=\d+ ", since)
        self.assertTrue(scancast.is_running())
        self.assertEqual(scancast.stop(), 0)

    def test_client_that_is_killed_harms_nobody(self):
        scancast = self.start_scancast(f"pattern:{SIZE}@20")
        client = self.start_client(scancast)
        for _ in range(3):
            other = self.start_client(scancast)
            other.wait_for(r"^frame ")
            other.signal(signal.SIGKILL)
            other.wait()
        client.wait_for(r"^frame number=\d+ ", client.mark())
        self.assertEqual(scancast.stop(), 0)


class CommandLine(Case):
    """What cannot be done is said, with the thing it is about, and the status tells which kind."""

    def fail_with(self, status, word, *arguments):
        argv = [os.path.join(BUILD, "scancast"), "--listen=127.0.0.1:0", *arguments]
        result = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(result.returncode, status, f"{arguments}: {result.stderr}")
        self.assertIn(word, result.stderr)
        self.assertEqual(result.stdout, "")

    def test_sources(self):
        self.fail_with(2, "nonsense", "nonsense:1")
        for size in ("0x480", "640x", "99999x99999", "-1x5", "640x480@0", "640x480@x"):
            self.fail_with(2, size, f"pattern:{size}")
        self.fail_with(2, "SOURCE")

    def test_options(self):
        self.fail_with(2, "--nonsense", "--nonsense", "pattern")
        self.fail_with(2, "fps", "--max-fps=0", "pattern")
        self.fail_with(2, "bitrate", "--bitrate=x", "pattern")

    def test_password_file(self):
        missing = self.path("missing")
        self.fail_with(1, missing, f"--password-file={missing}", "pattern")

    def test_config_file(self):
        missing = self.path("missing")
        self.fail_with(1, missing, f"--config={missing}", "pattern")
        file = self.path("scancast.conf")
        with open(file, "w", encoding="utf-8") as stream:
            stream.write("[scancast]\nsource=pattern\nmax-fsp=30\n")
        self.fail_with(2, f"{file}: max-fsp", f"--config={file}")

    def test_encoder_that_does_not_exist(self):
        self.fail_with(2, "nosuchelement", "--encoder=nosuchelement ! x264enc", "pattern")

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.fail_with(1, str(port), f"--listen=127.0.0.1:{port}", "pattern")

    def test_listen_address(self):
        self.fail_with(2, "99999", "--listen=127.0.0.1:99999", "pattern")


if __name__ == "__main__":
    main()
