//! What is compared of a subject after each step.
use ferrule_abi::MSIX_VECTORS;

use super::subject::{Left, Subject};
use crate::bench::memory::IOVA;
use crate::frames::check_sent;

/// What is compared of a subject.
pub(super) struct View {
    pub(super) name: String,
    sent: Vec<Left>,
    arp: Vec<Left>,
    interrupts: [u32; MSIX_VECTORS as usize],
    deadline: Option<u32>,
    memory: Vec<u8>,
}

impl View {
    /// Looks at a subject, and takes what it has sent; `merged` tells ARP frames from the others.
    pub(super) fn of(subject: &mut dyn Subject, merged: bool) -> Result<Self, String> {
        let name = subject.name();
        let is_arp = |left: &Left| matches!(left, Left::Frame(f) if f[12..14] == [0x08, 0x06]);
        let sent = subject.take_sent();
        for left in sent.iter().filter(|left| is_arp(left)) {
            if let Left::Frame(frame) = left {
                // The host sends no ARP frames here: the NIC has made all of it.
                check_sent(frame);
            }
        }
        let (arp, sent) = if merged {
            sent.into_iter().partition(is_arp)
        } else {
            (vec![], sent)
        };
        let deadline = subject.deadline();
        let host = subject.host();
        let stats = host.root_complex.stats();
        if (stats.violations, stats.register_timeouts) != (0, 0) {
            let last = host.root_complex.last_violation();
            return Err(format!("{name}: {last:?}, {stats:?}"));
        }
        Ok(Self {
            name,
            sent,
            arp,
            interrupts: host.interrupts(),
            deadline,
            memory: host.memory.snapshot(),
        })
    }

    /// What is different, if anything is.
    pub(super) fn compare(&self, other: &Self) -> Result<(), String> {
        for (what, one, two) in [
            ("frames", &self.sent, &other.sent),
            ("ARP frames", &self.arp, &other.arp),
        ] {
            compare_frames(what, one, two)?;
        }
        if self.interrupts != other.interrupts {
            return Err(format!(
                "interrupts {:?} and {:?}",
                self.interrupts, other.interrupts
            ));
        }
        if self.deadline != other.deadline {
            return Err(format!(
                "deadlines {:x?} and {:x?}",
                self.deadline, other.deadline
            ));
        }
        let differs = self
            .memory
            .iter()
            .zip(&other.memory)
            .position(|(a, b)| a != b);
        if let Some(at) = differs {
            let from = at & !15;
            return Err(format!(
                "memory at {:#x}: {:02x?} and {:02x?}",
                IOVA + from as u64,
                &self.memory[from..from + 16],
                &other.memory[from..from + 16]
            ));
        }
        Ok(())
    }
}

fn compare_frames(what: &str, one: &[Left], two: &[Left]) -> Result<(), String> {
    let show = |left: Option<&Left>| match left {
        None => "nothing".to_string(),
        Some(Left::Frame(f)) => format!("{f:02x?}"),
        Some(Left::Faulty(f)) => f.clone(),
    };
    for i in 0..one.len().max(two.len()) {
        let (a, b) = (one.get(i), two.get(i));
        if a != b || matches!(a, Some(Left::Faulty(_))) {
            return Err(format!(
                "{what} sent, number {i} of {} and {}:\n{}\n{}",
                one.len(),
                two.len(),
                show(a),
                show(b)
            ));
        }
    }
    Ok(())
}
