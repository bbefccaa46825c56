"""Calls of the C library in wrong states and with wrong arguments: a line for each, with what it gives.

Usage: errnos.py ADDRESS. Nothing in it knows whose sockets it uses, and the lines are the same whosever they are.
"""
import ctypes
import errno
import os
import signal
import socket
import struct
import sys
import time

ADDRESS = sys.argv[1]
# Of nobody (RFC 5737), and no route leads there.
FOREIGN = "203.0.113.7"
GROUP = "239.1.2.3"
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGPIPE, signal.SIG_IGN)

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
INET, INET6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
SOL, IP, IPV6, L4 = socket.SOL_SOCKET, socket.IPPROTO_IP, socket.IPPROTO_IPV6, socket.IPPROTO_TCP
NOWAIT = socket.MSG_DONTWAIT
BYTE = ctypes.create_string_buffer(b"x", 1)
ROOM = ctypes.create_string_buffer(100)
# <linux/sockios.h>: FIONREAD and TIOCOUTQ.
SIOCINQ, SIOCOUTQ = 0x541B, 0x5411


def settle():
    """Lets what is under way arrive."""
    time.sleep(0.05)


def tell(what, call, *args):
    """A call by its name, on sockets or what else C takes: its result, and the first byte of a value that it gives."""
    ctypes.set_errno(0)
    args = [arg.fileno() if isinstance(arg, socket.socket) else arg for arg in args]
    ROOM[0] = 0
    # Lengths and addresses have the size of a word in C's calls.
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = getattr(libc, call)(*words)
    if result == -1:
        result = errno.errorcode[ctypes.get_errno()]
    elif call in ("getsockopt", "ioctl") and result == 0:
        result = f"0, {ROOM.raw[0]}"
    print(f"{what}: {result}")


def name(address, port, family=INET):
    """A sockaddr_in, or a sockaddr_in6 with a mapped address."""
    if family == INET6:
        return struct.pack("=HHI16sI", INET6, socket.htons(port), 0, socket.inet_pton(INET6, "::ffff:" + address), 0)
    return struct.pack("=HH4s8x", family, socket.htons(port), socket.inet_aton(address))


def named(what, call, s, address, cut=0):
    tell(what, call, s, address, len(address) - cut)


def new(kind=TCP, family=INET):
    s = socket.socket(family, kind)
    s.setblocking(False)
    return s


def bound(kind=TCP, port=0):
    s = new(kind)
    s.bind((ADDRESS, port))
    return s


def listening():
    s = bound()
    s.listen(4)
    return s


def at(s):
    return name(*s.getsockname()[:2])


def connected():
    listener = listening()
    a = socket.create_connection(listener.getsockname())
    listener.setblocking(True)
    b, _ = listener.accept()
    listener.close()
    a.setblocking(False)
    b.setblocking(False)
    return a, b


# What makes a socket in a state gives none where something has to arrive first, and the socket in the end.
def at_once(make):
    def made():
        yield make()

    return made


def reset():
    """A connection that the peer has cut off."""
    a, b = connected()
    b.setsockopt(SOL, socket.SO_LINGER, struct.pack("ii", 1, 0))
    b.close()
    yield
    yield a


def refused():
    listener = listening()
    to = listener.getsockname()
    listener.close()
    s = new()
    s.connect_ex(to)
    yield
    yield s


def connecting():
    """To where nobody answers: the address is on the subnet, and nobody has it."""
    s = new()
    s.connect_ex((ADDRESS.rsplit(".", 1)[0] + ".77", 9))
    return s


def ended():
    """Both sides have closed; the program still has it."""
    a, b = connected()
    b.close()
    yield
    a.shutdown(socket.SHUT_WR)
    yield
    yield a


def asked():
    """A UDP socket to whose peer nobody listens, and which has been told so."""
    gone = bound(UDP)
    to = gone.getsockname()
    gone.close()
    s = bound(UDP)
    s.connect(to)
    s.send(b"x")
    yield
    yield s


def with_peer():
    s = bound(UDP)
    s.connect((ADDRESS, 9))
    return s


# The peers of those that are tried.
PEERS = []


def with_open_peer():
    a, b = connected()
    PEERS.append(b)
    return a


def shut(how):
    def made():
        a = with_open_peer()
        a.shutdown(how)
        yield
        yield a

    return made


def shut_udp():
    s = with_peer()
    s.shutdown(socket.SHUT_RDWR)
    return s


def several(make, count):
    """So many sockets in a state, which all get there together."""
    makers = [make() for _ in range(count)]
    sockets = [next(maker) for maker in makers]
    while sockets[0] is None:
        settle()
        sockets = [next(maker) for maker in makers]
    return sockets


def one(make):
    return several(make, 1)[0]


