//! All of a connection's state as text, for tests of two connections that must be alike.

use core::fmt::Write;

use super::recovery::{Phase, Recovery};
use super::Tcb;
use crate::payload::Payload;

impl<B: Payload> Tcb<B> {
    /// Whatever can ever be seen of the connection, and what its future follows from.
    pub(crate) fn state_text(&self) -> String {
        // Named one by one, so that a new field is not forgotten.
        let Tcb {
            flow,
            state,
            accepting,
            orphan,
            error,
            soft_error,
            options,
            send_buffer_locked,
            recv_buffer_locked,
            iss,
            snd_una,
            snd_nxt,
            snd_max,
            snd_wnd,
            snd_wl1,
            snd_wl2,
            snd_shift,
            max_snd_wnd,
            mss,
            send,
            fin_queued,
            fin_sent,
            wants_room,
            irs,
            rcv_nxt,
            rcv_adv,
            rcv_shift,
            rcv_pos,
            recv,
            ahead,
            sacks,
            tuning,
            peer_fin,
            fin_received,
            read_shutdown,
            advertised_mss,
            path_mss,
            sack_permitted,
            timestamps,
            timestamp_offset,
            ecn,
            rto,
            syn_sent_at,
            sample_after,
            congestion,
            // Long: see has_board_of().
            board: _,
            // Only the short way has bursts.
            burst_end: _,
            rack,
            recovery,
            window_full_at,
            last_send,
            progress_at,
            heard_at,
            data_at,
            retransmits,
            total_retransmits,
            parked,
            rto_at,
            tail_probe_at,
            reorder_at,
            delayed_ack_at,
            linger_at,
            keep_alive_at,
            keep_alive_probes,
            // Only when it is asked differs; what it says is checked beside this.
            usual: _,
            ack_now,
            probe_now,
            tail_probe_now,
            keep_alive_now,
            unacked_octets,
            challenge_since,
            challenges,
        } = self;
        let mut text = String::new();
        let mut line = |part: core::fmt::Arguments<'_>| {
            let _ = writeln!(text, "{part}");
        };
        line(format_args!(
            "{flow:?} {state:?} {accepting:?} {orphan} {error:?} {soft_error:?}"
        ));
        line(format_args!(
            "{options:?} {send_buffer_locked} {recv_buffer_locked}"
        ));
        line(format_args!(
            "snd {iss:?} {snd_una:?} {snd_nxt:?} {snd_max:?} {snd_wnd} {snd_wl1:?} {snd_wl2:?} {snd_shift} {max_snd_wnd} {mss}"
        ));
        line(format_args!(
            "send {} {} {fin_queued} {fin_sent} {wants_room}",
            send.len(),
            send.capacity()
        ));
        line(format_args!(
            "rcv {irs:?} {rcv_nxt:?} {rcv_adv:?} {rcv_shift} {rcv_pos} {} {} {}",
            recv.len(),
            recv.capacity(),
            ahead.is_empty()
        ));
        line(format_args!(
            "{sacks:?} {tuning:?} {peer_fin:?} {fin_received} {read_shutdown} {advertised_mss} {path_mss}"
        ));
        line(format_args!(
            "{sack_permitted} {timestamps:?} {timestamp_offset} {ecn:?}"
        ));
        line(format_args!(
            "{rto:?} {syn_sent_at:?} {sample_after:?} {congestion:?}"
        ));
        line(format_args!("{rack:?}"));
        line(format_args!("{}", recovery_text(recovery)));
        line(format_args!(
            "{window_full_at:?} {last_send:?} {progress_at:?} {heard_at:?} {data_at:?}"
        ));
        line(format_args!("{retransmits} {total_retransmits} {parked}"));
        line(format_args!(
            "timers {rto_at:?} {tail_probe_at:?} {reorder_at:?} {delayed_ack_at:?} {linger_at:?} {keep_alive_at:?} \
             {keep_alive_probes}"
        ));
        line(format_args!(
            "now {ack_now} {probe_now} {tail_probe_now} {keep_alive_now} {unacked_octets}"
        ));
        line(format_args!("{challenge_since:?} {challenges}"));
        text
    }

    /// What is in flight is the same as of `other`.
    pub(crate) fn has_board_of(&self, other: &Tcb<B>) -> bool {
        self.board == other.board
    }
}

/// Octets sent since a reduction began mean nothing while there is none.
fn recovery_text(recovery: &Recovery) -> String {
    let text = format!("{recovery:?}");
    let reducing = matches!(recovery.phase, Phase::Reducing | Phase::Recovery);
    match text.split_once("prr_out: ") {
        Some((before, after)) if !reducing => {
            format!("{before}{}", after.trim_start_matches(char::is_numeric))
        }
        _ => text,
    }
}
