//! One line of results.

use serde::{Deserialize, Serialize};

/// What a result should be. Times are of the ratio to the peer.
#[derive(Copy, Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Limit {
    /// At most this.
    AtMost(f64),
    /// At most this many times the peer's.
    AtMostTimes(f64),
    /// At least this many times the peer's.
    AtLeastTimes(f64),
}

/// One thing measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// What.
    pub what: String,
    /// Of what.
    pub unit: String,
    /// Ours.
    pub ours: f64,
    /// The other one of the comparison.
    pub peer: Option<f64>,
    /// What it should be.
    pub limit: Option<Limit>,
}

impl Record {
    /// A result by itself.
    pub fn new(what: impl Into<String>, ours: f64, unit: impl Into<String>) -> Record {
        Record {
            what: what.into(),
            unit: unit.into(),
            ours,
            peer: None,
            limit: None,
        }
    }

    /// Beside another one.
    #[must_use]
    pub fn with_peer(self, peer: f64) -> Record {
        Record {
            peer: Some(peer),
            ..self
        }
    }

    /// With what it should be.
    #[must_use]
    pub fn limit(self, limit: Limit) -> Record {
        Record {
            limit: Some(limit),
            ..self
        }
    }
}
