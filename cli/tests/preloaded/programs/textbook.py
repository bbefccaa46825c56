"""The lessons of a textbook on sockets: what one end does (serve) and what the other sees (visit).

Usage: textbook.py serve | textbook.py visit ADDRESS OWN. Both must end with status 0. Nothing in it knows whose sockets it uses.
"""
import errno
import hashlib
import select
import socket
import socketserver
import struct
import sys
import threading

PORT, WAITING, DATAGRAMS, NOBODY = 7001, 7002, 7003, 7009
LONG = bytes(i * 7 + i // 251 & 255 for i in range(400_000))


class Lesson(socketserver.StreamRequestHandler):
    """The first line of a connection says which lesson it is."""

    def handle(self):
        name = self.rfile.readline().strip().decode()
        getattr(self, name)()

    def echo(self):
        for line in self.rfile:
            self.wfile.write(line.upper())

    def who(self):
        here, there = self.request.getsockname(), self.request.getpeername()
        assert there == self.client_address, (there, self.client_address)
        self.wfile.write(repr((there, here)).encode() + b"\n")

    def half_close(self):
        everything = self.rfile.read()
        self.wfile.write(hashlib.sha256(everything).digest())

    def silence(self):
        assert self.rfile.readline() == b"speak\n"
        self.wfile.write(b"spoken")

    def long_answer(self):
        self.request.sendall(LONG)

    def cut_off(self):
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.request.close()

    def unread(self):
        # Closing with bytes unread cuts off too (RFC 1122, 4.2.2.13): none of them goes into rfile.
        select.select([self.request], [], [])
        self.request.close()

    def end(self):
        threading.Thread(target=self.server.shutdown).start()


class Lessons(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False


def serve():
    # Connections that nobody accepts until the last has come.
    waiting = socket.socket()
    waiting.bind(("", WAITING))
    waiting.listen(2)
    datagrams = socket.socket(type=socket.SOCK_DGRAM)
    datagrams.bind(("", DATAGRAMS))
    threads = [threading.Thread(target=accept_late, args=(waiting,)), threading.Thread(target=serve_datagrams, args=(datagrams,))]
    for thread in threads:
        thread.start()
    with Lessons(("", PORT), Lesson) as server:
        assert server.server_address == ("0.0.0.0", PORT)
        server.serve_forever()
    for thread in threads:
        thread.join()


def accept_late(listener):
    global all_connected
    all_connected.wait()
    for _ in range(2):
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(100):
                connection.sendall(data[::-1])
    listener.close()


all_connected = threading.Event()


def serve_datagrams(s):
    while True:
        data, sender = s.recvfrom(2000)
        if data == b"accept":
            all_connected.set()
        if data == b"end":
            return
        if data == b"two":
            s.sendto(b"abcdefgh", sender)
            s.sendto(b"ij", sender)
        else:
            assert s.sendto(data, sender) == len(data)


def visit(address, own):
    def open_(lesson):
        s = socket.create_connection((address, PORT), 60)
        s.sendall(lesson + b"\n")
        return s

    # connect_ex, makefile, names.
    s = socket.socket()
    assert s.connect_ex((address, PORT)) == 0
    assert s.getpeername() == (address, PORT)
    assert s.getsockname()[0] == own, s.getsockname()
    with s, s.makefile("rwb") as f:
        f.write(b"echo\none\ntwo\n")
        f.flush()
        assert f.readline() == b"ONE\n"
        assert f.readline() == b"TWO\n"
        s.shutdown(socket.SHUT_WR)
        assert f.readline() == b""
    with open_(b"who") as s:
        assert eval(s.makefile().readline()) == (s.getsockname(), (address, PORT))

    # One direction ends, the other does not.
    with open_(b"half_close") as s:
        s.sendall(LONG)
        s.shutdown(socket.SHUT_WR)
        digest = s.recv(100, socket.MSG_WAITALL)
        assert digest == hashlib.sha256(LONG).digest()
        assert s.recv(1) == b""
        try:
            s.send(b"x")
            raise AssertionError("sent after the end")
        except BrokenPipeError:
            pass

    # A timeout is no end.
    with open_(b"silence") as s:
        s.settimeout(0.2)
        try:
            s.recv(10)
            raise AssertionError("there was nothing")
        except TimeoutError:
            pass
        s.settimeout(60)
        s.sendall(b"speak\n")
        assert s.recv(10, socket.MSG_PEEK)[:1] == b"s"
        assert s.recv(6, socket.MSG_WAITALL) == b"spoken"

    # A stream has no borders, and loses nothing.
    with open_(b"long_answer") as s:
        got = bytearray()
        part = bytearray(3000)
        while n := s.recv_into(part):
            got += part[:n]
        assert got == LONG

    # Nonblocking.
    s = socket.socket()
    s.setblocking(False)
    assert s.connect_ex((address, PORT)) == errno.EINPROGRESS
    assert select.select([], [s], [], 60)[1] == [s]
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    try:
        s.recv(1)
        raise AssertionError("there was nothing")
    except BlockingIOError:
        pass
    s.send(b"silence\nspeak\n")
    assert select.select([s], [], [], 60)[0] == [s]
    assert s.recv(100) == b"spoken"
    s.close()

    # Nobody is there; at once, and found later.
    s = socket.socket()
    assert s.connect_ex((address, NOBODY)) == errno.ECONNREFUSED
    s.close()
    s = socket.socket()
    s.setblocking(False)
    if s.connect_ex((address, NOBODY)) == errno.EINPROGRESS:
        select.select([], [s], [], 60)
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    s.close()

    # Cut off.
    with open_(b"cut_off") as s:
        try:
            s.recv(10)
            raise AssertionError("an orderly end")
        except ConnectionResetError:
            pass
    s = socket.create_connection((address, PORT), 60)
    try:
        # In one piece, so that the line is read with a part of what nobody reads. The cut comes at any
        # time after that: while the rest is still being sent, too.
        s.sendall(b"unread\n" + LONG[:100_000])
        while s.recv(10):
            pass
        raise AssertionError("an orderly end")
    except ConnectionResetError:
        s.close()

    datagrams(address)
    s = open_(b"end")
    s.recv(1)


def datagrams(address):
    there = (address, DATAGRAMS)
    s = socket.socket(type=socket.SOCK_DGRAM)
    s.settimeout(60)
    s.sendto(b"one", there)
    assert s.recvfrom(100) == (b"one", there)
    # An empty datagram is a datagram.
    assert s.sendto(b"", there) == 0
    assert s.recvfrom(100) == (b"", there)
    # What a short call does not take is lost, and the next datagram is the next.
    s.sendto(b"two", there)
    assert s.recv(3) == b"abc"
    assert s.recv(100) == b"ij"
    s.sendto(b"two", there)
    data, _, flags, sender = s.recvmsg(3)
    assert (data, flags & socket.MSG_TRUNC, sender) == (b"abc", socket.MSG_TRUNC, there)
    assert s.recvmsg(3)[0] == b"ij"
    # With a peer.
    s.connect(there)
    assert s.getpeername() == there
    s.sendall(b"x" * 1400)
    assert s.recv(2000) == b"x" * 1400
    try:
        s.sendall(b"x" * 70_000)
        raise AssertionError("longer than IPv4 can carry")
    except OSError as e:
        assert e.errno == errno.EMSGSIZE, e
    # Nobody is there: an ICMP message says so, and the next call.
    s.connect((address, NOBODY))
    s.send(b"x")
    try:
        s.recv(10)
        raise AssertionError("nobody has answered")
    except ConnectionRefusedError:
        pass
    s.close()

    # connect() returns before accept() is called, and what is sent waits.
    early = [socket.create_connection((address, WAITING), 60) for _ in range(2)]
    for i, s in enumerate(early):
        s.sendall(b"early%d" % i)
    s = socket.socket(type=socket.SOCK_DGRAM)
    s.settimeout(60)
    s.sendto(b"accept", there)
    assert s.recv(10) == b"accept"
    for i, e in enumerate(early):
        assert e.recv(10) == (b"early%d" % i)[::-1]
        e.close()
    s.sendto(b"end", there)
    s.close()


if sys.argv[1] == "serve":
    serve()
else:
    visit(*sys.argv[2:])
