//! The hash of received packets, as plain as can be.

/// The hash of `input` under `key`, bit by bit as in Microsoft's "RSS Hashing Functions".
///
/// # Panics
/// If the input has more bits than the key has places of 32 bits.
pub fn toeplitz(key: &[u8; 40], input: &[u8]) -> u32 {
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1 == 1;
    let left_most_32 =
        |from: usize| (from..from + 32).fold(0, |k, at| k << 1 | u32::from(bit(key, at)));
    (0..8 * input.len())
        .filter(|&at| bit(input, at))
        .fold(0, |hash, at| hash ^ left_most_32(at))
}
