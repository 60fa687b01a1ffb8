//! How much memory and disk storage takes, as an operator configures it.

use storage::Options;

/// How much memory and disk storage takes, in MiB (`[storage]` in the configuration).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sizes {
    /// A segment of the log, preallocated; two exist at least.
    pub segment_mib: u32,
    /// The cache of the state file's pages.
    pub cache_mib: u32,
    /// How much log is kept beyond what recovery needs, for followers.
    pub log_kept_mib: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { segment_mib: 16, cache_mib: 128, log_kept_mib: 256 }
    }
}

impl Sizes {
    /// As storage takes them.
    #[must_use]
    pub fn options(self, seed: [u8; 32]) -> Options {
        Options {
            segment_bytes: u64::from(self.segment_mib.clamp(1, 1024)) << 20,
            cache_bytes: (self.cache_mib.max(1) as usize) << 20,
            log_kept_bytes: u64::from(self.log_kept_mib) << 20,
            ..Options::with_seed(seed)
        }
    }
}
