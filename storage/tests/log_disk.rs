//! The two disks: one contract; and what the simulated one does when it breaks.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use storage::disk::{Disk, DiskFile, Fault, Open, RealDisk, SimDisk};

fn contents(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// What every disk does.
fn keeps_the_contract(disk: &dyn Disk, root: &Path) {
    let dir = root.join("a/b");
    disk.create_dir_all(&dir).unwrap();
    disk.create_dir_all(&dir).unwrap();
    let (one, two) = (dir.join("one"), dir.join("two"));
    let kind = |error: Option<std::io::Error>| error.map(|error| error.kind());

    for how in [Open::Read, Open::Write] {
        assert_eq!(kind(disk.open(&one, how).err()), Some(ErrorKind::NotFound), "{how:?}");
    }
    let nowhere = disk.open(&root.join("c/one"), Open::Create).err();
    assert_eq!(kind(nowhere), Some(ErrorKind::NotFound));
    let file = disk.open(&one, Open::CreateNew).unwrap();
    assert_eq!(kind(disk.open(&one, Open::CreateNew).err()), Some(ErrorKind::AlreadyExists));

    file.write_at(3, b"abc").unwrap();
    assert_eq!(contents(&*file), b"\0\0\0abc");
    assert_eq!(kind(file.read_at(4, &mut [0; 3]).err()), Some(ErrorKind::UnexpectedEof));
    file.set_len(4).unwrap();
    file.set_len(6).unwrap();
    assert_eq!(contents(&*disk.open(&one, Open::Create).unwrap()), b"\0\0\0a\0\0");
    file.sync_data().unwrap();
    let reading = disk.open(&one, Open::Read).unwrap();
    assert!(reading.write_at(0, b"x").is_err());

    disk.open(&two, Open::Create).unwrap().write_at(0, b"2").unwrap();
    assert_eq!(disk.list(&dir).unwrap(), ["one", "two"]);
    assert_eq!(disk.list(root).unwrap(), [] as [&str; 0], "folders are left out");
    disk.rename(&one, &two).unwrap();
    assert_eq!((disk.exists(&one).unwrap(), disk.exists(&two).unwrap()), (false, true));
    assert_eq!(disk.open(&two, Open::Read).unwrap().len().unwrap(), 6);
    disk.remove(&two).unwrap();
    assert_eq!(kind(disk.remove(&two).err()), Some(ErrorKind::NotFound));
    assert_eq!(contents(&*reading), b"\0\0\0a\0\0", "an open file outlives its name");
    disk.sync_dir(&dir).unwrap();

    let path = dir.join("lock");
    let held = disk.lock(&path).unwrap();
    assert_eq!(kind(disk.lock(&path).err()), Some(ErrorKind::WouldBlock));
    drop(held);
    drop(disk.lock(&path).unwrap());
}

#[test]
fn both_disks_keep_the_contract() {
    keeps_the_contract(&SimDisk::new(1), Path::new("/data"));
    let folder = tempfile::tempdir().unwrap();
    keeps_the_contract(&RealDisk, folder.path());
}

#[test]
fn people_data_is_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (dir, path) = (folder.path().join("d"), folder.path().join("d/f"));
    RealDisk.create_dir_all(&dir).unwrap();
    drop(RealDisk.open(&path, Open::Create).unwrap());
    for (path, mode) in [(dir, 0o700), (path, 0o600)] {
        let found = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{}", path.display());
    }
}

/// A folder with a synced file `f` of 2,048 bytes of 1.
fn synced(seed: u64) -> (SimDisk, Box<dyn DiskFile>) {
    let disk = SimDisk::new(seed);
    disk.create_dir_all(Path::new("/d")).unwrap();
    let file = disk.open(Path::new("/d/f"), Open::Create).unwrap();
    file.write_at(0, &[1; 2048]).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    (disk, file)
}

/// All that `seeds` crashes make of what `change` did and did not sync.
fn outcomes<T: Ord>(change: fn(&SimDisk, &dyn DiskFile), look: fn(&SimDisk) -> T) -> BTreeSet<T> {
    let after = |seed| {
        let (disk, file) = synced(seed);
        change(&disk, &*file);
        disk.reboot();
        look(&disk)
    };
    (0..300).map(after).collect()
}

fn f(disk: &SimDisk) -> Vec<u8> {
    contents(&*disk.open(Path::new("/d/f"), Open::Read).unwrap())
}

/// The first byte of each sector.
fn sectors(disk: &SimDisk) -> Vec<u8> {
    f(disk).into_iter().step_by(512).collect()
}

#[test]
fn any_sectors_of_an_unsynced_write_survive() {
    let seen = outcomes(|_, file| file.write_at(512, &[2; 1536]).unwrap(), sectors);
    let any: BTreeSet<_> = (0..8u8).map(|bits| vec![1, 1 + (bits & 1), 1 + (bits >> 1 & 1), 1 + (bits >> 2)]).collect();
    assert_eq!(seen, any);
    let torn_only_at_sectors = outcomes(|_, file| file.write_at(100, &[2; 600]).unwrap(), |disk| f(disk)[100..700].to_vec());
    assert_eq!(torn_only_at_sectors.len(), 4);
}

