# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whole programs under test: scancast, the SPICE client of tests/client, the guest in QEMU.

Every program is started by its path and ended by its process id; every wait has a deadline. What
the programs printed is shown when a test fails. Python's standard library only.

Environment, set by `make check`: top_srcdir, top_builddir.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SOURCE = os.path.abspath(os.environ.get("top_srcdir", "."))
BUILD = os.path.abspath(os.environ.get("top_builddir", "."))

# Generous: two slow cores, an emulated processor and sanitizers at once. Only failures take so long.
PATIENCE = 60
GUEST_PATIENCE = 150

SKIP = 77  # automake's exit status for a test that cannot run here


class Process:
    """A program and the lines it printed (its errors too, in order)."""

    def __init__(self, argv, env=None):
        self.name = os.path.basename(argv[0])
        self.lines = []
        self._changed = threading.Condition()
        self._ended = False
        self._popen = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        return self._popen.pid

    def _read(self):
        for line in self._popen.stdout:
            with self._changed:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def mark(self):
        """A place in the output, to wait for what comes after it."""
        with self._changed:
            return len(self.lines)

    def wait_for(self, pattern, since=0, patience=PATIENCE):
        """The match of the first line from @since on that has @pattern in it."""
        deadline = time.monotonic() + patience
        position = since
        with self._changed:
            while True:
                while position < len(self.lines):
                    match = re.search(pattern, self.lines[position])
                    if match:
                        return match
                    position += 1
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    how = "ended" if self._ended else f"after {patience} s"
                    raise AssertionError(f"{self.name} {how} without a line that matches {pattern}")
                self._changed.wait(left)

    def find_all(self, pattern, since=0):
        with self._changed:
            found = [re.search(pattern, line) for line in self.lines[since:]]
        return [match for match in found if match]

    def send(self, command):
        self._popen.stdin.write(command.encode() + b"\n")
        self._popen.stdin.flush()

    def is_running(self):
        return self._popen.poll() is None

    def wait(self, patience=PATIENCE):
        """The exit status, negative for a signal."""
        status = self._popen.wait(patience)
        self._reader.join(patience)
        return status

    def signal(self, number):
        self._popen.send_signal(number)

    def stop(self):
        """Ends it politely, else by force; the exit status."""
        if self.is_running():
            self._popen.terminate()
        try:
            status = self._popen.wait(15)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            status = self._popen.wait()
        self._reader.join(15)
        self._popen.stdin.close()
        self._popen.stdout.close()
        return status


