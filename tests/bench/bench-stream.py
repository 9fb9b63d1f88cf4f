#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the whole daemon costs: a program that plays QEMU at one end, a real SPICE client at the
other. Each figure stands beside a peer or a limit from the same run.

Usage, in a build tree: make bench
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import BUILD, Process  # noqa: E402
from measure import cpu_seconds, resident_mib  # noqa: E402

INTERVAL_MS = 16  # near 60 frames a second
WARM_UP = 60
FRAMES = 300
IDLE_SECONDS = 10
BITRATE = 8000

# The fragment of encoder/rung-software.c, as anybody would write it on a command line.
PEER = (
    "filesrc location={file} blocksize={size} num-buffers={count} ! rawvideoparse format=bgrx "
    "width={width} height={height} framerate=60/1 ! videoconvert ! video/x-raw,format=NV12,colorimetry=bt709 ! "
    "x264enc speed-preset=ultrafast tune=zerolatency bframes=0 threads=1 byte-stream=true "
    "key-int-max=1073741824 option-string=scenecut=0 bitrate={bitrate} ! "
    "video/x-h264,stream-format=byte-stream,alignment=au,profile=constrained-baseline ! "
    "fakesink sync=false"
)


def run_ns(pid):
    """Nanoseconds all threads of a process have run, as the scheduler counts them."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as stream:
            total += int(stream.read().split()[0])
    return total


def wake_ups(pid):
    """How often threads of a process have gone to sleep, and so were woken up."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as stream:
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", stream.read(), re.M)[1])
    return total


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


class Bench:
    """A host that plays QEMU, the daemon, and one client that has seen the first picture."""

    def __init__(self, folder, size, *client_arguments):
        socket = os.path.join(folder, f"vm-{size}.sock")
        self.host = Process([os.path.join(BUILD, "tests/fence/gl-host"), socket])
        self.tell(f"buffers 2 {size}")
        self.tell("fill 0 1000000")
        self.tell("scanout 0")
        self.scancast = Process(
            [
                os.path.join(BUILD, "scancast"),
                "--listen=127.0.0.1:0",
                "--stats",
                f"--bitrate={BITRATE}",
                "--max-fps=120",
                f"spice+unix:{socket}",
            ]
        )
        address = self.scancast.wait_for(r"^listening on (\S+)$").group(1)
        self.client = Process(
            [
                os.path.join(BUILD, "tests/client/spice-probe"),
                f"--uri=spice://{address}",
                "--seconds=600",
                "--latency",
                *client_arguments,
            ]
        )
        self.client.wait_for(r"^frame ")

    def tell(self, command):
        since = self.host.mark()
        self.host.send(command)
        self.host.wait_for(r"^ok", since)

    def run(self, count):
        since = self.host.mark()
        self.host.send(f"run {count} {INTERVAL_MS}")
        self.host.wait_for(r"^ran ", since, patience=120)
        return self.host.find_all(r"^done (\d+) (\d+) (\d+)$", since)

    def stop(self):
        """The statistics of the daemon's whole life."""
        self.client.stop()
        self.scancast.stop()
        self.host.stop()
        lines = self.scancast.find_all(r"^stats: (.*)$")
        return dict(re.findall(r"(\w+)=(\"[^\"]*\"|\S+)", lines[-1].group(1)))


def bench_latency(folder, path, *client_arguments):
    bench = Bench(folder, "1280x720", *client_arguments)
    bench.run(WARM_UP)
    since = bench.client.mark()
    done = bench.run(FRAMES)
    draws = {int(m[1]): int(m[3]) for m in done}
    time.sleep(1)
    delays = {}
    for event in ("decoded", "frame"):
        times = {int(m[1]): int(m[2]) for m in bench.client.find_all(
            rf"^{event} number=(\d+) .*?time=(\d+)", since)}
        delays[event] = [(times[n] - start) / 1000 for n, start in draws.items() if n in times]
    stats = bench.stop()
    encode = int(stats["encode_us"]) / 1000
    # From the draw until the VMM has the answer, but for what lies between in the daemon: half of
    # it has passed when the frame is pushed there.
    link = (percentile([int(m[2]) for m in done], 0.5) - int(stats["hold_p50_us"])) / 1000
    decoded = delays["decoded"]
    p50, shown = percentile(decoded, 0.5), percentile(delays["frame"], 0.5)
    print(
        f"latency 1280x720 {path:7}  push to decoded p50 {p50 - link / 2:.2f} ms, "
        f"p99 {percentile(decoded, 0.99) - link / 2:.2f} ms, {len(decoded)} of {FRAMES} frames; "
        f"encoding alone {encode:.2f} ms, more at p50 {p50 - link / 2 - encode:.2f} ms (goal 2.0); "
        f"from the draw in the VMM {p50 - encode:.2f} ms (its link, there and back: {link:.2f} ms), "
        f"to the client's RGB {shown - encode:.2f} ms",
        flush=True,
    )


