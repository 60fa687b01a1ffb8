//! A folder or a bucket, as a place of named objects. Calls block: never on the runtime's own threads.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use storage::Timestamp;
use tokio::runtime::Handle;

use super::config::{BackupConfig, S3};
use super::seal::{Seal, Unseal};
use super::time::Throttle;

/// What an encrypted object's name ends with.
const SEALED: &str = ".age";

/// Where copies go to and come from.
pub struct Destination {
    store: Arc<dyn ObjectStore>,
    prefix: Name,
    runtime: Handle,
    /// As the operator wrote it.
    shown: String,
    /// The folder, if it is one.
    folder: Option<PathBuf>,
    seal: Option<Seal>,
    unseal: Option<Unseal>,
    throttle: Throttle,
}

impl Destination {
    /// Opens what the operator named. A folder is made if `make`, and must be there otherwise.
    ///
    /// # Errors
    /// Why it cannot be used, in a sentence.
    pub fn open(to: &str, s3: &S3, make: bool, runtime: &Handle) -> Result<Self, String> {
        let (store, prefix, folder): (Arc<dyn ObjectStore>, _, _) = if let Some(place) = to.strip_prefix("s3://") {
            let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
            if bucket.is_empty() {
                return Err(format!("{to} names no bucket: s3://bucket/prefix"));
            }
            (Arc::new(bucket_of(bucket, s3)?), Name::parse(prefix).map_err(|error| error.to_string())?, None)
        } else {
            let folder = Path::new(to);
            if make {
                use std::os::unix::fs::DirBuilderExt;
                let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
                made.map_err(|error| format!("the folder {to} cannot be made: {error}"))?;
            }
            let opened = LocalFileSystem::new_with_prefix(folder).map_err(|error| format!("the folder {to} cannot be used: {error}"))?;
            (Arc::new(opened.with_fsync(true)), Name::default(), Some(folder.to_owned()))
        };
        Ok(Self {
            store,
            prefix,
            runtime: runtime.clone(),
            shown: to.to_owned(),
            folder,
            seal: None,
            unseal: None,
            throttle: Throttle::default(),
        })
    }

    /// What the configuration names, with its encryption and its throttle; `None` if copies stay at home.
    ///
    /// # Errors
    /// As [`Destination::open`].
    pub fn configured(config: &BackupConfig, runtime: &Handle) -> Result<Option<Self>, String> {
        let Some(to) = &config.to else { return Ok(None) };
        let seal = Seal::new(&config.recipients)?;
        let unseal = config.identity_file.as_deref().map(Unseal::read).transpose()?;
        let throttle = Throttle::new(config.bytes_per_s, config.time.clone());
        Ok(Some(Self { seal, unseal, throttle, ..Self::open(to, &config.s3, true, runtime)? }))
    }

    /// From now on everything goes out as fast as it can: the end must not wait.
    pub fn hurry(&self) {
        self.throttle.lifted.ring();
    }

    /// With the keys to read what is encrypted.
    #[must_use]
    pub fn unsealing(self, unseal: Option<Unseal>) -> Self {
        Self { unseal, ..self }
    }

    /// As the operator wrote it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The folder, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Whether what is [sealed](Destination::put_sealed) is encrypted.
    #[must_use]
    pub fn is_sealing(&self) -> bool {
        self.seal.is_some()
    }

    fn wait<T>(&self, doing: impl Future<Output = Result<T, object_store::Error>>, what: &str, name: &str) -> Result<T, String> {
        self.runtime.block_on(doing).map_err(|error| format!("{what} {name} at {}: {error}", self.shown))
    }

    fn name(&self, name: &str) -> Name {
        self.prefix.parts().chain(Name::from(name).parts()).collect()
    }

