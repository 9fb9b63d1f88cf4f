#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How viewers get in: TLS, WebSocket, passwords; and who does not."""

import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
import unittest

from harness import BUILD, PATIENCE, SKIP, Case, main
from websocket import Bridge, frame, handshake, receive_frame

SASLPASSWD = shutil.which("saslpasswd2", path=os.environ.get("PATH", "") + ":/usr/sbin")
SIZE = "640x480"
SOURCE = f"pattern:{SIZE}@20"


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_pki(folder, name="ca"):
    """An authority NAME.pem, and NAME-server.pem and .key for 127.0.0.1 that it has issued."""
    base = os.path.join(folder, name)
    new_key = ["-newkey", "rsa:2048", "-nodes"]
    extensions = f"{base}.ext"
    with open(extensions, "w", encoding="ascii") as stream:
        stream.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("req", "-x509", *new_key, "-keyout", f"{base}.key", "-out", f"{base}.pem",
            "-subj", f"/CN={name}", "-days", "2")  # fmt: skip
    openssl("req", *new_key, "-keyout", f"{base}-server.key", "-out", f"{base}.csr",
            "-subj", "/CN=127.0.0.1")  # fmt: skip
    openssl("x509", "-req", "-in", f"{base}.csr", "-CA", f"{base}.pem", "-CAkey", f"{base}.key",
            "-CAcreateserial", "-out", f"{base}-server.pem", "-days", "2",
            "-extfile", extensions)  # fmt: skip
    return f"{base}.pem", f"{base}-server.pem", f"{base}-server.key"


def connect(address, source=None):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), PATIENCE, source)


