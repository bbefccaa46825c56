"""Runs a module of CPython's own tests with a NIC's address in the place of localhost.

Usage: cpython.py ADDRESS MODULE. Says of each test a line: the outcome (pass, fail, skip), where its sockets were (nic, kernel), its name,
and what went wrong or why it was left out.
"""
import faulthandler
import importlib.machinery
import importlib.util
import ipaddress
import sys
import traceback
import unittest

from test import support
from test.support import socket_helper

ADDRESS, MODULE = sys.argv[1:]
LOOPBACK = "127.0.0.1"
# A test that hangs ends the run, with a trace that says which.
LONGEST = 60

# Where tests have their address from; the default of bind_port() was taken from it before.
socket_helper.HOST = socket_helper.HOSTv4 = ADDRESS
socket_helper.bind_port.__defaults__ = (ADDRESS,)
# Sockets, but nothing that takes a machine's leisure.
support.use_resources = ["network"]


class Literals(importlib.machinery.SourceFileLoader):
    """One module has the loopback's address in its text."""

    def get_data(self, path):
        return super().get_data(path).replace(b"'127.0.0.1'", repr(ADDRESS).encode())

    def path_stats(self, path):
        raise OSError("what was compiled of the text as it was does not count")


seen = set()


def audit(event, args):
    """Notes whose sockets a test uses: those of IPv4 and IPv6 are the NIC's until they are bound, connected or send to an address of the kernel's."""
    if event == "socket.__new__":
        _, family, kind, protocol = args
        if family in (-1, 2, 10) and kind & 0xF in (-1 & 0xF, 1, 2) and protocol in (-1, 0, 6, 17):
            seen.add("made")
    if event not in ("socket.bind", "socket.connect", "socket.sendto", "socket.sendmsg"):
        return
    match args[1]:
        case (str(host), int(_), *_):
            pass
        case _:
            return
    try:
        ip = ipaddress.ip_address(host or "0.0.0.0")
        ip = getattr(ip, "ipv4_mapped", None) or ip
        nics = ip.version == 4 and not ip.is_loopback or ip.is_unspecified
    except ValueError:
        nics = False
    seen.add("nic" if nics else "kernel")


def where():
    return "nic" if "nic" in seen or ("made" in seen and "kernel" not in seen) else "kernel"


class Lines(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        seen.clear()
        self.outcome = ("pass", "")
        # UDP-Lite is the kernel's, which does not have the NIC's address.
        if MODULE == "test_socket":
            address = LOOPBACK if "UDPLITE" in type(test).__name__ else ADDRESS
            module.HOST = module.InetTestBase.host = address
            socket_helper.bind_port.__defaults__ = (address,)
        faulthandler.dump_traceback_later(LONGEST, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        outcome, why = self.outcome
        why = " ".join(why.split()) or "-"
        print("outcome:", outcome, where(), test.id(), why, flush=True)
        super().stopTest(test)

    def addError(self, test, error):
        self.outcome = ("fail", "".join(traceback.format_exception_only(*error[:2])))
        traceback.print_exception(*error)

    addFailure = addError

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.addError(test, error)

    def addSkip(self, test, reason):
        self.outcome = ("skip", reason)

    def addUnexpectedSuccess(self, test):
        self.outcome = ("fail", "it was expected to fail")


spec = importlib.util.find_spec("test." + MODULE)
if MODULE == "test_epoll":
    spec.loader = Literals(spec.name, spec.origin)
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
if MODULE == "test_socket":
    # It waits for good, preloaded or not, where the hypervisor does not loop a guest's own sockets.
    unittest.skip("vsock is the hypervisor's")(module.ThreadedVSOCKSocketStreamTest)
sys.addaudithook(audit)
unittest.defaultTestLoader.loadTestsFromModule(module).run(Lines())
