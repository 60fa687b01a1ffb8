//! Who was erased, beside the copies: `erased/<id of people.keys>/<slot>`, one small object for each erased key.
//!
//! A copy of `DATA/keys` that is older than an erasure still has the key. The log does not say who was erased, and a restore may end before it would:
//! so the list lies beside the archive and beside the data (`DATA/erased/`), a restore takes it along whatever moment it restores, and a folder
//! with such a list erases those keys before it serves anybody. Slot numbers are nobody's data. Objects are only ever added, so two nodes and two
//! histories can share a place.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::destination::Destination;
use crate::people::keyring::Keyring;

const FOLDER: &str = "erased";

fn folder(keyring: &str) -> String {
    format!("{FOLDER}/{keyring}")
}

/// How the list of these keys is called.
#[must_use]
pub fn name(keyring: &Keyring) -> String {
    format!("{:032x}", keyring.id())
}

/// The slots that the list at `at` has for these keys.
///
/// # Errors
/// A sentence.
pub fn listed(at: &Destination, keyring: &Keyring) -> Result<BTreeSet<u64>, String> {
    Ok(at.list(&folder(&name(keyring)))?.keys().filter_map(|slot| slot.parse().ok()).collect())
}

/// Adds what is erased here and not in the list. Returns how many were added.
///
/// # Errors
/// A sentence; what was added stays.
pub fn add(at: &Destination, keyring: &Keyring) -> Result<u64, String> {
    let erased = keyring.erased().map_err(|error| format!("people.keys: {error}"))?;
    if erased.is_empty() {
        return Ok(0);
    }
    let known = listed(at, keyring)?;
    let missing = erased.difference(&known);
    let mut added = 0;
    for slot in missing {
        at.put(&format!("{}/{slot}", folder(&name(keyring))), b"erased\n".to_vec())?;
        added += 1;
    }
    Ok(added)
}

/// Takes all lists at `from` along into a new data folder. Returns how many entries there are.
///
/// # Errors
/// A sentence.
pub fn take_along(from: &Destination, data: &Path) -> Result<u64, String> {
    let mut taken = 0;
    for object in from.list(FOLDER)?.into_keys() {
        let Some((keyring, slot)) = object.split_once('/') else { continue };
        if keyring.len() != 32 || !keyring.bytes().all(|byte| byte.is_ascii_hexdigit()) || slot.parse::<u64>().is_err() {
            continue;
        }
        let there = data.join(FOLDER).join(keyring);
        let written = fs::create_dir_all(&there).and_then(|()| fs::write(there.join(slot), b"erased\n"));
        written.map_err(|error| format!("{}: {error}", there.display()))?;
        taken += 1;
    }
    Ok(taken)
}

/// Erases in `keyring` whoever the list in the data folder names. Call it before anybody is served. Returns how many keys were still there.
///
/// # Errors
/// A sentence: nobody may be served.
pub fn apply(data: &Path, keyring: &Keyring) -> Result<u64, String> {
    let there = data.join(folder(&name(keyring)));
    let failed = |error: std::io::Error| format!("the list of erased persons in {} could not be applied: {error}", there.display());
    let entries = match fs::read_dir(&there) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(error)),
    };
    let gone = keyring.erased().map_err(failed)?;
    let mut applied = 0;
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let Some(slot) = name.to_str().and_then(|name| name.parse::<u64>().ok()).filter(|slot| !gone.contains(slot)) else { continue };
        keyring.erase_even_if_new(slot).map_err(failed)?;
        applied += 1;
    }
    if applied > 0 {
        tracing::warn!(persons = applied, "keys were erased again: they had been erased before this copy of the keys was put here");
    }
    Ok(applied)
}
