//! The schedule and the throttle by a clock of the test's; progress where somebody watches.

use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use medina::ops::backup::time::{Throttle, Time};
use medina::ops::backup::{BackupConfig, Destination, ship, take};
use tracing_subscriber::fmt::MakeWriter;

use super::city::{archived, found, mark, start};
use super::parts::{commit, store};
use super::{blocking, folder, to};

/// What the process has logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    fn has(&self, data: &Path, text: &str) -> bool {
        let all = String::from_utf8_lossy(&self.0.lock().expect("nobody panics with it")).into_owned();
        all.lines().any(|line| line.contains(text) && line.contains(&folder(data)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_drills_come_on_time_and_a_bad_copy_is_told() {
    let log = Log::default();
    tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).init();
    let temporary = tempfile::tempdir().expect("a folder");
    let (data, away) = (temporary.path().join("data"), temporary.path().join("away"));
    let (time, hand) = Time::driven();
    let config = BackupConfig { every_minutes: 60, drill_every_hours: 24, time: time.clone(), ..to(&folder(&away)) };
    let app = start(&data, config).await;
    let town = found(&app).await;
    // The archive has a pace of its own: let it go on until the first snapshot is there.
    let ending = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (ended, pace) = (ending.clone(), hand.clone());
    let pacing = std::thread::spawn(move || {
        while !ended.load(std::sync::atomic::Ordering::Acquire) {
            pace.advance(Duration::from_millis(400));
            std::thread::park_timeout(Duration::from_millis(5));
        }
    });
    archived(&town, &app, mark(&app).0.seq).await;
    let copies = async || town.wire.get(&town.admin.token, "/v1/ops/overview").await.is(200).body["backup"].clone();
    assert!(copies().await["drill"].is_null(), "none is due yet");
    hand.advance(Duration::from_secs(24 * 3600));
    while copies().await["drill"]["ok"] != true {
        assert_ne!(copies().await["drill"]["ok"], false, "{}", copies().await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let figures = async || town.wire.get("", "/metrics").await.is(200).text;
    assert!(figures().await.contains("medina_restore_drill_ok 1"), "{}", figures().await);
    while !log.has(&away, "the restore drill succeeded") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The same copies with a part gone: the next drill says so everywhere.
    let ruin = || {
        for place in std::fs::read_dir(away.join("snapshots")).expect("there").filter_map(Result::ok) {
            for part in std::fs::read_dir(place.path()).expect("there").filter_map(Result::ok) {
                if part.path().extension().is_some_and(|ending| ending == "part") {
                    std::fs::write(part.path(), b"ruined").expect("written");
                }
            }
        }
    };
    let listed = async || town.wire.get(&town.admin.token, "/v1/ops/attention").await.is(200).text;
    while !listed().await.contains("restore_drill_failed") {
        // A snapshot may come in between, and be good.
        ruin();
        hand.advance(Duration::from_secs(24 * 3600));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(log.has(&away, "the restore drill failed"));
    ending.store(true, std::sync::atomic::Ordering::Release);
    pacing.join().expect("it ends");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_take_no_more_than_they_may() {
    const BYTES_PER_S: u64 = 1 << 20;
    const PART: u64 = 8 << 20;
    let temporary = tempfile::tempdir().expect("a folder");
    blocking(move |runtime| {
        let (data, there) = (temporary.path().join("data"), temporary.path().join("away"));
        let mut store = store(&data);
        for n in 0..20 {
            commit(&mut store, n, 1 << 20);
        }
        let manifest = take::take(&store.views().now(), &data, "live").expect("it is taken");
        let (time, hand) = Time::driven();
        let config = BackupConfig { bytes_per_s: BYTES_PER_S, time: time.clone(), ..to(&folder(&there)) };
        let slow = Destination::configured(&config, runtime).expect("it opens").expect("it is named");
        let watch = Destination::configured(&to(&folder(&there)), runtime).expect("it opens").expect("it is named");
        let sent = |at: &Destination| at.list("snapshots").expect("it lists").values().sum::<u64>();
        std::thread::scope(|scope| {
            let shipping = scope.spawn(|| ship::ship(&data, &manifest, &slow, &|_, _| ()));
            while !shipping.is_finished() {
                // What is there now was allowed by now: one part at once, and then as the time allows. Time passes only while the sender waits for it.
                let (there, now) = (sent(&watch), time.now());
                let allowed = PART + 4096 + BYTES_PER_S * (now.as_millis() as u64) / 1000;
                assert!(there <= allowed, "{there} bytes at {now:?}");
                match hand.next().and_then(|at| at.checked_sub(now)).filter(|wait| !wait.is_zero()) {
                    Some(wait) => hand.advance(wait),
                    None => std::thread::yield_now(),
                }
            }
            assert_eq!(shipping.join().expect("it runs"), Ok(manifest.bytes()));
        });
        // To the second: the manifest went when all parts were paid for.
        assert_eq!(time.now().as_secs(), manifest.bytes() / BYTES_PER_S);
        // The end does not wait: what is owed is let go.
        let throttle = Arc::new(Throttle::new(1, time));
        throttle.before(1_000_000);
        let waiting = throttle.clone();
        let waiting = std::thread::spawn(move || waiting.before(1));
        throttle.lifted.ring();
        waiting.join().expect("it goes on");
    })
    .await;
}

/// A terminal of 80 columns: what a program writes there can be read at the other end.
fn terminal() -> (std::fs::File, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: both descriptors are written by the call, and owned by nobody else after it; the other pointers are null or to a value that lives on.
    unsafe {
        assert_eq!(libc::openpty(&raw mut ours, &raw mut theirs, std::ptr::null_mut(), std::ptr::null(), &raw const size), 0);
        (std::fs::File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_shown_on_a_terminal_and_nowhere_else() {
    let temporary = tempfile::tempdir().expect("a folder");
    blocking(move |_| {
        let data = temporary.path().join("data");
        let mut store = store(&data);
        for n in 0..20 {
            commit(&mut store, n, 1 << 20);
        }
        drop(store);
        std::fs::write(data.join("mode"), "live").expect("written");
        let snapshot = |away: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_medina"));
            command.args(["snapshot", "--data"]).arg(&data).arg("--to").arg(temporary.path().join(away)).stdout(Stdio::null());
            command
        };
        let (mut ours, theirs) = terminal();
        let mut child = snapshot("watched").env("TERM", "xterm").stderr(Stdio::from(theirs)).spawn().expect("it starts");
        let mut shown = Vec::new();
        // It ends with an error once nobody has the other end.
        let _ = ours.read_to_end(&mut shown);
        assert!(child.wait().expect("it is ours").success());
        let shown = String::from_utf8_lossy(&shown).into_owned();
        assert!(shown.contains("sending") && shown.contains('[') && shown.contains("MiB/"), "{shown:?}");
        let unseen = snapshot("unseen").stderr(Stdio::piped()).output().expect("it runs");
        assert!(unseen.status.success() && !String::from_utf8_lossy(&unseen.stderr).contains("sending"), "{unseen:?}");
    })
    .await;
}
