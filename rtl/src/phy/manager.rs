//! Management of a PHY: reset, autonegotiation, link and speed (IEEE 802.3 clauses 22.2.4, 28 and 40.5).
use super::mdio::Mdio;
use super::ports::*;
use rust_hdl::prelude::*;

/// What [`PhyManager`] does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum ManagerState {
    /// The PHY is held in reset.
    Reset,
    /// It comes out of it.
    Settle,
    /// The next transfer is chosen.
    Choose,
    /// A transfer of its own is under way.
    Own,
    /// And is over.
    Over,
    /// A transfer of the host is under way.
    Host,
}

/// Resets a PHY, has it advertise full duplex only, and asks for the result every 8 ms; the host's transfers come in between.
///
/// The result is what both sides advertise, the fastest first (clause 28B.3), as the PHY's registers have it in each round: the host may change them. A link
/// on which nothing of full duplex was agreed, as with a partner that does not negotiate, is an error and not up.
#[derive(LogicBlock, Default)]
pub struct PhyManager {
    /// The clock, 160 MHz at most.
    pub clock: Signal<In, Clock>,
    /// Its reset.
    pub reset: Signal<In, Bit>,
    /// High for one clock every millisecond or so: the unit of all times here.
    pub tick: Signal<In, Bit>,
    /// The PHY's address.
    pub phy: Signal<In, Bits<5>>,
    /// The board can do 1000 Mbit/s; else it is not advertised.
    pub gigabit: Signal<In, Bit>,
    /// Transfers of the host.
    pub host: MdioSink,
    /// The link is up, and at a speed that is known.
    pub link_up: Signal<Out, Bit>,
    /// 0: 10, 1: 100, 2: 1000 Mbit/s; stays while the link is down.
    pub link_speed: Signal<Out, Bits<2>>,
    /// There is a link, with half duplex only.
    pub link_error: Signal<Out, Bit>,
    /// High for one clock: the first register of a round was asked for.
    pub asked: Signal<Out, Bit>,
    /// With `asked`: a PHY has that address.
    pub answered: Signal<Out, Bit>,
    /// Pin RESET_N of the PHY: low for 16 ms; the first transfer comes 192 ms later.
    pub phy_reset_n: Signal<Out, Bit>,
    /// Pin MDC.
    pub mdc: Signal<Out, Bit>,
    /// Pin MDIO, driven value.
    pub mdio_o: Signal<Out, Bit>,
    /// Pin MDIO, drive it.
    pub mdio_oe: Signal<Out, Bit>,
    /// Pin MDIO, value; pulled up.
    pub mdio_i: Signal<In, Bit>,
    mdio: Mdio,
    state: DFF<ManagerState>,
    timer: DFF<Bits<8>>,
    /// Own transfers are to be done.
    due: DFF<Bit>,
    /// The next one of them: 0 to 2 set up, 3 to 8 are a round.
    step: DFF<Bits<4>>,
    up: DFF<Bit>,
    error: DFF<Bit>,
    speed: DFF<Bits<2>>,
    released: DFF<Bit>,
    /// What both sides advertise, as far as is known in this round.
    can_10: DFF<Bit>,
    can_100: DFF<Bit>,
    can_1000: DFF<Bit>,
    data: Signal<Local, Bits<16>>,
    linked: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
}

