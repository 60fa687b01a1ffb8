//! What a crash may leave on the disk, and what a bit that turned over does: each looked at on a copy.

use storage::disk::{Fault, SimDisk};
use storage::fault::catch;

use super::book::{Wrong, clean, compare};
use super::play::Play;
use crate::app::inspection;

impl Play<'_> {
    /// Several fates of what was not synced at this moment: recovered and checked.
    pub(super) fn crash_images(&mut self) -> Result<(), Wrong> {
        let (disk, other) = (self.disk.clone(), self.other_image());
        for _ in 0..self.plot.images {
            self.crash_image(&disk)?;
            if let Some(other) = &other {
                self.crash_image(other)?;
            }
        }
        Ok(())
    }

    /// One of them; sometimes something goes wrong while it recovers, or right after.
    pub(super) fn crash_image(&mut self, disk: &SimDisk) -> Result<(), Wrong> {
        let image = disk.fork(self.dice.roll());
        image.reboot();
        self.disturb(&image);
        let position = self.look(&image)?;
        if self.dice.percent(25) {
            // What was recovered once is durable: a crash at once after it takes nothing away.
            let again = image.fork(self.dice.roll());
            again.reboot();
            let later = self.look(&again)?;
            if later != position {
                return Err(format!("recovered to {position}, and after another crash to {later}").into());
            }
        }
        Ok(())
    }

    /// Sometimes the recovery itself meets a crash, or a disk that fails once, and is tried again.
    fn disturb(&mut self, image: &SimDisk) {
        let call = 1 + self.dice.below(8) as u64;
        match self.dice.below(16) {
            0..4 => image.crash_after(call),
            4 => image.fail_call(call, Fault::Eio),
            5 => image.fail_call(call, Fault::Enospc),
            6 => image.fail_call(call, Fault::ShortWrite),
            7 => image.fail_read(1 + self.dice.below(60) as u64),
            _ => return,
        }
        drop(self.town.open(image, self.entropy()));
        if image.is_crashed() || self.dice.percent(50) { image.reboot() } else { image.restart_process() }
    }

    /// Recovers an image and checks every promise. Returns where it stands.
    fn look(&mut self, image: &SimDisk) -> Result<u64, Wrong> {
        let core = self.start(image)?;
        self.book.check(&core.store.views().now(), image, self.latest)?;
        self.tally.images += 1;
        Ok(core.store.position().seq)
    }

    /// Bits turn over at rest, one at a time: the product refuses to start, or the inspection finds it, or it does no harm.
    pub(super) fn flip_bits(&mut self) -> Result<(), Wrong> {
        let core = self.start(&self.disk)?;
        self.recovered(&core)?;
        drop(core);
        // Over some damage redb ends the whole process when it is closed; bits of the state file are turned over in `storage/tests/flips.rs`.
        let files: Vec<_> = self.disk.files().into_iter().filter(|(path, len)| *len > 0 && !path.ends_with("state.redb")).collect();
        for _ in 0..self.plot.flips {
            let Some((path, len)) = self.dice.pick(&files).cloned() else { return Ok(()) };
            // Most of a preallocated segment is empty: look where something is.
            let offset = self.dice.roll() % if self.dice.percent(70) { len.min(8 << 10) } else { len };
            let bit = self.dice.below(8) as u8;
            let image = self.disk.fork(self.dice.roll());
            image.flip_bit(&path, offset, bit);
            self.tally.flips += 1;
            match self.flipped(&image) {
                Ok(noticed) => self.tally.noticed += u64::from(noticed),
                Err(wrong) => return Err(format!("bit {bit} of byte {offset} of {} turned over: {}", path.display(), wrong.what).into()),
            }
        }
        Ok(())
    }

    /// Whether it was noticed.
    ///
    /// # Errors
    /// It was not, and something is different.
    fn flipped(&self, image: &SimDisk) -> Result<bool, Wrong> {
        let opened = catch(|| self.town.open(image, self.entropy()));
        let Ok(Ok(core)) = opened else { return Ok(true) };
        let view = core.store.views().now();
        // A raised fault is a notice. redb panics over some damage, also when it is closed: that must not happen while another panic unwinds.
        let looked = catch(|| {
            if clean(&inspection::inspect(&view)).is_err() {
                return Ok(true);
            }
            if view.position().seq < self.book.acknowledged() {
                return Err("acknowledged commands are lost and nobody noticed".into());
            }
            compare(self.book.rows(), &view).map(|()| false)
        });
        drop(view);
        let closed = catch(|| drop(core));
        looked.unwrap_or(Ok(true)).map(|noticed| noticed || closed.is_err())
    }
}
