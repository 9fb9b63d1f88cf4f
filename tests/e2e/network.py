#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Viewers at the end of a network that the kernel makes bad: in network namespaces of its own."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys

from harness import PATIENCE, SKIP, main
from isolation import IsolationCase

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # <linux/sched.h>
HERE, THERE = "192.0.2.1", "192.0.2.2"  # for documentation, so nobody's (RFC 5737)
RATE = "50kbit"


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True, text=True)


def enter_namespace():
    """This process and what it starts get a network of their own. Ends the test as skipped where
    that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid = os.geteuid()
    if libc.unshare(CLONE_NEWNET) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            reason = os.strerror(ctypes.get_errno())
            print(f"no network namespace can be made here, neither by root nor by others: {reason}")
            sys.exit(SKIP)
        with open("/proc/self/uid_map", "w", encoding="ascii") as stream:
            stream.write(f"0 {uid} 1")
    try:
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "here", "type", "veth", "peer", "name", "there")
        run("ip", "link", "del", "here")
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"a network namespace is of no use here: {getattr(error, 'stderr', error)}")
        sys.exit(SKIP)


class Network(IsolationCase):
    def setUp(self):
        super().setUp()
        self.lay_cable()
        self.set_up(listen=f"{HERE}:0")

    def lay_cable(self):
        """To a namespace for clients."""
        run("ip", "link", "add", "here", "type", "veth", "peer", "name", "there")
        run("ip", "address", "add", f"{HERE}/24", "dev", "here")
        self.addCleanup(run, "ip", "link", "del", "here")
        holder = self.start("unshare", "--net", "sh", "-c", "echo ready; exec sleep 1000")
        holder.wait_for("^ready")
        run("ip", "link", "set", "there", "netns", str(holder.pid))
        self.there = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        run(*self.there, "ip", "address", "add", f"{THERE}/24", "dev", "there")
        run(*self.there, "ip", "link", "set", "there", "up")
        run("ip", "link", "set", "here", "up")

    def start_client_there(self):
        uri = f"--uri=spice://{self.scancast.address}"
        client = self.start_probe(uri, "--seconds=300", "--latency", wrapper=self.there)
        client.wait_for(r"^frame ")
        return client

    def set_cable(self, state):
        run(*self.there, "ip", "link", "set", "there", state)

    def test_cable_is_pulled(self):
        """Neither side hears of the other again, and the viewer is dropped in the end."""
        victim = self.start_client_there()
        self.compare(lambda: self.set_cable("down"), lambda: self.set_cable("up"))
        since = victim.mark()
        last = self.run_guest(100)
        self.wait_for_frame(victim, last, since)

        self.set_cable("down")
        victim.signal(signal.SIGKILL)
        self.run_guest(10)
        self.scancast.wait_for(r"viewer \S+: gone", patience=2 * PATIENCE)
        self.assertEqual(self.peer.find_all(r"^closed|^error|^display-destroy"), [])

    def test_narrow_link(self):
        victim = self.start_client_there()
        tbf = ["tbf", "rate", RATE, "burst", "4kb", "latency", "2s"]
        self.compare(
            lambda: run("tc", "qdisc", "add", "dev", "here", "root", *tbf),
            lambda: run("tc", "qdisc", "del", "dev", "here", "root"),
        )
        since = victim.mark()
        last = self.run_guest(100)
        self.wait_for_frame(victim, last, since)


if __name__ == "__main__":
    for tool in ("ip", "tc", "nsenter", "unshare"):
        if shutil.which(tool) is None:
            print(f"{tool} is not installed (iproute2, util-linux)")
            sys.exit(SKIP)
    enter_namespace()
    main()
