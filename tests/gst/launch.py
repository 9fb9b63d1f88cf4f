#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pipelines of the README, in gst-launch-1.0: what comes out is decoded, counted and looked at."""

import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/e2e"))

from links import make_pki
from harness import BUILD, GUEST_PATIENCE, PATIENCE, SKIP, SOURCE, Case, main, need_guest

CELL = 16  # these two: capture/pattern.h
N_BITS = 32

# Of videotestsrc, from the left: which of red, green and blue each bar has.
BARS = ("rgb", "rg", "gb", "g", "rb", "r", "b")


def frame_number(frame, width):
    """That of the test picture in a frame of RGB bytes; capture/pattern.h."""
    number = 0
    for bit in range(N_BITS):
        column, row = bit % (width // CELL), bit // (width // CELL)
        x, y = column * CELL + CELL // 2, row * CELL + CELL // 2
        number |= (frame[3 * (y * width + x) + 1] > 127) << bit
    return number


def read_frames(file, width, height):
    size = 3 * width * height
    with open(file, "rb") as stream:
        while len(frame := stream.read(size)) == size:
            yield frame


class LaunchCase(Case):
    def setUp(self):
        super().setUp()
        self.env = {
            "GST_PLUGIN_PATH_1_0": os.path.join(BUILD, ".libs"),
            "GST_REGISTRY": os.path.join(BUILD, "tests/gst/registry.bin"),
        }

    def launch(self, line, *options, wrapper=()):
        """@line as it would be given to a shell, but for the name of the program."""
        return self.start(
            *wrapper, "gst-launch-1.0", *options, *line.split(), env=None if wrapper else self.env
        )

    def run_line(self, line, *options):
        process = self.launch(line, *options)
        self.assertEqual(process.wait(GUEST_PATIENCE), 0, line)
        self.assertEqual(process.find_all("CRITICAL|WARNING"), [])
        return process

    def check_frame(self, frame, width, height):
        file = self.path("frame.ppm")
        with open(file, "wb") as stream:
            stream.write(b"P6 %d %d 255\n" % (width, height) + frame)
        program = os.path.join(BUILD, "tests/e2e/check-picture")
        result = subprocess.run([program, file], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def decode(self, file, width, height):
        """The frame numbers in a file of H.264 in MP4, whose last picture must be right."""
        raw = self.path("raw")
        self.run_line(
            f"filesrc location={file} ! qtdemux ! h264parse ! avdec_h264 ! videoconvert "
            f"! video/x-raw,format=RGB ! filesink location={raw}"
        )
        numbers = []
        for frame in read_frames(raw, width, height):
            numbers.append(frame_number(frame, width))
            last = frame
        self.check_frame(last, width, height)
        return numbers

    def start_viewer(self, launched):
        """A client of the spicesink in a pipeline that was started with -v."""
        launched.address = launched.wait_for(
            r"address = \"?(127\.0\.0\.1:[1-9]\d*)", patience=GUEST_PATIENCE
        ).group(1)
        return self.start_client(launched)


class Recording(LaunchCase):
    LINE = (
        "scanoutsrc location=pattern:1280x720@30{} ! videoconvert ! x264enc tune=zerolatency "
        "! h264parse ! mp4mux ! filesink location={}"
    )

    def test_until_eos(self):
        file = self.path("guest.mp4")
        self.run_line(self.LINE.format(" num-buffers=40", file))
        numbers = self.decode(file, 1280, 720)
        # h264parse takes the time base of a variable frame rate for the rate itself, so that the
        # last picture has no duration in the file and is not seen.
        self.assertIn(len(numbers), (39, 40))
        self.assert_in_order(numbers, 30)

    def test_until_interrupted(self):
        file = self.path("guest.mp4")
        process = self.launch(self.LINE.format("", file), "-e")
        process.wait_for("Setting pipeline to PLAYING")
        self.assertRaises(subprocess.TimeoutExpired, process.wait, 2)
        process.signal(signal.SIGINT)
        self.assertEqual(process.wait(), 0)
        self.assertGreater(len(self.decode(file, 1280, 720)), 5)


class Viewers(LaunchCase):
    def save(self, client):
        """What the client shows, as bytes of RGB; its width and height."""
        self.save_picture(client)
        with open(self.path("picture.ppm"), "rb") as stream:
            match = re.match(rb"P6\s(\d+)\s(\d+)\s255\s", data := stream.read())
        return data[match.end() :], int(match.group(1)), int(match.group(2))

    def test_videotestsrc(self):
        process = self.launch(
            "videotestsrc ! x264enc tune=zerolatency key-int-max=3600 "
            "! spicesink listen=127.0.0.1:0",
            "-v",
        )
        client = self.start_viewer(process)
        client.wait_for(r"^frame number=\d+ count=60 ")
        late = self.start_client(process)
        late.wait_for(r"^frame number=\d+ count=10 ")
        picture, width, _ = self.save(late)
        for index, bar in enumerate(BARS):
            at = 3 * (20 * width + int((index + 0.5) * width / len(BARS)))
            for channel, name in zip(picture[at : at + 3], "rgb"):
                self.assertEqual(channel > 90, name in bar, f"bar {index} {bar}: {name}={channel}")
        # Who is killed must not take the pipeline with him, which ignores no signal.
        client.signal(signal.SIGKILL)
        since = late.mark()
        late.wait_for(r"^frame number=\d+ count=\d+ ", since)
        process.signal(signal.SIGINT)
        process.wait()
        late.wait_for(r"state=closed")
        self.assertEqual(process.find_all("CRITICAL|WARNING"), [])

    def test_tls(self):
        ca, cert, key = make_pki(self.folder)
        process = self.launch(
            "scanoutsrc location=pattern:640x480@20 ! spicesink listen=127.0.0.1:0 "
            f"tls-listen=127.0.0.1:0 tls-cert={cert} tls-key={key} tls-ca={ca}",
            "-v",
        )
        port = process.wait_for(r"tls-address = \"?127\.0\.0\.1:([1-9]\d*)").group(1)
        client = self.start(
            os.path.join(BUILD, "tests/client/spice-probe"),
            f"--uri=spice://127.0.0.1?tls-port={port}",
            f"--ca-file={ca}",
            f"--seconds={PATIENCE}",
        )
        client.wait_for(r"^frame number=\d+ count=10 ")
        self.check_picture(client, size="640x480")

    def check_pattern(self, encoder):
        process = self.launch(
            f"scanoutsrc location=pattern:640x480@20 ! {encoder}spicesink listen=127.0.0.1:0", "-v"
        )
        client = self.start_viewer(process)
        client.wait_for(r"^frame number=\d+ count=30 ")
        self.assert_in_order(self.frame_numbers(client), 15)
        self.check_picture(client, size="640x480")

    def test_coded(self):
        self.check_pattern("videoconvert ! x264enc tune=zerolatency key-int-max=3600 ! ")

    def test_raw(self):
        self.check_pattern("")


class Guest(LaunchCase):
    def test_pictures(self):
        guest = self.start_guest("scancast.mode=flip", "scancast.fps=15")
        width, height = map(int, guest.size.split("x"))
        raw = self.path("raw")
        self.run_line(
            f"scanoutsrc location={guest.source} num-buffers=40 ! videoconvert "
            f"! video/x-raw,format=RGB,width={width},height={height} ! filesink location={raw}"
        )
        numbers = [frame_number(frame, width) for frame in read_frames(raw, width, height)]
        self.assertEqual(len(numbers), 40)
        self.assert_in_order(numbers, 5, in_pieces=True)

    def test_right_pixels(self):
        guest = self.start_guest("scancast.mode=idle", "scancast.first=305419896")
        width, height = map(int, guest.size.split("x"))
        raw = self.path("raw")
        process = self.launch(
            f"scanoutsrc location={guest.source} ! videoconvert "
            f"! video/x-raw,format=RGB ! filesink location={raw} buffer-mode=unbuffered"
        )
        process.wait_for("Setting pipeline to PLAYING")
        # An idle guest's picture may come in pieces at first, and then no more.
        self.assertRaises(subprocess.TimeoutExpired, process.wait, 5)
        process.signal(signal.SIGINT)
        process.wait()
        *_, last = read_frames(raw, width, height)
        self.assertEqual(frame_number(last, width), 305419896)
        self.check_frame(last, width, height)

    def test_input(self):
        """From a viewer through the pipeline to the guest."""
        guest = self.start_guest("scancast.mode=idle", "scancast.first=7")
        process = self.launch(
            f"scanoutsrc location={guest.source} ! spicesink listen=127.0.0.1:0", "-v"
        )
        client = self.start_viewer(process)
        self.wait_for_frame(client, 7)
        client.wait_for(r"^mouse-mode mode=client$")
        client.send("key 30")
        guest.wait_for(r"^guest key 30 0$")
        client.send("position 123 45")
        match = guest.wait_for(r"^guest pointer (\d+) (\d+)$")
        self.assertAlmostEqual(int(match.group(1)), 123, delta=1)
        self.assertAlmostEqual(int(match.group(2)), 45, delta=1)


class Examples(LaunchCase):
    def run_example(self, name, *arguments):
        return self.start(os.path.join(SOURCE, "examples", name), *arguments, env=self.env)

    def test_record_guest(self):
        file = self.path("guest.mp4")
        process = self.run_example("record-guest", "pattern:640x480@30", file)
        process.wait_for("Setting pipeline to PLAYING")
        self.assertRaises(subprocess.TimeoutExpired, process.wait, 3)
        process.signal(signal.SIGINT)
        self.assertEqual(process.wait(), 0)
        numbers = self.decode(file, 640, 480)
        self.assertGreater(len(numbers), 20)
        self.assertEqual(numbers, sorted(numbers))

    def test_guest_wall(self):
        path = self.path("wall.sock")
        process = self.run_example(
            "guest-wall", f"unix:{path}", "pattern:640x360@20", "pattern:320x180@20", "pattern"
        )
        process.wait_for("Setting pipeline to PLAYING")
        process.address = f"unix:{path}"
        client = self.start_client(process)
        client.wait_for(r"^display width=1280 height=720")
        client.wait_for(r"^frame number=\d+ count=30 ")
        self.assert_in_order(self.frame_numbers(client), 10)  # of the first guest
        process.signal(signal.SIGINT)
        process.wait()
        self.assertEqual(process.find_all("CRITICAL|WARNING|ERROR"), [])

    def test_compare_encoders(self):
        encoders = ("x264enc tune=zerolatency speed-preset=ultrafast", "jpegenc")
        process = self.run_example("compare-encoders", "pattern:320x240@30", "20", *encoders)
        self.assertEqual(process.wait(GUEST_PATIENCE), 0)
        for encoder in encoders:
            match = process.wait_for(rf"^(\d+) bytes (\d+) ms: {re.escape(encoder)}$")
            self.assertGreater(int(match.group(1)), 1000)

    def test_usage(self):
        for name in ("record-guest", "guest-wall", "compare-encoders"):
            process = self.run_example(name)
            process.wait_for(f"^usage: {name} ")
            self.assertEqual(process.wait(), 2)


class Documentation(LaunchCase):
    def test_inspect(self):
        for element, words in {
            "scanoutsrc": ("location", "copy", "fence-deadline", "reconnect", "stats", "damage"),
            "spicesink": ("listen", "password", "viewers", "viewer-joined", "video/x-h264"),
        }.items():
            result = subprocess.run(
                ["gst-inspect-1.0", element],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=True,
                env={**os.environ, **self.env},
            )
            for word in words:
                self.assertIn(word, result.stdout)
            self.assertNotIn("(null)", result.stdout)


if __name__ == "__main__":
    if not shutil.which("gst-launch-1.0"):
        print("gst-launch-1.0 is not installed (gstreamer1.0-tools)")
        sys.exit(SKIP)
    need_guest()
    main()