def assert_closed(connection):
    """Whatever it says first."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass


# LeakSanitizer's tracer crashes on the thread-local memory of GnuTLS. What is done to find leaks
# would take most of the time.
WITH_GNUTLS = {
    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0:fast_unwind_on_malloc=1"
}


class LinkCase(Case):
    def start_with_tls(self, *arguments, pki="ca"):
        self.ca, cert, key = make_pki(self.folder, pki)
        scancast = self.start_scancast(
            "--tls-port=127.0.0.1:0", f"--tls-cert={cert}", f"--tls-key={key}",
            f"--tls-ca={self.ca}", *arguments, SOURCE, env=WITH_GNUTLS)  # fmt: skip
        scancast.tls_address = scancast.wait_for(r"^listening on (\S+) with TLS$").group(1)
        return scancast

    def start_tls_client(self, scancast, *arguments, ca=None):
        host, port = scancast.tls_address.rsplit(":", 1)
        return self.start_probe(
            f"--uri=spice://{host}?tls-port={port}", f"--ca-file={ca or self.ca}",
            f"--seconds={3 * PATIENCE}", *arguments)  # fmt: skip

    def start_bridged_client(self, target, *arguments, tls=None):
        bridge = Bridge(target, tls)
        self.addCleanup(bridge.close)
        return self.start_probe(
            f"--uri=spice://{bridge.address}", f"--seconds={3 * PATIENCE}", *arguments)

    def password_file(self, *lines):
        file = self.path("password")
        with open(file, "w", encoding="ascii") as stream:
            stream.write("\n".join(lines) + "\n")
        return file

    def assert_shows(self, client, frames=10):
        client.wait_for(rf"^frame number=\d+ count={frames} ")
        self.assert_in_order(self.frame_numbers(client), frames // 2)


class Tls(LinkCase):
    def test_picture(self):
        scancast = self.start_with_tls()
        client = self.start_tls_client(scancast)
        self.assert_shows(client, 20)
        self.check_picture(client, size=SIZE)
        client.send("quit")
        client.wait()
        self.assertEqual(scancast.stop(), 0)

    def test_large_pictures(self):
        """Noise: what is sent does not fit into a record of TLS, nor into the socket."""
        ca, cert, key = make_pki(self.folder)
        self.ca = ca
        scancast = self.start_scancast(
            "--tls-port=0", f"--tls-cert={cert}", f"--tls-key={key}", "--bitrate=100000",
            "pattern:1920x1080@20", env=WITH_GNUTLS)  # fmt: skip
        scancast.tls_address = scancast.wait_for(r"^listening on (\S+) with TLS$").group(1)
        client = self.start_tls_client(scancast, "--no-h264")
        self.assert_shows(client, 10)
        self.check_picture(client, size="1920x1080")

    def test_only_tls(self):
        self.ca, cert, key = make_pki(self.folder)
        scancast = self.start(
            os.path.join(BUILD, "scancast"), "--tls-port=0", f"--tls-cert={cert}",
            f"--tls-key={key}", SOURCE, env=WITH_GNUTLS)  # fmt: skip
        scancast.tls_address = scancast.wait_for(r"^listening on (\S+) with TLS$").group(1)
        self.assertEqual(scancast.find_all(r"^listening on \S+$"), [])
        self.assert_shows(self.start_tls_client(scancast))

    def test_client_that_trusts_somebody_else(self):
        scancast = self.start_with_tls()
        other, _, _ = make_pki(self.folder, "other")
        client = self.start_tls_client(scancast, ca=other)
        client.wait_for(r"^error channel=main reason=tls")
        self.assertEqual(client.wait(), 1)
        self.assert_shows(self.start_tls_client(scancast))

    def test_password(self):
        scancast = self.start_with_tls(f"--password-file={self.password_file('open sesame')}")
        client = self.start_tls_client(scancast, "--password=wrong")
        client.wait_for(r"^error channel=main reason=auth")
        self.assert_shows(self.start_tls_client(scancast, "--password=open sesame"))

    def join_while_others_stall(self, stall):
        """It takes much less time than the server has patience with those whom @stall connects. On a
        busy machine a client may be slow itself."""
        scancast = self.start_with_tls()
        for _ in range(3):
            stalled = [stall(scancast.tls_address, index) for index in range(80)]
            begin = time.monotonic()
            client = self.start_tls_client(scancast)
            client.wait_for(r"^connected")
            joined = time.monotonic() - begin
            self.assert_shows(client)
            self.assert_shows(self.start_client(scancast))
            for connection in reversed(stalled):
                assert_closed(connection)
                connection.close()
                if connection is stalled[-1]:
                    patience = time.monotonic() - begin
            print(f"{self.id()}: in after {joined:.1f} s, others out after {patience:.1f} s", flush=True)
            if joined < patience / 2:
                self.assertEqual(scancast.stop(), 0)
                return
        self.fail("the client gets in when others are put out")

    def test_half_hellos_harm_nobody(self):
        def stall(address, index):
            connection = connect(address)
            hello = bytes.fromhex("1603010200010001fc0303") + b"\0" * 100
            connection.sendall(hello[: index * 2])
            return connection

        self.join_while_others_stall(stall)

    def test_stalled_handshakes_harm_nobody(self):
        """They say all that a client says first, from another host."""

        def stall(address, index):
            connection = connect(address, ("127.0.0.2", 0))
            outgoing = ssl.MemoryBIO()
            context = ssl.create_default_context(cafile=self.ca)
            tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
            with self.assertRaises(ssl.SSLWantReadError):
                tls.do_handshake()
            connection.sendall(outgoing.read())
            return connection

        self.join_while_others_stall(stall)

    def test_hello_in_pieces(self):
        scancast = self.start_with_tls()
        context = ssl.create_default_context(cafile=self.ca)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with connect(scancast.tls_address) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            done = False
            while not done:
                try:
                    tls.do_handshake()
                    done = True
                except ssl.SSLWantReadError:
                    pass
                for byte in outgoing.read():
                    connection.sendall(bytes([byte]))
                    time.sleep(0.001)
                if not done:
                    incoming.write(connection.recv(65536))
        self.assert_shows(self.start_tls_client(scancast))

    def test_garbage_harms_nobody(self):
        scancast = self.start_with_tls()
        client = self.start_tls_client(scancast)
        self.assert_shows(client, 5)
        for garbage in (b"REDQ\2\0\0\0", b"GET / HTTP/1.1\r\n\r\n", os.urandom(10000), b""):
            with connect(scancast.tls_address) as connection:
                try:
                    connection.sendall(garbage)
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                assert_closed(connection)
        scancast.wait_for(r"connection \S+: closed, no viewer: ")
        client.wait_for(r"^frame ", client.mark())
        self.assertEqual(scancast.stop(), 0)

    def test_handshakes_read_no_files(self):
        """The system's list of authorities, which no server needs, has hundreds of kilobytes."""
        scancast = self.start_with_tls()
        context = ssl.create_default_context(cafile=self.ca)

        def count_read():
            with open(f"/proc/{scancast.pid}/io", encoding="ascii") as stream:
                return int(stream.readline().split()[1])

        def shake_hands(times):
            for _ in range(times):
                with connect(scancast.tls_address) as connection:
                    context.wrap_socket(connection, server_hostname="127.0.0.1").close()

        shake_hands(1)  # what is read once is
        before = count_read()
        shake_hands(10)
        self.assertLess(count_read() - before, 10 * 50_000)

    def test_long_record(self):
        """One record of TLS holds more than is read at once; nothing comes after it."""
        scancast = self.start_with_tls()
        context = ssl.create_default_context(cafile=self.ca)
        with connect(scancast.tls_address) as connection:
            with context.wrap_socket(connection, server_hostname="127.0.0.1") as tls:
                self.assertIn("101 ", handshake(tls, "127.0.0.1"))
                tls.sendall(frame(b"x", 9) * 2000 + frame(b"last", 9))
                while receive_frame(tls)[1] != b"last":
                    pass


