//! Taking the end of a closed log away: what another leader's history replaces. The caller has set the records aside before.

use super::error::Doing;
use super::format::SEGMENT_HEADER_BYTES;
use super::scan::{self, Found};
use super::segment::{self, Segment};
use super::{LogConfig, LogError, Position};
use crate::disk::{Disk, Open};
use std::path::Path;

/// Cuts every record after `keep`, where a record of this log must end. Nobody has the log open.
///
/// The newest segments go first, one at a time, and the one that `keep` is in is replaced at once by one with zeros behind it: after a crash
/// at any point the log is whole, and ends at `keep` or later.
///
/// # Errors
/// [`LogError::Diverged`] if no record ends at `keep`; the disk's.
pub(crate) fn cut(disk: &dyn Disk, dir: &Path, config: LogConfig, keep: Position) -> Result<(), LogError> {
    let names = segment::list(disk, dir)?;
    let Some(&last) = names.iter().rfind(|first_seq| **first_seq <= keep.seq + 1) else {
        return Err(LogError::Missing { wanted: keep.seq + 1, found: names.first().copied().unwrap_or(0) });
    };
    let segment = Segment::open(disk, dir, last, Open::Read, Some(config.cell))?;
    let mut image = Vec::new();
    segment.load(&mut image)?;
    let at = end_of(&segment, &image, keep)?;
    for later in names.iter().rev().take_while(|first_seq| **first_seq > last) {
        let path = segment::path_of(dir, *later);
        disk.remove(&path).and_then(|()| disk.sync_dir(dir)).doing(|| format!("remove {}", path.display()))?;
    }
    image[at..].fill(0);
    let draft = segment.path.with_extension("tmp");
    let replace = || {
        if disk.exists(&draft)? {
            disk.remove(&draft)?;
        }
        let file = disk.open(&draft, Open::CreateNew)?;
        file.write_at(0, &image)?;
        file.sync_data()?;
        disk.rename(&draft, &segment.path)?;
        disk.sync_dir(dir)
    };
    replace().doing(|| format!("cut {}", segment.path.display()))
}

/// Where in the segment the record ends that `keep` names.
fn end_of(segment: &Segment, image: &[u8], keep: Position) -> Result<usize, LogError> {
    let (mut at, mut position) = (SEGMENT_HEADER_BYTES, segment.header.start);
    while position.seq < keep.seq {
        let Found::Record(record, next) = scan::look(image, segment.header.salt, at) else {
            return Err(LogError::Short { wanted: keep.seq, end: position.seq });
        };
        (at, position) = (next, record.position());
    }
    if position == keep { Ok(at) } else { Err(LogError::Diverged { seq: keep.seq }) }
}
