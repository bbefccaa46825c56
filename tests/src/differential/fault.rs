//! Faults planted on purpose: the bench must find each of them.
