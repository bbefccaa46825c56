//! Messages of the vfio-user protocol 0.x as bytes: header, commands, flags and payloads.
//!
//! From the protocol's specification (docs/vfio-user.rst of libvfio-user); everything is little endian. Decoding checks each length and
//! gives back what follows the fixed part.
use serde::{Deserialize, Serialize};

/// Length of a message header in bytes.
pub const HEADER_LEN: usize = 16;
/// Longest message taken from a peer, header included: 1 MiB of data and its payload structure.
pub const MAX_MESSAGE: usize = (1 << 20) + 4096;
/// Most file descriptors of one message.
pub const MAX_FDS: usize = 16;
/// Protocol version spoken: major.
pub const VERSION_MAJOR: u16 = 0;
/// Protocol version spoken: minor.
pub const VERSION_MINOR: u16 = 1;

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    /// A message or structure is shorter than its fixed part.
    #[error("{what} has {got} bytes, needs {need}")]
    TooShort {
        /// The structure's name.
        what: &'static str,
        /// Bytes there.
        got: usize,
        /// Bytes needed.
        need: usize,
    },
    /// The header's size field is below the header's own length or above [`MAX_MESSAGE`].
    #[error("message size {0} is outside {HEADER_LEN}..={MAX_MESSAGE}")]
    Size(u32),
    /// The header's type bits are neither command nor reply.
    #[error("message type bits in flags {0:#x} are neither command nor reply")]
    Type(u32),
    /// The version message's JSON is not what the protocol says.
    #[error("capabilities of the version message: {0}")]
    Capabilities(String),
}

/// Commands. A number outside this list is to be answered with ENOTSUP and its body skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Command {
    /// First message: versions and capabilities.
    Version = 1,
    /// Client gives memory for DMA.
    DmaMap = 2,
    /// Client takes memory back.
    DmaUnmap = 3,
    /// Number of regions and interrupts.
    DeviceGetInfo = 4,
    /// Size and flags of a region.
    DeviceGetRegionInfo = 5,
    /// Descriptors for direct access to parts of a region.
    DeviceGetRegionIoFds = 6,
    /// Number and flags of an interrupt kind.
    DeviceGetIrqInfo = 7,
    /// Attaches eventfds to interrupts.
    DeviceSetIrqs = 8,
    /// Reads a region.
    RegionRead = 9,
    /// Writes a region.
    RegionWrite = 10,
    /// Server reads the client's memory.
    DmaRead = 11,
    /// Server writes the client's memory.
    DmaWrite = 12,
    /// Resets the device.
    DeviceReset = 13,
    /// Dirty-page log (superseded).
    DirtyPages = 14,
    /// Several region writes in one message.
    RegionWriteMulti = 15,
    /// Optional features.
    DeviceFeature = 16,
    /// Migration data to the client.
    MigDataRead = 17,
    /// Migration data to the server.
    MigDataWrite = 18,
}

impl Command {
    const ALL: [Command; 18] = [
        Self::Version,
        Self::DmaMap,
        Self::DmaUnmap,
        Self::DeviceGetInfo,
        Self::DeviceGetRegionInfo,
        Self::DeviceGetRegionIoFds,
        Self::DeviceGetIrqInfo,
        Self::DeviceSetIrqs,
        Self::RegionRead,
        Self::RegionWrite,
        Self::DmaRead,
        Self::DmaWrite,
        Self::DeviceReset,
        Self::DirtyPages,
        Self::RegionWriteMulti,
        Self::DeviceFeature,
        Self::MigDataRead,
        Self::MigDataWrite,
    ];

