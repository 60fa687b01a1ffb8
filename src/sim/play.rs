//! One seed: lives of a data folder (or of two, one following the other), each ended badly or well, and a quiet end in which everybody must agree.

use storage::Timestamp;
use storage::disk::{Fault, SimDisk};
use storage::store::{FoldDone, FoldJob};

use super::batch::Next;
use super::book::{Book, Wrong};
use super::crowd::Crowd;
use super::dice::Dice;
use super::pair::Other;
use super::provider::Provider;
use super::town::{NOON, Town};
use crate::engine::Core;

/// How many nodes play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    One,
    /// A leader and a follower.
    Two,
    /// Every third seed has two.
    BySeed,
}

/// How long a play is.
#[derive(Clone, Copy, Debug)]
pub struct Plot {
    pub nodes: Nodes,
    /// Times that the process starts.
    pub lives: u32,
    /// Batches of commands in a life that nothing ends.
    pub batches: u32,
    /// Ways that each crash is looked at.
    pub images: u32,
    /// Bits that are turned over, one at a time.
    pub flips: u32,
    /// The disk says that it syncs and does not: the simulator must find that.
    pub lying_disk: bool,
}

impl Default for Plot {
    fn default() -> Self {
        Self { nodes: Nodes::BySeed, lives: 8, batches: 14, images: 8, flips: 12, lying_disk: false }
    }
}

/// What a play was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// States of the disk that were recovered and checked.
    pub images: u64,
    /// Lives that ended in a crash.
    pub crashes: u64,
    /// Faults that the disk answered with.
    pub faults: u64,
    /// Bits turned over, and how many of them were noticed; the others changed nothing.
    pub flips: u64,
    pub noticed: u64,
    /// Commands that were acknowledged.
    pub commands: u64,
    /// Orders that were placed, and those of them that were delivered and paid.
    pub orders: u64,
    pub settled: u64,
    /// Followers that became leaders.
    pub promotions: u64,
    /// BLAKE3 of the disks and of all rows at the end.
    pub hash: [u8; 32],
}

/// A promise that was not kept, and where.
#[derive(Clone, Debug, thiserror::Error)]
#[error("seed {seed}, life {life}, step {step}: {what}; again: medina sim --from {seed} --seeds 1", what = wrong.what)]
pub struct Broken {
    pub seed: u64,
    pub life: u32,
    pub step: u64,
    pub wrong: Wrong,
}

/// A play under way.
pub(super) struct Play<'t> {
    pub town: &'t Town,
    pub plot: Plot,
    pub seed: u64,
    pub dice: Dice,
    /// The leader's.
    pub disk: SimDisk,
    pub other: Option<Other>,
    /// Nothing goes wrong between the nodes.
    pub is_calm: bool,
    pub book: Book,
    pub crowd: Crowd,
    pub provider: Provider,
    /// The machine's clock, and the latest it has ever shown.
    pub clock: Timestamp,
    pub latest: Timestamp,
    pub life: u32,
    pub step: u64,
    /// The disk's call at which the planned fault strikes.
    fault_at: Option<u64>,
    pub tally: Played,
}

/// A fold between its beginning and its end, as the product's folding thread has it.
#[derive(Default)]
enum Fold {
    #[default]
    None,
    Begun(FoldJob),
    Written(FoldDone),
}

/// Plays a seed.
///
/// # Errors
/// [`Broken`]: what was promised and not kept, or something that panicked.
pub fn play(town: &Town, seed: u64, plot: &Plot) -> Result<Played, Broken> {
    let broken = |life, step, wrong| Broken { seed, life, step, wrong };
    let mut play = Play::begin(town, seed, *plot).map_err(|wrong| broken(0, 0, wrong))?;
    let played = storage::fault::catch(|| play.run());
    match played {
        Ok(Ok(())) => Ok(play.tally),
        Ok(Err(wrong)) => Err(broken(play.life, play.step, wrong)),
        Err(fault) => Err(broken(play.life, play.step, fault.to_string().into())),
    }
}

impl<'t> Play<'t> {
    fn begin(town: &'t Town, seed: u64, plot: Plot) -> Result<Self, Wrong> {
        let disk = town.disk(seed);
        let core = town.open(&disk, [0; 32])?;
        let book = Book::begin(&core.store.views().now());
        drop(core);
        disk.lie_about_sync(plot.lying_disk);
        let has_follower = match plot.nodes {
            Nodes::One => false,
            Nodes::Two => true,
            Nodes::BySeed => seed % 3 == 2,
        };
        Ok(Self {
            town,
            plot,
            seed,
            dice: Dice::new(seed, "play"),
            disk,
            other: has_follower.then(|| Other::new(town.disk(seed ^ 1 << 63))),
            is_calm: false,
            book,
            crowd: Crowd::default(),
            provider: Provider::default(),
            clock: NOON,
            latest: NOON,
            life: 0,
            step: 0,
            fault_at: None,
            tally: Played::default(),
        })
    }

