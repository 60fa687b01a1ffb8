//! Taking a snapshot: the copy is made on the machine's own disk first, in parts, so that the view is held no longer than that takes and sending can
//! be interrupted.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use storage::archive::Place;
use storage::store::CELL;
use storage::{MachineClock, View, snapshot};

use super::manifest::{FORMAT, MANIFEST, Manifest, Part};
use super::pictures;

/// Size of a part, but for the last.
const PART_BYTES: usize = 8 << 20;

/// The folder of local snapshots.
#[must_use]
pub fn folder(data: &Path) -> PathBuf {
    data.join("snapshots")
}

/// Copies `view` into `DATA/snapshots/<place>/`; if there is a copy of this very position, that one is answered.
///
/// # Errors
/// A sentence; nothing that looks like a snapshot is left.
pub fn take(view: &View, data: &Path, mode: &str) -> Result<Manifest, String> {
    let place = Place::from(view.position()).to_string();
    let done = folder(data).join(&place);
    if let Ok(bytes) = fs::read(done.join(MANIFEST)) {
        return Manifest::parse(&bytes);
    }
    let draft = folder(data).join(format!("{place}.partial"));
    let failed = |error: io::Error| format!("the snapshot could not be written to {}: {error}", draft.display());
    remove(&draft).map_err(failed)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&draft).map_err(failed)?;
    let mut parts = Parts { folder: &draft, held: Vec::new(), written: Vec::new() };
    let summary = snapshot::write(view, CELL, &mut parts).map_err(|error| error.to_string())?;
    let parts = parts.finish().map_err(failed)?;
    let (listed, pictures) = storage::fault::catch(|| pictures::list(&pictures::named(view))).map_err(|fault| fault.to_string())?;
    if pictures.count > 0 {
        write_new(&draft.join(pictures::LIST), &listed).map_err(failed)?;
    }
    let position = summary.header.position;
    let manifest = Manifest {
        format: FORMAT,
        medina: env!("CARGO_PKG_VERSION").to_owned(),
        mode: mode.to_owned(),
        cell: summary.header.cell,
        epoch: position.epoch,
        seq: position.seq,
        time: position.time.to_string(),
        hash: position.hash.to_string(),
        digest: summary.digest.to_string(),
        rows: summary.rows,
        plain_bytes: summary.plain_bytes,
        taken_at: storage::Clock::now(&MachineClock).to_string(),
        parts,
        pictures: Some(pictures),
    };
    let publish = || {
        write_new(&draft.join(MANIFEST), &manifest.to_bytes())?;
        File::open(&draft)?.sync_all()?;
        fs::rename(&draft, &done)?;
        File::open(folder(data))?.sync_all()
    };
    publish().map_err(failed)?;
    Ok(manifest)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Cuts a stream into parts.
struct Parts<'a> {
    folder: &'a Path,
    held: Vec<u8>,
    written: Vec<Part>,
}

impl Parts<'_> {
    fn part(&mut self, bytes: &[u8]) -> io::Result<()> {
        let hash = blake3::hash(bytes).to_hex();
        let name = format!("{:05}-{}.part", self.written.len(), &hash[..16]);
        write_new(&self.folder.join(&name), bytes)?;
        self.written.push(Part { name, bytes: bytes.len() as u64, blake3: hash.to_string() });
        Ok(())
    }

    fn finish(mut self) -> io::Result<Vec<Part>> {
        let rest = std::mem::take(&mut self.held);
        if !rest.is_empty() {
            self.part(&rest)?;
        }
        Ok(self.written)
    }
}

impl Write for Parts<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        while self.held.len() >= PART_BYTES {
            let rest = self.held.split_off(PART_BYTES);
            let part = std::mem::replace(&mut self.held, rest);
            self.part(&part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The snapshots in `DATA/snapshots`, oldest first.
#[must_use]
pub fn local(data: &Path) -> Vec<Place> {
    let names = fs::read_dir(folder(data)).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut places: Vec<Place> = names.filter_map(|name| name.parse().ok()).collect();
    places.sort_unstable();
    places
}

/// The manifest of a local snapshot.
///
/// # Errors
/// A sentence.
pub fn manifest(data: &Path, place: &Place) -> Result<Manifest, String> {
    let path = folder(data).join(place.to_string()).join(MANIFEST);
    Manifest::parse(&fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Removes a local snapshot; under another name first, so that a crash leaves none without its parts.
///
/// # Errors
/// The file system's.
pub fn drop_local(data: &Path, place: &Place) -> io::Result<()> {
    let draft = folder(data).join(format!("{place}.partial"));
    remove(&draft)?;
    fs::rename(folder(data).join(place.to_string()), &draft)?;
    remove(&draft)
}
