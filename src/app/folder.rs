//! What kind of data folder this is: its mode is written when it is made, so that a sandbox's play money never meets real customers.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("the data folder {0} cannot be used: {1}")]
    Io(PathBuf, io::Error),
    #[error("{folder} is a {found} folder and was opened as {wanted}: {advice}")]
    OtherMode { folder: PathBuf, found: &'static str, wanted: &'static str, advice: &'static str },
    #[error("{0} is not a data folder of Medina: its `mode` file says {1:?}")]
    Foreign(PathBuf, String),
}

fn name(sandbox: bool) -> &'static str {
    if sandbox { "sandbox" } else { "live" }
}

/// Makes the folder in this mode, or checks that it is in this mode.
///
/// # Errors
/// [`FolderError`].
pub fn claim(folder: &Path, sandbox: bool) -> Result<(), FolderError> {
    let failed = |error| FolderError::Io(folder.to_owned(), error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let path = folder.join("mode");
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim() {
            found if found == name(sandbox) => Ok(()),
            "sandbox" => Err(FolderError::OtherMode {
                folder: folder.to_owned(),
                found: "sandbox",
                wanted: "live",
                advice: "add --sandbox, or choose another --data",
            }),
            "live" => Err(FolderError::OtherMode {
                folder: folder.to_owned(),
                found: "live",
                wanted: "sandbox",
                advice: "leave --sandbox out, or choose another --data",
            }),
            other => Err(FolderError::Foreign(folder.to_owned(), other.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => write(folder, &path, sandbox).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn write(folder: &Path, path: &Path, sandbox: bool) -> io::Result<()> {
    let draft = folder.join("mode.new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(name(sandbox).as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_mode() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        claim(folder.path(), true).expect("a new folder takes any mode");
        claim(folder.path(), true).expect("the same mode opens");
        let refused = claim(folder.path(), false).expect_err("the other mode is refused");
        assert!(refused.to_string().contains("--sandbox"), "{refused}");
    }
}
