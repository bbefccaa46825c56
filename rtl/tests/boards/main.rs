//! Boards: the parts around the NIC, and the files that each board's bitstream is made of.
mod axi;
mod constraints;
mod parts;
mod ports;
mod stream;
mod tools;
