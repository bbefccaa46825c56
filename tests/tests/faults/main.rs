//! Driver and sockets on devices that fail: nothing panics, no wrong byte passes for a right one, and what can be mended is.
mod driver;
mod sockets;
