//! A town that never was, at a place that is: Accra, with a grid of streets, kitchens and shops on its corners.

use super::chance::Chance;
use crate::cli::client::words::P;
use crate::cli::replay::plane::{Plane, between};
use crate::mdrp::Point;

/// Where the grid's middle is.
pub const CENTER: P = P { lat: 5.6037, lon: -0.1870 };
pub const CURRENCY: &str = "GHS";
pub const TIMEZONE: &str = "Africa/Accra";
/// From corner to corner.
const BLOCK_M: f64 = 160.0;
/// Streets run this many blocks from the middle, each way.
const REACH_BLOCKS: f64 = 18.0;
/// How far the service goes from the middle.
pub const RADIUS_M: u32 = 6_000;
/// The streets do not run north to south.
const TURN_RAD: f64 = 0.21;
/// What a motorbike makes along the streets.
pub const RIDE_MPS: f64 = 8.0;

/// A place in the town's own streets: metres along and across.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corner {
    pub along: f64,
    pub across: f64,
}

impl Corner {
    /// Somewhere on a street, more often near the middle.
    pub fn any(chance: &mut Chance) -> Self {
        let mut blocks = || (chance.between(-REACH_BLOCKS, REACH_BLOCKS) + chance.between(-REACH_BLOCKS, REACH_BLOCKS)) / 2.0;
        let (along, across) = (blocks(), blocks());
        // On a street: one of the two is a whole number of blocks.
        let (along, across) = if chance.happens(50) { (along.round(), across) } else { (along, across.round()) };
        Self { along: along * BLOCK_M, across: across * BLOCK_M }
    }

    /// Where it is on the globe.
    #[must_use]
    pub fn on_globe(self) -> P {
        let (sin, cos) = TURN_RAD.sin_cos();
        let point = Point { x: self.along * cos - self.across * sin, y: self.along * sin + self.across * cos };
        Plane { center: CENTER, origin: Point { x: 0.0, y: 0.0 } }.on_globe(point)
    }

    /// The corner that a place of this town is at; the inverse of [`Corner::on_globe`], to a metre.
    #[must_use]
    pub fn of(place: P) -> Self {
        let north_m = (place.lat - CENTER.lat).to_radians() * index::geo::EARTH_RADIUS_M;
        let middle_lat = f64::midpoint(place.lat, CENTER.lat).to_radians();
        let east_m = (place.lon - CENTER.lon).to_radians() * index::geo::EARTH_RADIUS_M * middle_lat.cos();
        let (sin, cos) = TURN_RAD.sin_cos();
        Self { along: east_m * cos + north_m * sin, across: north_m * cos - east_m * sin }
    }

    /// The way to another corner by the streets: first along, then across.
    #[must_use]
    pub fn way_m(self, to: Self) -> f64 {
        (to.along - self.along).abs() + (to.across - self.across).abs()
    }

    /// Where one is after `gone_m` of that way.
    #[must_use]
    pub fn on_the_way(self, to: Self, gone_m: f64) -> Self {
        let along_m = (to.along - self.along).abs();
        let bend = Self { along: to.along, across: self.across };
        let step = |from: Self, to: Self, share: f64| {
            let at = between(Point { x: from.along, y: from.across }, Point { x: to.along, y: to.across }, share);
            Self { along: at.x, across: at.y }
        };
        if gone_m < along_m { step(self, bend, gone_m / along_m) } else { step(bend, to, (gone_m - along_m) / bend.way_m(to).max(1e-9)) }
    }
}

/// A merchant as its sign and menu say.
pub struct Sign {
    pub name: &'static str,
    pub kind: &'static str,
    pub cuisines: &'static [&'static str],
    /// Names and prices in pesewas.
    pub menu: &'static [(&'static str, i64)],
    pub prep_minutes: u32,
}

const WAAKYE: &[(&str, i64)] = &[("Waakye with egg", 3_500), ("Waakye special", 5_500), ("Fried plantain", 1_500), ("Sobolo", 1_000)];
const CHOP: &[(&str, i64)] =
    &[("Jollof with chicken", 5_000), ("Banku and tilapia", 8_500), ("Fufu with light soup", 6_000), ("Red red", 4_000), ("Water", 500)];