# States that a socket can be in, by what makes it.
STATES = {
    "new TCP": at_once(new),
    "bound TCP": at_once(bound),
    "listener": at_once(listening),
    "connecting": at_once(connecting),
    "connected": at_once(with_open_peer),
    "shut for reading": shut(socket.SHUT_RD),
    "shut for writing": shut(socket.SHUT_WR),
    "shut both ways": shut(socket.SHUT_RDWR),
    "reset": reset,
    "refused": refused,
    "ended": ended,
    "new UDP": at_once(lambda: new(UDP)),
    "bound UDP": at_once(lambda: bound(UDP)),
    "UDP with a peer": at_once(with_peer),
    "UDP that was refused": asked,
    "UDP shut both ways": at_once(shut_udp),
    "new TCP of IPv6": at_once(lambda: new(TCP, INET6)),
    "new UDP of IPv6": at_once(lambda: new(UDP, INET6)),
}


def length(n=100):
    return ctypes.byref(ctypes.c_uint(n))


def option(level, which, what, value=None):
    """getsockopt(2), or setsockopt(2) of a value."""
    if value is None:
        return what, "getsockopt", level, which, ROOM, length()
    return what, "setsockopt", level, which, value, len(value)


ONE = struct.pack("i", 1)

# Calls that are tried in each state.
CALLS = [
    ("receive", "recv", ROOM, 1, NOWAIT),
    ("receive nothing", "recv", ROOM, 0, NOWAIT),
    ("peek", "recv", ROOM, 1, NOWAIT | socket.MSG_PEEK),
    ("receive urgent data", "recv", ROOM, 1, NOWAIT | socket.MSG_OOB),
    ("receive an error", "recv", ROOM, 1, NOWAIT | socket.MSG_ERRQUEUE),
    ("read", "read", ROOM, 1),
    ("send", "send", BYTE, 1, NOWAIT),
    ("send nothing", "send", BYTE, 0, NOWAIT),
    ("write", "write", BYTE, 1),
    ("send to", "sendto", BYTE, 1, NOWAIT, name(ADDRESS, 9), 16),
    ("send to IPv6's mapped", "sendto", BYTE, 1, NOWAIT, name(ADDRESS, 9, INET6), 28),
    ("send to port 0", "sendto", BYTE, 1, NOWAIT, name(ADDRESS, 0), 16),
    ("send to another family", "sendto", BYTE, 1, NOWAIT, name(ADDRESS, 9, 77), 16),
    ("send to half an address", "sendto", BYTE, 1, NOWAIT, name(ADDRESS, 9), 7),
    ("send to where no route leads", "sendto", BYTE, 1, NOWAIT, name(FOREIGN, 9), 16),
    ("listen", "listen", 1),
    ("accept", "accept", None, None),
    ("accept with wrong flags", "accept4", None, None, 1),
    ("own name", "getsockname", ROOM, length()),
    ("own name into nothing", "getsockname", None, length()),
    ("the peer's name", "getpeername", ROOM, length()),
    ("bind", "bind", name(ADDRESS, 0), 16),
    ("bind to a foreign address", "bind", name(FOREIGN, 0), 16),
    ("bind to half an address", "bind", name(ADDRESS, 0), 7),
    ("bind to another family", "bind", name(ADDRESS, 0, 77), 16),
    ("bind to nothing", "bind", None, 16),
    ("bind to too much", "bind", bytes(200), 200),
    ("shut down in no direction", "shutdown", 3),
    ("shut down for reading", "shutdown", socket.SHUT_RD),
    option(SOL, socket.SO_ERROR, "the error"),
    option(SOL, socket.SO_ERROR, "the error again"),
    option(SOL, socket.SO_ERROR, "set the error", ONE),
    option(SOL, socket.SO_TYPE, "the type"),
    option(SOL, socket.SO_ACCEPTCONN, "whether it listens"),
    option(SOL, 9_999, "no option"),
    option(SOL, 9_999, "set no option", ONE),
    option(IP, 9_999, "no option of IP"),
    option(IP, 9_999, "set no option of IP", ONE),
    option(L4, 9_999, "no option of TCP"),
    option(L4, 9_999, "set no option of TCP", ONE),
    option(9_999, 1, "no level"),
    option(9_999, 1, "set on no level", ONE),
    option(SOL, socket.SO_KEEPALIVE, "half a value", ONE[:2]),
    ("set from nothing", "setsockopt", SOL, socket.SO_KEEPALIVE, None, 4),
    ("get into nothing", "getsockopt", SOL, socket.SO_TYPE, None, length()),
    ("get without a length", "getsockopt", SOL, socket.SO_TYPE, ROOM, None),
    ("get a negative length", "getsockopt", SOL, socket.SO_TYPE, ROOM, length(2**32 - 1)),
    option(SOL, socket.SO_LINGER, "half a linger", ONE),
    option(SOL, socket.SO_BROADCAST, "broadcast", ONE),
    option(IP, socket.IP_TTL, "a TTL of 0", bytes(4)),
    option(IP, socket.IP_TTL, "a TTL of 256", struct.pack("i", 256)),
    option(IP, socket.IP_TTL, "a TTL", ONE),
    option(IP, socket.IP_ADD_MEMBERSHIP, "join half a group", bytes(4)),
    option(IP, socket.IP_ADD_MEMBERSHIP, "join no group", socket.inet_aton(FOREIGN) + socket.inet_aton(ADDRESS)),
    option(IP, socket.IP_DROP_MEMBERSHIP, "leave a group", socket.inet_aton(GROUP) + socket.inet_aton(ADDRESS)),
    option(IP, socket.IP_MULTICAST_TTL, "a group's TTL of 256", struct.pack("i", 256)),
    option(L4, socket.TCP_NODELAY, "no delay", ONE),
    option(L4, socket.TCP_KEEPIDLE, "no time", bytes(4)),
    option(L4, socket.TCP_KEEPIDLE, "too long a time", struct.pack("i", 32_768)),
    option(L4, socket.TCP_KEEPCNT, "too many probes", struct.pack("i", 128)),
    option(L4, socket.TCP_MAXSEG, "too small a segment", ONE),
    option(L4, socket.TCP_CONGESTION, "no algorithm", b"none"),
    option(L4, socket.TCP_USER_TIMEOUT, "a negative time", struct.pack("i", -1)),
    option(L4, socket.TCP_INFO, "TCP's state"),
    option(IPV6, socket.IPV6_V6ONLY, "IPv6 only"),
    ("unread", "ioctl", SIOCINQ, ROOM),
    ("unsent", "ioctl", SIOCOUTQ, ROOM),
    ("no request", "ioctl", 0x5499, ROOM),
    ("connect to where no route leads", "connect", name(FOREIGN, 9), 16),
    ("connect to half an address", "connect", name(ADDRESS, 9), 7),
    ("connect to another family", "connect", name(ADDRESS, 9, 77), 16),
    ("connect to nothing", "connect", None, 16),
    ("connect to too much", "connect", bytes(200), 200),
    ("connect to everybody", "connect", name("255.255.255.255", 9), 16),
    ("connect to port 0", "connect", name(ADDRESS, 0), 16),
]


