//! Bytes that idle connections, half-open ones and TIME-WAITs take, by an allocator that counts; one JSON object each.

use std::alloc::System;
use std::io::Write;

use ferrule_stack_bench::{memory, Record};
use stats_alloc::{StatsAlloc, INSTRUMENTED_SYSTEM};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes in use.
fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    // What a reallocation adds or gives back is in both already.
    stats.bytes_allocated - stats.bytes_deallocated
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let records: [Record; 3] = memory::measure(&in_use)?;
    for record in records {
        writeln!(out, "{}", serde_json::to_string(&record)?)?;
    }
    Ok(())
}