class WebSockets(LinkCase):
    def test_picture(self):
        scancast = self.start_scancast(SOURCE)
        client = self.start_bridged_client(scancast.address)
        self.assert_shows(client, 20)
        self.check_picture(client, size=SIZE)
        client.send("quit")
        client.wait()
        scancast.wait_for(r"viewer \S+: gone")
        self.assertEqual(scancast.stop(), 0)

    def test_viewers_of_all_kinds_at_once(self):
        scancast = self.start_with_tls()
        clients = [
            self.start_client(scancast),
            self.start_tls_client(scancast),
            self.start_bridged_client(scancast.address),
            self.start_bridged_client(scancast.tls_address, tls=self.ca),
            self.start_bridged_client(scancast.address, "--no-h264"),
        ]
        for client in clients:
            self.assert_shows(client)
        for client in clients:
            self.check_picture(client, size=SIZE)

    def test_forbidden_message(self):
        scancast = self.start_scancast(SOURCE)
        with connect(scancast.address) as connection:
            answer = handshake(connection, "127.0.0.1")
            self.assertIn("101 Switching Protocols", answer)
            self.assertIn("Sec-WebSocket-Protocol: binary", answer)
            connection.sendall(frame(b"REDX"))
            assert_closed(connection)
        self.assertTrue(scancast.is_running())

    def test_pages_of_others(self):
        scancast = self.start_scancast(SOURCE)
        with connect(scancast.address) as connection:
            answer = handshake(connection, scancast.address, "Origin: http://evil.test")
            self.assertIn("403 Forbidden", answer)
            assert_closed(connection)
        with connect(scancast.address) as connection:
            answer = handshake(connection, scancast.address, "Origin: http://127.0.0.1:8000")
            self.assertIn("101 Switching Protocols", answer)
            connection.sendall(frame(b"ping", 9))
            self.assertEqual(receive_frame(connection), (10, b"ping"))


@unittest.skipIf(SASLPASSWD is None, "saslpasswd2 is not installed (sasl2-bin)")
class Sasl(LinkCase):
    def setUp(self):
        super().setUp()
        database = self.path("sasldb")
        with open(self.path("scancast.conf"), "w", encoding="ascii") as stream:
            stream.write("pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: digest-md5\n")
            stream.write(f"sasldb_path: {database}\n")
        subprocess.run([SASLPASSWD, "-p", "-c", "-f", database, "alice"], input=b"wonderland",
                       check=True, timeout=PATIENCE)  # fmt: skip
        self.scancast = self.start(
            os.path.join(BUILD, "scancast"), "--sasl", "--listen=127.0.0.1:0", SOURCE,
            env={"SASL_CONF_PATH": self.folder})  # fmt: skip
        self.scancast.address = self.scancast.wait_for(r"^listening on (\S+)$").group(1)

    def test_several(self):
        clients = [
            self.start_client(self.scancast, "--username=alice", "--password=wonderland"),
            self.start_client(self.scancast, "--username=alice", "--password=wonderland", "--no-h264"),
            self.start_bridged_client(
                self.scancast.address, "--username=alice", "--password=wonderland"),
        ]  # fmt: skip
        for client in clients:
            self.assert_shows(client)
            self.check_picture(client, size=SIZE)

    def test_refused(self):
        for arguments in (["--username=alice", "--password=wrong"], ["--password=wonderland"]):
            client = self.start_client(self.scancast, *arguments)
            client.wait_for(r"^error channel=main reason=(auth|link|io)")
            self.assertEqual(client.wait(), 1)
        self.assertEqual(self.scancast.find_all(r"viewer \S+: joins"), [])


