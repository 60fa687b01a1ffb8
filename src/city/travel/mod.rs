//! How long it takes from here to there. One trait, three who answer; which one is the operator's choice (`[travel]` in the configuration):
//!
//! ```text
//!   great_circle   the straight line, at the city's measured speed          always there
//!   map            the embedded road graph, from `medina map import FILE`   ─┐ where they have no answer, the
//!   osrm           a server that speaks OSRM's HTTP                         ─┘ straight line answers
//! ```
//! The straight line's speeds are learned from completed trips, by vehicle and hour.
//!
//! Reading order: [`Times`], [`crow`], [`learned`] and [`trips`] (its speeds), [`roads`], [`osrm`] (the client) and [`served`] (its answers as times),
//! [`Travel`] (the choice),
//! [`around`] (no-go zones).

pub mod around;
pub mod crow;
pub mod learned;
pub mod osrm;
pub mod roads;
pub mod served;
pub mod trips;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use index::geo::{Obstacle, Point};
use index::roads::{MapError, RoadMap};

pub use crow::{GreatCircle, Speeds};
pub use osrm::Osrm;

use crate::city::couriers::Vehicle;

/// One way, and what it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leg {
    pub from: Point,
    pub to: Point,
    pub metres: u32,
    pub seconds: u32,
}

/// Travel times in one city.
pub trait Times: Send + Sync {
    /// Seconds from `from` to `to`, rounded up.
    fn seconds(&self, from: Point, to: Point, by: Vehicle) -> u32;
    /// Metres of that way, rounded.
    fn metres(&self, from: Point, to: Point) -> u32;

    /// Both at once.
    fn leg(&self, from: Point, to: Point, by: Vehicle) -> Leg {
        Leg { from, to, metres: self.metres(from, to), seconds: self.seconds(from, to, by) }
    }

    /// [`Times::seconds`] from each of some points to each of others: one question where that is cheaper than many.
    fn table(&self, from: &[Point], to: &[Point], by: Vehicle) -> Vec<Vec<u32>> {
        from.iter().map(|from| to.iter().map(|to| self.seconds(*from, *to, by)).collect()).collect()
    }

    /// The way as a line of points; the straight one if nobody knows better.
    fn line(&self, from: Point, to: Point, _by: Vehicle) -> Vec<Point> {
        vec![from, to]
    }
}

/// The file of an imported map, inside the data folder.
pub const MAP_FILE: &str = "roads.map";

/// Who answers, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    #[default]
    GreatCircle,
    /// The map in this file.
    Map(PathBuf),
    /// The server at this address (`http://host:port`), which has so long to answer.
    Osrm { url: String, timeout: Duration },
}

/// Who answers. One per appliance.
#[derive(Clone, Default)]
pub enum Travel {
    #[default]
    GreatCircle,
    Map(Arc<RoadMap>),
    Osrm(Arc<Osrm>),
}

/// Why nobody answers.
#[derive(Debug, thiserror::Error)]
pub enum TravelError {
    #[error("travel times by map: {}: {source}; `medina map import FILE.osm.pbf` makes it", path.display())]
    Map { path: PathBuf, source: MapError },
    #[error("travel times by OSRM: {0}")]
    Osrm(std::io::Error),
}

impl Travel {
    /// Loads the map, or gets ready to ask the server. The server need not be there yet.
    ///
    /// # Errors
    /// [`TravelError`]: there is no (sound) map, or no thread.
    pub fn open(provider: Provider) -> Result<Self, TravelError> {
        Ok(match provider {
            Provider::GreatCircle => Self::GreatCircle,
            Provider::Map(path) => match RoadMap::load(&path) {
                Ok(map) => Self::Map(Arc::new(map)),
                Err(source) => return Err(TravelError::Map { path, source }),
            },
            Provider::Osrm { url, timeout } => Self::Osrm(Osrm::start(&url, timeout).map_err(TravelError::Osrm)?),
        })
    }

    /// Whether an answer costs next to nothing, so that it can be had anywhere, also in a command.
    #[must_use]
    pub fn is_free(&self) -> bool {
        matches!(self, Self::GreatCircle)
    }

    /// [`Travel::in_city`], around where nobody is sent. A server's ways are its operator's: it is told there what is closed.
    #[must_use]
    pub fn around(&self, obstacles: Arc<[Obstacle]>, speeds: impl Into<Speeds>) -> Box<dyn Times> {
        let times = self.in_city(speeds);
        match self {
            _ if obstacles.is_empty() => times,
            Self::GreatCircle => Box::new(around::Around::new(times, obstacles, true)),
            Self::Map(_) => Box::new(around::Around::new(times, obstacles, false)),
            Self::Osrm(_) => times,
        }
    }

    /// The travel times of a city whose couriers go at such speeds along straight lines.
    #[must_use]
    pub fn in_city(&self, speeds: impl Into<Speeds>) -> Box<dyn Times> {
        let crow = speeds.into();
        match self {
            Self::GreatCircle => Box::new(crow),
            Self::Map(map) => Box::new(roads::OnRoads::new(map.clone(), crow)),
            Self::Osrm(server) => Box::new(served::Served::new(server.clone(), crow)),
        }
    }
}
