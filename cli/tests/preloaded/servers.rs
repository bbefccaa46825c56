//! nginx, with wrk as its load, and redis, with its own benchmark.
use std::fs;

use crate::lan::{assert_same, said, stdout, Lan, On, NIC};

#[test]
fn nginx_serves_files_with_two_workers() {
    let Some(lan) = Lan::new("nginx", &["nginx", "curl", "wrk"]) else {
        return;
    };
    let file = lan.file("file", 3_000_000);
    fs::write(lan.path("index.html"), "a page\n").expect("writes a page");
    // Its workers are other users elsewhere; here the folder is of one alone.
    let here = lan.path("").display().to_string();
    let config = format!(
        "worker_processes 2; daemon off; user root; pid {here}/pid; error_log {here}/error.log warn;
         events {{ worker_connections 512; }}
         http {{
             access_log off; sendfile on; client_body_temp_path {here}/a; proxy_temp_path {here}/b;
             fastcgi_temp_path {here}/c; uwsgi_temp_path {here}/d; scgi_temp_path {here}/e;
             server {{ listen 8080; root {here}; }}
         }}"
    );
    fs::write(lan.path("nginx.conf"), config).expect("writes the configuration");
    let mut nginx = lan.program(On::Nic, "nginx");
    nginx.arg("-c").arg(lan.path("nginx.conf"));
    nginx.arg("-e").arg(lan.path("error.log"));
    let nginx = lan.start("nginx", nginx);
    lan.wait_for_tcp(8080);
    for on in [On::Kernel, On::Nic] {
        let mut curl = lan.program(on, "curl");
        curl.args(["-sS", "--noproxy", "*", "--fail"]);
        curl.arg(format!("http://{NIC}:8080/file"));
        assert_same(&stdout(curl), &file, "a file with sendfile");
        let mut wrk = lan.program(on, "wrk");
        wrk.args(["-t2", "-c16", "-d1s", &format!("http://{NIC}:8080/")]);
        let said = String::from_utf8(stdout(wrk)).expect("text");
        let requests = said.lines().find_map(|line| {
            let (count, _) = line.trim().split_once(" requests in")?;
            count.parse::<u64>().ok()
        });
        assert!(requests.is_some_and(|requests| requests > 0), "{said}");
        // Its lines for what went wrong.
        assert!(!said.contains("Socket errors"), "{said}");
        assert!(!said.contains("Non-2xx"), "{said}");
    }
    nginx.terminate();
    let output = nginx.end();
    let errors = fs::read_to_string(lan.path("error.log")).unwrap_or_default();
    assert!(output.status.success(), "{}{errors}", said(&output));
    assert!(!errors.contains("[alert]"), "{errors}");
}

#[test]
fn redis_answers_every_request_of_its_benchmark() {
    let Some(lan) = Lan::new("redis", &["redis-server", "redis-benchmark", "redis-cli"]) else {
        return;
    };
    const REQUESTS: u32 = 2_000;
    let mut server = lan.program(On::Nic, "redis-server");
    server.args(["--port", "6379", "--bind", "0.0.0.0", "--save", ""]);
    server.args(["--appendonly", "no", "--protected-mode", "no"]);
    let server = lan.start("redis", server);
    lan.wait_for_tcp(6379);
    let cli = |on, host: &str, args: &[&str]| {
        let mut cli = lan.program(on, "redis-cli");
        cli.args(["-h", host, "-p", "6379"]).args(args);
        String::from_utf8(stdout(cli)).expect("text")
    };
    for (on, host) in [(On::Kernel, NIC), (On::Nic, NIC), (On::Kernel, "127.0.0.1")] {
        cli(on, host, &["config", "resetstat"]);
        let mut bench = lan.program(on, "redis-benchmark");
        bench.args(["-h", host, "-p", "6379", "-t", "set,get", "-q"]);
        bench.args(["-n", &REQUESTS.to_string(), "-c", "20"]);
        stdout(bench);
        let stats = cli(on, host, &["info", "commandstats"]);
        for command in ["set", "get"] {
            let counted = format!("cmdstat_{command}:calls={REQUESTS},");
            assert!(stats.contains(&counted), "{on:?} {host}: {stats}");
        }
    }
    assert_eq!(cli(On::Nic, "127.0.0.1", &["ping"]).trim(), "PONG");
    server.terminate();
    let output = server.end();
    assert!(output.status.success(), "{}", said(&output));
}
