//! Testbenches of `pcie`.
mod bench;
mod counters;
mod dma;
mod interrupts;
mod lint;
mod reg_file;
mod registers;
mod tlp;
