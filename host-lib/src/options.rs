//! Options that several kinds of socket have, beyond those of std::net.

/// Options of every socket: buffers, IP_TTL and IP_TOS.
macro_rules! buffers_and_marks {
    ($type:ident) => {
        impl $type {
            /// Sets how many bytes the socket holds unsent (SO_SNDBUF, without Linux's doubling); a size once set is not tuned.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn set_send_buffer_size(&self, bytes: usize) -> std::io::Result<()> {
                self.socket
                    .once(|core, _, id| core.stack.set_send_buffer(id, bytes))
            }

            /// How many bytes the socket holds unsent.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn send_buffer_size(&self) -> std::io::Result<usize> {
                self.socket.once(|core, _, id| core.stack.send_buffer(id))
            }

            /// Sets how many bytes the socket holds unread (SO_RCVBUF, without Linux's doubling); a size once set is not tuned.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn set_recv_buffer_size(&self, bytes: usize) -> std::io::Result<()> {
                self.socket
                    .once(|core, now, id| core.stack.set_recv_buffer(now, id, bytes))
            }

            /// How many bytes the socket holds unread.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn recv_buffer_size(&self) -> std::io::Result<usize> {
                self.socket.once(|core, _, id| core.stack.recv_buffer(id))
            }

            /// Sets the time to live of what is sent to single hosts (IP_TTL). A listener's is that of the connections it accepts.
            ///
            /// # Errors
            /// [`std::io::ErrorKind::InvalidInput`] if it is not 1 to 255.
            pub fn set_ttl(&self, ttl: u32) -> std::io::Result<()> {
                self.socket.once(|core, _, id| {
                    let ttl = u8::try_from(ttl).map_err(|_| ferrule_stack::Error::InvalidInput)?;
                    core.stack.set_ttl(id, Some(ttl))
                })
            }

            /// The time to live of what is sent to single hosts.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn ttl(&self) -> std::io::Result<u32> {
                self.socket
                    .once(|core, _, id| core.stack.ttl(id))
                    .map(u32::from)
            }

            /// Sets the type of service of what is sent (IP_TOS): DSCP in the upper six bits, ECN in the lower two, which TCP keeps to itself.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn set_tos(&self, tos: u8) -> std::io::Result<()> {
                self.socket.once(|core, _, id| core.stack.set_tos(id, tos))
            }

            /// The type of service of what is sent.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn tos(&self) -> std::io::Result<u8> {
                self.socket.once(|core, _, id| core.stack.tos(id))
            }
        }
    };
}
pub(crate) use buffers_and_marks;

/// Options of a socket that is not connected yet: which addresses it shares.
macro_rules! sharing {
    ($type:ident) => {
        impl $type {
            /// Shares the address with sockets that have this set too (SO_REUSEADDR as Linux has it), of which one TCP socket listens at a time
            /// and the newest UDP socket gets what comes for one host. Counts when the socket is bound.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn set_reuse_address(&self, reuse: bool) -> std::io::Result<()> {
                self.socket
                    .once(|core, _, id| core.stack.set_reuse_address(id, reuse))
            }

            /// Whether the socket shares its address.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn reuse_address(&self) -> std::io::Result<bool> {
                self.socket.once(|core, _, id| core.stack.reuse_address(id))
            }

            /// Shares the port with sockets that have this set too (SO_REUSEPORT): peers are spread over them. Counts when the socket is bound.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn set_reuse_port(&self, reuse: bool) -> std::io::Result<()> {
                self.socket
                    .once(|core, _, id| core.stack.set_reuse_port(id, reuse))
            }

            /// Whether the socket shares its port.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn reuse_port(&self) -> std::io::Result<bool> {
                self.socket.once(|core, _, id| core.stack.reuse_port(id))
            }
        }
    };
}
pub(crate) use sharing;

/// Options of TCP sockets. A listener's are those that its connections begin with.
macro_rules! tcp_options {
    ($type:ident) => {
        impl $type {
            fn option<T>(
                &self,
                get: impl FnOnce(&ferrule_stack::TcpOptions) -> T,
            ) -> std::io::Result<T> {
                self.socket
                    .once(|core, _, id| core.stack.tcp_options(id))
                    .map(|options| get(&options))
            }

            fn set_option(
                &self,
                set: impl FnOnce(&mut ferrule_stack::TcpOptions),
            ) -> std::io::Result<()> {
                self.socket.once(|core, now, id| {
                    let mut options = core.stack.tcp_options(id)?;
                    set(&mut options);
                    core.stack.tcp_set_options(now, id, options)
                })
            }

            /// Sends small segments at once instead of gathering them (TCP_NODELAY: Nagle's algorithm off).
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn set_nodelay(&self, nodelay: bool) -> std::io::Result<()> {
                self.set_option(|options| options.nodelay = nodelay)
            }

            /// Whether Nagle's algorithm is off.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn nodelay(&self) -> std::io::Result<bool> {
                self.option(|options| options.nodelay)
            }

            /// Sends only full segments, until it is taken back or 200 ms have passed (TCP_CORK).
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn set_cork(&self, cork: bool) -> std::io::Result<()> {
                self.set_option(|options| options.cork = cork)
            }

            /// Whether only full segments are sent.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn cork(&self) -> std::io::Result<bool> {
                self.option(|options| options.cork)
            }

            /// Acknowledges at once instead of after up to 40 ms (TCP_QUICKACK).
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn set_quick_ack(&self, quick_ack: bool) -> std::io::Result<()> {
                self.set_option(|options| options.quick_ack = quick_ack)
            }

            /// Whether acknowledgments are not delayed.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn quick_ack(&self) -> std::io::Result<bool> {
                self.option(|options| options.quick_ack)
            }

            /// Probes a silent peer, and gives it up when it does not answer (SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT).
            ///
            /// # Errors
            /// [`std::io::ErrorKind::InvalidInput`] for a time or a count of zero.
            pub fn set_keep_alive(&self, times: Option<crate::KeepAlive>) -> std::io::Result<()> {
                self.set_option(|options| options.keep_alive = times)
            }

            /// Whether and how a silent peer is probed.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn keep_alive(&self) -> std::io::Result<Option<crate::KeepAlive>> {
                self.option(|options| options.keep_alive)
            }

            /// How long what was sent may stay unacknowledged (TCP_USER_TIMEOUT); `None` leaves it to the number of retransmissions.
            ///
            /// # Errors
            /// [`std::io::ErrorKind::InvalidInput`] for zero.
            pub fn set_user_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.set_option(|options| options.user_timeout = timeout)
            }

            /// How long what was sent may stay unacknowledged.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn user_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                self.option(|options| options.user_timeout)
            }

            /// How often a connection request is sent again (TCP_SYNCNT); `None` takes the stack's seven times.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn set_syn_retransmits(&self, most: Option<u8>) -> std::io::Result<()> {
                self.set_option(|options| options.syn_retransmits = most)
            }

            /// How often a connection request is sent again.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn syn_retransmits(&self) -> std::io::Result<Option<u8>> {
                self.option(|options| options.syn_retransmits)
            }

            /// Chooses the congestion control (TCP_CONGESTION).
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn set_congestion(&self, algorithm: crate::Algorithm) -> std::io::Result<()> {
                self.set_option(|options| options.congestion = algorithm)
            }

            /// The congestion control.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn congestion(&self) -> std::io::Result<crate::Algorithm> {
                self.option(|options| options.congestion)
            }
        }
    };
}
pub(crate) use tcp_options;
