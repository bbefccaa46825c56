//! The address of a PHY that may not have the expected one: straps differ between editions of a board.
use rust_hdl::prelude::*;

/// Gives the manager one address after the other, and starts it anew for each, until a PHY answers; from then on nothing changes. An address takes
/// the 0.2 s of a PHY's reset.
#[derive(LogicBlock, Default)]
pub struct PhySearch {
    /// The manager's clock.
    pub clock: Signal<In, Clock>,
    /// Its reset; the search begins anew.
    pub reset: Signal<In, Bit>,
    /// Where to begin.
    pub first: Signal<In, Bits<5>>,
    /// See [`super::manager::PhyManager`].
    pub asked: Signal<In, Bit>,
    /// See [`super::manager::PhyManager`].
    pub answered: Signal<In, Bit>,
    /// The address.
    pub phy: Signal<Out, Bits<5>>,
    /// High for one clock, with another address: the manager's reset.
    pub restart: Signal<Out, Bit>,
    address: DFF<Bits<5>>,
    found: DFF<Bit>,
    another: DFF<Bit>,
}

impl Logic for PhySearch {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, address, found, another);
        self.phy.next = self.address.q.val();
        self.restart.next = self.another.q.val();
        self.another.d.next = false;
        if self.asked.val() & !self.found.q.val() {
            if self.answered.val() {
                self.found.d.next = true;
            } else {
                self.address.d.next = self.address.q.val() + 1;
                self.another.d.next = true;
            }
        }
        if self.reset.val() {
            self.address.d.next = self.first.val();
            self.found.d.next = false;
            self.another.d.next = false;
        }
    }
}
