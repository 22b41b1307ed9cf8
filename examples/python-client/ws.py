"""RFC 6455 from the client's side, with the standard library: as much as the live protocol needs."""

import base64
import hashlib
import os
import socket
import ssl
import struct
import time
import urllib.parse


class Closed(Exception):
    """The socket ended; `number` is the close's, 1006 if there was none."""

    def __init__(self, number, reason=""):
        super().__init__(f"closed with {number} {reason}".rstrip())
        self.number = number


class WebSocket:
    """RFC 6455, client side, text frames."""

    def __init__(self, url, subprotocol, timeout=10, tls=None):
        """`tls` is an `ssl.SSLContext` for wss://; without it the machine's authorities are believed."""
        parts = urllib.parse.urlsplit(url)
        secure = parts.scheme == "wss"
        port = parts.port or (443 if secure else 80)
        self.socket = socket.create_connection((parts.hostname, port), timeout=timeout)
        if secure:
            tls = tls or ssl.create_default_context()
            self.socket = tls.wrap_socket(self.socket, server_hostname=parts.hostname)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.message = bytearray()
        key = base64.b64encode(os.urandom(16)).decode()
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.socket.sendall(
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n".encode()
        )
        self._handshake(key, subprotocol, time.monotonic() + timeout)

    def _handshake(self, key, subprotocol, deadline):
        while b"\r\n\r\n" not in self.buffer:
            self._fill(deadline)
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if " 101 " not in status + " ":
            raise Closed(1006, f"handshake refused: {status} {rest[:300].decode('utf-8', 'replace')}")
        if headers.get("sec-websocket-accept") != base64.b64encode(accept).decode():
            raise Closed(1006, "handshake: wrong accept key")
        if headers.get("sec-websocket-protocol") != subprotocol:
            raise Closed(1006, "handshake: another subprotocol")
        self.buffer = bytearray(rest)

    def _fill(self, deadline):
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self.socket.recv(65536)
        except socket.timeout:
            raise TimeoutError from None
        except OSError as error:
            raise Closed(1006, str(error)) from None
        if not data:
            raise Closed(1006, "the connection ended")
        self.buffer += data

    def send(self, payload, opcode=1):
        """One masked frame."""
        length = len(payload)
        head = bytes([0x80 | opcode])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 65536:
            head += struct.pack(">BH", 0x80 | 126, length)
        else:
            head += struct.pack(">BQ", 0x80 | 127, length)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self.socket.settimeout(20)
        try:
            self.socket.sendall(head + mask + masked)
        except OSError as error:
            raise Closed(1006, str(error)) from None

    def receive(self, deadline):
        """The next whole message as bytes; TimeoutError at the deadline, Closed at the end."""
        while True:
            frame = self._frame()
            if frame is None:
                self._fill(deadline)
                continue
            final, opcode, payload = frame
            if opcode == 8:
                number = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                raise Closed(number, payload[2:].decode("utf-8", "replace"))
            if opcode == 9:
                self.send(payload, 10)
            elif opcode in (0, 1, 2):
                self.message += payload
                if final:
                    whole, self.message = bytes(self.message), bytearray()
                    return whole

    def _frame(self):
        data = self.buffer
        if len(data) < 2:
            return None
        length, at = data[1] & 127, 2
        if length >= 126:
            width = 2 if length == 126 else 8
            if len(data) < 2 + width:
                return None
            length, at = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        if len(data) < at + length:
            return None
        payload = bytes(data[at : at + length])
        final, opcode = bool(data[0] & 0x80), data[0] & 15
        del data[: at + length]
        return final, opcode, payload

    def close(self):
        try:
            self.send(struct.pack(">H", 1000), 8)
        except Closed:
            pass
        self.kill()

    def kill(self):
        """Without a word: what a lost network looks like."""
        self.socket.close()