class Case(unittest.TestCase):
    """A test with a folder of its own; what it starts is stopped after it, the newest first."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="scancast-")
        self.processes = []
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self._stop_all)

    def _stop_all(self):
        for process in reversed(self.processes):
            process.stop()
        # They may have said so of one whose exit status nobody asks for.
        found = [
            f"{process.name}: {match.string}"
            for process in self.processes
            for match in process.find_all(r"ERROR: \w+Sanitizer|: runtime error: ")
        ]
        self.assertEqual(found, [])

    def run(self, result=None):
        bad_before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > bad_before:
            for process in self.processes:
                print(f"--- {self.id()}: {process.name}", *process.lines[-200:], sep="\n", flush=True)
        return result

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, *argv, env=None):
        process = Process(list(argv), env)
        self.processes.append(process)
        return process

    def start_scancast(self, *arguments, listen="127.0.0.1:0", wrapper=(), env=None):
        """A daemon that listens, run by @wrapper; its .address is what a client connects to."""
        command = [*wrapper, os.path.join(BUILD, "scancast"), f"--listen={listen}", *arguments]
        scancast = self.start(*command, env=env)
        scancast.address = scancast.wait_for(r"^listening on (\S+)$").group(1)
        return scancast

    def start_client(self, scancast, *arguments):
        """tests/client/spice-probe; --help of it tells the lines and the commands."""
        if scancast.address.startswith("unix:"):
            where = "--unix=" + scancast.address[len("unix:") :]
        else:
            where = f"--uri=spice://{scancast.address}"
        return self.start_probe(where, f"--seconds={2 * GUEST_PATIENCE}", *arguments)

    def start_probe(self, *arguments, wrapper=()):
        probe = os.path.join(BUILD, "tests/client/spice-probe")
        return self.start(*wrapper, probe, *arguments)

    def display(self):
        """boot-guest's option for QEMU's display, and the SOURCE that it is for scancast."""
        socket = self.path("vm.sock")
        return f"--spice={socket}", f"spice+unix:{socket}"

    def start_guest(self, *arguments, mouse=False):
        """The guest of examples/guest with its first picture shown; .source is QEMU's display."""
        guest = self.switch_guest_on(*arguments, mouse=mouse)
        self.wait_for_guest(guest)
        return guest

    def switch_guest_on(self, *arguments, mouse=False):
        script = os.path.join(SOURCE, "examples/guest/boot-guest")
        option, source = self.display()
        options = [option] + (["--mouse"] if mouse else [])
        guest = self.start(script, *options, BUILD, *arguments)
        guest.source = source
        return guest

    def wait_for_guest(self, guest):
        guest.size = guest.wait_for(r"^guest ready (\d+x\d+)", patience=GUEST_PATIENCE).group(1)

    def frame_numbers(self, client, since=0):
        return [int(match.group(1)) for match in client.find_all(r"^frame number=(\d+)", since)]

    def wait_for_frame(self, client, number, since=0, patience=PATIENCE):
        return client.wait_for(rf"^frame number={number} ", since, patience)

    def save_picture(self, client):
        """Has the client save what it shows; the output of tests/e2e/check-picture on it."""
        file = self.path("picture.ppm")
        since = client.mark()
        client.send(f"save {file}")
        client.wait_for(r"^saved file=", since)
        program = os.path.join(BUILD, "tests/e2e/check-picture")
        return subprocess.run(
            [program, file], capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def check_picture(self, client, number=None, size=None, settles=False):
        """Compares what the client shows with the test picture of the frame that is written in it.
        @settles: it may become right in several steps."""
        deadline = time.monotonic() + (PATIENCE if settles else 0)
        result = self.save_picture(client)
        while result.returncode != 0 and time.monotonic() < deadline:
            time.sleep(0.2)
            result = self.save_picture(client)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        match = re.match(r"picture size=(\S+) number=(\d+)", result.stdout)
        if size is not None:
            self.assertEqual(match.group(1), size)
        if number is not None:
            self.assertEqual(int(match.group(2)), number)

    def assert_in_order(self, numbers, distinct, in_pieces=False):
        """A picture may come twice, as the first and the last one do, but none comes back.
        @in_pieces: the source may draw one piece by piece, from left to right."""
        newest = numbers[0]
        for index, number in enumerate(numbers):
            if number < newest:
                # The last one may be a piece of one that was not seen any more.
                after = next((later for later in numbers[index:] if later > newest), newest + 1)
                self.assertTrue(
                    in_pieces and is_between(number, newest, after),
                    f"{number} came after {newest}: {numbers}",
                )
            newest = max(newest, number)
        self.assertGreaterEqual(len(set(numbers)), distinct, f"frames repeated: {numbers}")


def is_between(number, before, after):
    """Whether the lowest bits of @number, which stand at the left, are those of @after already and
    the others still those of @before."""
    return any(number == (before >> n << n | after & ((1 << n) - 1)) for n in range(33))


def need_guest():
    """Builds the guest if it is not built; ends the test as skipped where that is impossible."""
    if shutil.which("qemu-system-x86_64") is None:
        print("QEMU is not installed (qemu-system-x86)")
        sys.exit(SKIP)
    script = os.path.join(SOURCE, "examples/guest/build-guest")
    result = subprocess.run([script, BUILD], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        print(result.stderr)
        print("the guest could not be built: see examples/guest/build-guest")
        sys.exit(SKIP)


def main():
    unittest.main(verbosity=2)
