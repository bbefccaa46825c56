//! The NIC's own core as a [`Top`](super::Top).
use ferrule_rtl::nic::Nic;

crate::bind_top!(Nic);
