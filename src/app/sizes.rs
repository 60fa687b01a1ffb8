//! How much memory and disk storage takes, as an operator configures it.

use storage::Options;

/// How much memory and disk storage takes, in MiB (`[storage]` in the configuration).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sizes {
    /// A segment of the log, preallocated; two exist at least. 1 to 1,024.
    pub segment_mib: u32,
    /// The cache of the state file's pages.
    pub cache_mib: u32,
    /// How much log is kept beyond what recovery needs, for followers.
    pub log_kept_mib: u32,
    /// How large the log may grow for who still needs it: the newest snapshot, the archive, followers. A snapshot that needs three quarters of it is replaced by a
    /// new one by itself; a follower or an archive that needs more begins again from a snapshot.
    pub log_held_mib: u32,
    /// So much of what was written is kept in memory before it is folded into the state file. The log that a start has to replay is about as large.
    pub fold_mib: u32,
    /// From half of this on the writer slows down, beyond it commands are refused, until a fold has ended.
    pub recent_mib: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { segment_mib: 16, cache_mib: 128, log_kept_mib: 256, log_held_mib: 2_048, fold_mib: 16, recent_mib: 128 }
    }
}

const SEGMENT_MIB_MAX: u32 = 1_024;

impl Sizes {
    /// Whether the sizes go together.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn check(self) -> Result<(), String> {
        let Self { segment_mib, cache_mib, log_kept_mib, log_held_mib, fold_mib, recent_mib } = self;
        if !(1..=SEGMENT_MIB_MAX).contains(&segment_mib) {
            return Err(format!("[storage] segment_mib is {segment_mib}: 1 to {SEGMENT_MIB_MAX}"));
        }
        if cache_mib == 0 || fold_mib == 0 {
            return Err("[storage] cache_mib and fold_mib are at least 1".to_owned());
        }
        if u64::from(recent_mib) < 2 * u64::from(fold_mib) {
            return Err(format!(
                "[storage] recent_mib is {recent_mib}: at least twice fold_mib, so that the next fold can fill while one runs"
            ));
        }
        if u64::from(log_held_mib) < u64::from(log_kept_mib) + 2 * u64::from(segment_mib) {
            return Err(format!("[storage] log_held_mib is {log_held_mib}: at least log_kept_mib and two segments"));
        }
        Ok(())
    }

    /// As storage takes them; what [`Sizes::check`] refuses is brought into bounds.
    #[must_use]
    pub fn options(self, seed: [u8; 32]) -> Options {
        let fold_mib = self.fold_mib.max(1) as usize;
        Options {
            segment_bytes: u64::from(self.segment_mib.clamp(1, SEGMENT_MIB_MAX)) << 20,
            cache_bytes: (self.cache_mib.max(1) as usize) << 20,
            fold_bytes: fold_mib << 20,
            recent_bytes_max: (self.recent_mib as usize).max(2 * fold_mib) << 20,
            log_kept_bytes: u64::from(self.log_kept_mib) << 20,
            log_held_bytes_max: u64::from(self.log_held_mib.max(self.log_kept_mib)) << 20,
            ..Options::with_seed(seed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_storages_own() {
        assert_eq!(Sizes::default().check(), Ok(()));
        assert_eq!(format!("{:?}", Sizes::default().options([7; 32])), format!("{:?}", Options::with_seed([7; 32])));
    }

    #[test]
    fn sizes_that_do_not_go_together_are_refused() {
        let sizes = Sizes::default();
        let cases = [
            (Sizes { segment_mib: 0, ..sizes }, "segment_mib"),
            (Sizes { segment_mib: 2_000, ..sizes }, "segment_mib"),
            (Sizes { cache_mib: 0, ..sizes }, "cache_mib"),
            (Sizes { fold_mib: 0, ..sizes }, "fold_mib"),
            (Sizes { fold_mib: 65, ..sizes }, "recent_mib"),
            (Sizes { log_held_mib: 287, ..sizes }, "log_held_mib"),
        ];
        for (sizes, named) in cases {
            assert!(sizes.check().is_err_and(|why| why.contains(named)), "{sizes:?}");
        }
        assert_eq!(Sizes { log_held_mib: 288, fold_mib: 64, ..sizes }.check(), Ok(()));
        let small: Sizes =
            toml::from_str("segment_mib = 1\nlog_kept_mib = 0\nlog_held_mib = 3\nfold_mib = 1\nrecent_mib = 8\n").expect("valid");
        let options = small.options([0; 32]);
        assert_eq!((options.log_held_bytes_max, options.fold_bytes, options.recent_bytes_max), (3 << 20, 1 << 20, 8 << 20));
        assert!(toml::from_str::<Sizes>("log_held = 3").is_err());
    }
}
