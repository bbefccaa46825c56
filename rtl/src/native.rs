//! Driving a design cycle by cycle with rust-hdl's own evaluation, without its threaded `Simulation`.
use rust_hdl::prelude::*;

/// The most evaluation passes that one settling may take before it is called a combinational loop.
const MAX_DELTAS: u32 = 200;

/// A connected and checked design.
///
/// A clock cycle is: set the clocks low and the inputs, [`Native::settle`], read the outputs, set the clocks that rise high,
/// [`Native::settle`]. Inputs only change while clocks are low.
pub struct Native<T: Block> {
    /// The design; its inputs are driven through `.next`.
    pub u: Box<T>,
    /// Evaluation passes so far.
    pub deltas: u64,
}

impl<T: Block + Default> Default for Native<T> {
    fn default() -> Self {
        Self::new(Box::default())
    }
}

impl<T: Block> Native<T> {
    /// Connects and checks `u`.
    ///
    /// # Panics
    /// If the design has open or doubly driven signals: a fault of the design, not of its inputs.
    pub fn new(mut u: Box<T>) -> Self {
        u.connect_all();
        if let Err(e) = check_all(&*u) {
            panic!("the design does not pass rust-hdl's checks: {e:?}");
        }
        Self { u, deltas: 0 }
    }

    /// Evaluates until nothing changes.
    ///
    /// # Panics
    /// If that never happens: the design holds a combinational loop.
    pub fn settle(&mut self) {
        for _ in 0..MAX_DELTAS {
            self.u.update_all();
            self.deltas += 1;
            if !self.u.has_changed() {
                return;
            }
        }
        panic!("the design does not settle in {MAX_DELTAS} passes: a combinational loop");
    }
}