class Files(LinkCase):
    """What TLS cannot work with is said before anybody connects."""

    def fail_with(self, words, *arguments, env=None):
        result = subprocess.run(
            [os.path.join(BUILD, "scancast"), "--tls-port=0", *arguments, SOURCE],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
            env={**os.environ, **WITH_GNUTLS, **(env or {})})  # fmt: skip
        self.assertEqual(result.returncode, 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_files(self):
        ca, cert, key = make_pki(self.folder)
        other_ca, _, other_key = make_pki(self.folder, "other")
        both = self.path("both.pem")
        with open(both, "w", encoding="ascii") as out:
            for part in (cert, key):
                with open(part, encoding="ascii") as stream:
                    out.write(stream.read())
        missing = self.path("missing")
        self.fail_with(["--tls-cert", missing], f"--tls-cert={missing}")
        self.fail_with(["--tls-cert", key], f"--tls-cert={key}")
        self.fail_with(["--tls-key", cert], f"--tls-cert={cert}")
        self.fail_with(["--tls-key", missing], f"--tls-cert={cert}", f"--tls-key={missing}")
        self.fail_with(["--tls-key", other_key, cert], f"--tls-cert={cert}", f"--tls-key={other_key}")
        self.fail_with(["--tls-ca", other_ca], f"--tls-cert={both}", f"--tls-ca={other_ca}")
        self.fail_with(["glib-networking"], f"--tls-cert={both}", env={"GIO_USE_TLS": "dummy"})
        scancast = self.start_scancast(
            "--tls-port=0", f"--tls-cert={both}", SOURCE, env=WITH_GNUTLS)  # fmt: skip
        scancast.wait_for("with TLS$")
        os.chmod(key, 0)
        if os.geteuid() != 0:
            self.fail_with(["--tls-key", key], f"--tls-cert={cert}", f"--tls-key={key}")


class Passwords(LinkCase):
    def test_expired(self):
        file = self.password_file("open sesame", "expires=2001-01-01T00:00:00Z")
        scancast = self.start_scancast(f"--password-file={file}", SOURCE)
        client = self.start_client(scancast, "--password=open sesame")
        client.wait_for(r"^error channel=main reason=auth")
        self.assertEqual(client.wait(), 1)

    def test_not_yet_expired(self):
        file = self.password_file("open sesame", "expires=2999-01-01T00:00:00Z")
        scancast = self.start_scancast(f"--password-file={file}", SOURCE)
        self.assert_shows(self.start_client(scancast, "--password=open sesame"))

    def test_expires_meanwhile(self):
        """Who is in stays in."""
        expires = time.time() + 15
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires))
        file = self.password_file("open sesame", f"expires={stamp}")
        scancast = self.start_scancast(f"--password-file={file}", SOURCE)
        first = self.start_client(scancast, "--password=open sesame")
        self.assert_shows(first, 3)
        time.sleep(max(0.0, expires - time.time()) + 1)
        late = self.start_client(scancast, "--password=open sesame")
        late.wait_for(r"^error channel=main reason=auth")
        first.wait_for(r"^frame ", first.mark())

    def test_read_again(self):
        file = self.password_file("old")
        scancast = self.start_scancast(f"--password-file={file}", SOURCE)
        first = self.start_client(scancast, "--password=old")
        self.assert_shows(first, 3)
        self.password_file("new")
        scancast.signal(signal.SIGHUP)
        scancast.wait_for("password was read again")
        self.assert_shows(self.start_client(scancast, "--password=new"))
        second = self.start_client(scancast, "--password=old")
        second.wait_for(r"^error channel=main reason=auth")
        first.wait_for(r"^frame ", first.mark())

        since = scancast.mark()
        self.password_file("")
        scancast.signal(signal.SIGHUP)
        scancast.wait_for("password stays as it was", since)
        self.assert_shows(self.start_client(scancast, "--password=new"))

    def test_guessing_is_slow(self):
        file = self.password_file("open sesame")
        scancast = self.start_scancast(f"--password-file={file}", SOURCE)
        begin = time.monotonic()
        for guess in range(5):
            client = self.start_client(scancast, f"--password={guess}")
            client.wait_for(r"^error channel=main reason=auth")
            client.stop()
        self.assertGreaterEqual(time.monotonic() - begin, 1 + 2)
        scancast.wait_for(r"waits \d+ s, after too many attempts of 127\.0\.0\.1")
        # It is late, but it gets in; and then its host is no longer suspected.
        self.assert_shows(self.start_client(scancast, "--password=open sesame"))
        since = scancast.mark()
        self.assert_shows(self.start_client(scancast, "--password=open sesame"))
        self.assertEqual(scancast.find_all("too many attempts", since), [])

    def test_nothing_passes_before_authentication(self):
        """Input, and whatever starts an encoder, sent instead of a password."""
        file = self.password_file("open sesame")
        scancast = self.start_scancast("--stats", f"--password-file={file}", SOURCE)
        link = b"REDQ" + struct.pack("<III", 2, 2, 22) + struct.pack("<IBBIIII", 0, 1, 0, 1, 0, 18, 9)
        key = bytes.fromhex("650004000000 1e000000")
        for count in range(1, 4):
            with connect(scancast.address) as connection:
                connection.sendall(link + struct.pack("<I", 1))
                connection.sendall((key * 50)[: 100 * count])
                connection.settimeout(1)
                try:
                    assert_closed(connection)
                except TimeoutError:
                    pass
        self.assertEqual(scancast.stop(), 0)
        last = scancast.find_all(r"^stats: ")[-1].string
        self.assertRegex(last, r"\bpackets=0\b")
        self.assertEqual(scancast.find_all(r"viewer \S+: (joins|shows)|encoding"), [])


if __name__ == "__main__":
    if shutil.which("openssl") is None:
        print("openssl is not installed")
        sys.exit(SKIP)
    main()
