//! Where deliveries go: GeoJSON on the wire, rings of points in the row.

use index::geo::{Area, AreaError, Point};
use serde::{Deserialize, Serialize};
use storage::Fault;
use utoipa::ToSchema;

use crate::city::field::Invalid;

/// All rings together may have this many points, so that asking whether a point is inside stays cheap.
pub const POINTS_MAX: usize = 5_000;

/// `[longitude, latitude]`
type Position = [f64; 2];

/// A checked area, as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceArea {
    /// Polygons of closed rings; of each polygon the first ring is its outline and the others are holes.
    polygons: Vec<Vec<Vec<Position>>>,
}

/// A GeoJSON polygon or multi-polygon.
///
/// Source: RFC 7946, sections 3.1.6 and 3.1.7.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum GeoJson {
    /// Rings of `[lon, lat]`, closed; the first is the outline, the others are holes.
    Polygon { coordinates: Vec<Vec<Vec<f64>>> },
    /// Several of them.
    MultiPolygon { coordinates: Vec<Vec<Vec<Vec<f64>>>> },
}

impl ServiceArea {
    /// A checked area.
    ///
    /// # Errors
    /// [`Invalid`], with a pointer to the position or ring.
    pub fn from_geojson(pointer: &str, shape: GeoJson) -> Result<Self, Invalid> {
        let (polygons, is_single) = match shape {
            GeoJson::Polygon { coordinates } => (vec![coordinates], true),
            GeoJson::MultiPolygon { coordinates } => (coordinates, false),
        };
        let at = |p: usize, rest: String| {
            if is_single { format!("{pointer}/coordinates{rest}") } else { format!("{pointer}/coordinates/{p}{rest}") }
        };
        if polygons.iter().flatten().map(Vec::len).sum::<usize>() > POINTS_MAX {
            return Err(Invalid::new(at(0, String::new()), "too_many", format!("at most {POINTS_MAX} points")));
        }
        let mut checked = Vec::with_capacity(polygons.len());
        for (p, rings) in polygons.into_iter().enumerate() {
            let mut polygon = Vec::with_capacity(rings.len());
            for (r, ring) in rings.into_iter().enumerate() {
                polygon.push(checked_ring(ring, |rest| at(p, format!("/{r}{rest}")))?);
            }
            checked.push(polygon);
        }
        let area = Self { polygons: checked };
        area.shape().map_err(|error| Invalid::new(format!("{pointer}/coordinates"), "not_an_area", error.to_string()))?;
        Ok(area)
    }

    /// As it was given, altitudes left out.
    #[must_use]
    pub fn to_geojson(&self) -> GeoJson {
        let rings = |polygon: &Vec<Vec<Position>>| -> Vec<Vec<Vec<f64>>> {
            polygon.iter().map(|ring| ring.iter().map(|position| position.to_vec()).collect()).collect()
        };
        match self.polygons.as_slice() {
            [polygon] => GeoJson::Polygon { coordinates: rings(polygon) },
            polygons => GeoJson::MultiPolygon { coordinates: polygons.iter().map(rings).collect() },
        }
    }

    /// Whether `point` is inside or on the edge.
    #[must_use]
    pub fn contains(&self, point: Point) -> bool {
        self.area().contains(point)
    }

    /// How many points its rings have.
    #[must_use]
    pub fn points(&self) -> u32 {
        let points: usize = self.polygons.iter().flatten().map(Vec::len).sum();
        // At most [`POINTS_MAX`].
        u32::try_from(points).unwrap_or(u32::MAX)
    }

    /// As a shape to ask questions of.
    #[must_use]
    pub fn area(&self) -> Area {
        match self.shape() {
            Ok(area) => area,
            // It was a shape when it was written.
            Err(error) => storage::fault::raise(Fault::damaged(b"area", error.to_string())),
        }
    }

    fn shape(&self) -> Result<Area, AreaError> {
        let point = |position: &Position| Point::new(position[1], position[0]).map_err(|_| AreaError::Ring);
        let ring = |ring: &Vec<Position>| ring.iter().map(point).collect::<Result<Vec<_>, _>>();
        let polygon = |polygon: &Vec<Vec<Position>>| polygon.iter().map(ring).collect::<Result<Vec<_>, _>>();
        Area::new(self.polygons.iter().map(polygon).collect::<Result<_, _>>()?)
    }
}

