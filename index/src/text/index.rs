//! The index on disk: opened or built anew, fed by one writer, read by many.

use super::{
    analyzer,
    columns::Shelf,
    model::Document,
    schema::{Fields, schema},
};
use arc_swap::ArcSwap;
use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tantivy::{
    Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyError,
    directory::{Directory, INDEX_WRITER_LOCK, MmapDirectory, error::LockError},
    indexer::LogMergePolicy,
};

/// What the writer collects before it must write a segment. Every segment costs a search as much again as the whole index in one, so a rebuild of a city's
/// catalogue should end in few. Taken only as it fills.
const WRITER_BYTES: usize = 60_000_000;
/// So many segments of one size become one; smaller than this they are all of one size.
const SEGMENTS_MERGED: usize = 4;
const SMALL_DOCUMENTS: u32 = 1_000;
/// What is unpacked to show one document: a page's are never neighbours, and tantivy's 16 KiB for each would cost more than the search.
const STORED_BYTES: usize = 2_048;

/// How far the index has followed the log: everything up to here is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub epoch: u64,
    pub seq: u64,
}

/// Where the feeder has to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The index is empty: it is new, was damaged, or was made by another version. Feed it everything.
    Rebuild,
    /// Everything up to this mark is in it, nothing after.
    After(Mark),
}

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error("another process has the search index open")]
    Locked,
    #[error("the search index's folder: {0}")]
    Io(#[from] io::Error),
    #[error("the search index: {0}")]
    Index(#[from] TantivyError),
}

/// The text index of one data folder. Searches come from any thread (`search`); documents from one feeder, which
/// collects changes and then commits them with the mark of the last one.
pub struct TextIndex {
    writer: Mutex<IndexWriter>,
    reader: IndexReader,
    shelf: ArcSwap<Shelf>,
    fields: Fields,
}

impl TextIndex {
    /// Opens the index in `dir`, a folder that belongs to it alone. What is damaged or of another version is thrown away
    /// (the index is a view of the log) and [`Resume::Rebuild`] says so.
    ///
    /// # Errors
    /// [`TextError::Locked`] if somebody else writes to it, else what the file system said.
    pub fn open(dir: &Path) -> Result<(Self, Resume), TextError> {
        fs::create_dir_all(dir)?;
        // Before anything is judged damaged: the files of somebody at work are theirs.
        match MmapDirectory::open(dir).map_err(TantivyError::from)?.acquire_lock(&INDEX_WRITER_LOCK) {
            Ok(held) => drop(held),
            Err(LockError::LockBusy) => return Err(TextError::Locked),
            Err(LockError::IoError(error)) => {
                return Err(io::Error::new(error.kind(), error).into());
            }
        }
        match Self::reopen(dir) {
            Ok(Some((index, mark))) => Ok((index, Resume::After(mark))),
            Err(TantivyError::LockFailure(..)) => Err(TextError::Locked),
            Ok(None) | Err(_) => Ok((Self::create(dir)?, Resume::Rebuild)),
        }
    }

    /// `None` if there is nothing to go on from.
    fn reopen(dir: &Path) -> tantivy::Result<Option<(Self, Mark)>> {
        let directory = MmapDirectory::open(dir)?;
        if !Index::exists(&directory)? {
            return Ok(None);
        }
        let index = Index::open(directory)?;
        let mark = index.load_metas()?.payload.as_deref().and_then(Mark::parse);
        let (expected, fields) = schema();
        let Some(mark) = mark.filter(|_| index.schema() == expected) else {
            return Ok(None);
        };
        if !index.validate_checksum()?.is_empty() {
            return Ok(None);
        }
        Ok(Some((Self::over(&index, fields)?, mark)))
    }

    fn create(dir: &Path) -> Result<Self, TextError> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        let (schema, fields) = schema();
        let settings = IndexSettings { docstore_blocksize: STORED_BYTES, ..IndexSettings::default() };
        let index = Index::builder().schema(schema).settings(settings).create_in_dir(dir)?;
        Ok(Self::over(&index, fields)?)
    }

    fn over(index: &Index, fields: Fields) -> tantivy::Result<Self> {
        analyzer::register(index.tokenizers());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let writer: IndexWriter = index.writer_with_num_threads(1, WRITER_BYTES)?;
        let mut merging = LogMergePolicy::default();
        merging.set_min_num_segments(SEGMENTS_MERGED);
        merging.set_min_layer_size(SMALL_DOCUMENTS);
        writer.set_merge_policy(Box::new(merging));
        let shelf = ArcSwap::from_pointee(Shelf::open(&reader, None)?);
        Ok(Self { writer: Mutex::new(writer), reader, shelf, fields })
    }

    /// Adds `document`, in place of the one with the same id. Not found before the next commit.
    ///
    /// # Errors
    /// The writer failed (a full disk); open the index again, it resumes at the last commit.
    pub fn upsert(&self, document: &Document) -> Result<(), TextError> {
        let writer = self.writer();
        writer.delete_term(self.fields.key(&document.id));
        writer.add_document(self.fields.row(document))?;
        Ok(())
    }

    /// Takes the document out. Found until the next commit.
    pub fn delete(&self, id: &str) {
        self.writer().delete_term(self.fields.key(id));
    }

    /// Takes everything out, for a feeder that begins anew. Found until the next commit.
    ///
    /// # Errors
    /// As [`TextIndex::upsert`].
    pub fn clear(&self) -> Result<(), TextError> {
        self.writer().delete_all_documents()?;
        Ok(())
    }

    /// Makes all changes so far durable and visible, with the mark of the last of them, all or nothing.
    ///
    /// # Errors
    /// As [`TextIndex::upsert`].
    pub fn commit(&self, at: Mark) -> Result<(), TextError> {
        let mut writer = self.writer();
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&at.text());
        commit.commit()?;
        self.reader.reload()?;
        let shelf = Shelf::open(&self.reader, Some(&self.shelf.load()))?;
        self.shelf.store(Arc::new(shelf));
        Ok(())
    }

    /// How many documents the last commit holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shelf.load().searcher.num_docs()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn shelf(&self) -> Arc<Shelf> {
        self.shelf.load_full()
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    fn writer(&self) -> MutexGuard<'_, IndexWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mark {
    fn text(self) -> String {
        format!("{}.{}", self.epoch, self.seq)
    }

    fn parse(text: &str) -> Option<Self> {
        let (epoch, seq) = text.split_once('.')?;
        Some(Self { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
    }
}
