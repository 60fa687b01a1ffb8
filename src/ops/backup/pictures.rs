//! Which pictures a snapshot's rows name, so that a picture that no kept snapshot needs can go with the last one that did.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use storage::archive::Place;
use storage::{Read, Timestamp};

use super::destination::{Destination, plain_name};
use super::manifest::{MANIFEST, Manifest};
use super::ship::is_hash;
use super::take;
use crate::city::media::model::MEDIA;

/// The file beside a snapshot's parts: 32 bytes for each picture, ascending.
pub const LIST: &str = "pictures.list";
/// A picture is sent before its row is committed, and the destination's clock is not this machine's.
const MARGIN_S: i64 = 86_400;

/// What a manifest says of the list; without pictures there is no file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pictures {
    pub count: u64,
    /// BLAKE3 of the unencrypted file, in hex.
    pub blake3: String,
}

/// BLAKE3 hashes of the pictures that the rows name.
pub fn named(read: &(impl Read + ?Sized)) -> BTreeSet<[u8; 32]> {
    MEDIA.scan(read).map(|(_, media)| media.hash).collect()
}

/// The list as it is written, and what the manifest says of it.
#[must_use]
pub fn list(named: &BTreeSet<[u8; 32]>) -> (Vec<u8>, Pictures) {
    let bytes: Vec<u8> = named.iter().flatten().copied().collect();
    let blake3 = blake3::hash(&bytes).to_hex().to_string();
    (bytes, Pictures { count: named.len() as u64, blake3 })
}

/// Sends the list of a local snapshot in `from` to `there`, if it has one. Returns the bytes sent.
///
/// # Errors
/// A sentence.
pub fn ship(from: &Path, manifest: &Manifest, there: &str, to: &Destination) -> Result<u64, String> {
    if manifest.pictures.as_ref().is_none_or(|pictures| pictures.count == 0) {
        return Ok(0);
    }
    let path = from.join(LIST);
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let sent = bytes.len() as u64;
    to.put_sealed(&format!("{there}/{LIST}"), bytes)?;
    Ok(sent)
}

/// The pictures that a local snapshot names; `None` if it was taken before there were lists.
///
/// # Errors
/// A sentence.
pub fn of_local(data: &Path, manifest: &Manifest) -> Result<Option<BTreeSet<[u8; 32]>>, String> {
    let Some(pictures) = &manifest.pictures else { return Ok(None) };
    if pictures.count == 0 {
        return Ok(Some(BTreeSet::new()));
    }
    let path = take::folder(data).join(manifest.place()?.to_string()).join(LIST);
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Some(bytes.as_chunks::<32>().0.iter().copied().collect()))
}

/// Whether a file is so new that the row that names it may be in no snapshot yet.
#[must_use]
pub fn came_lately(file: &fs::DirEntry) -> bool {
    let age = file.metadata().and_then(|known| known.modified()).map(|at| at.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age.as_secs() < MARGIN_S.unsigned_abs())
}

/// The pictures that the snapshot at `place` names; `None` if it was taken before there were lists.
fn of_snapshot(at: &Destination, place: &Place, manifest: &Manifest) -> Result<Option<BTreeSet<[u8; 32]>>, String> {
    let Some(pictures) = &manifest.pictures else { return Ok(None) };
    if pictures.count == 0 {
        return Ok(Some(BTreeSet::new()));
    }
    let there = format!("snapshots/{place}");
    let name = at.list(&there)?.into_keys().find(|name| plain_name(name) == LIST);
    let name = name.ok_or_else(|| format!("{there} has no {LIST}"))?;
    let bytes = at.get(&format!("{there}/{name}"))?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || blake3::hash(&bytes).to_hex().as_str() != pictures.blake3 {
        return Err(format!("{there}/{name} is damaged"));
    }
    Ok(Some(hashes.iter().copied().collect()))
}

/// Removes pictures that neither one of the `kept` snapshots names nor the state as it is (`now`), and that were sent well before the oldest of those was
/// taken: what came later may be named by the log in between. Does nothing while a snapshot without a list is kept. Returns how many went.
///
/// # Errors
/// A sentence: an encrypted list needs `identity_file`, for one. What is needed is there all the same.
pub fn prune(at: &Destination, kept: &BTreeSet<Place>, now: &BTreeSet<[u8; 32]>) -> Result<u64, String> {
    let ages = at.ages("media")?;
    if ages.is_empty() {
        return Ok(0);
    }
    let (mut needed, mut oldest) = (now.clone(), None::<Timestamp>);
    for place in kept {
        let manifest = Manifest::parse(&at.get(&format!("snapshots/{place}/{MANIFEST}"))?)?;
        let Some(pictures) = of_snapshot(at, place, &manifest)? else { return Ok(0) };
        needed.extend(pictures);
        let taken_at: Timestamp =
            manifest.taken_at.parse().map_err(|_| format!("the manifest of {place} does not say when it was taken"))?;
        oldest = Some(oldest.map_or(taken_at, |oldest| oldest.min(taken_at)));
    }
    let Some(oldest) = oldest else { return Ok(0) };
    let mut removed = 0;
    for (object, sent_at) in &ages {
        let name = plain_name(object);
        let is_needed = |name: &str| blake3::Hash::from_hex(name).is_ok_and(|hash| needed.contains(hash.as_bytes()));
        if is_hash(name) && *sent_at < oldest.minus_s(MARGIN_S) && !is_needed(name) {
            at.delete(&format!("media/{object}"))?;
            removed += 1;
        }
    }
    if removed > 0 {
        tracing::info!(pictures = removed, at = at.shown(), "pictures that no kept snapshot needs were removed");
    }
    Ok(removed)
}
