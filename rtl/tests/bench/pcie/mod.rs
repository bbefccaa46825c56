//! Testbenches of `pcie`: `tlp_rx`, `tlp_tx`, `read_engine`, `reg_file` and `counters` by themselves; `registers`, `interrupts` (MSI-X) and
//! `dma` through TLPs of the joined host side.
mod bench;
mod counters;
mod dma;
mod interrupts;
mod lint;
mod mdio;
mod read_engine;
mod reg_file;
mod registers;
mod tlp;
mod tlp_rx;
mod tlp_tx;
