//! A listener whose SYN queue is full: cookies go out in SYN-ACKs, and come back in ACKs (RFC 4987 section 3.6).

use super::ip_input::Arrival;
use super::socket::{Entry, Kind};
use super::Stack;
use crate::packet::Token;
use crate::payload::Payload;
use crate::slab::Key;
use crate::tcp::listener::HalfOpen;
use crate::tcp::syn_cookie::{self, Offer};
use crate::tcp::timestamps::Timestamps;
use crate::tcp::{Flow, Handshake, Start};
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader};

impl<B: Payload> Stack<B> {
    /// Answers a SYN and keeps nothing of it.
    pub(super) fn send_cookie(
        &mut self,
        now: Instant,
        listener: (Key, Option<usize>),
        flow: Flow,
        syn: &TcpHeader,
    ) {
        let mut syn = *syn;
        if syn.timestamps.is_none() || !self.config.tcp.timestamps {
            // Without timestamps there is no place to keep these.
            syn.window_scale = None;
            syn.sack_permitted = false;
            syn.flags = Flags::SYN;
        }
        let mss = syn.mss.unwrap_or(crate::tcp::DEFAULT_MSS);
        let iss = syn_cookie::make(&self.secrets, now, &flow, syn.seq, mss);
        let start = self.tcp_start(&flow, iss);
        let answer = HalfOpen::new(&self.config.tcp, listener, flow, &syn, iss, now);
        let mut header = answer.syn_ack(now, &self.config.tcp, &start);
        if let Some(option) = &mut header.timestamps {
            option.value = answer.offer().stamp(now, start.timestamp_offset);
        }
        self.stats.tcp_syn_cookies_sent += 1;
        let marks = self.listener_marks(listener.0);
        self.reply(&flow, &header, Token::NOBODY, marks);
    }

    /// True while an ACK without a connection may bring a cookie of the listener's.
    pub(super) fn cookies_are_out(&self, now: Instant, key: Key) -> bool {
        match self.sockets.get(key).map(|e| &e.kind) {
            Some(Kind::Listener(listener)) => listener
                .overflowed_at
                .is_some_and(|at| now - at < syn_cookie::LIFETIME),
            _ => false,
        }
    }

    /// An ACK at such a listener: with a good cookie it opens a connection.
    pub(super) fn on_cookie(
        &mut self,
        now: Instant,
        key: Key,
        flow: Flow,
        h: &TcpHeader,
        arrival: &mut Arrival<'_, B>,
    ) {
        let Some((start, handshake)) = self.agreed_by_cookie(now, key, &flow, h) else {
            self.stats.tcp_syn_cookies_failed += 1;
            self.send_stray_reset(now, &flow, h, arrival.data.len());
            return;
        };
        if self.has_room(key) != Some(true) {
            // Ignored as any last ACK is: what the peer sends next brings the cookie too.
            self.stats.dropped_accept_queue_full += 1;
            return;
        }
        self.stats.tcp_syn_cookies_received += 1;
        self.open_passive(now, key, (flow, start, handshake), h, arrival, None);
    }

    /// What the two sides agreed on, from the ACK alone.
    fn agreed_by_cookie(
        &self,
        now: Instant,
        key: Key,
        flow: &Flow,
        h: &TcpHeader,
    ) -> Option<(Start, Handshake)> {
        let Some(Entry {
            kind: Kind::Listener(listener),
            ..
        }) = self.sockets.get(key)
        else {
            return None;
        };
        let config = &self.config.tcp;
        let (irs, iss) = (h.seq - 1, h.ack - 1);
        let peer_mss = syn_cookie::check(&self.secrets, now, flow, irs, iss)?;
        let start = self.tcp_start(flow, iss);
        let offset = start.timestamp_offset;
        let stamps = h.timestamps.filter(|_| config.timestamps);
        let offer = match stamps {
            Some(option) => Offer::read(now, offset, option.echo)?,
            None => Offer::NOTHING,
        };
        let window = crate::tcp::listener::first_window(config, listener.recv_buffer);
        let handshake = Handshake {
            irs,
            peer_mss,
            shifts: offer
                .peer_shift
                .map(|peer| (crate::tcp::window_shift(config), peer)),
            rcv_adv: h.seq + u32::from(window),
            retransmitted: false,
            sent_at: None,
            sack_permitted: offer.sack_permitted && config.sack,
            timestamps: stamps.map(|option| Timestamps::new(offset, option.value, now, h.seq)),
            ecn: offer.ecn && config.ecn != crate::config::Ecn::Never,
        };
        Some((start, handshake))
    }
}
