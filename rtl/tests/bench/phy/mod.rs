//! Testbenches of `phy`.
mod manager;
mod mdio;
mod phy_model;
mod rgmii;
