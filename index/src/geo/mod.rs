//! Where things are. Read in this order: [`Point`], the live positions of couriers (`cell`, `grid`, [`Positions`]),
//! then what stands still ([`Places`], [`Area`], [`Areas`]), and what is gone around ([`Obstacle`], [`Obstacles`]).

mod area;
mod bounds;
mod cell;
mod detour;
mod grid;
mod obstacle;
mod places;
mod point;
mod positions;

pub use area::{Area, AreaError, Areas};
pub use cell::{Fix, Ping};
pub use detour::Obstacles;
pub use obstacle::Obstacle;
pub use places::{Near, Places};
pub use point::{Distances, EARTH_RADIUS_M, Point, PointError, distance_m};
pub use positions::{Full, POSITIONS_MAX, Positions, RADIUS_M_MAX, Seen, Slot, Widened};
