//! In which order everything is evaluated, so that one pass settles it.
pub(crate) mod clocked;
pub(crate) mod order;
mod slice;
