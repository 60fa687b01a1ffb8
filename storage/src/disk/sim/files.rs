//! One simulated file: what a process reads, what the platter holds, and what is between.

/// What a power cut tears at.
pub(super) const SECTOR: usize = 512;

/// A seeded choice. Source: Sebastiano Vigna, <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0..n; `n` is small, so the bias does not matter.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// True `percent` times of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// How many of a hundred unsynced things survive this crash: often none or all, the rest of the time anything between.
    pub fn survival(&mut self) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => 100,
            _ => self.next() % 101,
        }
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Something done to a file and not yet durable.
#[derive(Clone, Debug)]
enum Step {
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    SetLen(usize),
    /// The length that a write beyond the end makes, apart from its bytes.
    Grow(usize),
}

/// One file. A sync costs what was written since the last one, a reboot what was not synced; never the size of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// As a process reads it.
    current: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Step>,
    /// Where `current` may differ from `durable` for good: a failed sync dropped what was written there.
    dropped: Vec<(usize, usize)>,
}

impl Inode {
    pub fn len(&self) -> usize {
        self.current.len()
    }

    pub fn durable(&self) -> &[u8] {
        &self.durable
    }

    /// False if the file ends before.
    pub fn read(&self, at: usize, into: &mut [u8]) -> bool {
        let bytes = at.checked_add(into.len()).and_then(|end| self.current.get(at..end));
        if let Some(bytes) = bytes {
            into.copy_from_slice(bytes);
        }
        bytes.is_some()
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if at + bytes.len() > self.current.len() {
            self.unsynced.push(Step::Grow(at + bytes.len()));
        }
        let step = Step::Write { at, bytes: bytes.to_vec() };
        apply(&mut self.current, &step);
        self.unsynced.push(step);
    }

    pub fn set_len(&mut self, len: usize) {
        let step = Step::SetLen(len);
        apply(&mut self.current, &step);
        self.unsynced.push(step);
    }

    pub fn sync(&mut self) {
        for step in self.unsynced.drain(..) {
            apply(&mut self.durable, &step);
        }
        if self.dropped.is_empty() {
            debug_assert_eq!(self.current.len(), self.durable.len());
        }
    }

    /// A sync that failed: of what was written any part is durable, and the rest will not be, whatever is synced later.
    pub fn fail_sync(&mut self, chance: &mut Chance) {
        self.dropped.extend(self.unsynced.iter().map(touched));
        self.keep_some(chance);
    }

    /// The power cut: some of what was not synced survives, and the page cache is gone.
    pub fn reboot(&mut self, chance: &mut Chance) {
        let mut touched: Vec<_> = self.unsynced.iter().map(touched).collect();
        touched.append(&mut self.dropped);
        self.keep_some(chance);
        self.current.resize(self.durable.len(), 0);
        for (from, to) in touched {
            let to = to.min(self.durable.len());
            if from < to {
                self.current[from..to].copy_from_slice(&self.durable[from..to]);
            }
        }
    }

    fn keep_some(&mut self, chance: &mut Chance) {
        if self.unsynced.is_empty() {
            return;
        }
        let survival = chance.survival();
        let mut parts: Vec<Step> = self.unsynced.drain(..).flat_map(torn).collect();
        if survival < 100 {
            parts.retain(|_| chance.percent(survival));
            chance.shuffle(&mut parts);
        }
        for part in &parts {
            apply(&mut self.durable, part);
        }
    }

    /// Turns bits over on the platter, and in the cache.
    pub fn flip(&mut self, at: usize, mask: u8) {
        self.durable[at] ^= mask;
        self.current[at] ^= mask;
    }
}

fn apply(bytes: &mut Vec<u8>, step: &Step) {
    match step {
        Step::SetLen(len) => bytes.resize(*len, 0),
        Step::Grow(len) => bytes.resize((*len).max(bytes.len()), 0),
        Step::Write { at, bytes: new } => {
            let end = at + new.len();
            if end > bytes.len() {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(new);
        }
    }
}

/// The bytes that a step may have changed. A length changes all up to the end: cut off and grown again, they are zeros.
fn touched(step: &Step) -> (usize, usize) {
    match step {
        Step::Write { at, bytes } => (*at, at + bytes.len()),
        Step::SetLen(len) => (*len, usize::MAX),
        Step::Grow(_) => (0, 0),
    }
}

/// A step in the parts that survive each for itself.
fn torn(step: Step) -> Vec<Step> {
    let Step::Write { at, bytes } = step else {
        return vec![step];
    };
    let mut parts = Vec::with_capacity(bytes.len() / SECTOR + 2);
    let mut from = 0;
    while from < bytes.len() {
        let to = bytes.len().min(from + SECTOR - (at + from) % SECTOR);
        parts.push(Step::Write { at: at + from, bytes: bytes[from..to].to_vec() });
        from = to;
    }
    parts
}
