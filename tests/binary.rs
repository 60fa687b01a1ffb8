//! The built file itself: static, and at home in an empty room.

use std::os::unix::process::CommandExt;
use std::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_medina");

/// Program header types and dynamic tags of the ELF specification.
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

#[test]
fn the_binary_needs_nothing() {
    let elf = std::fs::read(BINARY).expect("the binary was built for this test");
    assert_eq!(&elf[..5], b"\x7fELF\x02", "a 64-bit ELF file");
    let (table, size, count) = (number(&elf, 32, 8) as usize, number(&elf, 54, 2) as usize, number(&elf, 56, 2) as usize);
    for header in (0..count).map(|n| table + n * size) {
        let kind = number(&elf, header, 4) as u32;
        assert_ne!(kind, PT_INTERP, "the binary asks for an interpreter: it is not static");
        if kind == PT_DYNAMIC {
            let (from, length) = (number(&elf, header + 8, 8) as usize, number(&elf, header + 32, 8) as usize);
            let needs = (from..from + length).step_by(16).any(|entry| number(&elf, entry, 8) == DT_NEEDED);
            assert!(!needs, "the binary needs a shared library");
        }
    }
}

/// Without /dev, /proc, /etc or a library: a chroot into a folder that holds the binary alone (not as root: in a user namespace of its own).
#[test]
fn the_version_is_said_in_an_empty_chroot() {
    let room = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(BINARY, room.path().join("medina")).expect("the binary is copied");
    let mut command = Command::new("/medina");
    command.arg("--version").env_clear();
    let root = room.path().to_owned();
    let namespace = !is_root();
    // SAFETY: unshare, chroot and chdir are async-signal-safe system calls; nothing else runs between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if namespace && libc::unshare(libc::CLONE_NEWUSER) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            std::os::unix::fs::chroot(&root)?;
            std::env::set_current_dir("/")
        });
    }
    let said = match command.output() {
        Err(error) if namespace && error.kind() == std::io::ErrorKind::PermissionDenied => {
            eprintln!("SKIPPED: neither root nor user namespaces here");
            return;
        }
        said => said.expect("it starts without an interpreter"),
    };
    assert!(said.status.success(), "{said:?}");
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), concat!("medina ", env!("CARGO_PKG_VERSION")));
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [&["serve", "--nonsense"][..], &["frobnicate"], &["admin", "create"]] {
        let said = Command::new(BINARY).args(arguments).output().expect("it starts");
        assert_eq!(said.status.code(), Some(2), "{arguments:?}: {said:?}");
    }
}