def each_call_in_each_state():
    for state, make in STATES.items():
        sockets = several(make, len(CALLS))
        for s, (what, call, *args) in zip(sockets, CALLS):
            tell(f"{state}, {what}", call, s, *args)
            s.close()
        while PEERS:
            PEERS.pop().close()


def what_is_no_socket():
    read, write = os.pipe()
    for what, fd in ("a pipe", read), ("no descriptor", 999), ("minus one", -1):
        tell(f"bind {what}", "bind", fd, name(ADDRESS, 0), 16)
        tell(f"listen on {what}", "listen", fd, 1)
        tell(f"accept on {what}", "accept", fd, None, None)
        tell(f"connect {what}", "connect", fd, name(ADDRESS, 9), 16)
        tell(f"send on {what}", "send", fd, BYTE, 1, 0)
        tell(f"receive on {what}", "recv", fd, ROOM, 1, NOWAIT)
        tell(f"name of {what}", "getsockname", fd, ROOM, length())
        tell(f"option of {what}", "getsockopt", fd, SOL, socket.SO_TYPE, ROOM, length())
        tell(f"shut down {what}", "shutdown", fd, 0)
        tell(f"close {what}", "close", fd)
    os.close(write)
    for what, args in {
        "no family": (999, TCP, 0),
        "no kind": (INET, 99, 0),
        "TCP of UDP": (INET, UDP, socket.IPPROTO_TCP),
        "UDP of TCP": (INET, TCP, socket.IPPROTO_UDP),
        "no protocol": (INET, TCP, 9_999),
        "no flags": (INET, TCP | 0x4000_0000, 0),
    }.items():
        tell(what, "socket", *args)


