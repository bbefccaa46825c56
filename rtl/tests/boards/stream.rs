//! A stream of TLPs as the benches of this folder drive it.
use ferrule_rtl::pins::TlpBeat;

/// The beats of a TLP that hit a BAR of this number.
pub(crate) fn beats(dwords: &[u32], bar: u8) -> Vec<TlpBeat> {
    let count = dwords.len().div_ceil(2);
    let beat = |(i, pair): (usize, &[u32])| TlpBeat {
        d0: pair[0],
        d1: pair.get(1).copied().unwrap_or(0),
        half: pair.len() == 1,
        last: i + 1 == count,
        bar,
    };
    dwords.chunks(2).enumerate().map(beat).collect()
}

/// A pattern of gaps: the bits of a number over and over, never all of them 0.
pub(crate) fn goes(pattern: u32, cycle: usize) -> bool {
    (pattern | 1 << 31) >> (cycle % 32) & 1 != 0
}
