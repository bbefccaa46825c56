//! Ethernet MAC: GMII, FCS, clock crossing, width conversion.
