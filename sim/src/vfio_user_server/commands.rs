//! The vfio-user commands that are answered at once: each from its body to the body of its reply, or an errno.
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ferrule_driver::vfio_user::proto::{
    decode_version, device_flags, dma_flags, encode_version, irq, irq_info_flags, irq_set_flags,
    region, region_flags, unmap_flags, Capabilities, DeviceInfo, DmaMap, DmaUnmap, IrqInfo, IrqSet,
    ProtoError, RegionInfo, Version, CAPABILITIES, VERSION_MAJOR, VERSION_MINOR,
};
use rustix::io::Errno;

use super::dma_by_message::Link;
use crate::config_space;
use crate::dma::{Backing, MapError, Remote, Rights};
use crate::host_side::HostSide;
use crate::root_complex::Interrupt;

/// Most bytes of one region access: a register file is no memory, and each of its words takes cycles.
pub(super) const MAX_ACCESS: u32 = 4096;

pub(super) type Answer = Result<Vec<u8>, Errno>;

fn invalid(_: ProtoError) -> Errno {
    Errno::INVAL
}

/// Size of a region; 0 for one that is not there.
pub(super) fn region_size(host: &mut dyn HostSide, index: u32) -> u64 {
    match index {
        region::CONFIG => config_space::SIZE as u64,
        // BARs and regions have the same numbers.
        bar => u8::try_from(bar).map_or(0, |bar| host.config().bar_size(bar).into()),
    }
}

/// The reply to a version, and what the client can do. One that takes no data at all could not be served.
pub(super) fn version(body: &[u8]) -> Result<(Vec<u8>, Capabilities), Errno> {
    let (theirs, their_capabilities) = decode_version(body).map_err(invalid)?;
    if theirs.major != VERSION_MAJOR || their_capabilities.max_data_xfer_size == 0 {
        return Err(Errno::INVAL);
    }
    let ours = Version {
        major: VERSION_MAJOR,
        minor: theirs.minor.min(VERSION_MINOR),
    };
    let capabilities = Capabilities {
        max_data_xfer_size: MAX_ACCESS,
        ..CAPABILITIES
    };
    Ok((encode_version(ours, capabilities), their_capabilities))
}

pub(super) fn device_info(body: &[u8]) -> Answer {
    let (asked, _) = DeviceInfo::decode(body).map_err(invalid)?;
    let info = DeviceInfo {
        argsz: DeviceInfo::SIZE as u32,
        flags: device_flags::PCI | device_flags::RESET,
        num_regions: region::COUNT,
        num_irqs: irq::COUNT,
    };
    reply(asked.argsz, |out| info.encode(out))
}

pub(super) fn region_info(host: &mut dyn HostSide, body: &[u8]) -> Answer {
    let (asked, _) = RegionInfo::decode(body).map_err(invalid)?;
    if asked.index >= region::COUNT {
        return Err(Errno::INVAL);
    }
    let size = region_size(host, asked.index);
    let info = RegionInfo {
        argsz: RegionInfo::SIZE as u32,
        flags: if size > 0 {
            region_flags::READ | region_flags::WRITE
        } else {
            0
        },
        index: asked.index,
        size,
        ..RegionInfo::default()
    };
    reply(asked.argsz, |out| info.encode(out))
}

pub(super) fn irq_info(host: &mut dyn HostSide, body: &[u8]) -> Answer {
    let (asked, _) = IrqInfo::decode(body).map_err(invalid)?;
    let (flags, count) = match asked.index {
        irq::MSIX => (
            irq_info_flags::EVENTFD | irq_info_flags::NORESIZE,
            host.config().vectors().into(),
        ),
        i if i < irq::COUNT => (0, 0),
        _ => return Err(Errno::INVAL),
    };
    let info = IrqInfo {
        argsz: IrqInfo::SIZE as u32,
        flags,
        index: asked.index,
        count,
    };
    reply(asked.argsz, |out| info.encode(out))
}

/// `argsz` is what the client has room for: a structure that does not fit is refused, as the kernel does.
fn reply(argsz: u32, encode: impl FnOnce(&mut Vec<u8>)) -> Answer {
    let mut out = vec![];
    encode(&mut out);
    if (argsz as usize) < out.len() {
        return Err(Errno::INVAL);
    }
    Ok(out)
}

