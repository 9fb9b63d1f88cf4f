#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What --metrics serves, read by a strict parser; and what hostile clients of it can do."""

import http.client
import os
import re
import socket
import time
import unittest.mock

from harness import BUILD, Case, main

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN|[+-]Inf)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
SUFFIXES = {"summary": ("", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


class FormatError(Exception):
    pass


def parse_labels(text):
    labels = {}
    while text:
        match = LABEL.match(text)
        if match is None or match.group(1) in labels:
            raise FormatError(f"labels: {text}")
        value = re.sub(r"\\.", lambda escape: ESCAPES[escape.group()], match.group(2))
        labels[match.group(1)] = value
        text = text[match.end() :]
    return labels


def parse(text):
    """A list of (name, labels, value). Stricter than Prometheus: HELP and TYPE for every family, in
    this order, once, with all samples right behind them, and none twice."""
    samples, seen, families = [], set(), set()
    family = kind = None
    if not text.endswith("\n"):
        raise FormatError("the last line does not end")
    lines = text[:-1].split("\n")
    while lines:
        line = lines.pop(0)
        if line.startswith("#"):
            match = re.fullmatch(rf"# HELP ({NAME}) \S.*", line)
            family = match.group(1) if match else None
            match = re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|summary)", lines.pop(0))
            if match is None or match.group(1) != family or family in families:
                raise FormatError(line)
            families.add(family)
            kind = match.group(2)
            if (kind == "counter") != family.endswith("_total"):
                raise FormatError(f"{family} is a {kind}")
            continue
        match = SAMPLE.fullmatch(line)
        if match is None or family is None:
            raise FormatError(line)
        name, labels, value = match.group(1), parse_labels(match.group(2) or ""), match.group(3)
        if name not in [family + suffix for suffix in SUFFIXES[kind]]:
            raise FormatError(f"{name} in {family}")
        if ("quantile" in labels) != (kind == "summary" and name == family):
            raise FormatError(line)
        key = (name, tuple(sorted(labels.items())))
        if key in seen:
            raise FormatError(f"twice: {line}")
        seen.add(key)
        samples.append((name, labels, float(value)))
    return samples


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Metrics(Case):
    def serve(self, *arguments, metrics="127.0.0.1:0"):
        scancast = self.start_scancast(f"--metrics={metrics}", *arguments)
        scancast.metrics = scancast.wait_for(r"metrics are at (\S+)").group(1)
        return scancast

    def request(self, scancast, method="GET", path="/metrics", **arguments):
        """The status, the headers and the body."""
        if scancast.metrics.startswith("unix:"):
            connection = UnixConnection(scancast.metrics[len("unix:") :])
        else:
            host, port = scancast.metrics.rsplit(":", 1)
            connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            connection.request(method, path, **arguments)
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def scrape(self, scancast):
        status, headers, body = self.request(scancast)
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        return parse(body)

    def find(self, samples, name, **labels):
        return [
            (has, value)
            for sample, has, value in samples
            if sample == name and labels.items() <= has.items()
        ]

    def value(self, samples, name, **labels):
        found = self.find(samples, name, **labels)
        self.assertEqual(len(found), 1, f"{name} {labels}: {found}")
        return found[0][1]


class Scraping(Metrics):
    def test_viewers_come_and_go(self):
        scancast = self.serve("pattern:640x480@20")
        samples = self.scrape(scancast)
        self.assertEqual(self.value(samples, "scancast_viewers"), 0)
        self.assertEqual(self.find(samples, "scancast_viewer_frames_total"), [])

        first = self.start_client(scancast)
        second = self.start_client(scancast, "--no-h264")
        for client in (first, second):
            client.wait_for(r"^frame number=\d+ count=20 ")
        samples = self.scrape(scancast)
        self.assertEqual(self.value(samples, "scancast_viewers"), 2)
        frames = self.find(samples, "scancast_viewer_frames_total")
        self.assertEqual(sorted(labels["viewer"] for labels, _ in frames), ["1", "2"])
        self.assertEqual(sorted(labels["codec"] for labels, _ in frames), ["H.264", "MJPEG"])
        for labels, value in frames:
            self.assertRegex(labels["peer"], r"^127\.0\.0\.1:\d+$")
            self.assertEqual(labels["source"], "pattern:640x480@20")
            self.assertGreaterEqual(value, 20)
        self.assertGreaterEqual(
            self.value(samples, "scancast_viewer_key_frames_total", codec="H.264"), 1
        )
        self.assertGreater(self.value(samples, "scancast_stream_bytes_total", codec="H.264"), 1000)
        # The ceiling, or less where the machine is too busy to read.
        bitrate = self.value(samples, "scancast_stream_bitrate_bits_per_second", codec="H.264")
        self.assertGreater(bitrate, 0)
        self.assertLessEqual(bitrate, 8000000)
        (rung,) = self.find(samples, "scancast_stream_rung", codec="MJPEG")
        self.assertIn("jpegenc", rung[0]["rung"])
        self.assertGreater(self.value(samples, "scancast_frames_total"), 19)

        later = self.scrape(scancast)
        for name, labels, value in samples:
            if name.endswith("_total"):
                self.assertGreaterEqual(self.value(later, name, **labels), value)

        first.send("quit")
        line = scancast.wait_for(r"viewer 127\S+: gone; (.*)").group(1)
        said = dict(pair.split("=", 1) for pair in line.split())
        self.assertEqual(said["codec"], "H.264")
        self.assertGreaterEqual(int(said["frames"]), 20)
        self.assertGreater(int(said["bytes"]), 1000)
        samples = self.scrape(scancast)
        self.assertEqual(self.value(samples, "scancast_viewers"), 1)
        self.assertEqual(self.value(samples, "scancast_viewers_joined_total"), 2)
        self.assertGreaterEqual(
            self.value(samples, "scancast_sent_frames_total"), int(said["frames"])
        )

    def test_waits_of_the_guest(self):
        host = self.start(os.path.join(BUILD, "tests/fence/gl-host"), self.path("vm"))
        scancast = self.serve(f"spice+unix:{self.path('vm')}")
        scancast.wait_for(r"source .*: connected")
        client = self.start_client(scancast)
        client.wait_for(r"^connected")
        for command in ("buffers 2 640x480", "run 30 20"):
            host.send(command)
        host.wait_for(r"^ran 30")
        samples = self.scrape(scancast)
        count = self.value(samples, "scancast_flush_hold_seconds_count")
        self.assertGreaterEqual(count, 30)
        self.assertEqual(
            count, sum(value for _, value in self.find(samples, "scancast_flushes_total"))
        )
        p50 = self.value(samples, "scancast_flush_hold_seconds", quantile="0.5")
        p99 = self.value(samples, "scancast_flush_hold_seconds", quantile="0.99")
        self.assertLessEqual(p50, p99)
        self.assertLess(p99, 10)
        self.assertGreater(self.value(samples, "scancast_flush_hold_seconds_sum"), 0)

    def test_unix_socket_and_odd_names(self):
        source = "spice+unix:" + self.path('a "quoted" back\\slash\nand a line')
        path = self.path("metrics.sock")
        scancast = self.serve(source, metrics=f"unix:{path}")
        samples = self.scrape(scancast)
        self.assertEqual(self.find(samples, "scancast_viewers")[0][0]["source"], source)
        self.assertEqual(scancast.stop(), 0)
        self.assertFalse(os.path.exists(path))


class Requests(Metrics):
    def setUp(self):
        super().setUp()
        # Sanitizers keep what was freed, which is not what is looked for here.
        options = os.environ.get("ASAN_OPTIONS", "")
        with unittest.mock.patch.dict(
            os.environ, ASAN_OPTIONS=f"{options}:quarantine_size_mb=1"
        ):
            self.scancast = self.serve("pattern:320x240@10")

    def connect(self):
        host, port = self.scancast.metrics.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), timeout=30)
        self.addCleanup(connection.close)
        return connection

    def drain(self, connection):
        """What comes until the other end closes."""
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionError:
            pass
        return received

    def test_only_metrics_and_only_get(self):
        for path in ("/", "/metrics/", "/metrics/x", "/Metrics", "/../metrics/..", "*"):
            self.assertEqual(self.request(self.scancast, path=path)[0], 404, path)
        for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"):
            status, headers, _ = self.request(self.scancast, method=method)
            self.assertEqual(status, 405, method)
            self.assertEqual(headers["Allow"], "GET")
        self.scrape(self.scancast)

    def test_garbage(self):
        for garbage in (
            b"\0" * 1000,
            b"GET\r\n\r\n",
            b"GET /metrics HTTP/9.9\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
            b"REDQ" + b"\xff" * 100,
            b"GET /" + b"a" * 200000,
            b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 50000,
            b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ):
            connection = self.connect()
            try:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            self.assertNotIn(b" 200 ", self.drain(connection)[:20], garbage[:50])
            self.scrape(self.scancast)

    def memory(self):
        with open(f"/proc/{self.scancast.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1))

    def test_large_bodies_are_not_kept(self):
        before = self.memory()
        connection = self.connect()
        size = 64 * 1024 * 1024
        try:
            connection.sendall(
                b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
            )
            for _ in range(size // 65536):
                connection.sendall(b"x" * 65536)
                self.assertLess(self.memory() - before, size * 3 // 4 // 1024)
        except ConnectionError:
            pass  # as good
        self.scrape(self.scancast)

    def test_many_that_say_nothing(self):
        """More than may connect at once: they go away after a while, and then others can ask."""
        silent = [self.connect() for _ in range(40)]
        silent[0].sendall(b"GET /metrics HTTP/1.1\r\nHo")
        started = time.monotonic()
        self.drain(silent[0])
        self.assertLess(time.monotonic() - started, 30)
        for connection in silent:
            connection.close()
        self.scrape(self.scancast)
        client = self.start_client(self.scancast)
        client.wait_for(r"^frame number=\d+ count=5 ")
        self.assertEqual(self.scancast.stop(), 0)

    def test_address_in_use(self):
        result = self.start(
            os.path.join(BUILD, "scancast"),
            "--listen=127.0.0.1:0",
            f"--metrics={self.scancast.metrics}",
            "pattern",
        )
        result.wait_for(r"^scancast: --metrics: cannot listen on")
        self.assertEqual(result.wait(), 1)


if __name__ == "__main__":
    main()
