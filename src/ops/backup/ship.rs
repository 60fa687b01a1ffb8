//! Sending a local snapshot, and the pictures that its rows name, to a destination; what is there already is not sent again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::destination::{Destination, plain_name};
use super::manifest::{MANIFEST, Manifest};
use super::{pictures, take};

/// How far a long work has come, in bytes: done, all.
pub type Progress<'a> = &'a dyn Fn(u64, u64);

/// Sends the snapshot: missing parts, then missing pictures, then the manifest. Call it again after an interruption and it goes on. Returns the bytes that
/// had to be sent.
///
/// # Errors
/// A sentence; the destination then has parts and no manifest.
pub fn ship(data: &Path, manifest: &Manifest, to: &Destination, progress: Progress<'_>) -> Result<u64, String> {
    let place = manifest.place()?.to_string();
    let (from, there) = (take::folder(data).join(&place), format!("snapshots/{place}"));
    let objects = to.list(&there)?;
    if objects.contains_key(MANIFEST) {
        return Ok(0);
    }
    let ending = if to.is_sealing() { ".age" } else { "" };
    let (mut done, mut sent, all) = (0, 0, manifest.bytes());
    for part in &manifest.parts {
        if !objects.contains_key(&format!("{}{ending}", part.name)) {
            let bytes = fs::read(from.join(&part.name)).map_err(|error| format!("{}: {error}", from.join(&part.name).display()))?;
            // What is sent is what was copied, not what the disk has made of it since.
            if blake3::hash(&bytes).to_hex().as_str() != part.blake3 {
                return Err(format!("{} is damaged; take another snapshot", from.join(&part.name).display()));
            }
            sent += bytes.len() as u64;
            to.put_sealed(&format!("{there}/{}", part.name), bytes)?;
        }
        done += part.bytes;
        progress(done, all);
    }
    sent += media(data, manifest, to)?;
    sent += pictures::ship(&from, manifest, &there, to)?;
    to.put(&format!("{there}/{MANIFEST}"), manifest.to_bytes())?;
    Ok(sent)
}

/// Pictures are files named by their hash, and never change. Those that the snapshot names are sent, and those that came lately: their rows may be in
/// the log after it.
fn media(data: &Path, manifest: &Manifest, to: &Destination) -> Result<u64, String> {
    let named = pictures::of_local(data, manifest)?;
    let there = to.list("media")?;
    let there: BTreeSet<&str> = there.keys().map(|name| plain_name(name)).collect();
    let mut sent = 0;
    for entry in fs::read_dir(data.join("media")).into_iter().flatten().filter_map(Result::ok) {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Ok(hash) = blake3::Hash::from_hex(&name) else { continue };
        let is_wanted = named.as_ref().is_none_or(|named| named.contains(hash.as_bytes()) || pictures::came_lately(&entry));
        if is_wanted && !there.contains(name.as_str()) {
            let bytes = fs::read(entry.path()).map_err(|error| format!("{}: {error}", entry.path().display()))?;
            sent += bytes.len() as u64;
            to.put_sealed(&format!("media/{name}"), bytes)?;
        }
    }
    Ok(sent)
}

/// Whether it is the name of a picture, and not of one that is being written.
#[must_use]
pub fn is_hash(name: &str) -> bool {
    blake3::Hash::from_hex(name).is_ok()
}
