//! Queue engines: rings, prefetch, completions, events.
