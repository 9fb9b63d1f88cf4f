# SPDX-License-Identifier: LGPL-2.1-or-later
"""WebSocket and TLS for clients that have none, as a relay in the test's own process.

    bridge = Bridge("127.0.0.1:5930")                # or tls=CA-FILE; bridge.address: where to connect
    bridge.close()
    handshake(connection, host)                      # as a client; returns the answer's headers
    connection.sendall(frame(b"bytes"))

Every connection to the bridge becomes one WebSocket to the server.
"""

import base64
import os
import select
import socket
import ssl
import threading

BINARY, CLOSE = 2, 8


def frame(payload, opcode=BINARY):
    """A client's frame."""
    mask = os.urandom(4)
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    else:
        head = bytes([0x80 | opcode, 0x80 | 126]) + size.to_bytes(2, "big")
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def receive(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def receive_frame(connection):
    """The opcode and payload of a server's frame."""
    first, size = receive(connection, 2)
    if size == 126:
        size = int.from_bytes(receive(connection, 2), "big")
    return first & 0x0F, receive(connection, size)


def handshake(connection, host, *headers):
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET / HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: binary",
        *headers,
    ]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += receive(connection, 1)
    return answer.decode()


class Bridge:
    def __init__(self, target, tls=None):
        self.host, port = target.rsplit(":", 1)
        self.port = int(port)
        self.context = ssl.create_default_context(cafile=tls) if tls else None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._sockets = [self._listener]
        self._run(self._accept)

    def _run(self, function, *arguments):
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _accept(self):
        try:
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                self._run(self._serve, client)
        except OSError:
            pass  # closed

    def _serve(self, client):
        server = socket.create_connection((self.host, self.port), timeout=60)
        try:
            if self.context is not None:
                server = self.context.wrap_socket(server, server_hostname=self.host)
            self._sockets.append(server)
            answer = handshake(server, self.host)
            if not answer.startswith("HTTP/1.1 101 "):
                raise EOFError(answer)
            # One thread for both ways: OpenSSL allows no more for one connection.
            while self._pass_on(client, server):
                pass
        except (OSError, EOFError):
            pass
        self._end(client)
        self._end(server)

    def _pass_on(self, client, server):
        has_more = self.context is not None and server.pending() > 0
        ready = [server] if has_more else select.select([client, server], [], [])[0]
        if server in ready:
            opcode, payload = receive_frame(server)
            if opcode == CLOSE:
                return False
            client.sendall(payload)
        if client in ready:
            data = client.recv(1000)
            server.sendall(frame(data) if data else frame(b"\x03\xe8", CLOSE))
            return bool(data)
        return True

    @staticmethod
    def _end(connection):
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        for item in self._sockets:
            self._end(item)
            item.close()