pub(super) fn dma_map(
    host: &mut dyn HostSide,
    body: &[u8],
    fds: Vec<OwnedFd>,
    link: &Arc<Link>,
) -> Answer {
    let (map, _) = DmaMap::decode(body).map_err(invalid)?;
    let mut fds = fds.into_iter();
    let (fd, none) = (fds.next(), fds.next());
    if map.flags & !(dma_flags::READ | dma_flags::WRITE) != 0 || none.is_some() {
        return Err(Errno::INVAL);
    }
    let rights = Rights {
        read: map.flags & dma_flags::READ != 0,
        write: map.flags & dma_flags::WRITE != 0,
    };
    let backing = match fd {
        Some(fd) => Backing::File(fd, map.offset),
        None => Backing::Remote(Arc::clone(link) as Arc<dyn Remote>),
    };
    match host.dma().map(map.address, map.size, rights, backing) {
        Ok(()) => Ok(vec![]),
        Err(e) => {
            tracing::warn!("DMA_MAP: {e}");
            Err(errno(&e))
        }
    }
}

pub(super) fn dma_unmap(host: &mut dyn HostSide, body: &[u8]) -> Answer {
    let (unmap, _) = DmaUnmap::decode(body).map_err(invalid)?;
    let done = match unmap.flags {
        unmap_flags::ALL if unmap.address == 0 && unmap.size == 0 => {
            host.dma().clear();
            0
        }
        0 => host.dma().unmap(unmap.address, unmap.size).map_err(|e| {
            tracing::warn!("DMA_UNMAP: {e}");
            errno(&e)
        })?,
        _ => return Err(Errno::INVAL),
    };
    let mut out = vec![];
    DmaUnmap {
        argsz: DmaUnmap::SIZE as u32,
        size: done,
        ..unmap
    }
    .encode(&mut out);
    Ok(out)
}

fn errno(error: &MapError) -> Errno {
    match error {
        MapError::BadRange { .. } | MapError::BeyondFile { .. } | MapError::Bisects { .. } => {
            Errno::INVAL
        }
        MapError::Overlap { .. } => Errno::EXIST,
        MapError::Io(e) => e.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error),
    }
}

pub(super) fn set_irqs(host: &mut dyn HostSide, body: &[u8], fds: Vec<OwnedFd>) -> Answer {
    use irq_set_flags::{ACTION_TRIGGER, DATA_BOOL, DATA_EVENTFD, DATA_NONE};
    const TRIGGER_NONE: u32 = ACTION_TRIGGER | DATA_NONE;
    const TRIGGER_BOOL: u32 = ACTION_TRIGGER | DATA_BOOL;
    const TRIGGER_EVENTFD: u32 = ACTION_TRIGGER | DATA_EVENTFD;
    let (set, data) = IrqSet::decode(body).map_err(invalid)?;
    let available = if set.index == irq::MSIX {
        host.config().vectors().into()
    } else {
        0
    };
    let end = set
        .start
        .checked_add(set.count)
        .filter(|end| *end <= available);
    let (Some(end), true) = (end, set.index < irq::COUNT) else {
        return Err(Errno::INVAL);
    };
    // Fits: `end` is at most the number of vectors.
    let vectors = set.start as u16..end as u16;
    match set.flags {
        TRIGGER_NONE if set.count == 0 => {
            if set.index == irq::MSIX {
                (0..host.config().vectors()).for_each(|v| host.set_vector(v, None));
                host.config().set_msix(false);
            }
        }
        TRIGGER_NONE => vectors.for_each(|v| host.trigger(v)),
        TRIGGER_BOOL if data.len() == set.count as usize => {
            vectors
                .zip(data)
                .filter(|(_, fire)| **fire != 0)
                .for_each(|(v, _)| host.trigger(v));
        }
        // Without descriptors: these vectors are given back.
        TRIGGER_EVENTFD if fds.is_empty() => vectors.for_each(|v| host.set_vector(v, None)),
        TRIGGER_EVENTFD if fds.len() == set.count as usize => {
            for (v, fd) in vectors.zip(fds) {
                host.set_vector(v, Some(Interrupt::EventFd(fd)));
            }
            if !host.config().msix_enabled() {
                host.config().set_msix(true);
            }
        }
        _ => return Err(Errno::INVAL),
    }
    Ok(vec![])
}
