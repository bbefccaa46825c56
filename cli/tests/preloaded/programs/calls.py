"""Calls that read, write, wait for and copy sockets, one after the other; both ends are here.

Usage: calls.py ADDRESS. Ends with status 0 if all do what Linux's manual pages say. Nothing in it knows whose sockets it uses.
"""
import array
import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

ADDRESS = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
listener = socket.create_server((ADDRESS, 0))


def pair():
    a = socket.create_connection(listener.getsockname())
    b, _ = listener.accept()
    return a, b


def datagrams():
    a, b = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    a.bind((ADDRESS, 0))
    b.bind((ADDRESS, 0))
    a.connect(b.getsockname())
    b.connect(a.getsockname())
    return a, b


def exactly(s, n):
    got = s.recv(n, socket.MSG_WAITALL)
    assert len(got) == n, got
    return got


def fails(with_errno, call):
    try:
        call()
    except OSError as e:
        assert e.errno == with_errno, e
        return
    raise AssertionError("it did not fail")


def unread(s, n):
    """FIONREAD, once all has come."""
    count = array.array("i", [0])
    while count[0] < n:
        select.select([s], [], [])
        fcntl.ioctl(s, termios.FIONREAD, count)
    return count[0]


def lowest_number():
    free = os.dup(0)
    os.close(free)
    with socket.socket() as s:
        assert s.fileno() == free


def vectors():
    a, b = pair()
    assert os.writev(a.fileno(), [b"ab", b"", b"cde"]) == 5
    assert unread(b, 5) == 5
    parts = bytearray(2), bytearray(9)
    assert os.readv(b.fileno(), parts) == 5
    assert parts[0] == b"ab" and parts[1][:3] == b"cde"
    a, b = datagrams()
    assert os.writev(a.fileno(), [b"ab", b"", b"cde"]) == 5
    assert os.write(a.fileno(), b"next") == 4
    assert unread(b, 5) == 5
    assert os.readv(b.fileno(), [bytearray(2), bytearray(9)]) == 5
    assert os.read(b.fileno(), 100) == b"next"


