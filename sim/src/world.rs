//! Several stations on one clock. Which of them run when; whoever owns the world says how far time may go.
use crate::host_side::HostSide;
use crate::station::{Next, Station};

/// The stations and the time.
pub(crate) struct World {
    now_ns: u64,
    places: Vec<Place>,
}

struct Place {
    station: Box<dyn Station>,
    next: Next,
}

impl World {
    /// All stations at time 0, with something to do.
    pub(crate) fn new(stations: Vec<Box<dyn Station>>) -> Self {
        let place = |station| Place {
            station,
            next: Next::Busy(0),
        };
        Self {
            now_ns: 0,
            places: stations.into_iter().map(place).collect(),
        }
    }

    /// The time.
    pub(crate) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// When [`World::step`] has something to do, busy if any station is.
    pub(crate) fn next(&self) -> Next {
        self.places
            .iter()
            .map(|place| place.next)
            .reduce(Next::or)
            .unwrap_or(Next::Idle(None))
    }

    /// Moves time on to `to_ns`, not back.
    pub(crate) fn advance(&mut self, to_ns: u64) {
        self.now_ns = self.now_ns.max(to_ns);
    }

    /// Runs the stations for which it is time, each once, in their order.
    pub(crate) fn step(&mut self) {
        let now_ns = self.now_ns;
        for i in 0..self.places.len() {
            let place = &mut self.places[i];
            if place.next.at_ns().is_none_or(|at| at > now_ns) {
                continue;
            }
            let step = place.station.step(now_ns);
            place.next = step.next;
            if step.wire {
                for (_, other) in self.places.iter_mut().enumerate().filter(|(j, _)| *j != i) {
                    other.next = other.next.or(other.station.refresh(now_ns));
                }
            }
        }
    }

    /// How many stations there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// A station as it is.
    pub(crate) fn station(&self, station: usize) -> &dyn Station {
        &*self.places[station].station
    }

    /// A station to be changed, which runs at once then.
    pub(crate) fn station_mut(&mut self, station: usize) -> &mut dyn Station {
        self.touch(station);
        &mut *self.places[station].station
    }

    /// The host's side of a station; what needs the station to run afterwards is followed by [`World::touch`].
    pub(crate) fn look(&mut self, station: usize) -> &mut dyn HostSide {
        self.places[station].station.host()
    }

    /// Lets a station run at once.
    pub(crate) fn touch(&mut self, station: usize) {
        self.places[station].next = Next::Busy(self.now_ns);
    }

    /// Asks the wire of a station anew; what is next there.
    pub(crate) fn refresh(&mut self, station: usize) -> Next {
        let place = &mut self.places[station];
        place.next = place.next.or(place.station.refresh(self.now_ns));
        place.next
    }

    /// Ends all waveforms; the first error.
    pub(crate) fn trace_stop(&mut self) -> Result<(), crate::engine::EngineError> {
        let mut result = Ok(());
        for place in &mut self.places {
            result = result.and(place.station.trace_stop());
        }
        result
    }
}