    /// Writes an object, whole or not at all, as it is.
    ///
    /// # Errors
    /// A sentence.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), String> {
        self.throttle.before(bytes.len() as u64);
        self.wait(self.store.put(&self.name(name), bytes.into()), "could not write", name)?;
        Ok(())
    }

    /// Writes an object, encrypted if there are recipients (its name then ends in `.age`).
    ///
    /// # Errors
    /// A sentence.
    pub fn put_sealed(&self, name: &str, bytes: Vec<u8>) -> Result<(), String> {
        match &self.seal {
            Some(seal) => self.put(&format!("{name}{SEALED}"), seal.seal(&bytes)?),
            None => self.put(name, bytes),
        }
    }

    /// Reads an object, decrypted if its name says that it is encrypted.
    ///
    /// # Errors
    /// A sentence.
    pub fn get(&self, name: &str) -> Result<Vec<u8>, String> {
        let bytes = self.wait(async { self.store.get(&self.name(name)).await?.bytes().await }, "could not read", name)?;
        if !name.ends_with(SEALED) {
            return Ok(bytes.to_vec());
        }
        let unseal = self.unseal.as_ref().ok_or_else(|| format!("{name} is encrypted: name the age identity file (--identity FILE)"))?;
        unseal.open(&bytes).map_err(|why| format!("{name} could not be decrypted: {why}"))
    }

    /// The names below `folder` (relative to it) and their sizes in bytes.
    ///
    /// # Errors
    /// A sentence.
    pub fn list(&self, folder: &str) -> Result<BTreeMap<String, u64>, String> {
        Ok(self.listing(folder)?.into_iter().map(|(name, (bytes, _))| (name, bytes)).collect())
    }

    /// The names below `folder`, and when each was written, by the destination's clock.
    ///
    /// # Errors
    /// A sentence.
    pub fn ages(&self, folder: &str) -> Result<BTreeMap<String, Timestamp>, String> {
        Ok(self.listing(folder)?.into_iter().map(|(name, (_, at))| (name, at)).collect())
    }

    fn listing(&self, folder: &str) -> Result<BTreeMap<String, (u64, Timestamp)>, String> {
        let prefix = self.name(folder);
        let listed = self.wait(self.store.list(Some(&prefix)).try_collect::<Vec<_>>(), "could not list", folder)?;
        let relative = |name: &Name| {
            let parts: Vec<String> = name.prefix_match(&prefix)?.map(|part| part.as_ref().to_owned()).collect();
            Some(parts.join("/"))
        };
        let entry = |object: &ObjectMeta| {
            let written_at = Timestamp::from_millis(object.last_modified.timestamp_millis());
            Some((relative(&object.location)?, (object.size, written_at)))
        };
        Ok(listed.iter().filter_map(entry).collect())
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// A sentence.
    pub fn delete(&self, name: &str) -> Result<(), String> {
        match self.runtime.block_on(self.store.delete(&self.name(name))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(format!("could not remove {name} at {}: {error}", self.shown)),
        }
    }
}

/// `name` without the ending of an encrypted object.
#[must_use]
pub fn plain_name(name: &str) -> &str {
    name.strip_suffix(SEALED).unwrap_or(name)
}

fn bucket_of(bucket: &str, s3: &S3) -> Result<object_store::aws::AmazonS3, String> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    if let Some(endpoint) = &s3.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    if let Some(region) = &s3.region {
        builder = builder.with_region(region);
    }
    if let Some(file) = &s3.credentials_file {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let value = |key: &str| {
            let line = text.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| name.trim() == key);
            line.map(|(_, value)| value.trim().to_owned())
        };
        let missing = |key: &str| format!("{} has no {key}", file.display());
        let (id, secret) = ("aws_access_key_id", "aws_secret_access_key");
        builder = builder.with_access_key_id(value(id).ok_or_else(|| missing(id))?);
        builder = builder.with_secret_access_key(value(secret).ok_or_else(|| missing(secret))?);
        if let Some(token) = value("aws_session_token") {
            builder = builder.with_token(token);
        }
    }
    builder.build().map_err(|error| format!("s3://{bucket} cannot be used: {error}"))
}
