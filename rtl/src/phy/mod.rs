//! The PHY's side: management (MDIO) and RGMII.
//!
//! | module | is |
//! |---|---|
//! | [`mdio`] | one transfer on the management interface, bit by bit |
//! | [`manager`] | resets the PHY, has it negotiate, and reports link and speed; lets the host's transfers in between |
//! | [`search`] | finds the address of a PHY that does not have the expected one |
//! | [`rgmii`] | an RGMII's pins to GMII and MII |
//! | [`cells`] | the 7-series cells in it |
//! | [`ports`] | a transfer, as it is asked for |
//!
//! None of this is part of [`crate::nic::Nic`]: a board connects it to the NIC's ports `mdio`, `link_up` and `link_speed`.

pub mod cells;
pub mod manager;
pub mod mdio;
pub mod ports;
pub mod rgmii;
pub mod search;
