# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bad network between a client and a server, as a relay in the test's own process.

    link = Throttle("127.0.0.1:5930")    # or "unix:PATH"; link.address is where clients connect
    link.limit(100_000)                  # bytes a second towards the client, 0: no limit
    link.stop(); link.resume()           # nothing passes, nothing is closed
    link.vanish()                        # for good: neither side is ever told
    link.connections[1].limit(1000)      # one connection, in the order they came (SPICE: main first)
    link.arrivals                        # (microseconds, bytes) of what went to clients
    link.close()

Buffers are small, so that what the network cannot carry waits in the server, where it belongs.
Vanishing is what a relay can do of it: nothing is read or closed, but kernels still answer probes.
"""

import socket
import threading
import time

BUFFER = 16 * 1024  # of each socket; the kernel doubles it
STEPS = 50  # a second: a limited link passes this many pieces at most


class Gate:
    """Where bytes wait until they may pass."""

    def __init__(self):
        self._open = threading.Event()
        self._open.set()
        self._vanished = False
        self._rate = 0
        self._due = 0.0

    def limit(self, rate):
        self._rate = rate

    def stop(self):
        self._open.clear()

    def resume(self):
        if not self._vanished:
            self._open.set()

    def vanish(self):
        self._vanished = True
        self.stop()

    def wait(self, downstream):
        """How many bytes may pass next, when they may."""
        self._open.wait()
        if not downstream or self._rate == 0:
            return BUFFER
        time.sleep(max(0.0, self._due - time.monotonic()))
        return max(1, min(BUFFER, self._rate // STEPS))

    def passed(self, size):
        if self._rate > 0:
            self._due = max(self._due, time.monotonic() - 1 / STEPS) + size / self._rate


class Throttle(Gate):
    def __init__(self, target):
        super().__init__()
        self.connections = []
        self.arrivals = []
        self._target = target
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self.address = "127.0.0.1:%d" % self._sockets[0].getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _connect(self):
        unix = self._target.startswith("unix:")
        server = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)  # before it connects
        if not unix:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)  # as on Ethernet
        host, port = self._target.rsplit(":", 1)
        server.connect(port if unix else (host, int(port)))
        return server

    def _accept(self):
        try:
            while True:
                client = self._sockets[0].accept()[0]
                client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
                server = self._connect()
                gate = Gate()
                self.connections.append(gate)
                self._sockets += [client, server]
                for args in ((server, client, gate, True), (client, server, gate, False)):
                    threading.Thread(target=self._pump, args=args, daemon=True).start()
        except OSError:
            pass  # closed, or the server is gone

    def _pump(self, source, target, gate, downstream):
        try:
            while True:
                size = min(self.wait(downstream), gate.wait(downstream))
                data = source.recv(size)
                self._open.wait()  # it may have been stopped meanwhile
                gate._open.wait()
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)
                if downstream:
                    self.arrivals.append((time.monotonic_ns() // 1000, len(data)))
                for each in (self, gate) if downstream else ():
                    each.passed(len(data))
        except OSError:
            pass

    def close(self):
        for each in self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
        for gate in [self] + self.connections:
            gate._open.set()