def addresses_that_are_taken():
    listener = listening()
    named("bind where somebody listens", "bind", new(), at(listener))
    named("bind everywhere where somebody listens", "bind", new(), name("0.0.0.0", listener.getsockname()[1]))
    s = new()
    s.setsockopt(SOL, socket.SO_REUSEADDR, 1)
    named("bind again where somebody listens", "bind", s, at(listener))
    one, other = bound(), bound()
    named("listen beside who is bound", "bind", new(), at(one))
    one.setsockopt(SOL, socket.SO_REUSEADDR, 1)
    u = bound(UDP)
    named("bind UDP where somebody is", "bind", new(UDP), at(u))
    named("bind TCP where UDP is", "bind", new(), at(u))
    a, b = connected()
    named("connect what is connected", "connect", a, at(listener))
    named("connect a listener", "connect", listener, at(other))
    named("bind to a group", "bind", new(), name(GROUP, 0))
    named("bind UDP to a group", "bind", new(UDP), name(GROUP, 0))
    named("bind to everybody", "bind", new(), name("255.255.255.255", 0))
    s = new(TCP, INET6)
    named("IPv4's address for IPv6", "bind", s, name(ADDRESS, 0))
    named("half an address for IPv6", "bind", s, name(ADDRESS, 0, INET6), 8)
    s.setsockopt(IPV6, socket.IPV6_V6ONLY, 1)
    named("a mapped address for IPv6 alone", "bind", s, name(ADDRESS, 0, INET6))
    named("connect to a mapped address for IPv6 alone", "connect", s, name(ADDRESS, 9, INET6))
    named("IPv6's address for IPv4", "bind", new(), name(ADDRESS, 0, INET6))
    named("no family for bind", "bind", new(), name("0.0.0.0", 0, 0))
    named("no family for another bind", "bind", new(), name(ADDRESS, 0, 0))
    named("no family for connect", "connect", new(), name(ADDRESS, 0, 0))


def twice():
    """What a second call gives."""
    for state, make in {"reset": reset, "refused": refused}.items():
        for first in "recv", "send":
            s = one(make)
            for n in 1, 2, 3:
                tell(f"{state}, {first} {n}", first, s, ROOM, 1, NOWAIT)
            tell(f"{state}, receive after {first}", "recv", s, ROOM, 1, NOWAIT)
            tell(f"{state}, error after {first}", "getsockopt", s, SOL, socket.SO_ERROR, ROOM, length())
            tell(f"{state}, connect after {first}", "connect", s, name(FOREIGN, 9), 16)
    s = one(refused)
    listener = listening()
    named("connect after a refusal", "connect", s, at(listener))
    settle()
    named("connect what was refused once more", "connect", s, at(listener))
    s = connecting()
    named("connect while connecting", "connect", s, at(listener))
    s = new()
    s.connect_ex(listener.getsockname())
    settle()
    named("connect what has connected", "connect", s, at(listener))
    named("connect it once more", "connect", s, at(listener))
    s = one(asked)
    tell("UDP after a refusal, send", "send", s, BYTE, 1, NOWAIT)
    tell("UDP after that, send", "send", s, BYTE, 1, NOWAIT)
    s = one(asked)
    tell("UDP after a refusal, receive", "recv", s, ROOM, 1, NOWAIT)
    tell("UDP after that, receive", "recv", s, ROOM, 1, NOWAIT)
    u = with_peer()
    named("have no peer", "connect", u, name(ADDRESS, 0, 0))
    tell("send to no peer", "send", u, BYTE, 1, NOWAIT)
    tell("the peer's name without one", "getpeername", u, ROOM, length())


def datagrams():
    u = bound(UDP)
    everybody = name("255.255.255.255", 9)
    subnet = name(ADDRESS.rsplit(".", 1)[0] + ".255", 9)
    big = ctypes.create_string_buffer(70_000)
    for what, where in ("everybody", everybody), ("the subnet", subnet), ("a group", name(GROUP, 9)):
        tell(f"send to {what}", "sendto", u, BYTE, 1, 0, where, 16)
        named(f"connect to {what}", "connect", bound(UDP), where)
    u.setsockopt(SOL, socket.SO_BROADCAST, 1)
    for what, where in ("everybody", everybody), ("the subnet", subnet):
        tell(f"send to {what} with leave", "sendto", u, BYTE, 1, 0, where, 16)
    for size in 65_507, 65_508, 70_000:
        tell(f"send {size} bytes", "sendto", u, big, size, 0, name(ADDRESS, 9), 16)
    u.setsockopt(IP, 10, 2)  # IP_MTU_DISCOVER: IP_PMTUDISC_DO
    neighbour = name(ADDRESS.rsplit(".", 1)[0] + ".77", 9)
    for size in 1_472, 1_473:
        tell(f"send {size} bytes whole", "sendto", u, big, size, 0, neighbour, 16)
    tell("send from nothing", "sendto", u, None, 1, 0, name(ADDRESS, 9), 16)
    tell("send to nothing", "sendto", u, BYTE, 1, 0, None, 16)
    unbound = new(UDP)
    tell("send to the group without an address", "sendto", unbound, BYTE, 1, 0, name(GROUP, 9), 16)
    tell("send to where no route leads without an address", "sendto", unbound, BYTE, 1, 0, name(FOREIGN, 9), 16)


for part in what_is_no_socket, addresses_that_are_taken, twice, datagrams, each_call_in_each_state:
    part()