FEW, MANY = 10, 110


def launch_cpu(file, width, height):
    """Seconds for each of the MANY frames in @file in gst-launch-1.0, but for its start."""
    used = []
    for count in (FEW, MANY):
        pipeline = PEER.format(
            file=file,
            size=width * height * 4,
            count=count,
            width=width,
            height=height,
            bitrate=BITRATE,
        )
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["gst-launch-1.0", "-q", *pipeline.split()], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    os.unlink(file)
    return (used[1] - used[0]) / (MANY - FEW)


def bench_encoder(folder, content, width, height):
    """The encoder alone, on what is harder than the test pattern."""
    file = os.path.join(folder, "frames.raw")
    program = os.path.join(BUILD, "tests/bench/bench-encode")
    arguments = [program, content, str(width), str(height), str(MANY), file]
    result = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True)
    ours = float(result.stdout)
    peer = launch_cpu(file, width, height) * 1000
    print(
        f"encoder {width}x{height} {content:7}  CPU per frame {ours:.2f} ms, "
        f"bare gst-launch-1.0 {peer:.2f} ms, ratio {ours / peer:.2f} (goal 1.10)",
        flush=True,
    )


def bench_cpu(folder, width, height):
    bench = Bench(folder, f"{width}x{height}")
    bench.run(WARM_UP)
    before = cpu_seconds(bench.scancast.pid)
    bench.run(FRAMES)
    ours = (cpu_seconds(bench.scancast.pid) - before) / FRAMES
    bench.stop()
    file = os.path.join(folder, "frames.raw")
    program = os.path.join(BUILD, "tests/bench/write-frames")
    subprocess.run([program, str(width), str(height), str(MANY), file], check=True)
    peer = launch_cpu(file, width, height)
    print(
        f"daemon  {width}x{height} pattern  CPU per frame, one viewer served {ours * 1000:.2f} ms, "
        f"bare gst-launch-1.0 {peer * 1000:.2f} ms, ratio {ours / peer:.2f} (goal 1.10)",
        flush=True,
    )


def bench_idle(folder):
    bench = Bench(folder, "1280x720")
    bench.run(WARM_UP)
    time.sleep(3)  # the statistics' last line, the client's acknowledgements
    pid = bench.scancast.pid
    run_before, woken_before = run_ns(pid), wake_ups(pid)
    time.sleep(IDLE_SECONDS)
    share = (run_ns(pid) - run_before) / 1e9 / IDLE_SECONDS * 100
    woken = (wake_ups(pid) - woken_before) / IDLE_SECONDS
    packets_before = int(re.search(r"packets=(\d+)", bench.scancast.find_all("^stats:")[-1].string)[1])
    stats = bench.stop()
    print(
        f"idle    1280x720, one viewer  {share:.3f} % of a core (goal 0.2), "
        f"{woken:.1f} wake-ups a second, {int(stats['packets']) - packets_before} encodes (goal 0)",
        flush=True,
    )


def bench_memory(folder):
    bench = Bench(folder, "1920x1080")
    bench.run(WARM_UP)
    time.sleep(6)  # the encoder that made the greeting is let go
    ours = resident_mib(bench.scancast.pid)
    bench.stop()
    pipeline = (
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=1920,height=1080,framerate=60/1 ! "
        "x264enc speed-preset=ultrafast tune=zerolatency bframes=0 threads=1 ! fakesink"
    )
    peer = Process(["gst-launch-1.0", "-q", *pipeline.split()])
    time.sleep(2)
    encoder = resident_mib(peer.pid)
    peer.stop()
    print(
        f"memory  1920x1080  resident {ours:.0f} MiB, an encoder alone {encoder:.0f} MiB, "
        f"besides it {ours - encoder:.0f} MiB (goal 60)",
        flush=True,
    )


def main():
    with tempfile.TemporaryDirectory(prefix="scancast-") as folder:
        bench_latency(folder, "canvas")
        bench_latency(folder, "overlay", "--overlay")
        for size in ((1280, 720), (1920, 1080)):
            bench_cpu(folder, *size)
            bench_encoder(folder, "desktop", *size)
            bench_encoder(folder, "noise", *size)
        bench_idle(folder)
        bench_memory(folder)


if __name__ == "__main__":
    main()
