//! The push window: what the host writes there becomes frames.
use std::collections::VecDeque;

use ferrule_abi::regs::PUSH_MAX_PACKET;
use ferrule_abi::ring::{sqe_flags, Sqe, ENTRY_SIZE};

/// DWs of an SQE.
const SQE_DWORDS: usize = ENTRY_SIZE / 4;

/// A frame that has been written.
pub(super) enum Pushed {
    /// Whole: its SQE, and its bytes.
    Whole(Sqe, Vec<u8>),
    /// Not as it should be.
    Bad,
}

/// The window.
#[derive(Default)]
pub(super) struct PushWindow {
    /// DWs of the frame that is being written.
    open: Option<Vec<u32>>,
    frames: VecDeque<Pushed>,
}

impl PushWindow {
    /// Takes a write of `values` at DW `place`; whether it belonged to a frame, if only as what ended it.
    pub(super) fn write(&mut self, place: usize, values: &[u32], unsupported: u16) -> bool {
        let open = self.open.take();
        let mut image = match open {
            Some(image) if place > 0 && place == image.len() => image,
            other => {
                let ends = other.is_some();
                if ends {
                    self.frames.push_back(Pushed::Bad);
                }
                if place > 0 {
                    return ends;
                }
                vec![]
            }
        };
        for value in values {
            image.push(*value);
            let Some((head, bytes)) = image.split_first_chunk::<SQE_DWORDS>() else {
                continue;
            };
            let sqe = Sqe::from_words(*head);
            let both = sqe_flags::SOP | sqe_flags::EOP;
            if sqe.flags & both != both
                || sqe.flags & unsupported != 0
                || !(1..=PUSH_MAX_PACKET).contains(&sqe.len.into())
            {
                self.frames.push_back(Pushed::Bad);
                return true;
            }
            if 4 * bytes.len() == usize::from(sqe.len).next_multiple_of(8) {
                let mut bytes: Vec<u8> = bytes.iter().flat_map(|dw| dw.to_le_bytes()).collect();
                bytes.truncate(sqe.len.into());
                self.frames.push_back(Pushed::Whole(sqe, bytes));
                // What comes behind it in the same write is nothing.
                return true;
            }
        }
        self.open = Some(image);
        true
    }

    /// The oldest frame.
    pub(super) fn pop(&mut self) -> Option<Pushed> {
        self.frames.pop_front()
    }

    /// Forgets the frame that is being written; whether there was one.
    pub(super) fn forget(&mut self) -> bool {
        self.open.take().is_some()
    }

    /// Neither a frame nor the beginning of one.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.frames.is_empty()
    }
}
