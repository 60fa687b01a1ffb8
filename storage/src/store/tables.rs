//! Which tables a batch wrote to, as a set of bits.

/// A set of tables and indexes. Ids that differ by 512 share a place: it may say yes too often, never no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables([u64; 8]);

impl Tables {
    /// All there are.
    pub const ALL: Self = Self([u64::MAX; 8]);

    /// These.
    #[must_use]
    pub fn of(ids: &[u16]) -> Self {
        let mut tables = Self::default();
        ids.iter().for_each(|id| tables.add(*id));
        tables
    }

    fn add(&mut self, id: u16) {
        self.0[usize::from(id / 64 % 8)] |= 1 << (id % 64);
    }

    /// Adds the table of an encoded key.
    pub(crate) fn add_key(&mut self, key: &[u8]) {
        if let Some(id) = key.first_chunk() {
            self.add(u16::from_be_bytes(*id));
        }
    }

    /// Both.
    pub fn join(&mut self, others: &Self) {
        self.0.iter_mut().zip(others.0).for_each(|(own, other)| *own |= other);
    }

    /// Whether a table may be in both.
    #[must_use]
    pub fn meets(&self, others: &Self) -> bool {
        self.0.iter().zip(others.0).any(|(own, other)| own & other != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_meet_where_they_share_a_table() {
        for (one, other, meet) in
            [(&[1_u16, 70][..], &[70_u16][..], true), (&[1, 70], &[6, 71], false), (&[], &[3], false), (&[511], &[511], true)]
        {
            assert_eq!(Tables::of(one).meets(&Tables::of(other)), meet, "{one:?} {other:?}");
            assert!(Tables::of(other).meets(&Tables::ALL));
        }
        let mut keyed = Tables::default();
        keyed.add_key(&[1, 104, 7]);
        assert_eq!(keyed, Tables::of(&[360]));
        keyed.join(&Tables::of(&[2]));
        assert_eq!(keyed, Tables::of(&[2, 360]));
    }
}