    fn run(&mut self) -> Result<(), Wrong> {
        for life in 0..self.plot.lives {
            self.life = life;
            self.arm();
            let in_peace = self.live()?;
            self.end(in_peace)?;
        }
        self.life = self.plot.lives;
        self.flip_bits()?;
        self.settle()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.disk.state_hash());
        if let Some(other) = &self.other {
            hasher.update(&other.disk.state_hash());
        }
        self.book.digest_into(&mut hasher);
        self.tally.hash = *hasher.finalize().as_bytes();
        Ok(())
    }

    /// Plans what will go wrong in this life: often early enough to die in recovery, sometimes in a fold, sometimes nothing.
    fn arm(&mut self) {
        let calls = 1 + if self.dice.percent(25) { self.dice.below(12) } else { self.dice.below(140) } as u64;
        match self.dice.below(10) {
            _ if self.other.is_some() => self.disk.crash_after(calls),
            0..6 => self.disk.crash_after(calls),
            6 => self.disk.fail_call(calls, Fault::Eio),
            7 => (0..3).for_each(|more| self.disk.fail_call(calls + more, Fault::Enospc)),
            8 => self.disk.fail_call(calls, Fault::ShortWrite),
            _ => return,
        }
        self.fault_at = Some(self.disk.calls() + calls);
    }

    /// Whether something has gone wrong as planned.
    pub(super) fn is_struck(&self) -> bool {
        self.disk.is_crashed() || self.fault_at.is_some_and(|at| self.disk.calls() >= at)
    }

    /// A life's own seed for ids and chance, as a process gets one from its operating system.
    pub(super) fn entropy(&self) -> [u8; 32] {
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.seed.to_le_bytes());
        entropy[8..12].copy_from_slice(&self.life.to_le_bytes());
        entropy[12] = 1;
        entropy
    }

    /// Starts on a disk that nothing is wrong with.
    pub(super) fn start(&self, disk: &SimDisk) -> Result<Core, Wrong> {
        self.town.open(disk, self.entropy()).map_err(|why| format!("a healthy disk does not open: {why}").into())
    }

    /// One life of the process: recovery, which is checked, then batches. False if it died.
    fn live(&mut self) -> Result<bool, Wrong> {
        let mut core = match self.start(&self.disk) {
            Ok(core) => core,
            Err(_) if self.is_struck() => return Ok(false),
            Err(wrong) => return Err(wrong),
        };
        if self.recovered(&core)? == Next::Died {
            return Ok(false);
        }
        let mut fold = Fold::None;
        for _ in 0..self.plot.batches {
            self.step += 1;
            if self.batch(&mut core)? == Next::Died {
                return Ok(false);
            }
            match self.fold(&mut core, std::mem::take(&mut fold)) {
                Some(next) => fold = next,
                None if self.is_struck() => return Ok(false),
                None => return Err("a fold failed on a healthy disk".into()),
            }
        }
        Ok(true)
    }

    /// The leader's state is what was promised.
    pub(super) fn check_leader(&self, core: &Core) -> Result<(), Wrong> {
        self.book.check(&core.store.views().now(), &self.disk, self.latest)
    }

    /// After a start: every promise; then what was in flight is decided, once a follower (if there is one) has it, too.
    pub(super) fn recovered(&mut self, core: &Core) -> Result<Next, Wrong> {
        self.check_leader(core)?;
        if self.catch_up(core)? == Next::Died {
            return Ok(Next::Died);
        }
        for request in self.book.decide(core.store.position()) {
            self.crowd.unanswered(request);
        }
        Ok(Next::Going)
    }

    /// Moves the fold on, or not: commits come between its steps. `None` if it failed.
    fn fold(&mut self, core: &mut Core, fold: Fold) -> Option<Fold> {
        Some(match fold {
            Fold::None if core.store.fold_due() || self.dice.percent(12) => core.store.fold_job().map_or(Fold::None, Fold::Begun),
            Fold::Begun(job) if self.dice.percent(60) => Fold::Written(job.run().ok()?),
            Fold::Written(done) if self.dice.percent(60) => {
                core.store.finish_fold(done).clear().ok()?;
                Fold::None
            }
            waiting => waiting,
        })
    }

    /// The life has ended: what the disk may have kept is looked at, then it starts again, or the power was cut.
    fn end(&mut self, in_peace: bool) -> Result<(), Wrong> {
        let crashed = self.disk.is_crashed();
        self.tally.crashes += u64::from(crashed);
        self.tally.faults += u64::from(!crashed && self.is_struck());
        self.fault_at = None;
        self.crash_images()?;
        if crashed || !in_peace && self.dice.percent(50) || in_peace && self.dice.percent(30) {
            self.disk.reboot();
        } else {
            // Only the process died: the page cache is there, durable or not.
            self.disk.restart_process();
        }
        self.fail_over()?;
        self.disk.lie_about_sync(self.plot.lying_disk);
        Ok(())
    }
}