fn checked_ring(ring: Vec<Vec<f64>>, at: impl Fn(&str) -> String) -> Result<Vec<Position>, Invalid> {
    let mut checked = Vec::with_capacity(ring.len());
    for (n, position) in ring.into_iter().enumerate() {
        // A third number is an altitude, which nobody here flies at; more are not GeoJSON.
        let (2 | 3, [lon, lat, ..]) = (position.len(), position.as_slice()) else {
            return Err(Invalid::new(at(&format!("/{n}")), "not_a_position", "[longitude, latitude]"));
        };
        Point::new(*lat, *lon).map_err(|error| Invalid::new(at(&format!("/{n}")), "out_of_range", error.to_string()))?;
        checked.push([*lon, *lat]);
    }
    if checked.len() < 4 || checked.first() != checked.last() {
        return Err(Invalid::new(at(""), "not_a_ring", "a ring has at least four positions, and the last is the first"));
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ServiceArea, (String, &'static str)> {
        let shape: GeoJson = serde_json::from_str(json).expect("GeoJSON");
        ServiceArea::from_geojson("/area", shape).map_err(|invalid| (invalid.pointer, invalid.code))
    }

    const SQUARE: &str = "[[0,0],[1,0],[1,1],[0,1],[0,0]]";

    #[test]
    fn what_is_an_area() {
        let polygon = |rings: &str| parse(&format!(r#"{{"type": "Polygon", "coordinates": [{rings}]}}"#)).map(drop);
        let refused = |pointer: &str, code| Err((format!("/area/coordinates{pointer}"), code));
        assert_eq!(polygon(SQUARE), Ok(()));
        assert_eq!(polygon("[[0,0,12.5],[1,0,0],[1,1,0],[0,0,12.5]]"), Ok(()), "altitudes are left out");
        assert_eq!(polygon(""), refused("", "not_an_area"));
        assert_eq!(polygon("[[0,0],[1,0],[1,1],[0,1]]"), refused("/0", "not_a_ring"), "open");
        assert_eq!(polygon("[[0,0],[1,0],[0,0]]"), refused("/0", "not_a_ring"), "two points");
        assert_eq!(polygon("[[0,0],[0,0],[0,0],[0,0]]"), refused("", "not_an_area"), "one point");
        assert_eq!(polygon("[[0,0],[1,0],[1,91],[0,0]]"), refused("/0/2", "out_of_range"));
        assert_eq!(polygon(&format!("{SQUARE},[[0,0],[1],[1,1],[0,0]]")), refused("/1/1", "not_a_position"));
        let multi = parse(&format!(r#"{{"type": "MultiPolygon", "coordinates": [[{SQUARE}], [[[0,0],[1,0]]]]}}"#));
        assert_eq!(multi.map(drop), refused("/1/0", "not_a_ring"));
        let large = vec!["[0,0]"; POINTS_MAX + 1].join(",");
        assert_eq!(polygon(&format!("[{large}]")), refused("", "too_many"));
        assert!(serde_json::from_str::<GeoJson>(r#"{"type": "Point", "coordinates": [0, 0]}"#).is_err());
        assert!(serde_json::from_str::<GeoJson>(r#"{"type": "Polygon", "coordinates": [], "colour": "red"}"#).is_err());
    }

    #[test]
    fn holes_are_not_served_and_the_text_comes_back() {
        let json = format!(r#"{{"type":"Polygon","coordinates":[{SQUARE},[[0.4,0.4],[0.6,0.4],[0.6,0.6],[0.4,0.6],[0.4,0.4]]]}}"#);
        let area = parse(&json).expect("an area");
        for (lat, lon, inside) in [(0.2, 0.2, true), (0.5, 0.5, false), (1.5, 0.5, false)] {
            assert_eq!(area.contains(Point::new(lat, lon).expect("on earth")), inside, "{lat} {lon}");
        }
        let again = serde_json::to_value(area.to_geojson()).expect("JSON");
        assert_eq!(again["coordinates"][1][1], serde_json::json!([0.6, 0.4]));
        assert_eq!(ServiceArea::from_geojson("", serde_json::from_value(again).expect("GeoJSON")), Ok(area));
    }
}
