//! HTTP: curl, wget and Python's own client and server, on either side and on both.
use crate::lan::{assert_same, said, stdout, Lan, On, Started, KERNEL, NIC, PYTHON};

/// More than all windows and buffers on the way.
const LEN: usize = 3_000_000;

/// Python's HTTP server with a file.
fn http_server(lan: &Lan, on: On, port: u16, bind: &str) -> Started {
    let mut server = lan.program(on, PYTHON);
    let port_arg = port.to_string();
    server.args(["-m", "http.server", &port_arg, "--bind", bind]);
    let started = lan.start(&format!("http.{port}"), server);
    lan.wait_for_tcp(port);
    started
}

fn curl(lan: &Lan, on: On, url: &str) -> Vec<u8> {
    let mut curl = lan.program(on, "curl");
    curl.args(["-sS", "--noproxy", "*", url]);
    stdout(curl)
}

#[test]
fn curl_wget_and_python_fetch_from_the_kernel() {
    let Some(lan) = Lan::new("fetch", &["curl", "wget"]) else {
        return;
    };
    let file = lan.file("file", LEN);
    let _server = http_server(&lan, On::Kernel, 8000, KERNEL);
    let url = format!("http://{KERNEL}:8000/file");
    assert_same(&curl(&lan, On::Nic, &url), &file, "curl");
    let mut wget = lan.program(On::Nic, "wget");
    wget.args(["-q", "--no-proxy", "-O", "-", &url]);
    assert_same(&stdout(wget), &file, "wget");
    let mut python = lan.program(On::Nic, PYTHON);
    let fetch = "import sys, urllib.request as r
o = r.build_opener(r.ProxyHandler({}))
sys.stdout.buffer.write(o.open(sys.argv[1]).read())";
    python.args(["-c", fetch, &url]);
    assert_same(&stdout(python), &file, "urllib");
}

#[test]
fn curl_says_why_it_cannot_connect() {
    let Some(lan) = Lan::new("refused", &["curl"]) else {
        return;
    };
    for (on, to) in [
        (On::Nic, On::Kernel),
        (On::Kernel, On::Nic),
        (On::Nic, On::Nic),
    ] {
        let mut curl = lan.program(on, "curl");
        let url = format!("http://{}:9/", to.address());
        let output = curl.args(["-sS", "--noproxy", "*", &url]).output();
        let output = output.expect("curl runs");
        // curl(1): 7 is "failed to connect to host".
        assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    }
}

#[test]
fn a_server_on_all_addresses_is_there_for_the_wire_itself_and_the_loopback() {
    let Some(lan) = Lan::new("serve", &["curl"]) else {
        return;
    };
    let file = lan.file("file", LEN);
    let _server = http_server(&lan, On::Nic, 8000, "0.0.0.0");
    let through_nic = format!("http://{NIC}:8000/file");
    let loopback = "http://127.0.0.1:8000/file";
    for (on, url) in [
        (On::Kernel, through_nic.as_str()),
        (On::Nic, &through_nic),
        (On::Kernel, loopback),
        (On::Nic, loopback),
    ] {
        assert_same(&curl(&lan, on, url), &file, &format!("{on:?} {url}"));
    }
}

#[test]
fn a_server_on_all_addresses_of_ipv6_is_there_for_ipv4_too() {
    let Some(lan) = Lan::new("v6", &["curl"]) else {
        return;
    };
    let file = lan.file("file", 100_000);
    let _server = http_server(&lan, On::Nic, 8000, "::");
    for url in [
        &format!("http://{NIC}:8000/file"),
        "http://127.0.0.1:8000/file",
        "http://[::1]:8000/file",
    ] {
        assert_same(&curl(&lan, On::Kernel, url), &file, url);
    }
}

#[test]
fn a_server_on_one_address_is_there_for_that_alone() {
    let Some(lan) = Lan::new("one", &["curl"]) else {
        return;
    };
    let file = lan.file("file", 100_000);
    // Its port is not to be seen on the loopback: one on all addresses that starts later is the sign.
    let mut server = lan.program(On::Nic, PYTHON);
    server.args([
        "-c",
        "import http.server as h
s = h.HTTPServer(('10.9.0.2', 8000), h.SimpleHTTPRequestHandler)
import socket
sign = socket.create_server(('', 8001))
s.serve_forever()",
    ]);
    let _server = lan.start("http", server);
    lan.wait_for_tcp(8001);
    let url = format!("http://{NIC}:8000/file");
    assert_same(&curl(&lan, On::Kernel, &url), &file, &url);
    let mut curl = lan.program(On::Kernel, "curl");
    let output = curl.args(["-sS", "http://127.0.0.1:8000/file"]).output();
    let output = output.expect("curl runs");
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
}
