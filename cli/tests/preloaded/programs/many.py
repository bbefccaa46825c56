"""An echo server that holds many connections at once (serve), and who opens them and has each answered (visit).

Usage: many.py serve COUNT | many.py visit COUNT ADDRESS PID. Both must end with status 0; PID is a process that may not grow much meanwhile. Nothing in it knows whose sockets it
uses.
"""
import re
import resource
import selectors
import socket
import sys

PORT = 7200
# Attempts to connect that are under way at once: fewer than the listener's queue holds.
AT_ONCE = 500
# What the process may grow by for each connection, in bytes: the connection itself has about 1,000.
GROWTH = 8_192


def descriptors(count):
    """One for each connection and some more; the tests run as root, which may raise the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = count + 100
    if soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, max(need, hard)))


def serve(count):
    waiting = selectors.EpollSelector()
    listener = socket.create_server(("", PORT), backlog=4_096)
    listener.setblocking(False)
    waiting.register(listener, selectors.EVENT_READ)
    come = gone = 0
    while gone < count:
        for key, _ in waiting.select():
            if key.fileobj is not listener:
                if said := key.fileobj.recv(100):
                    key.fileobj.sendall(said)
                else:
                    waiting.unregister(key.fileobj)
                    key.fileobj.close()
                    gone += 1
                continue
            try:
                while True:
                    connection, _ = listener.accept()
                    waiting.register(connection, selectors.EVENT_READ)
                    come += 1
            except BlockingIOError:
                pass
    assert come == count, come


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s*(\d+) kB", status.read())[1]) * 1024


def connect_all(count, address):
    waiting = selectors.EpollSelector()
    connections = []
    under_way = 0
    while len(connections) < count or under_way:
        while len(connections) < count and under_way < AT_ONCE:
            s = socket.socket()
            s.setblocking(False)
            try:
                s.connect((address, PORT))
            except BlockingIOError:
                pass
            waiting.register(s, selectors.EVENT_WRITE)
            connections.append(s)
            under_way += 1
        for key, _ in waiting.select():
            error = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            assert error == 0, error
            waiting.unregister(key.fileobj)
            under_way -= 1
    return connections


def all_answered(connections, salt):
    """All ask before the first is listened to."""
    words = [b"%06d %s" % (n, salt) for n in range(len(connections))]
    for s, word in zip(connections, words):
        s.sendall(word)
    for s, word in zip(connections, words):
        s.setblocking(True)
        got = s.recv(len(word), socket.MSG_WAITALL)
        assert got == word, (got, word)


def visit(count, address, pid):
    before = resident(pid)
    connections = connect_all(count, address)
    assert len({s.getsockname() for s in connections}) == count
    all_answered(connections, b"once")
    all_answered(connections, b"twice")
    all_answered([connections[count // 2]], b"alone")
    grown = (resident(pid) - before) / count
    print(f"{count} connections, {grown:.0f} bytes of memory each")
    assert grown < GROWTH, grown
    for s in connections:
        s.close()


what, count, *rest = sys.argv[1:]
count = int(count)
descriptors(count)
if what == "serve":
    serve(count)
else:
    visit(count, rest[0], int(rest[1]))
