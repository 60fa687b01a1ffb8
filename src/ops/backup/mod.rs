//! Copies of everything that must not be lost, and the way back.
//!
//! ```text
//!   View ──take──► DATA/snapshots/<place>/ ──ship──► snapshots/<place>/  ┐
//!   log  ──archive, as it is written───────────────► log/<piece>.rec     ├─ rebuild ──► a new folder (restore)
//!   DATA/media ──ship──────────────────────────────► media/<hash>        │         └──► scratch, checked, removed (drill)
//!   DATA/keys: erased slots ──add──────────────────► erased/<id>/<slot>  ┘
//! ```
//!
//! A destination is a folder or an S3-compatible bucket; what leaves the machine can be encrypted to age keys. `DATA` itself has the same layout, so
//! that `medina restore --from DATA` reads the snapshots on the same disk and then the log that lies beside them. Keys (`DATA/keys`) are outside by
//! design: a copy must not open what an erased key has closed.
//!
//! Reading order: [`config`], [`time`], [`destination`] and [`seal`], [`manifest`], [`take`], [`pictures`], [`erased`], [`ship`], [`archiver`], [`keep`],
//! [`rebuild`], [`restore`], [`service`].

pub mod archiver;
pub mod config;
pub mod destination;
pub mod erased;
pub mod keep;
pub mod manifest;
pub mod pictures;
pub mod rebuild;
pub mod restore;
pub mod seal;
pub mod service;
pub mod ship;
pub mod take;
pub mod time;

pub use config::BackupConfig;
pub use destination::Destination;
pub use service::Backup;
