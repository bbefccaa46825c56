//! Constraints: pins, clocks, exceptions.
//!
//! One property a line and one port a property, because nextpnr-xilinx reads nothing else; what it does not know it passes over.
use std::fmt::Write as _;

use super::description::{Board, Clock, Direction, Origin, Pad};

/// The constraints of a board.
pub fn write(board: &Board) -> String {
    let mut x = String::new();
    let out = &mut x;
    line(
        out,
        &format!(
            "# {}, {}: constraints of the top module {}.",
            board.title,
            board.part,
            board.module()
        ),
    );
    line(out, "# Pins and standards are facts from:");
    for source in board.sources {
        line(out, &format!("#   {source}"));
    }
    line(out, "# Nothing of this has run on silicon.");
    pins(out, board);
    clocks(out, board);
    crossings(out, board);
    edges(out, board);
    x
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn pins(out: &mut String, board: &Board) {
    line(out, "\n# Pins");
    for port in board.ports {
        for (bit, pin) in port.bits() {
            let mut set = |property: &str, value: &str| {
                line(
                    out,
                    &format!("set_property {property} {value} [get_ports {{{bit}}}]"),
                );
            };
            set("PACKAGE_PIN", pin);
            if let Pad::Bank(standard) = port.pad {
                set("IOSTANDARD", standard);
            }
            if let Some(drive) = port.fast {
                set("SLEW", "FAST");
                set("DRIVE", &drive.to_string());
            }
            if port.direction == Direction::InOut {
                // MDIO is open, and pulled up on the board or not (IEEE 802.3 clause 22.2.2.14).
                set("PULLUP", "TRUE");
            }
        }
    }
}

/// Picoseconds as nanoseconds.
fn ns(ps: u32) -> String {
    format!("{}.{:03}", ps / 1_000, ps % 1_000)
}

/// How a constraint names a clock.
fn named(clock: &Clock) -> String {
    match clock.origin {
        Origin::Port(_) | Origin::Divided(..) => format!("[get_clocks {}]", clock.name),
        Origin::Net(net) => format!("[get_clocks -of_objects [get_nets {net}]]"),
    }
}

fn clocks(out: &mut String, board: &Board) {
    line(out, "\n# Clocks");
    for clock in board.clocks {
        let (name, period) = (clock.name, ns(clock.period_ps));
        match clock.origin {
            Origin::Port(port) => line(
                out,
                &format!("create_clock -name {name} -period {period} [get_ports {port}]"),
            ),
            Origin::Net(net) => line(
                out,
                &format!("# {name}: {period} ns on the net {net}, which the tools derive"),
            ),
            Origin::Divided(register, by) => line(
                out,
                &format!(
                    "create_generated_clock -name {name} -source [get_pins {register}/C] -divide_by {by} [get_pins {register}/Q]"
                ),
            ),
        }
    }
    if !board.exclusive.is_empty() {
        line(
            out,
            "# One of them runs at a time: a multiplexer chooses by the link's speed.",
        );
        let groups = board
            .exclusive
            .iter()
            .fold(String::new(), |mut groups, names| {
                let [pins, clocks]: [Vec<&str>; 2] = [true, false].map(|pin| {
                    let of = |name: &&&str| name.contains('/') == pin;
                    names.iter().filter(of).copied().collect()
                });
                let mut members = vec![];
                if !pins.is_empty() {
                    members.push(format!(
                        "[get_clocks -of_objects [get_pins {{{}}}]]",
                        pins.join(" ")
                    ));
                }
                if !clocks.is_empty() {
                    members.push(format!("[get_clocks {{{}}}]", clocks.join(" ")));
                }
                let _ = write!(groups, " -group {}", members.join(" "));
                groups
            });
        line(
            out,
            &format!("set_clock_groups -logically_exclusive{groups}"),
        );
    }
}

fn crossings(out: &mut String, board: &Board) {
    line(
        out,
        "\n# Crossings between clocks: through synchronisers and gray pointers, whose bits may differ by less than a period.",
    );
    for pair in board.crossings {
        let [Some(a), Some(b)] = pair.map(|name| board.clock(name)) else {
            continue;
        };
        let most = ns(a.period_ps.min(b.period_ps));
        for (from, to) in [(a, b), (b, a)] {
            line(
                out,
                &format!(
                    "set_max_delay -datapath_only {most} -from {} -to {}",
                    named(from),
                    named(to)
                ),
            );
        }
    }
}

fn edges(out: &mut String, board: &Board) {
    for delay in board.inputs {
        line(out, &format!("\n# {}", delay.source));
        let ports: Vec<String> = delay
            .ports
            .iter()
            .map(|name| {
                let port = board.ports.iter().find(|p| p.name == *name);
                let bus = port.is_some_and(|p| p.pins.len() > 1);
                format!("{name}{}", if bus { "[*]" } else { "" })
            })
            .collect();
        let ports = ports.join(" ");
        let edges: &[&str] = match delay.both_edges {
            true => &["", " -clock_fall -add_delay"],
            false => &[""],
        };
        for edge in edges {
            for (bound, ps) in [("-min", delay.min_ps), ("-max", delay.max_ps)] {
                line(
                    out,
                    &format!(
                        "set_input_delay -clock [get_clocks {}]{edge} {bound} {} [get_ports {{{ports}}}]",
                        delay.clock,
                        ns(ps)
                    ),
                );
            }
        }
    }
    line(out, "\n# Slow pins, without timing");
    for port in board.ports.iter().filter(|p| p.untimed) {
        let star = if port.pins.len() > 1 { "[*]" } else { "" };
        let ways: &[&str] = match port.direction {
            Direction::In => &["-from"],
            Direction::Out => &["-to"],
            Direction::InOut => &["-from", "-to"],
        };
        for way in ways {
            line(
                out,
                &format!("set_false_path {way} [get_ports {{{}{star}}}]", port.name),
            );
        }
    }
}