    /// The command of a number, if it is one.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// Bits of [`Header::flags`].
pub mod flags {
    /// The type bits.
    pub const TYPE: u32 = 0xF;
    /// Type: a command.
    pub const COMMAND: u32 = 0;
    /// Type: a reply.
    pub const REPLY: u32 = 1;
    /// In a command: no reply is wanted.
    pub const NO_REPLY: u32 = 1 << 4;
    /// In a reply: the command failed; [`super::Header::error`] is an errno or 0.
    pub const ERROR: u32 = 1 << 5;
}

/// Bits of [`DeviceInfo::flags`].
pub mod device_flags {
    /// The device can be reset by command.
    pub const RESET: u32 = 1 << 0;
    /// A PCI device.
    pub const PCI: u32 = 1 << 1;
}

/// Bits of [`RegionInfo::flags`].
pub mod region_flags {
    /// Readable.
    pub const READ: u32 = 1 << 0;
    /// Writable.
    pub const WRITE: u32 = 1 << 1;
    /// Can be mapped; the reply carries a descriptor.
    pub const MMAP: u32 = 1 << 2;
    /// Capabilities follow.
    pub const CAPS: u32 = 1 << 3;
}

/// Bits of [`DmaMap::flags`].
pub mod dma_flags {
    /// The device may read.
    pub const READ: u32 = 1 << 0;
    /// The device may write.
    pub const WRITE: u32 = 1 << 1;
}

/// Bits of [`DmaUnmap::flags`].
pub mod unmap_flags {
    /// Give the dirty bitmap back.
    pub const GET_DIRTY: u32 = 1 << 0;
    /// Everything; address and size are 0.
    pub const ALL: u32 = 1 << 1;
}

/// Bits of [`IrqInfo::flags`].
pub mod irq_info_flags {
    /// Can be signalled by eventfd.
    pub const EVENTFD: u32 = 1 << 0;
    /// Can be masked.
    pub const MASKABLE: u32 = 1 << 1;
    /// Masks itself when it fires.
    pub const AUTOMASKED: u32 = 1 << 2;
    /// The set of enabled ones cannot be changed without disabling all.
    pub const NORESIZE: u32 = 1 << 3;
}

/// Bits of [`IrqSet::flags`]: one DATA and one ACTION.
pub mod irq_set_flags {
    /// No data: the action is on every interrupt of the range.
    pub const DATA_NONE: u32 = 1 << 0;
    /// One byte an interrupt: whether to act.
    pub const DATA_BOOL: u32 = 1 << 1;
    /// One descriptor an interrupt.
    pub const DATA_EVENTFD: u32 = 1 << 2;
    /// Mask.
    pub const ACTION_MASK: u32 = 1 << 3;
    /// Unmask.
    pub const ACTION_UNMASK: u32 = 1 << 4;
    /// Trigger; with descriptors: attach them.
    pub const ACTION_TRIGGER: u32 = 1 << 5;
}

/// Numbers of a PCI device's regions.
pub mod region {
    /// BAR 0; BAR n is region n.
    pub const BAR0: u32 = 0;
    /// Expansion ROM.
    pub const ROM: u32 = 6;
    /// Configuration space.
    pub const CONFIG: u32 = 7;
    /// Legacy VGA.
    pub const VGA: u32 = 8;
    /// How many there are.
    pub const COUNT: u32 = 9;
}

/// Numbers of a PCI device's interrupt kinds.
pub mod irq {
    /// INTx.
    pub const INTX: u32 = 0;
    /// MSI.
    pub const MSI: u32 = 1;
    /// MSI-X.
    pub const MSIX: u32 = 2;
    /// Error.
    pub const ERR: u32 = 3;
    /// Device request.
    pub const REQ: u32 = 4;
    /// How many there are.
    pub const COUNT: u32 = 5;
}

/// States a structure of little-endian fields with its encoding.
macro_rules! wire_struct {
    ($( #[$doc:meta] $name:ident { $( #[$fdoc:meta] $field:ident : $ty:ty ),* $(,)? } )*) => { $(
        #[$doc]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $( #[$fdoc] pub $field: $ty, )* }

        impl $name {
            /// Length in bytes.
            pub const SIZE: usize = 0 $( + std::mem::size_of::<$ty>() )*;

            /// Appends the structure to `out`.
            pub fn encode(&self, out: &mut Vec<u8>) {
                $( out.extend_from_slice(&self.$field.to_le_bytes()); )*
            }

            /// Takes the structure from the front of `bytes` and gives back what follows it.
            ///
            /// # Errors
            /// [`ProtoError::TooShort`].
            pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), ProtoError> {
                let short = || ProtoError::TooShort { what: stringify!($name), got: bytes.len(), need: Self::SIZE };
                let mut rest = bytes;
                $(
                    let (first, tail) = rest.split_first_chunk().ok_or_else(short)?;
                    let $field = <$ty>::from_le_bytes(*first);
                    rest = tail;
                )*
                Ok((Self { $( $field ),* }, rest))
            }
        }
    )* };
}

