//! What the language refuses: a script that is misread tests nothing.

use std::path::Path;

use crate::{run, script};

/// What goes wrong with a script of these lines after its first, as `line: what`.
fn trouble(lines: &str) -> String {
    let text = format!("# A rule.\n{lines}\n");
    let outcome = script::parse("x.pkt", &text, Path::new("nowhere")).and_then(|s| run::run(&s));
    outcome.map_or_else(|t| format!("{}: {}", t.place, t.what), |()| "none".into())
}

fn refuses(lines: &str, because: &str) {
    let trouble = trouble(lines);
    assert!(trouble.contains(because), "{lines}: {trouble}");
}

#[test]
fn unknown_words_are_refused_with_their_line() {
    refuses(
        "quiet\nfrobnicate x",
        "x.pkt:3: `frobnicate` is not understood",
    );
    refuses(
        "< . 1 ack 1 colour 3",
        "x.pkt:2: `colour` is not understood here",
    );
    refuses("< S 0 <mss 5,blue>", "x.pkt:2: `blue` is not a TCP option");
    refuses("< SX 0", "x.pkt:2: `SX` is no packet");
    refuses("config speed 9", "x.pkt:2: there is no setting speed");
    refuses(
        "listen l 80\nstate l = Open",
        "x.pkt:3: `Open` is nothing this call can give",
    );
    refuses("quiet\nconfig mtu 900", "x.pkt:3: `config` belongs before");
    refuses("include missing", "x.pkt:2: ");
    refuses("+1..2 quiet", "x.pkt:2: only a packet that is sent");
}

#[test]
fn numbers_that_do_not_add_up_are_refused() {
    refuses("< . 1:10(8) ack 1", "x.pkt:2: `1:10(8)` does not add up");
    refuses("< . 1 win 100", "x.pkt:2: a segment with ACK needs `ack N`");
    refuses("for i 1..2\nquiet", "x.pkt:2: no `end`");
}

#[test]
fn what_is_sent_and_not_expected_is_a_failure() {
    let syn = "listen l 80\n< S 0 win 900";
    refuses(syn, "x.pkt:3: nothing expected, came at 0.000000: > S. ");
    refuses(&format!("{syn}\nquiet"), "x.pkt:4: nothing expected");
    refuses(
        &format!("{syn}\n> S. 0 ack 2 <...>"),
        "another acknowledgment number expected; came: > S. 0:0(0) ack 1",
    );
    refuses(
        &format!("{syn}\n+1 > S. 0 ack 1 <...>"),
        "came 1s too early",
    );
    refuses(
        &format!("{syn}\n> S. 0 ack 1"),
        "no further options expected",
    );
    refuses("+1 > S 0", "x.pkt:2: nothing came");
}

#[test]
fn loops_and_sums_are_unrolled() {
    let flood = "listen l 80\nfor i 1..2\n< S 0 port $(1000+i*2) win 9\n> S. 0 ack 1 port $(1000+i*2) <...>\nend";
    assert_eq!(trouble(flood), "none");
    refuses("quiet\n< S 0 port $nobody", "x.pkt:3: no variable $nobody");
}