def files():
    with tempfile.TemporaryFile() as f:
        f.write(b"0123456789" * 1000)
        f.flush()
        a, b = pair()
        assert os.sendfile(a.fileno(), f.fileno(), 5, 5000) == 5000
        assert exactly(b, 5000) == b"5678901234" * 500
        # From a socket through a pipe to a socket.
        r, w = os.pipe()
        a.sendall(b"spliced")
        unread(b, 7)
        assert os.splice(b.fileno(), w, 100) == 7
        assert os.splice(r, b.fileno(), 100) == 7
        assert exactly(a, 7) == b"spliced"


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    """As in <sys/socket.h> of Linux's C libraries for 64 bits."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint),
        ("iov", ctypes.POINTER(Iovec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("header", Msghdr), ("len", ctypes.c_uint)]


def messages(*buffers):
    all_ = (Mmsghdr * len(buffers))()
    for message, buffer in zip(all_, buffers):
        message.header.iov = ctypes.pointer(Iovec(ctypes.addressof(buffer), len(buffer)))
        message.header.iovlen = 1
    return all_


def many_messages():
    a, b = datagrams()
    texts = [ctypes.create_string_buffer(text, len(text)) for text in (b"one", b"three", b"seven77")]
    out = messages(*texts)
    assert libc.sendmmsg(a.fileno(), out, 3, 0) == 3
    assert [m.len for m in out] == [3, 5, 7]
    buffers = [ctypes.create_string_buffer(5) for _ in range(4)]
    into = messages(*buffers)
    got = 0
    while got < 3:
        rest = ctypes.cast(ctypes.byref(into, got * ctypes.sizeof(Mmsghdr)), ctypes.POINTER(Mmsghdr))
        got += libc.recvmmsg(b.fileno(), rest, 4 - got, 0x10000, None)
    assert [bytes(x) for x in buffers[:3]] == [b"one\0\0", b"three", b"seven"]
    assert [m.len for m in into][:3] == [3, 5, 5]
    assert [m.header.flags & socket.MSG_TRUNC for m in into][:3] == [0, 0, socket.MSG_TRUNC]
    b.setblocking(False)
    assert libc.recvmmsg(b.fileno(), into, 4, 0, None) == -1 and ctypes.get_errno() == errno.EAGAIN


def control_messages():
    """ip(7): IP_PKTINFO, IP_RECVTTL and IP_RECVTOS tell of a datagram; the same, IP_TTL and IP_TOS choose for one."""
    ip, pktinfo, recvttl, recvtos, ttl, tos = socket.IPPROTO_IP, 8, 12, 13, 2, 1
    b = socket.socket(type=socket.SOCK_DGRAM)
    b.bind(("", 0))
    there = (ADDRESS, b.getsockname()[1])
    a = socket.socket(type=socket.SOCK_DGRAM)
    a.bind((ADDRESS, 0))
    a.setsockopt(ip, ttl, 33)
    a.sendto(b"plain", there)
    assert b.recvmsg(100, 100)[1] == []
    for option in pktinfo, recvttl, recvtos:
        assert b.getsockopt(ip, option) == 0
        b.setsockopt(ip, option, 1)
        assert b.getsockopt(ip, option) == 1
    address = socket.inet_aton(ADDRESS)

    def told():
        data, messages, flags, sender = b.recvmsg(100, 200)
        assert flags == 0 and sender == a.getsockname(), (flags, sender)
        assert all(level == ip for level, _, _ in messages), messages
        values = {kind: value for _, kind, value in messages}
        assert values.keys() == {pktinfo, ttl, tos}, messages
        # struct in_pktinfo: an index, the local address, the address in the header.
        assert values[pktinfo][4:] == address * 2, values
        return data, struct.unpack("i", values[ttl])[0], values[tos][0]

    a.sendto(b"as set", there)
    assert told() == (b"as set", 33, 0)
    source = (ip, pktinfo, struct.pack("i4s4s", 0, address, bytes(4)))
    a.sendmsg([b"as ", b"chosen"], [source, (ip, ttl, struct.pack("i", 7)), (ip, tos, struct.pack("i", 0x48))], 0, there)
    assert told() == (b"as chosen", 7, 0x48)
    # Not enough room for all of them.
    a.sendto(b"short", there)
    data, messages, flags, _ = b.recvmsg(100, socket.CMSG_SPACE(12))
    assert data == b"short" and flags == socket.MSG_CTRUNC and [m[1] for m in messages] == [pktinfo]
    # Some that cannot be.
    for wrong in (ip, ttl, struct.pack("i", 0)), (ip, ttl, struct.pack("i", 256)), (ip, 77, bytes(4)), (ip, pktinfo, bytes(3)):
        fails(errno.EINVAL, lambda: a.sendmsg([b"x"], [wrong], 0, there))
    # By a socket of IPv6.
    d = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    d.bind(("::", 0))
    d.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    a.sendto(b"mapped", (ADDRESS, d.getsockname()[1]))
    data, messages, _, sender = d.recvmsg(100, 200)
    assert sender[:2] == ("::ffff:" + ADDRESS, a.getsockname()[1]), sender
    (level, kind, value), = messages
    assert (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)
    assert value[:16] == socket.inet_pton(socket.AF_INET6, "::ffff:" + ADDRESS)


def waiting():
    a, b = pair()
    r, w = os.pipe()
    both = select.epoll()
    edges = select.epoll()
    both.register(b, select.EPOLLIN)
    both.register(r, select.EPOLLIN)
    edges.register(b, select.EPOLLIN | select.EPOLLET)
    assert both.poll(0) == [] and select.select([b, r], [], [], 0)[0] == []
    assert select.select([], [a], [], 0)[1] == [a]
    a.send(b"x")
    os.write(w, b"y")
    assert edges.poll(60) == [(b.fileno(), select.EPOLLIN)]
    assert edges.poll(0) == []
    assert sorted(both.poll(60)) == sorted([(b.fileno(), select.EPOLLIN), (r, select.EPOLLIN)])
    poll = select.poll()
    poll.register(b, select.POLLIN | select.POLLOUT)
    assert poll.poll(60_000) == [(b.fileno(), select.POLLIN | select.POLLOUT)]
    a.send(b"z")
    assert edges.poll(60) == [(b.fileno(), select.EPOLLIN)]
    a.shutdown(socket.SHUT_WR)
    poll.modify(b, select.POLLRDHUP)
    assert poll.poll(60_000) == [(b.fileno(), select.POLLRDHUP)]
    assert exactly(b, 2) == b"xz" and b.recv(1) == b""
    # Both ways have ended.
    b.shutdown(socket.SHUT_WR)
    poll.modify(b, 0)
    assert poll.poll(60_000) == [(b.fileno(), select.POLLHUP)]
    # A listener is readable when somebody waits.
    poll.register(listener, select.POLLIN)
    poll.unregister(b)
    assert poll.poll(0) == []
    c = socket.create_connection(listener.getsockname())
    assert poll.poll(60_000) == [(listener.fileno(), select.POLLIN)]
    listener.accept()[0].close()
    c.close()


def without_waiting():
    a, b = pair()
    fcntl.ioctl(b, 0x5421, array.array("i", [1]))  # FIONBIO
    fails(errno.EAGAIN, lambda: os.read(b.fileno(), 1))
    assert fcntl.fcntl(b, fcntl.F_GETFL) & os.O_NONBLOCK
    fails(errno.EAGAIN, lambda: a.recv(1, socket.MSG_DONTWAIT))
    # A full buffer takes a part; nothing of it is lost, and nothing else comes.
    sent = 0
    a.setblocking(False)
    pattern = bytes(range(251))
    try:
        while True:
            part = (pattern * 600)[sent % 251 :][:100_000]
            sent += a.send(part)
    except BlockingIOError:
        pass
    a.setblocking(True)
    a.shutdown(socket.SHUT_WR)
    b.setblocking(True)
    got = bytearray()
    while part := b.recv(100_000):
        got += part
    assert len(got) == sent and got == (pattern * (sent // 251 + 1))[:sent], (len(got), sent)


SIOCINQ, SIOCOUTQ = termios.FIONREAD, termios.TIOCOUTQ


def queued(s, request):
    count = array.array("i", [0])
    fcntl.ioctl(s, request, count)
    return count[0]


def fill(s):
    """Sends until nothing more is taken, with a peer that does not read; how much."""
    sent, waits = 0, s.gettimeout()
    s.settimeout(0.3)
    try:
        while True:
            sent += s.send(bytes(100_000))
    except TimeoutError:
        s.settimeout(waits)
    return sent


def queues():
    """tcp(7): SIOCOUTQ is what the peer has not acknowledged, SIOCINQ what is to be read, wherever it lies."""
    a, b = pair()
    assert [queued(s, r) for s in (a, b) for r in (SIOCINQ, SIOCOUTQ)] == [0] * 4
    sent = fill(a)
    # What is on its way is counted twice, or not at all.
    while queued(a, SIOCOUTQ) + queued(b, SIOCINQ) != sent:
        time.sleep(0.01)
    assert queued(b, SIOCOUTQ) == queued(a, SIOCINQ) == 0
    reading = threading.Thread(target=exactly, args=(b, sent))
    reading.start()
    while queued(a, SIOCOUTQ):
        time.sleep(0.01)
    reading.join()
    assert queued(b, SIOCINQ) == 0
    b.send(b"seven77")
    assert unread(a, 7) == 7
    # The end is nothing to be read.
    b.shutdown(socket.SHUT_WR)
    poll = select.poll()
    poll.register(a, select.POLLRDHUP)
    assert poll.poll(60_000)
    assert queued(a, SIOCINQ) == 7


def linger(s, seconds):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))


def closing(close):
    begun = time.monotonic()
    close()
    return time.monotonic() - begun


def lingering():
    """socket(7), SO_LINGER: closing waits until all is acknowledged, or the time is over; so it does for a socket without waiting, and for the last descriptor only."""
    for waits in True, False:
        a, b = pair()
        fill(a)
        linger(a, 1)
        a.setblocking(waits)
        assert closing(a.close) >= 0.9
    # Somebody reads: what was sent is there when closing is over, and is not before.
    for close in (lambda s: s.close(), lambda s: os.dup2(0, s.fileno()), lambda s: libc.close_range(s.fileno(), s.fileno(), 0)):
        a, b = pair()
        sent = fill(a)
        linger(a, 100)
        got = [0]

        def read():
            while part := b.recv(100_000):
                got[0] += len(part)

        reading = threading.Timer(0.2, read)
        reading.start()
        took = closing(lambda: close(a))
        # All but what the reader's buffer holds had been read.
        assert took >= 0.15 and got[0] > 0, (took, got)
        reading.join()
        assert got[0] == sent
        # It was closed behind Python's back.
        if a.fileno() != -1:
            a.detach()
    # The listener's is the connection's.
    linger(listener, 1)
    a, b = pair()
    linger(listener, 0)
    assert struct.unpack("ii", b.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == (1, 1)
    fill(b)
    assert closing(b.close) >= 0.9
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes(8))
    # Another descriptor still has it, and another process.
    a, b = pair()
    fill(a)
    linger(a, 60)
    copy = a.dup()
    assert closing(a.close) < 30
    pid = os.fork()
    if pid == 0:
        # A process that ends waits for nobody.
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    linger(copy, 0)
    copy.close()
    # Nothing is left to be acknowledged.
    a, b = pair()
    linger(a, 60)
    a.send(b"x")
    assert b.recv(1) == b"x"
    assert closing(a.close) < 30
    assert b.recv(1) == b""
    # The peer has ended first.
    a, b = pair()
    b.shutdown(socket.SHUT_WR)
    assert a.recv(1) == b""
    linger(a, 60)
    a.send(b"x")
    assert closing(a.close) < 30
    assert b.recv(2) == b"x" and b.recv(1) == b""


def children():
    a, b = pair()
    # vfork() in subprocess, posix_spawn(), and a child into which nothing is preloaded: a stream is a stream.
    subprocess.run(["echo", "one"], stdout=a, check=True)
    pid = os.posix_spawnp("echo", ["echo", "two"], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, a.fileno(), 1)])
    assert os.waitpid(pid, 0)[1] == 0
    subprocess.run(["/bin/echo", "three"], stdout=a, env={}, check=True)
    assert exactly(b, 14) == b"one\ntwo\nthree\n"
    # Close-on-exec is the default of Python's sockets, and all that close_range() leaves.
    child = f"import os, sys\ntry: os.fstat({a.fileno()})\nexcept OSError: sys.exit(7)"
    assert subprocess.run([sys.executable, "-c", child], close_fds=False).returncode == 7
    a.set_inheritable(True)
    assert subprocess.run([sys.executable, "-c", child], close_fds=False).returncode == 0
    assert subprocess.run([sys.executable, "-c", child], close_fds=True).returncode == 7
    assert libc.close_range(a.fileno(), a.fileno(), 0) == 0
    a.detach()
    assert b.recv(1) == b""


def options():
    a, b = pair()
    level = socket.SOL_SOCKET
    assert a.getsockopt(level, socket.SO_TYPE) == socket.SOCK_STREAM
    assert a.getsockopt(level, socket.SO_DOMAIN) == socket.AF_INET
    assert a.getsockopt(level, socket.SO_PROTOCOL) == socket.IPPROTO_TCP
    assert a.getsockopt(level, socket.SO_ACCEPTCONN) == 0
    assert listener.getsockopt(level, socket.SO_ACCEPTCONN) == 1
    # tcp(7), TCP_INFO: its first byte is the state; 1 is established, 10 listens.
    assert a.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 200)[0] == 1
    assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 200)[0] == 10
    for option in (socket.TCP_NODELAY, socket.TCP_CORK):
        a.setsockopt(socket.IPPROTO_TCP, option, 1)
        assert a.getsockopt(socket.IPPROTO_TCP, option) == 1
    a.setsockopt(level, socket.SO_KEEPALIVE, 1)
    a.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77)
    assert a.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77
    a.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
    assert a.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x10
    fails(errno.ENOPROTOOPT, lambda: a.setsockopt(socket.IPPROTO_TCP, 999, 1))
    s = socket.socket(type=socket.SOCK_DGRAM)
    fails(errno.EINVAL, lambda: s.sendto(b"x", (ADDRESS, 0)))
    fails(errno.EDESTADDRREQ, lambda: s.send(b"x"))
    fails(errno.EOPNOTSUPP, lambda: s.listen())
    s = socket.socket()
    fails(errno.ENOTCONN, lambda: s.recv(1))
    fails(errno.ENOTCONN, s.getpeername)
    fails(errno.EADDRNOTAVAIL, lambda: s.bind(("203.0.113.1", 0)))
    fails(errno.EADDRINUSE, lambda: s.bind(listener.getsockname()))
    fails(errno.EISCONN, lambda: a.connect(listener.getsockname()))


def one_after_the_other():
    """What a thread has closed is closed, however busy others are with calls."""
    done = threading.Event()
    a, b = pair()

    def busy():
        while not done.is_set():
            a.getsockname()

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM) * 150:
            with socket.socket(type=kind) as s:
                s.bind((ADDRESS, 0))
                name = s.getsockname()
            with socket.socket(type=kind) as s:
                s.bind(name)
                if kind == socket.SOCK_STREAM:
                    s.listen()
            if kind == socket.SOCK_STREAM:
                with socket.socket() as s:
                    assert s.connect_ex(name) == errno.ECONNREFUSED
    finally:
        done.set()
        for thread in threads:
            thread.join()


for lesson in one_after_the_other, lowest_number, vectors, files, many_messages, control_messages, waiting, without_waiting, queues, lingering, children, options:
    try:
        lesson()
    except BaseException:
        print("in", lesson.__name__, flush=True)
        raise
