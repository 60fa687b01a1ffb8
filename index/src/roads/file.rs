//! A map's bytes. Little endian: magic and version; of each mode the numbers of nodes and arcs, then the columns, then the ends and parts of crossings with
//! forbidden turns (from version 2 on; a map of version 1 knows none); at the end a CRC-32C of all before it. Another version, a flipped bit or a cut end is
//! refused, and the map is to be imported again.

use super::{
    Cost, Mode,
    contract::Arc,
    hierarchy::{Arcs, Hierarchy},
};
use crate::geo::Point;
use std::{collections::BTreeMap, fs, io::Write, path::Path};

const MAGIC: &[u8; 8] = b"MEDROAD\x02";
/// Maps from before forbidden turns.
const MAGIC_1: &[u8; 8] = b"MEDROAD\x01";

/// Why there is no map.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    #[error("the map's file: {0}")]
    Io(#[from] std::io::Error),
    #[error("the OpenStreetMap file: {0}")]
    Osm(#[from] osmpbf::Error),
    #[error("this is no map of this version; import it again")]
    Version,
    #[error("the map is damaged ({0}); import it again")]
    Damaged(&'static str),
    #[error("there is no street for a {0:?} in it")]
    Empty(Mode),
}

fn put(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

/// Writes the hierarchies beside their place and moves them in: a crash leaves the old map or the new one.
pub(super) fn write(path: &Path, hierarchies: &[Hierarchy]) -> Result<(), MapError> {
    let mut bytes = MAGIC.to_vec();
    for hierarchy in hierarchies {
        put(&mut bytes, hierarchy.points.len() as u32);
        for point in &hierarchy.points {
            // A centimetre; what it came from has no more.
            bytes.extend_from_slice(&((point.lat() * 1e7).round() as i32).to_le_bytes());
            bytes.extend_from_slice(&((point.lon() * 1e7).round() as i32).to_le_bytes());
        }
        for arcs in [&hierarchy.up, &hierarchy.down] {
            put(&mut bytes, arcs.arcs.len() as u32);
            arcs.first.iter().for_each(|first| put(&mut bytes, *first));
            for arc in &arcs.arcs {
                [arc.to, arc.cost.deciseconds(), arc.cost.decimetres(), arc.middle].into_iter().for_each(|part| put(&mut bytes, part));
            }
        }
        put(&mut bytes, hierarchy.ends.len() as u32);
        hierarchy.ends.iter().flat_map(|(node, end)| [*node, *end]).for_each(|node| put(&mut bytes, node));
        put(&mut bytes, hierarchy.parts.len() as u32);
        hierarchy.parts.iter().for_each(|node| put(&mut bytes, *node));
    }
    let sum = crc32c::crc32c(&bytes);
    put(&mut bytes, sum);
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn number(&mut self) -> Result<u32, MapError> {
        let (number, rest) = self.0.split_first_chunk::<4>().ok_or(MapError::Damaged("it ends early"))?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*number))
    }

    /// How many rows of `width` bytes follow; never more than there are bytes.
    fn count(&mut self, width: usize) -> Result<usize, MapError> {
        let count = self.number()? as usize;
        if count > self.0.len() / width { Err(MapError::Damaged("it ends early")) } else { Ok(count) }
    }

    fn node(&mut self, nodes: usize) -> Result<u32, MapError> {
        self.number().and_then(|node| if (node as usize) < nodes { Ok(node) } else { Err(MapError::Damaged("a crossing is nowhere")) })
    }

    fn arcs(&mut self, nodes: usize) -> Result<Arcs, MapError> {
        let count = self.count(16)?;
        let first = (0..=nodes).map(|_| self.number()).collect::<Result<Vec<u32>, MapError>>()?;
        if first.last().is_none_or(|last| *last as usize != count) || !first.is_sorted() {
            return Err(MapError::Damaged("its lists do not fit"));
        }
        let mut arc = || Ok(Arc { to: self.number()?, cost: Cost::new(self.number()?, self.number()?), middle: self.number()? });
        let arcs = (0..count).map(|_| arc()).collect::<Result<Vec<Arc>, MapError>>()?;
        if arcs.iter().any(|arc| arc.to as usize >= nodes) {
            return Err(MapError::Damaged("an arc leads nowhere"));
        }
        Ok(Arcs { first, arcs })
    }
}

/// Reads what [`write`] wrote.
pub(super) fn read(path: &Path) -> Result<Vec<Hierarchy>, MapError> {
    let bytes = fs::read(path)?;
    let has_turns = bytes.starts_with(MAGIC);
    if !has_turns && !bytes.starts_with(MAGIC_1) {
        return Err(MapError::Version);
    }
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or(MapError::Damaged("it ends early"))?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return Err(MapError::Damaged("its checksum is wrong"));
    }
    let mut bytes = Bytes(&body[MAGIC.len()..]);
    let hierarchy = |_| {
        let nodes = bytes.count(8)?;
        let point = |bytes: &mut Bytes<'_>| {
            let (lat, lon) = (bytes.number()? as i32, bytes.number()? as i32);
            Point::new(f64::from(lat) / 1e7, f64::from(lon) / 1e7).map_err(|_| MapError::Damaged("a node is not on the earth"))
        };
        let points = (0..nodes).map(|_| point(&mut bytes)).collect::<Result<Vec<Point>, MapError>>()?;
        let (up, down) = (bytes.arcs(nodes)?, bytes.arcs(nodes)?);
        let (mut ends, mut parts) = (BTreeMap::new(), Vec::new());
        if has_turns {
            for _ in 0..bytes.count(8)? {
                ends.insert(bytes.node(nodes)?, bytes.node(nodes)?);
            }
            parts = (0..bytes.count(4)?).map(|_| bytes.node(nodes)).collect::<Result<Vec<u32>, MapError>>()?;
        }
        Ok(Hierarchy { points, up, down, ends, parts })
    };
    let hierarchies = Mode::ALL.into_iter().map(hierarchy).collect::<Result<Vec<Hierarchy>, MapError>>()?;
    if bytes.0.is_empty() { Ok(hierarchies) } else { Err(MapError::Damaged("it goes on after its end")) }
}
