//! The exported Verilog of the neighbour block, run by Icarus Verilog, does in each cycle what the native simulation does.
use super::harness::{word, Bench, Dice};
use ferrule_rtl::neigh::engine::Neigh;
use ferrule_test_tools::have;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::process::Command;
use std::rc::Rc;

/// A port as the Verilog declares it.
struct Port {
    is_output: bool,
    width: usize,
    name: String,
}

fn ports(text: &str) -> Vec<Port> {
    let module = text.split("module neigh(").nth(1).expect("module");
    let module = module.split("endmodule").next().expect("its text");
    module
        .lines()
        .map(|l| l.trim().trim_end_matches(';'))
        .filter(|l| l.starts_with("input ") || l.starts_with("output "))
        .map(|p| {
            let words: Vec<_> = p.split_whitespace().collect();
            let width = words
                .iter()
                .find_map(|w| w.strip_prefix('[')?.strip_suffix(":0]"))
                .map_or(1, |w| w.parse::<usize>().expect("a width") + 1);
            Port {
                is_output: words[0] == "output",
                width,
                name: (*words.last().expect("a name")).to_owned(),
            }
        })
        .filter(|p| p.name != "clock")
        .collect()
}

/// A port's value in the native simulation; `None` where it means nothing in this cycle.
fn value(u: &Neigh, name: &str) -> Option<u64> {
    let (base, index) = name
        .split_once(|c: char| c.is_ascii_digit())
        .map_or((name, 0), |(b, _)| {
            (b, name[b.len()..].parse().expect("an index"))
        });
    let base = base.trim_end_matches(['$', '_']);
    let notice = u.notice.valid.val();
    let answer = u.lookup.done.val();
    let hit = answer && u.lookup.hit.val();
    let always = match base {
        "reset" => u64::from(u.reset.val()),
        "enable" => u64::from(u.enable.val()),
        "mac_lo" => u.mac_lo.val().to_u64(),
        "mac_hi" => u.mac_hi.val().to_u64(),
        "arpctl" => u.arpctl.val().to_u64(),
        "arptime" => u.arptime.val().to_u64(),
        "local_addr" => u.local_addr[index].val().to_u64(),
        "local_mask" => u.local_mask[index].val().to_u64(),
        "gateway" => u.gateway[index].val().to_u64(),
        "now" => u.now.val().to_u64(),
        "arp$op" => u.arp.op.val().to_u64(),
        "arp$sha_lo" => u.arp.sha_lo.val().to_u64(),
        "arp$sha_hi" => u.arp.sha_hi.val().to_u64(),
        "arp$spa" => u.arp.spa.val().to_u64(),
        "arp$tpa" => u.arp.tpa.val().to_u64(),
        "arp$valid" => u64::from(u.arp.valid.val()),
        "lookup$ip" => u.lookup.ip.val().to_u64(),
        "lookup$next_hop" => u.lookup.next_hop.val().to_u64(),
        "lookup$valid" => u64::from(u.lookup.valid.val()),
        "lookup$done" => u64::from(answer),
        "lookup$hit" => return answer.then_some(u64::from(hit)),
        "lookup$mac_lo" => return hit.then(|| u.lookup.mac_lo.val().to_u64()),
        "lookup$mac_hi" => return hit.then(|| u.lookup.mac_hi.val().to_u64()),
        "lookup$address" => return (answer && !hit).then(|| u.lookup.address.val().to_u64()),
        "event_hold" => u64::from(u.event_hold.val()),
        "notice$failed" => return notice.then_some(u64::from(u.notice.failed.val())),
        "notice$address" => return notice.then(|| u.notice.address.val().to_u64()),
        "notice$valid" => u64::from(notice),
        "notice$ready" => u64::from(u.notice.ready.val()),
        // The derived name of an interface's field is the field's; d0 and d1 end in digits.
        "frame$d" if index == 0 => u.frame.d0.val().to_u64(),
        "frame$d" => u.frame.d1.val().to_u64(),
        "frame$keep" => u.frame.keep.val().to_u64(),
        "frame$last" => u64::from(u.frame.last.val()),
        "frame$valid" => u64::from(u.frame.valid.val()),
        "frame$ready" => u64::from(u.frame.ready.val()),
        "deadline" => return u.deadline_valid.val().then(|| u.deadline.val().to_u64()),
        "deadline_valid" => u64::from(u.deadline_valid.val()),
        "events" => u.events.val().to_u64(),
        "busy" => u64::from(u.busy.val()),
        _ => panic!("a port that this test does not know: {name}"),
    };
    Some(always)
}

/// One line of bits for a cycle: inputs, then outputs, unknown where they do not count.
fn row(u: &Neigh, ports: &[Port]) -> String {
    let mut line = String::new();
    for p in ports {
        match value(u, &p.name) {
            Some(v) => write!(line, "{v:0width$b}", width = p.width).expect("fits"),
            None => line.extend(std::iter::repeat_n('x', p.width)),
        }
    }
    line
}

