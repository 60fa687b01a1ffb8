//! What stands at an offset of a segment: a record, the end, a torn tail, or damage.
//!
//! Segments are zeros before they are used, and no written sector of a record is all zero. So a power cut, which loses whole sectors, leaves
//! zeros behind; a record that is there in all its sectors and still wrong was damaged after it was written.

use super::Record;
use super::format::{Head, RECORD_HEADER_BYTES, SECTOR};
use crate::disk::planted::{self, Bug};

/// What stands at an offset.
#[derive(Debug)]
pub(super) enum Found {
    /// A record with right CRCs, and the offset after it. Whether it fits its place in the chain is the caller's to check.
    Record(Record, usize),
    /// Zeros up to the end of the segment.
    Blank,
    /// A record of which some sectors were never written, and none after it.
    Torn,
    /// Anything else.
    Corrupt(&'static str),
}

/// Looks at `at` (a multiple of 8) in a whole segment.
pub(super) fn look(image: &[u8], salt: u64, at: usize) -> Found {
    let rest = image.get(at..).unwrap_or_default();
    let head = Head::decode(rest, at as u64, salt);
    if let Some(head) = &head
        && let Some(record) = head.record(rest, at as u64, salt, false)
    {
        return Found::Record(record, at + head.extent());
    }
    if all_zero(rest) {
        return Found::Blank;
    }
    judge(image, salt, at, head.as_ref())
}

/// Torn or corrupt: `at` holds bytes that are no whole record.
fn judge(image: &[u8], salt: u64, at: usize, head: Option<&Head>) -> Found {
    if head.is_some_and(|head| head.extent() > image.len() - at) {
        return Found::Corrupt("a record reaches beyond the segment");
    }
    // A header that does not check is taken as far as it must have been written.
    let extent = head.map_or(RECORD_HEADER_BYTES, Head::extent);
    let end = image.len().min(at + extent);
    let lost = sectors(at, end).any(|(from, to)| all_zero(&image[from..to]));
    if !lost {
        return Found::Corrupt(match head {
            Some(_) => "the record is complete, but its body is not what was written",
            None => "the record's header is complete, but not what was written",
        });
    }
    if a_head_follows(image, salt, at) {
        return Found::Corrupt("the record is damaged, and another one follows it");
    }
    if planted::is(Bug::TornTailAccepted)
        && let Some(head) = head
        && let Some(record) = head.record(&image[at..], at as u64, salt, true)
    {
        return Found::Record(record, at + head.extent());
    }
    Found::Torn
}

/// The parts of `from..to` in each sector.
fn sectors(from: usize, to: usize) -> impl Iterator<Item = (usize, usize)> {
    (from / SECTOR..to.div_ceil(SECTOR)).map(move |sector| (from.max(sector * SECTOR), to.min((sector + 1) * SECTOR)))
}

/// Whether any record begins after `at`. Its header is enough: one wrong guess in 2³² refuses to start, and loses nothing.
fn a_head_follows(image: &[u8], salt: u64, at: usize) -> bool {
    let words = image[at..].chunks_exact(8).enumerate().skip(1);
    words
        .filter(|(_, word)| *word != [0; 8])
        .map(|(number, _)| at + number * 8)
        .any(|at| Head::decode(&image[at..], at as u64, salt).is_some())
}

fn all_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}
