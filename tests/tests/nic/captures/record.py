#!/usr/bin/env python3
"""Records the captures of this folder anew: what the Linux kernel and real programs put on an Ethernet cable.

Needs root, iproute2, iputils-ping, curl, dumpcap and IPv6 in the kernel; changes nothing on the machine but two network namespaces, which
end with it. The cable is a veth pair whose offloads are off, so that checksums are on it as they would be on copper; only `offload.pcap` is
recorded with them on, where the kernel leaves TCP and UDP checksums to a NIC that is not there. Both directions are recorded, at the end
whose MAC address the NIC of the tests has. Tags (802.1Q) are put on and taken off by this script, between a TAP device, on which the
programs are, and the cable: not every kernel has VLAN devices.

    sudo tests/tests/nic/captures/record.py
"""
import array
import contextlib
import ctypes
import fcntl
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = pathlib.Path(__file__).resolve().parent
# The end that records, which is the NIC's, and the other one.
NIC, PEER = "ferrule-a", "ferrule-b"
MAC = {NIC: "02:f0:0d:12:34:56", PEER: "02:be:ef:00:00:02"}
ADDRESS = {NIC: "192.0.2.1", PEER: "192.0.2.2"}
ADDRESS6 = {NIC: "2001:db8::1", PEER: "2001:db8::2"}
TAGGED = {NIC: "198.51.100.1", PEER: "198.51.100.2"}
VLAN, PRIORITY = 5, 3
SIOCETHTOOL = 0x8946
# ETHTOOL_STXCSUM, ETHTOOL_SSG, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO
OFFLOADS = (0x17, 0x19, 0x1F, 0x24, 0x2C)
UDP_SIZES = (0, 1, 2, 17, 18, 19, 20, 333, 1471, 1472)


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


def inside(name, call, *arguments):
    """Calls a function in a namespace, in a process of its own; gives the process."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with open(f"/run/netns/{name}", "rb") as namespace:
                # os.setns is Python's from 3.12 on.
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            call(*arguments)
            status = 0
        except BaseException as error:  # noqa: BLE001: told, and the process ends
            print(f"{call.__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(status)
    return pid


def finish(*processes):
    for pid in processes:
        _, status = os.waitpid(pid, 0)
        if status != 0:
            raise SystemExit(f"a process ended with {status}")


@contextlib.contextmanager
def background(*processes):
    time.sleep(0.3)
    yield
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def set_offloads(device, on):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in OFFLOADS:
            value = array.array("I", [command, on])
            request = struct.pack("16sP", device.encode(), value.buffer_info()[0])
            fcntl.ioctl(sock, SIOCETHTOOL, request.ljust(40, b"\0"))


@contextlib.contextmanager
def cable(mtu=1500, offload=False):
    for name in (NIC, PEER):
        run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", "wire", "netns", NIC, "mtu", str(mtu), "address", MAC[NIC], "type", "veth",
            "peer", "name", "wire", "netns", PEER, "mtu", str(mtu), "address", MAC[PEER])
        for name in (NIC, PEER):
            finish(inside(name, set_offloads, "wire", int(offload)))
            # Nothing says anything by itself before the recording has begun.
            run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                "net.ipv6.conf.wire.disable_ipv6=1", "net.ipv6.conf.all.use_tempaddr=0")
            run("ip", "-n", name, "address", "add", f"{ADDRESS[name]}/24", "dev", "wire")
            run("ip", "-n", name, "link", "set", "lo", "up")
            run("ip", "-n", name, "link", "set", "wire", "up")
        yield
    finally:
        for name in (NIC, PEER):
            run("ip", "netns", "delete", name)


@contextlib.contextmanager
def recorded(name):
    path = HERE / f"{name}.pcap"
    with tempfile.TemporaryDirectory() as folder:
        part = pathlib.Path(folder) / "part.pcap"
        dumpcap = subprocess.Popen(["ip", "netns", "exec", NIC, "dumpcap", "-q", "-P", "-i", "wire", "-w", part],
                                   stderr=subprocess.DEVNULL)
        while not part.exists():
            time.sleep(0.05)
        time.sleep(0.5)
        yield
        time.sleep(0.7)
        dumpcap.send_signal(signal.SIGINT)
        dumpcap.wait()
        path.write_bytes(part.read_bytes())
    print(f"{path.name}: {path.stat().st_size} bytes")


# Programs at either end.


def program(name, *command, fails=False):
    """Runs a program that everybody knows."""
    done = subprocess.run(["ip", "netns", "exec", name, *command], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    if (done.returncode == 0) == fails:
        raise SystemExit(f"{command} ended with {done.returncode}")


def web_server(address, size):
    class Page(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            page = (b"A page of a web server, to be read by curl. " * (size // 44 + 1))[:size]
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.write(page)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    Server((address, 80), Page).serve_forever()


def echo_server(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 7))
        while True:
            data, sender = sock.recvfrom(65535)
            sock.sendto(data, sender)


def datagrams(address, sizes, checksums=True):
    """Sends datagrams to the echo service and compares what comes back."""
    SO_NO_CHECK = 11
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, int(not checksums))
        for size in sizes:
            data = bytes(i * 7 + size & 0xFF for i in range(size))
            sock.sendto(data, (address, 7))
            if sock.recv(65535) != data:
                raise RuntimeError(f"{size} bytes came back otherwise")


def name_server(address):
    """Answers each question for an address with 192.0.2.2, and for any other type with nothing (RFC 1035)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 53))
        while True:
            query, sender = sock.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            found = query[end - 4:end - 2] == b"\0\1"
            answer = query[:2] + struct.pack("!5H", 0x8580, 1, int(found), 0, 0) + query[12:end]
            if found:
                answer += struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(ADDRESS[PEER])
            sock.sendto(answer, sender)


