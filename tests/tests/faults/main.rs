//! Driver and sockets on devices that fail: nothing panics, no wrong byte passes for a right one, and what can be mended is.
mod driver;
mod sockets;

use ferrule_sim::fault_device::{FaultDevice, FaultHandle, Faults};
use ferrule_sim::local::{Attached, LocalClock, LocalSimulator, NicSetup};
use ferrule_sim::station::Core;
use ferrule_sim::wire::Wire;

/// A simulated world whose NIC fails as its handle says; until then it works. The calling thread drives it.
struct World {
    handle: FaultHandle,
    clock: LocalClock,
    _attached: Attached,
    _simulator: LocalSimulator,
}

impl World {
    /// The world and its device, for a driver.
    fn new(seed: u64, wire: Box<dyn Wire>) -> (Self, Box<FaultDevice>) {
        let setup = NicSetup::new(Core::Model, wire).seed(seed);
        let simulator = LocalSimulator::builder()
            .nic(setup)
            .start()
            .expect("starts");
        let clock = simulator.clock();
        let attached = clock.attach();
        let device = Box::new(simulator.device(0).expect("opens"));
        let (device, handle) =
            FaultDevice::new(device, Faults::default(), seed).expect("there is memory");
        let world = Self {
            handle,
            clock,
            _attached: attached,
            _simulator: simulator,
        };
        (world, Box::new(device))
    }
}