wire_struct! {
    /// The header of every message.
    Header {
        /// Chosen by the sender of a command, echoed in its reply.
        id: u16,
        /// Number of a [`Command`].
        command: u16,
        /// Length of the whole message in bytes, this header included.
        size: u32,
        /// Bits of [`flags`].
        flags: u32,
        /// In an error reply: errno, or 0 for none given.
        error: u32,
    }
    /// Fixed part of VERSION; JSON with a closing NUL may follow.
    Version {
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    }
    /// DEVICE_GET_INFO, command and reply.
    DeviceInfo {
        /// Length of this structure and what the sender can take behind it.
        argsz: u32,
        /// Bits of [`device_flags`].
        flags: u32,
        /// Number of regions.
        num_regions: u32,
        /// Number of interrupt kinds.
        num_irqs: u32,
    }
    /// DEVICE_GET_REGION_INFO, command and reply.
    RegionInfo {
        /// Length of this structure and its capabilities.
        argsz: u32,
        /// Bits of [`region_flags`].
        flags: u32,
        /// The region, one of [`region`].
        index: u32,
        /// Where capabilities start, from the start of this structure.
        cap_offset: u32,
        /// Size of the region in bytes; 0: there is none.
        size: u64,
        /// Offset for mmap of the descriptor.
        offset: u64,
    }
    /// DEVICE_GET_IRQ_INFO, command and reply.
    IrqInfo {
        /// Length of this structure.
        argsz: u32,
        /// Bits of [`irq_info_flags`].
        flags: u32,
        /// The kind, one of [`irq`].
        index: u32,
        /// How many interrupts of this kind there are.
        count: u32,
    }
    /// DEVICE_SET_IRQS; data follows for DATA_BOOL, descriptors travel beside it for DATA_EVENTFD.
    IrqSet {
        /// Length of this structure and its data.
        argsz: u32,
        /// Bits of [`irq_set_flags`].
        flags: u32,
        /// The kind, one of [`irq`].
        index: u32,
        /// First interrupt.
        start: u32,
        /// How many; 0 with DATA_NONE and ACTION_TRIGGER disables the kind.
        count: u32,
    }
    /// REGION_READ and REGION_WRITE, command and reply; the data follow in a write and in the reply to a read.
    RegionAccess {
        /// Byte offset in the region.
        offset: u64,
        /// The region, one of [`region`].
        region: u32,
        /// Number of bytes.
        count: u32,
    }
    /// DMA_MAP; a descriptor travels beside it if the memory can be mapped.
    DmaMap {
        /// Length of this structure.
        argsz: u32,
        /// Bits of [`dma_flags`].
        flags: u32,
        /// Offset in the descriptor's file.
        offset: u64,
        /// I/O virtual address.
        address: u64,
        /// Bytes.
        size: u64,
    }
    /// DMA_UNMAP, command and reply.
    DmaUnmap {
        /// Length of this structure.
        argsz: u32,
        /// Bits of [`unmap_flags`].
        flags: u32,
        /// I/O virtual address.
        address: u64,
        /// Bytes.
        size: u64,
    }
    /// DMA_READ and DMA_WRITE, command and reply; the data follow in a write and in the reply to a read.
    DmaAccess {
        /// I/O virtual address.
        address: u64,
        /// Bytes.
        count: u64,
    }
}

impl Header {
    /// Takes a header from its bytes and checks size and type.
    ///
    /// # Errors
    /// [`ProtoError::Size`] and [`ProtoError::Type`]: the stream is out of step and must be closed.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, ProtoError> {
        let (header, _) = Self::decode(bytes)?;
        if !(HEADER_LEN..=MAX_MESSAGE).contains(&(header.size as usize)) {
            return Err(ProtoError::Size(header.size));
        }
        if header.flags & flags::TYPE > flags::REPLY {
            return Err(ProtoError::Type(header.flags));
        }
        Ok(header)
    }

    /// Whether this is a reply.
    pub fn is_reply(&self) -> bool {
        self.flags & flags::TYPE == flags::REPLY
    }

    /// Whether this is a command that wants a reply.
    pub fn wants_reply(&self) -> bool {
        !self.is_reply() && self.flags & flags::NO_REPLY == 0
    }

    /// Header of the reply to this command, without a length yet.
    pub fn reply(&self) -> Self {
        Self {
            flags: flags::REPLY,
            size: 0,
            error: 0,
            ..*self
        }
    }

    /// Header of an error reply to this command.
    pub fn error_reply(&self, errno: u32) -> Self {
        Self {
            flags: flags::REPLY | flags::ERROR,
            error: errno,
            ..self.reply()
        }
    }
}

/// Capabilities of the version message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Most descriptors the sender takes in one message; 1 if not said.
    #[serde(default = "one")]
    pub max_msg_fds: u32,
    /// Most data bytes the sender takes in one message; 1 MiB if not said.
    #[serde(default = "mebibyte")]
    pub max_data_xfer_size: u32,
}

const fn one() -> u32 {
    1
}
const fn mebibyte() -> u32 {
    1 << 20
}

/// Our own capabilities.
pub const CAPABILITIES: Capabilities = Capabilities {
    max_msg_fds: MAX_FDS as u32,
    max_data_xfer_size: 1 << 20,
};

#[derive(Default, Serialize, Deserialize)]
struct VersionData {
    #[serde(default)]
    capabilities: Option<Capabilities>,
}

/// Body of a version message of ours.
pub fn encode_version(version: Version, capabilities: Capabilities) -> Vec<u8> {
    let mut body = Vec::new();
    version.encode(&mut body);
    let data = VersionData {
        capabilities: Some(capabilities),
    };
    // A structure of two numbers always serialises.
    body.extend(serde_json::to_vec(&data).unwrap_or_default());
    body.push(0);
    body
}

/// Reads the body of a version message; capabilities that are not said have the protocol's defaults, unknown ones are ignored.
///
/// # Errors
/// [`ProtoError::TooShort`], [`ProtoError::Capabilities`] for JSON that does not parse or has no closing NUL.
pub fn decode_version(body: &[u8]) -> Result<(Version, Capabilities), ProtoError> {
    let (version, json) = Version::decode(body)?;
    let defaults = Capabilities {
        max_msg_fds: one(),
        max_data_xfer_size: mebibyte(),
    };
    if json.is_empty() {
        return Ok((version, defaults));
    }
    let bad = |text: String| ProtoError::Capabilities(text);
    let json = json
        .strip_suffix(&[0])
        .ok_or_else(|| bad("no closing NUL".into()))?;
    let data: VersionData = serde_json::from_slice(json).map_err(|e| bad(e.to_string()))?;
    Ok((version, data.capabilities.unwrap_or(defaults)))
}