def resolve():
    """glibc's resolver, with a resolv.conf of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write(f"nameserver {ADDRESS[PEER]}\n")
        conf.flush()
        run("unshare", "--mount", "sh", "-c",
            f"mount --bind {conf.name} /etc/resolv.conf && exec getent ahosts www.ferrule.test",
            stdout=subprocess.DEVNULL)


def group_talk(name):
    """Joins groups, speaks to them and to everybody, leaves again."""
    mdns = struct.pack("!6H", 0, 0, 1, 0, 0, 0) + b"\7ferrule\5local\0" + struct.pack("!HH", 1, 1)
    search = b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n'
    own = socket.inet_aton(ADDRESS[name])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
        sock.bind(("", 5353))
        for group in ("224.0.0.251", "239.255.255.250"):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + own)
        sock.sendto(mdns, ("224.0.0.251", 5353))
        sock.sendto(search, ("239.255.255.250", 1900))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            other.sendto(b"is anybody there?", ("192.0.2.255", 9))
        time.sleep(1.2)
    time.sleep(1.2)


# Tags.


def tagger():
    """Between a TAP device and the cable: tags what comes from the one, untags what comes from the other."""
    TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
    SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 263, 8, 4
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"tagged", IFF_TAP | IFF_NO_PI))
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.bind(("wire", 3))
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    tag = struct.pack("!HH", 0x8100, PRIORITY << 13 | VLAN)
    while True:
        ready, _, _ = select.select([tap, wire], [], [])
        if tap in ready:
            frame = os.read(tap, 65536)
            wire.send(frame[:12] + tag + frame[12:])
        if wire in ready:
            frame, extra, _, sender = wire.recvmsg(65536, 256)
            if sender[2] == PACKET_OUTGOING:
                continue
            # The kernel has taken the tag out: tp_status, tp_len, tp_snaplen, tp_mac, tp_net, tp_vlan_tci, tp_vlan_tpid.
            for level, kind, data in extra:
                if (level, kind) == (SOL_PACKET, PACKET_AUXDATA) and struct.unpack("IIIHHHH", data)[5] & 0xFFF == VLAN:
                    os.write(tap, frame)


# Recordings.


def of_ipv4():
    with cable(), recorded("ipv4"):
        servers = [inside(PEER, web_server, ADDRESS[PEER], 9000), inside(NIC, web_server, ADDRESS[NIC], 700),
                   inside(PEER, echo_server, ADDRESS[PEER]), inside(PEER, name_server, ADDRESS[PEER])]
        with background(*servers):
            program(NIC, "ping", "-c", "2", "-i", "0.2", ADDRESS[PEER])
            for size in (0, 1, 1472, 1473, 4000):
                program(PEER, "ping", "-c", "1", "-s", str(size), ADDRESS[NIC])
            # Record Route, an option in the header.
            program(PEER, "ping", "-R", "-c", "1", ADDRESS[NIC])
            program(NIC, "curl", "-s", f"http://{ADDRESS[PEER]}/")
            program(PEER, "curl", "-s", f"http://{ADDRESS[NIC]}/", "-d", "x" * 3000)
            # Nobody listens there: a reset, and a port that is unreachable.
            program(PEER, "curl", "-s", f"http://{ADDRESS[NIC]}:81/", fails=True)
            program(NIC, "curl", "-s", f"http://{ADDRESS[PEER]}:81/", fails=True)
            finish(inside(NIC, resolve))
            finish(inside(NIC, datagrams, ADDRESS[PEER], UDP_SIZES))
            # Fragments, and datagrams without a checksum.
            finish(inside(NIC, datagrams, ADDRESS[PEER], (1473, 2960, 4001)))
            finish(inside(NIC, datagrams, ADDRESS[PEER], (5, 300), False))
            finish(inside(PEER, datagrams_to_nobody, ADDRESS[NIC]))


def datagrams_to_nobody(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"anybody?", (address, 9))
        time.sleep(0.2)


def of_ipv6():
    with cable(), recorded("ipv6"):
        for name in (NIC, PEER):
            run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.wire.disable_ipv6=0",
                "net.ipv6.conf.all.disable_ipv6=0")
            run("ip", "-n", name, "address", "add", f"{ADDRESS6[name]}/64", "dev", "wire")
        # Duplicate address detection.
        time.sleep(3)
        servers = [inside(PEER, web_server, ADDRESS6[PEER], 4000), inside(PEER, echo_server, ADDRESS6[PEER])]
        with background(*servers):
            program(NIC, "ping", "-c", "1", ADDRESS6[PEER])
            program(PEER, "ping", "-c", "1", "-s", "2000", ADDRESS6[NIC])
            program(NIC, "curl", "-s", f"http://[{ADDRESS6[PEER]}]/")
            program(NIC, "curl", "-s", f"http://[{ADDRESS6[PEER]}]:81/", fails=True)
            finish(inside(NIC, datagrams, ADDRESS6[PEER], (1, 100, 1452, 1453)))


def of_groups():
    with cable(), recorded("multicast"):
        for name in (PEER, NIC):
            run("ip", "-n", name, "route", "add", "default", "dev", "wire")
            finish(inside(name, group_talk, name))


def of_jumbo():
    with cable(mtu=9000), recorded("jumbo"):
        servers = [inside(PEER, web_server, ADDRESS[PEER], 14000), inside(PEER, echo_server, ADDRESS[PEER])]
        with background(*servers):
            program(NIC, "curl", "-s", f"http://{ADDRESS[PEER]}/")
            finish(inside(NIC, datagrams, ADDRESS[PEER], (8972,)))
            program(PEER, "ping", "-c", "1", "-s", "8000", ADDRESS[NIC])


def of_tags():
    with cable():
        taggers = [inside(name, tagger) for name in (NIC, PEER)]
        with background(*taggers):
            for name in (NIC, PEER):
                run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.tagged.disable_ipv6=1")
                run("ip", "-n", name, "link", "set", "tagged", "address", MAC[name])
                run("ip", "-n", name, "address", "add", f"{TAGGED[name]}/24", "dev", "tagged")
                run("ip", "-n", name, "link", "set", "tagged", "up")
            with recorded("vlan"):
                servers = [inside(PEER, web_server, TAGGED[PEER], 3000), inside(PEER, echo_server, TAGGED[PEER])]
                with background(*servers):
                    program(NIC, "ping", "-c", "1", TAGGED[PEER])
                    program(PEER, "ping", "-c", "1", "-s", "2000", TAGGED[NIC])
                    program(NIC, "curl", "-s", f"http://{TAGGED[PEER]}/")
                    finish(inside(NIC, datagrams, TAGGED[PEER], (0, 17, 18, 1472)))
                    # And some without a tag between them.
                    program(PEER, "ping", "-c", "1", ADDRESS[NIC])


def of_offload():
    with cable(offload=True), recorded("offload"):
        servers = [inside(PEER, web_server, ADDRESS[PEER], 1000), inside(PEER, echo_server, ADDRESS[PEER])]
        with background(*servers):
            program(NIC, "curl", "-s", f"http://{ADDRESS[PEER]}/")
            finish(inside(NIC, datagrams, ADDRESS[PEER], (1, 100)))
            program(PEER, "ping", "-c", "1", ADDRESS[NIC])


if __name__ == "__main__":
    for recording in (of_ipv4, of_ipv6, of_groups, of_jumbo, of_tags, of_offload):
        recording()
