//! Bytes that idle connections, half-open ones and TIME-WAITs take, by an allocator that counts; one JSON object each.
fn main() {}
