//! Calls of programs that concern multicast groups: joining and leaving them, whole or by source (RFC 3376 section 2).

use std::net::Ipv4Addr;

use super::{SocketId, Stack};
use crate::error::{Error, Result};
use crate::ip::filter::{Filter, FilterMode};
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Instant;

/// Groups of one socket at most, as Linux' `igmp_max_memberships`.
const MAX_GROUPS: usize = 20;
/// Sources of one socket in one group at most, as Linux' `igmp_max_msf`.
const MAX_SOURCES: usize = 10;

impl<B: Payload> Stack<B> {
    /// Joins a group: datagrams to it are received from everyone (IP_ADD_MEMBERSHIP).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is no group, [`Error::AddrInUse`] if the socket is a member already,
    /// [`Error::NoBuffers`] if it is in as many groups as it may.
    pub fn multicast_join(&mut self, now: Instant, id: SocketId, group: Ipv4Addr) -> Result<()> {
        if self.membership(id, group)?.is_some() {
            return Err(Error::AddrInUse);
        }
        self.set_membership(now, id, group, Filter::ANY)
    }

    /// Leaves a group, however it was joined (IP_DROP_MEMBERSHIP).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is no group, [`Error::AddrNotAvailable`] if the socket is no member.
    pub fn multicast_leave(&mut self, now: Instant, id: SocketId, group: Ipv4Addr) -> Result<()> {
        if self.membership(id, group)?.is_none() {
            return Err(Error::AddrNotAvailable);
        }
        self.set_membership(now, id, group, Filter::NONE)
    }

    /// Receives datagrams to a group from one source more (IP_ADD_SOURCE_MEMBERSHIP). If the group was joined for everyone
    /// and nobody is blocked, it is from now on received from this source only.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is no group or sources are blocked, [`Error::AddrNotAvailable`] if the source is there
    /// already, [`Error::NoBuffers`] if there are as many groups or sources as there may be.
    pub fn multicast_join_source(
        &mut self,
        now: Instant,
        id: SocketId,
        group: Ipv4Addr,
        source: Ipv4Addr,
    ) -> Result<()> {
        let filter = self.membership(id, group)?.unwrap_or(Filter::NONE);
        self.add_source(now, id, group, filter, FilterMode::Include, source)
    }

    /// Receives datagrams to a group from one source less (IP_DROP_SOURCE_MEMBERSHIP); without any the group is left.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is no group, sources are blocked or the socket is no member,
    /// [`Error::AddrNotAvailable`] if the source is not there.
    pub fn multicast_leave_source(
        &mut self,
        now: Instant,
        id: SocketId,
        group: Ipv4Addr,
        source: Ipv4Addr,
    ) -> Result<()> {
        let filter = self.membership(id, group)?.ok_or(Error::InvalidInput)?;
        self.drop_source(now, id, group, filter, FilterMode::Include, source)
    }

    /// Receives no more datagrams from one source to a group that was joined for everyone (IP_BLOCK_SOURCE).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is no group or was joined by sources or not at all, [`Error::AddrNotAvailable`] if
    /// the source is blocked already, [`Error::NoBuffers`] if as many are blocked as may be.
    pub fn multicast_block_source(
        &mut self,
        now: Instant,
        id: SocketId,
        group: Ipv4Addr,
        source: Ipv4Addr,
    ) -> Result<()> {
        let filter = self.membership(id, group)?.ok_or(Error::InvalidInput)?;
        self.add_source(now, id, group, filter, FilterMode::Exclude, source)
    }

    /// Receives datagrams from a blocked source again (IP_UNBLOCK_SOURCE).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is no group or was joined by sources or not at all, [`Error::AddrNotAvailable`] if
    /// the source is not blocked.
    pub fn multicast_unblock_source(
        &mut self,
        now: Instant,
        id: SocketId,
        group: Ipv4Addr,
        source: Ipv4Addr,
    ) -> Result<()> {
        let filter = self.membership(id, group)?.ok_or(Error::InvalidInput)?;
        self.drop_source(now, id, group, filter, FilterMode::Exclude, source)
    }