#[test]
fn what_was_synced_survives_whatever_came_later() {
    let synced_then_more = |_: &SimDisk, file: &dyn DiskFile| {
        file.write_at(0, &[2; 1024]).unwrap();
        file.sync_data().unwrap();
        file.write_at(1024, &[3; 512]).unwrap();
    };
    let seen = outcomes(synced_then_more, sectors);
    assert_eq!(seen, BTreeSet::from([vec![2, 2, 1, 1], vec![2, 2, 3, 1]]));
}

#[test]
fn lengths_survive_or_not_apart_from_bytes() {
    let lengths = |disk: &SimDisk| f(disk).len();
    let cut = outcomes(|_, file| file.set_len(10).unwrap(), lengths);
    assert_eq!(cut, BTreeSet::from([10, 2048]));
    let grown = outcomes(|_, file| file.write_at(2048, &[2; 512]).unwrap(), |disk| sectors(disk)[4..].to_vec());
    assert_eq!(grown, BTreeSet::from([vec![], vec![0], vec![2]]));
}

#[test]
fn names_survive_or_not_until_the_folder_is_synced() {
    let names = |disk: &SimDisk| disk.list(Path::new("/d")).unwrap();
    let (f, g) = (Path::new("/d/f"), Path::new("/d/g"));
    let renamed = outcomes(|disk, _| disk.rename(Path::new("/d/f"), Path::new("/d/g")).unwrap(), names);
    assert_eq!(renamed, BTreeSet::from([vec!["f".to_owned()], vec!["g".to_owned()]]));
    let removed = outcomes(|disk, _| disk.remove(Path::new("/d/f")).unwrap(), names);
    assert_eq!(removed, BTreeSet::from([vec![], vec!["f".to_owned()]]));
    for seed in 0..50 {
        let (disk, _) = synced(seed);
        disk.rename(f, g).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        disk.reboot();
        assert_eq!(names(&disk), ["g"]);
    }
}

#[test]
fn after_a_crash_nothing_works_until_the_reboot() {
    let (disk, file) = synced(1);
    let lock = disk.lock(Path::new("/d/lock")).unwrap();
    disk.crash_after(2);
    file.write_at(0, &[2]).unwrap();
    assert!(file.sync_data().is_err());
    assert!(disk.is_crashed());
    assert!(file.read_at(0, &mut [0]).is_err());
    assert!(disk.list(Path::new("/d")).is_err());
    disk.reboot();
    assert!(file.len().is_err(), "opened before the reboot");
    let again = disk.lock(Path::new("/d/lock")).unwrap();
    drop(lock);
    assert!(disk.lock(Path::new("/d/lock")).is_err(), "an old lock does not free a new one");
    drop(again);
}

#[test]
fn a_killed_process_leaves_the_page_cache() {
    let (disk, file) = synced(1);
    file.write_at(0, &[2; 2048]).unwrap();
    disk.restart_process();
    assert!(file.len().is_err());
    assert_eq!(sectors(&disk), [2; 4]);
}

#[test]
fn faults_fail_one_call_and_do_what_they_say() {
    let (disk, file) = synced(1);
    let faulty = |fault: Fault| {
        disk.fail_call(2, fault);
        file.write_at(0, &[1; 2048]).unwrap();
        let error = file.write_at(0, &[2; 2048]).err().unwrap();
        (error.kind(), sectors(&disk))
    };
    assert_eq!(faulty(Fault::Enospc), (ErrorKind::StorageFull, vec![1; 4]));
    assert_eq!(faulty(Fault::ShortWrite), (ErrorKind::StorageFull, vec![2, 2, 1, 1]));
    faulty(Fault::Eio);
    file.write_at(0, &[3; 2048]).unwrap();
    disk.fail_read(1);
    assert!(file.read_at(0, &mut [0]).is_err());
    file.read_at(0, &mut [0]).unwrap();
}

/// "fsyncgate": what a failed sync dropped is shown until the power goes, and no later sync writes it.
#[test]
fn a_sync_after_a_failed_one_proves_nothing() {
    let fails_then_syncs = |disk: &SimDisk, file: &dyn DiskFile| {
        file.write_at(0, &[2; 2048]).unwrap();
        disk.fail_next(Fault::Eio);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert_eq!(sectors(disk), [2; 4]);
    };
    let seen = outcomes(fails_then_syncs, sectors);
    assert_eq!(seen.len(), 16, "any sectors");
}

#[test]
fn a_fork_is_another_disk() {
    let (disk, file) = synced(1);
    file.write_at(0, &[2; 2048]).unwrap();
    let images: BTreeSet<_> = (0..200)
        .map(|seed| {
            let image = disk.fork(seed);
            image.reboot();
            sectors(&image)
        })
        .collect();
    assert_eq!(images.len(), 16);
    assert_eq!(sectors(&disk), [2; 4]);
}

#[test]
fn a_flipped_bit_is_on_the_platter() {
    let (disk, _) = synced(1);
    let before = disk.state_hash();
    disk.flip_bit(Path::new("/d/f"), 7, 3);
    assert_ne!(disk.state_hash(), before);
    assert_eq!(f(&disk)[7], 1 ^ 8);
    disk.reboot();
    assert_eq!(f(&disk)[7], 1 ^ 8);
    disk.flip_bit(Path::new("/d/f"), 7, 3);
    assert_eq!(disk.state_hash(), before);
}
