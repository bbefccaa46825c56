//! What a program sets on a connection.

use core::time::Duration;

use super::KeepAlive;

/// The options of one TCP socket.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Options {
    /// TCP_NODELAY: small segments go out at once.
    pub(crate) nodelay: bool,
    /// TCP_CORK: only full segments go out, for a while.
    pub(crate) cork: bool,
    /// TCP_QUICKACK: acknowledgments are not delayed.
    pub(crate) quick_ack: bool,
    pub(crate) keep_alive: Option<KeepAlive>,
    /// TCP_USER_TIMEOUT (RFC 5482).
    pub(crate) user_timeout: Option<Duration>,
    /// TCP_SYNCNT.
    pub(crate) syn_retransmits: Option<u8>,
    /// The program has chosen the size of the buffer: it is not tuned.
    pub(crate) send_buffer_locked: bool,
    pub(crate) recv_buffer_locked: bool,
}
