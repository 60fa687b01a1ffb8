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

use index::geo::{Obstacles, Point};
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

/// From where to where.
pub type Way = (Point, Point);

/// Whose way is measured where nobody says who travels.
pub const MEASURED_BY: Vehicle = Vehicle::Motorbike;

/// Travel times in one city.
pub trait Times: Send + Sync {
    /// Seconds from `from` to `to`, rounded up.
    fn seconds(&self, from: Point, to: Point, by: Vehicle) -> u32;
    /// Metres of the way of [`MEASURED_BY`], rounded.
    fn metres(&self, from: Point, to: Point) -> u32;

    /// Metres of the way that somebody with this vehicle takes.
    fn metres_by(&self, from: Point, to: Point, _by: Vehicle) -> u32 {
        self.metres(from, to)
    }

    /// Both at once.
    fn leg(&self, from: Point, to: Point, by: Vehicle) -> Leg {
        Leg { from, to, metres: self.metres(from, to), seconds: self.seconds(from, to, by) }
    }

    /// [`Times::seconds`] from each of some points to each of others: one question where that is cheaper than many.
    fn table(&self, from: &[Point], to: &[Point], by: Vehicle) -> Vec<Vec<u32>> {
        from.iter().map(|from| to.iter().map(|to| self.seconds(*from, *to, by)).collect()).collect()
    }

    /// Says that ways from each of some points to each of others will be asked for one by one: whoever has to ask others asks once now, and remembers.
    fn ask_ahead(&self, _from: &[Point], _to: &[Point], _by: Vehicle) {}

    /// The way as a line of points; the straight one if nobody knows better.
    fn line(&self, from: Point, to: Point, _by: Vehicle) -> Vec<Point> {
        vec![from, to]
    }

    /// [`Times::line`] of each of some ways, in one go; `None` where it should be known and could not be had.
    fn lines(&self, ways: &[Way], by: Vehicle) -> Vec<Option<Vec<Point>>> {
        ways.iter().map(|(from, to)| Some(self.line(*from, *to, by))).collect()
    }
}

/// The places that a question must name to leave no way between them unknown: rows and columns.
fn unasked(from: &[Point], to: &[Point], is_known: impl Fn(Point, Point) -> bool) -> (Vec<Point>, Vec<Point>) {
    let rows: Vec<Point> = from.iter().copied().filter(|from| to.iter().any(|to| !is_known(*from, *to))).collect();
    let columns = to.iter().copied().filter(|to| rows.iter().any(|from| !is_known(*from, *to))).collect();
    (rows, columns)
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

    /// [`Travel::in_city`], around where nobody is sent.
    #[must_use]
    pub fn around(&self, obstacles: Arc<Obstacles>, speeds: impl Into<Speeds>) -> Box<dyn Times> {
        let crow = speeds.into();
        let times = self.in_city(crow);
        if obstacles.is_empty() {
            return times;
        }
        let streets = match self {
            Self::GreatCircle => false,
            Self::Map(_) | Self::Osrm(_) => true,
        };
        Box::new(around::Around::new(times, obstacles, crow, streets))
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
