"""Sockets that several processes hold, and processes that die: what one end does (serve) and what the other sees (visit).

Usage: processes.py serve LESSON | processes.py visit LESSON ADDRESS. Both must end with status 0. Nothing in it knows whose sockets it uses.
"""
import array
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys

PORT = 7100
CHILD = "import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); "


def listener(port=PORT):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", port))
    s.listen(16)
    return s


def connect(address, port=PORT):
    return socket.create_connection((address, port), 60)


def everything(s):
    parts = []
    while part := s.recv(1000):
        parts.append(part)
    return b"".join(parts)


def ended(pid):
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def hold(s):
    """A child that has the socket and does nothing; the parent lets go of it."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(1)
    s.close()
    return pid


class Serve:
    def preforked(self):
        # Each child answers two callers, and holds both until then: both children are needed for four.
        s = listener()
        children = []
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                held = [s.accept()[0] for _ in range(2)]
                for c in held:
                    c.sendall(b"%d" % os.getpid())
                    c.close()
                os._exit(0)
            children.append(pid)
        assert [ended(pid) for pid in children] == [0, 0]

    def shared_connection(self):
        c, _ = listener().accept()
        pid = os.fork()
        if pid == 0:
            c.sendall(b"child ")
            os._exit(0)
        assert ended(pid) == 0
        # The child has ended, the connection has not.
        c.sendall(b"parent")

    def passed_over(self):
        s = listener()
        mine, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            mine.close()
            s.close()
            _, fds, _, _ = socket.recv_fds(theirs, 10, 1)
            c = socket.socket(fileno=fds[0])
            assert c.family == socket.AF_INET and c.type == socket.SOCK_STREAM, c
            c.sendall(repr(c.getpeername()).encode())
            os._exit(0)
        c, _ = s.accept()
        socket.send_fds(mine, [b"fd"], [c.fileno()])
        c.close()
        assert ended(pid) == 0

    def passed_datagrams(self):
        mine, theirs = socket.socketpair()
        s = socket.socket(type=socket.SOCK_DGRAM)
        s.bind(("", PORT))
        mine.sendmsg([b"fd"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
        s.close()
        _, fds, _, _ = socket.recv_fds(theirs, 10, 1)
        s = socket.socket(fileno=fds[0])
        assert s.type == socket.SOCK_DGRAM, s
        data, sender = s.recvfrom(100)
        s.sendto(data[::-1], sender)

    def executed(self):
        s = listener()
        # A listener and its connection, by inheritance, through exec.
        child = CHILD + "c, _ = s.accept(); c.sendall(repr((c.getpeername(), s.getsockname())).encode())"
        subprocess.run([sys.executable, "-c", child, str(s.fileno())], pass_fds=[s.fileno()], check=True)
        c, _ = s.accept()
        child = CHILD + "s.sendall(s.recv(100, 0x100)[::-1])"
        subprocess.run([sys.executable, "-c", child, str(c.fileno())], pass_fds=[c.fileno()], check=True)

    def standard_streams(self):
        c, _ = listener().accept()
        subprocess.run(["tr", "a-z", "A-Z"], stdin=c, stdout=c, check=True)

    def duplicated(self):
        c, _ = listener().accept()
        copy = socket.socket(fileno=os.dup(c.fileno()))
        c.close()
        high = os.dup2(copy.fileno(), 500)
        copy.close()
        os.write(high, b"still here")
        os.close(high)

    def multiprocessed(self):
        s = listener()
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            for _ in range(4):
                c, _ = s.accept()
                pool.apply(answer, (c,))
                c.close()

    def killed_idle(self):
        c, _ = listener().accept()
        pid = hold(c)
        os.kill(pid, signal.SIGKILL)
        assert ended(pid) == -signal.SIGKILL

    def killed_unread(self):
        c, _ = listener().accept()
        select.select([c], [], [])
        pid = hold(c)
        os.kill(pid, signal.SIGKILL)
        ended(pid)

    def killed_with_bytes_to_send(self):
        # What it has written goes out all the same.
        c, _ = listener().accept()
        c.sendall(b"x" * 100_000)
        pid = hold(c)
        os.kill(pid, signal.SIGKILL)
        ended(pid)

    def visitor_killed(self):
        c, _ = listener().accept()
        assert everything(c) == b"last words"

    def port_is_free_again(self):
        for _ in range(3):
            s = socket.socket()
            # Without SO_REUSEADDR: nothing may be left.
            s.bind(("", PORT + 1))
            s.listen()
            pid = hold(s)
            os.kill(pid, signal.SIGKILL)
            ended(pid)
        s = socket.socket(type=socket.SOCK_DGRAM)
        for _ in range(3):
            s = socket.socket(type=socket.SOCK_DGRAM)
            s.bind(("", PORT + 1))
            pid = hold(s)
            os.kill(pid, signal.SIGKILL)
            ended(pid)
        listener().accept()


class Visit:
    def preforked(self, address):
        callers = [connect(address) for _ in range(4)]
        pids = [everything(c) for c in callers]
        assert len(set(pids)) == 2 and all(pids.count(pid) == 2 for pid in pids), pids

    def shared_connection(self, address):
        assert everything(connect(address)) == b"child parent"

    def passed_over(self, address):
        s = connect(address)
        assert everything(s) == repr(s.getsockname()).encode()

    def passed_datagrams(self, address):
        s = socket.socket(type=socket.SOCK_DGRAM)
        s.settimeout(60)
        s.sendto(b"passed", (address, PORT))
        assert s.recvfrom(100) == (b"dessap", (address, PORT))

    def executed(self, address):
        s = connect(address)
        peer, bound = eval(everything(s))
        assert peer == s.getsockname() and bound == ("0.0.0.0", PORT), (peer, bound)
        s = connect(address)
        s.sendall(b"stressed")
        s.shutdown(socket.SHUT_WR)
        assert everything(s) == b"desserts"

    def standard_streams(self, address):
        s = connect(address)
        s.sendall(b"shout")
        s.shutdown(socket.SHUT_WR)
        assert everything(s) == b"SHOUT"

    def duplicated(self, address):
        assert everything(connect(address)) == b"still here"

    def multiprocessed(self, address):
        for _ in range(4):
            s = connect(address)
            assert everything(s) == repr(s.getsockname()).encode()

    def killed_idle(self, address):
        # A process that dies without anything unread closes as if it had called close().
        assert everything(connect(address)) == b""

    def killed_unread(self, address):
        s = connect(address)
        s.sendall(b"never read")
        try:
            everything(s)
            raise AssertionError("an orderly end")
        except ConnectionResetError:
            pass

    def killed_with_bytes_to_send(self, address):
        assert everything(connect(address)) == b"x" * 100_000

    def visitor_killed(self, address):
        s = connect(address)
        s.sendall(b"last words")
        pid = hold(s)
        os.kill(pid, signal.SIGKILL)
        ended(pid)

    def port_is_free_again(self, address):
        connect(address)


def answer(connection):
    connection.sendall(repr(connection.getpeername()).encode())
    connection.close()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        getattr(Serve(), sys.argv[2])()
    elif sys.argv[1] == "visit":
        getattr(Visit(), sys.argv[2])(sys.argv[3])
    else:
        print(*(name for name in vars(Serve) if name[0] != "_"))