fn testbench(ports: &[Port], cycles: usize) -> String {
    let total: usize = ports.iter().map(|p| p.width).sum();
    let outputs: usize = ports.iter().filter(|p| p.is_output).map(|p| p.width).sum();
    let mut pins = String::new();
    let mut high = total;
    for p in ports {
        let (hi, lo) = (high - 1, high - p.width);
        let from = if p.is_output { "got" } else { "row" };
        writeln!(pins, ", .{}({from}[{hi}:{lo}])", p.name).expect("fits");
        high = lo;
    }
    format!(
        "`timescale 1ns/1ns\nmodule tb;\nreg [{top}:0] rows [0:{last}];\nreg [{top}:0] row;\n\
         wire [{out}:0] got;\nreg clock = 0;\ninteger i;\n\
         neigh dut(.clock(clock){pins});\n\
         initial begin\n$readmemb(\"rows\", rows);\n\
         for (i = 0; i < {cycles}; i = i + 1) begin\nrow = rows[i]; #4;\n\
         if (i > 0 && !(got ==? row[{out}:0])) begin\n\
         $display(\"cycle %0d\\n%b\\n%b\", i, got, row[{out}:0]); $finish; end\n\
         #1 clock = 1; #5 clock = 0;\nend\nif (i == {cycles}) $display(\"EQUAL\");\n$finish;\nend\nendmodule\n",
        top = total - 1,
        last = cycles - 1,
        out = outputs - 1,
    )
}

fn icarus(text: &str, tb: &str, rows: &[String]) -> String {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = |n: &str| dir.path().join(n);
    std::fs::write(path("neigh.v"), text).expect("write");
    std::fs::write(path("tb.v"), tb).expect("write");
    std::fs::write(path("rows"), rows.join("\n")).expect("write");
    let built = Command::new("iverilog")
        .args(["-g2012", "-s", "tb", "-o", "sim", "tb.v", "neigh.v"])
        .current_dir(&dir)
        .output()
        .expect("iverilog runs");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let run = Command::new("vvp")
        .args(["-n", "sim"])
        .current_dir(&dir)
        .output()
        .expect("vvp runs");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

#[test]
fn icarus_agrees_cycle_by_cycle() {
    if !have(&["iverilog"]) {
        return;
    }
    let text = ferrule_rtl::verilog::emit::<Neigh>("neigh").expect("emits");
    let mut ports = ports(&text);
    ports.sort_by_key(|p| p.is_output);
    let rows = Rc::new(RefCell::new(Vec::new()));
    let mut b = Bench::new();
    // Both start from reset: the first cycle's outputs are from before it.
    let (ports, sink) = (Rc::new(ports), rows.clone());
    let names = ports.clone();
    b.watch = Some(Box::new(move |u| sink.borrow_mut().push(row(u, &names))));
    b.local(0, "10.0.0.1", 8);
    b.local(6, "172.16.3.4", 31);
    b.gateway(4, "172.16.3.5");
    b.dut.u.arptime.next = word(60 | 20 << 16);
    b.reset();
    (b.frame_ready, b.notice_ready) = (60, 50);
    let mut dice = Dice::new(0x5EED);
    for _ in 0..6000 {
        let ip = match dice.next() % 4 {
            0 => Ipv4Addr::from_bits(dice.next() as u32),
            1 => Ipv4Addr::new(10, 0, 0, (dice.next() % 9) as u8),
            _ => Ipv4Addr::new(10, (dice.next() % 6) as u8, 1, 7),
        };
        if !b.dut.u.lookup.valid.val() && dice.percent(10) {
            b.ask(ip, dice.next() % 8 * (dice.next() % 2));
        } else if dice.percent(8) {
            let own = Ipv4Addr::new(10, 0, 0, 1);
            b.present(super::harness::Arp {
                op: (dice.next() % 4) as u16,
                sha: [2, 0, 0, (dice.next() % 3) as u8, 0, 1],
                spa: ip,
                tpa: if dice.percent(70) { own } else { ip },
            });
        }
        if dice.percent(10) {
            b.now = b.now.wrapping_add(1);
        }
        if dice.next().is_multiple_of(1000) {
            b.flush();
        }
        b.dut.u.event_hold.next = dice.percent(5);
        b.cycle();
    }
    b.watch = None;
    let mut rows = rows.take();
    let tb = testbench(&ports, rows.len());
    let said = icarus(&text, &tb, &rows);
    assert!(said.contains("EQUAL"), "{said}");
    assert!(b.frames.len() > 50 && b.notices.len() > 20);
    // The comparison bites: one wrong bit of `busy` is found.
    let last = rows.last_mut().expect("a cycle");
    let flipped = if last.ends_with('0') { "1" } else { "0" };
    last.replace_range(last.len() - 1.., flipped);
    assert!(!icarus(&text, &tb, &rows).contains("EQUAL"));
}
