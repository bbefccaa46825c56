//! `ferrule serve`: the simulated NIC for a driver in another process.
use std::sync::mpsc;

use crate::args::Serve;
use crate::error::Error;
use crate::session;

/// Serves until it is told to stop by SIGINT or SIGTERM.
///
/// # Errors
/// When the simulator cannot be started, or not all of the capture could be written.
pub(crate) fn run(args: &Serve) -> Result<(), Error> {
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        // The second signal finds nobody listening any more, which is as well.
        let _ = stop.send(());
    })
    .map_err(|e| Error::Wrong(format!("cannot wait for signals: {e}")))?;
    let simulator = session::server(args)?;
    println!(
        "{} engine, wire {}, on wall time; attach a driver to vfio-user:{} (Ctrl-C ends it)",
        simulator.stats().engine,
        args.sim.wire_text(),
        args.socket.display()
    );
    while stopped.recv_timeout(LOOK).is_err() {
        if !simulator.is_running() {
            break;
        }
    }
    let stats = simulator.stop()?;
    eprintln!(
        "{} frames to the NIC, {} from it; {} cycles, {} TLPs up, {} TLPs down",
        stats.phy.rx_frames,
        stats.phy.tx_frames,
        stats.cycles,
        stats.tlps.up.total(),
        stats.tlps.down.total()
    );
    Ok(())
}

/// How often to look whether the simulator still runs.
const LOOK: std::time::Duration = std::time::Duration::from_millis(200);