    /// Sets mode and sources of a membership at once (IP_MSFILTER); INCLUDE without sources leaves the group.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is no group or the socket is no member, [`Error::NoBuffers`] if there are more
    /// sources than there may be.
    pub fn multicast_set_filter(
        &mut self,
        now: Instant,
        id: SocketId,
        group: Ipv4Addr,
        mode: FilterMode,
        sources: &[Ipv4Addr],
    ) -> Result<()> {
        if sources.len() > MAX_SOURCES {
            return Err(Error::NoBuffers);
        }
        self.membership(id, group)?.ok_or(Error::InvalidInput)?;
        let sources = sources.iter().copied().collect();
        self.set_membership(now, id, group, Filter { mode, sources })
    }

    /// Mode and sources of a membership.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is no group, [`Error::AddrNotAvailable`] if the socket is no member.
    pub fn multicast_filter(
        &mut self,
        id: SocketId,
        group: Ipv4Addr,
    ) -> Result<(FilterMode, Vec<Ipv4Addr>)> {
        let filter = self.membership(id, group)?;
        let filter = filter.ok_or(Error::AddrNotAvailable)?;
        Ok((filter.mode, filter.sources.into_iter().collect()))
    }

    /// The groups that sockets of this stack are in, that of all hosts included: what the device's filter must pass.
    pub fn multicast_groups(&self) -> Vec<Ipv4Addr> {
        self.ip.members.groups()
    }

    /// True once after the set of groups has changed.
    pub fn take_multicast_change(&mut self) -> bool {
        core::mem::take(&mut self.ip.groups_changed)
    }

    fn membership(&mut self, id: SocketId, group: Ipv4Addr) -> Result<Option<Filter>> {
        self.udp(id)?;
        if !group.is_multicast() {
            return Err(Error::InvalidInput);
        }
        Ok(self.ip.members.of(group, id.0).cloned())
    }

    fn add_source(
        &mut self,
        now: Instant,
        id: SocketId,
        group: Ipv4Addr,
        mut filter: Filter,
        mode: FilterMode,
        source: Ipv4Addr,
    ) -> Result<()> {
        // A membership with sources keeps its mode; one without may change it.
        if filter.mode != mode && !filter.sources.is_empty() {
            return Err(Error::InvalidInput);
        }
        if filter.sources.len() >= MAX_SOURCES {
            return Err(Error::NoBuffers);
        }
        if !filter.sources.insert(source) {
            return Err(Error::AddrNotAvailable);
        }
        filter.mode = mode;
        self.set_membership(now, id, group, filter)
    }

    fn drop_source(
        &mut self,
        now: Instant,
        id: SocketId,
        group: Ipv4Addr,
        mut filter: Filter,
        mode: FilterMode,
        source: Ipv4Addr,
    ) -> Result<()> {
        if filter.mode != mode && !filter.sources.is_empty() {
            return Err(Error::InvalidInput);
        }
        if !filter.sources.remove(&source) {
            return Err(Error::AddrNotAvailable);
        }
        self.set_membership(now, id, group, filter)
    }

    fn set_membership(
        &mut self,
        now: Instant,
        id: SocketId,
        group: Ipv4Addr,
        filter: Filter,
    ) -> Result<()> {
        let groups = &mut self.udp(id)?.groups;
        let (was, is) = (groups.contains(&group), !filter.is_none());
        if is && !was {
            if groups.len() >= MAX_GROUPS {
                return Err(Error::NoBuffers);
            }
            groups.push(group);
        } else if !is {
            groups.retain(|g| *g != group);
        }
        self.change_membership(now, id.0, group, filter);
        Ok(())
    }

    fn change_membership(&mut self, now: Instant, key: Key, group: Ipv4Addr, filter: Filter) {
        let (before, after) = self.ip.members.set(group, key, filter);
        self.ip.groups_changed |= before.is_none() != after.is_none();
        self.ip.igmp.on_change(now, group, &before, &after);
        self.send_igmp();
    }

    /// A socket that closes leaves its groups.
    pub(super) fn leave_all_groups(&mut self, now: Instant, key: Key) {
        let groups = match self.udp_at(key) {
            Some(udp) => udp.groups.clone(),
            None => return,
        };
        for group in groups {
            self.change_membership(now, key, group, Filter::NONE);
        }
    }
}