const GRILL: &[(&str, i64)] = &[("Kebab, two sticks", 2_400), ("Half a grilled chicken", 7_500), ("Yam chips", 2_000), ("Malt", 1_200)];
const PIZZA: &[(&str, i64)] = &[("Margherita", 7_000), ("Suya pizza", 9_500), ("Garden salad", 4_500), ("Lemonade", 1_800)];
const NOODLES: &[(&str, i64)] = &[("Chow mein", 5_500), ("Ginger beef with rice", 7_800), ("Spring rolls, four", 2_600)];
const BAKERY: &[(&str, i64)] = &[("Butter bread", 2_200), ("Meat pie", 1_800), ("Bofrot, five", 1_000), ("Iced coffee", 2_800)];
const SHOP: &[(&str, i64)] =
    &[("Rice, 1 kg", 3_200), ("Tomatoes, basket", 2_700), ("Eggs, tray", 6_500), ("Cooking oil, 1 l", 4_800), ("Soap", 900)];

/// Who sells in this town.
pub const SIGNS: [Sign; 16] = [
    Sign { name: "Auntie Efua's Waakye", kind: "restaurant", cuisines: &["ghanaian"], menu: WAAKYE, prep_minutes: 6 },
    Sign { name: "Osu Chop Bar", kind: "restaurant", cuisines: &["ghanaian"], menu: CHOP, prep_minutes: 11 },
    Sign { name: "Labadi Grill", kind: "restaurant", cuisines: &["grill"], menu: GRILL, prep_minutes: 13 },
    Sign { name: "Ring Road Pizza", kind: "restaurant", cuisines: &["pizza", "italian"], menu: PIZZA, prep_minutes: 12 },
    Sign { name: "Golden Dragon", kind: "restaurant", cuisines: &["chinese"], menu: NOODLES, prep_minutes: 10 },
    Sign { name: "Ridge Bakery", kind: "restaurant", cuisines: &["bakery", "coffee"], menu: BAKERY, prep_minutes: 5 },
    Sign { name: "Makola Mini Market", kind: "shop", cuisines: &[], menu: SHOP, prep_minutes: 7 },
    Sign { name: "Kaneshie Waakye Joint", kind: "restaurant", cuisines: &["ghanaian"], menu: WAAKYE, prep_minutes: 7 },
    Sign { name: "Cantonments Kitchen", kind: "restaurant", cuisines: &["ghanaian"], menu: CHOP, prep_minutes: 12 },
    Sign { name: "Asylum Down Grill", kind: "restaurant", cuisines: &["grill"], menu: GRILL, prep_minutes: 12 },
    Sign { name: "Airport Pizza", kind: "restaurant", cuisines: &["pizza"], menu: PIZZA, prep_minutes: 11 },
    Sign { name: "Noodle Corner", kind: "restaurant", cuisines: &["chinese"], menu: NOODLES, prep_minutes: 9 },
    Sign { name: "Adabraka Bread", kind: "restaurant", cuisines: &["bakery"], menu: BAKERY, prep_minutes: 4 },
    Sign { name: "Nima Provisions", kind: "shop", cuisines: &[], menu: SHOP, prep_minutes: 6 },
    Sign { name: "Mama Adjoa", kind: "restaurant", cuisines: &["ghanaian"], menu: CHOP, prep_minutes: 10 },
    Sign { name: "Night Market Kebab", kind: "restaurant", cuisines: &["grill"], menu: GRILL, prep_minutes: 8 },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_found_again_and_ways_follow_the_streets() {
        let mut chance = Chance::new(3, 0);
        for _ in 0..200 {
            let (from, to) = (Corner::any(&mut chance), Corner::any(&mut chance));
            let again = Corner::of(from.on_globe());
            assert!(again.way_m(from) < 2.0, "{from:?} became {again:?}");
            let way_m = from.way_m(to);
            assert!(from.on_the_way(to, way_m).way_m(to) < 1e-6);
            let half = from.on_the_way(to, way_m / 2.0);
            assert!((half.way_m(to) - way_m / 2.0).abs() < 1e-6, "{from:?} to {to:?} is half gone at {half:?}");
        }
    }
}