impl Logic for PhyManager {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, timer, due, step, up, error, speed, released, can_10, can_100,
            can_1000
        );
        clock!(self, clock, mdio);
        self.mdio.reset.next = self.reset.val();
        self.mdio.mdio_i.next = self.mdio_i.val();
        self.mdc.next = self.mdio.mdc.val();
        self.mdio_o.next = self.mdio.mdio_o.val();
        self.mdio_oe.next = self.mdio.mdio_oe.val();
        self.link_up.next = self.up.q.val();
        self.link_speed.next = self.speed.q.val();
        self.link_error.next = self.error.q.val();
        self.phy_reset_n.next = self.released.q.val();
        self.released.d.next = true;
        self.asked.next = false;
        self.answered.next = self.mdio.answered.val();
        self.data.next = self.mdio.s.rdata.val();
        self.host.rdata.next = self.data.val();
        self.host.done.next = false;

        // A round reads BMSR, ANAR, ANLPAR, GBCR, GBSR, and BMSR again: link status stays low once it fell (clause 22.2.4.2.13), so what was read between two
        // that have it is of one link. Half a round of a cable that was pulled would look like half duplex.
        self.mdio.s.valid.next = self.state.q.val() == ManagerState::Own;
        self.mdio.s.phy.next = self.phy.val();
        self.mdio.s.write.next = false;
        self.mdio.s.wdata.next = 0.into();
        self.mdio.s.register.next = 1.into();
        if self.step.q.val() == 4 {
            self.mdio.s.register.next = 4.into();
        }
        if self.step.q.val() == 5 {
            self.mdio.s.register.next = 5.into();
        }
        if self.step.q.val() == 6 {
            self.mdio.s.register.next = 9.into();
        }
        if self.step.q.val() == 7 {
            self.mdio.s.register.next = 10.into();
        }
        // ANAR: 100BASE-TX and 10BASE-T full duplex, selector 1.
        if self.step.q.val() == 0 {
            self.mdio.s.write.next = true;
            self.mdio.s.register.next = 4.into();
            self.mdio.s.wdata.next = 0x0141.into();
        }
        // GBCR: 1000BASE-T full duplex, or nothing.
        if self.step.q.val() == 1 {
            self.mdio.s.write.next = true;
            self.mdio.s.register.next = 9.into();
            if self.gigabit.val() {
                self.mdio.s.wdata.next = 0x0200.into();
            }
        }
        // BMCR: negotiate, anew.
        if self.step.q.val() == 2 {
            self.mdio.s.write.next = true;
            self.mdio.s.register.next = 0.into();
            self.mdio.s.wdata.next = 0x1200.into();
        }

        if self.tick.val() {
            self.timer.d.next = self.timer.q.val() + 1;
        }
        self.ends.next = false;
        // Link status and autonegotiation complete.
        self.linked.next =
            self.mdio.answered.val() & self.data.val().get_bit(2) & self.data.val().get_bit(5);
        match self.state.q.val() {
            ManagerState::Reset => {
                self.released.d.next = false;
                if self.timer.q.val().get_bit(4) {
                    self.timer.d.next = 0.into();
                    self.state.d.next = ManagerState::Settle;
                }
            }
            ManagerState::Settle => {
                if self.timer.q.val().get_bit(7) & self.timer.q.val().get_bit(6) {
                    self.timer.d.next = 0.into();
                    self.step.d.next = 0.into();
                    self.due.d.next = true;
                    self.state.d.next = ManagerState::Choose;
                }
            }
            ManagerState::Choose => {
                if self.timer.q.val().get_bit(3) {
                    self.timer.d.next = 0.into();
                    self.due.d.next = true;
                }
                if self.due.q.val() {
                    self.state.d.next = ManagerState::Own;
                } else if self.host.valid.val() {
                    self.state.d.next = ManagerState::Host;
                }
            }
            ManagerState::Own => {
                if self.mdio.s.done.val() {
                    self.state.d.next = ManagerState::Over;
                    self.step.d.next = self.step.q.val() + 1;
                    if self.step.q.val() == 3 {
                        self.asked.next = true;
                        if !self.linked.val() {
                            self.up.d.next = false;
                            self.error.d.next = false;
                            self.ends.next = true;
                        }
                    }
                    if self.step.q.val() == 4 {
                        self.can_10.d.next = self.data.val().get_bit(6);
                        self.can_100.d.next = self.data.val().get_bit(8);
                    }
                    if self.step.q.val() == 5 {
                        self.can_10.d.next = self.can_10.q.val() & self.data.val().get_bit(6);
                        self.can_100.d.next = self.can_100.q.val() & self.data.val().get_bit(8);
                    }
                    if self.step.q.val() == 6 {
                        self.can_1000.d.next = self.gigabit.val() & self.data.val().get_bit(9);
                    }
                    if self.step.q.val() == 7 {
                        self.can_1000.d.next = self.can_1000.q.val() & self.data.val().get_bit(11);
                    }
                    if self.step.q.val() == 8 {
                        self.ends.next = true;
                        self.up.d.next = true;
                        self.error.d.next = false;
                        if !self.linked.val() {
                            self.up.d.next = false;
                        } else if self.can_1000.q.val() {
                            self.speed.d.next = 2.into();
                        } else if self.can_100.q.val() {
                            self.speed.d.next = 1.into();
                        } else if self.can_10.q.val() {
                            self.speed.d.next = 0.into();
                        } else {
                            self.up.d.next = false;
                            self.error.d.next = true;
                        }
                    }
                    if self.ends.val() {
                        self.step.d.next = 3.into();
                        self.due.d.next = false;
                    }
                }
            }
            ManagerState::Over => {
                self.state.d.next = ManagerState::Choose;
            }
            ManagerState::Host => {
                self.mdio.s.valid.next = self.host.valid.val();
                self.mdio.s.phy.next = self.host.phy.val();
                self.mdio.s.register.next = self.host.register.val();
                self.mdio.s.write.next = self.host.write.val();
                self.mdio.s.wdata.next = self.host.wdata.val();
                self.host.done.next = self.mdio.s.done.val();
                if !self.host.valid.val() {
                    self.state.d.next = ManagerState::Choose;
                }
            }
            _ => {
                self.state.d.next = ManagerState::Reset;
            }
        }
        if self.reset.val() {
            self.state.d.next = ManagerState::Reset;
            self.timer.d.next = 0.into();
            self.due.d.next = false;
            self.up.d.next = false;
            self.error.d.next = false;
            self.released.d.next = false;
        }
    }
}
