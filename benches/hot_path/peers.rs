//! The peers: a Redis and a PostGIS of this run alone, started in a temporary folder.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::load::cpu_us;

/// Where Debian puts PostgreSQL 15's programs.
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a loopback port").port()
}

/// A command as Redis reads it.
pub fn command(words: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        let _ = write!(text, "${}\r\n{word}\r\n", word.len());
    }
    text.into_bytes()
}

fn additions(points: &[(f64, f64)]) -> Vec<u8> {
    points
        .iter()
        .enumerate()
        .flat_map(|(n, (lat, lon))| command(&["GEOADD", "couriers", &format!("{lon:.6}"), &format!("{lat:.6}"), &format!("c{n}")]))
        .collect()
}

pub struct Redis {
    child: Child,
    pub address: SocketAddr,
}

impl Redis {
    /// With everybody in it; `None`, aloud, if it is not installed.
    pub async fn start(points: &[(f64, f64)]) -> Option<Self> {
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            println!("SKIPPED: redis-server is not installed");
            return None;
        };
        let redis = Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        while tokio::net::TcpStream::connect(redis.address).await.is_err() {
            tokio::task::yield_now().await;
        }
        redis.feed(&additions(points));
        Some(redis)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn feed(&self, commands: &[u8]) {
        let mut pipe = Command::new("redis-cli")
            .args(["-p", &self.address.port().to_string(), "--pipe"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-cli comes with redis-server");
        pipe.stdin.take().expect("piped").write_all(commands).expect("it reads");
        assert!(pipe.wait().expect("it ends").success());
    }

    /// Moves everybody again and again: points a second, and the server's CPU a point in µs.
    pub fn pipe(&self, points: &[(f64, f64)], time: Duration) -> (f64, f64) {
        let moved: Vec<(f64, f64)> = points.iter().map(|(lat, lon)| (lat + 1e-5, *lon)).collect();
        let rounds = [additions(points), additions(&moved)];
        let (begun, before) = (Instant::now(), cpu_us(&[self.pid()]));
        let mut count = 0;
        for round in rounds.iter().cycle() {
            self.feed(round);
            count += points.len();
            if begun.elapsed() >= time {
                break;
            }
        }
        (count as f64 / begun.elapsed().as_secs_f64(), (cpu_us(&[self.pid()]) - before) / count as f64)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Postgis {
    folder: TempDir,
    port: u16,
}

/// As the user that PostgreSQL insists on: it refuses to run as root.
fn run(program: &str, words: &[&str]) -> Command {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let path = format!("{POSTGRES}/{program}");
    let mut command = if is_root { Command::new("setpriv") } else { Command::new(&path) };
    if is_root {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", &path]);
    }
    command.args(words).stdin(Stdio::null());
    command
}

fn done(mut command: Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Postgis {
    pub fn start(points: &[(f64, f64)]) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let postgis = Self { port: free_port(), folder };
        let root = postgis.folder.path();
        std::fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o777)).ok()?;
        let (data, log) = (root.join("pg"), root.join("log"));
        done(run("initdb", &["-D", data.to_str()?, "-A", "trust", "-U", "postgres", "--no-sync"]))?;
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c shared_buffers=256MB",
            postgis.port,
            root.display()
        );
        // Its output goes to the log; a pipe would stay open as long as the server lives.
        let mut start = run("pg_ctl", &["-D", data.to_str()?, "-w", "-l", log.to_str()?, "-o", &options, "start"]);
        start.stdout(Stdio::null()).stderr(Stdio::null()).status().ok().filter(std::process::ExitStatus::success)?;
        let rows: Vec<String> =
            points.iter().map(|(lat, lon)| format!("(ST_SetSRID(ST_MakePoint({lon:.6},{lat:.6}),4326)::geography)")).collect();
        let mut sql = "CREATE EXTENSION postgis; CREATE TABLE couriers (id serial PRIMARY KEY, at geography(Point,4326));\n".to_owned();
        for some in rows.chunks(5_000) {
            let _ = writeln!(sql, "INSERT INTO couriers (at) VALUES {};", some.join(","));
        }
        sql.push_str("CREATE INDEX ON couriers USING gist (at); VACUUM ANALYZE couriers;\n");
        let file = root.join("load.sql");
        std::fs::write(&file, sql).ok()?;
        done(postgis.client("psql", &["-q", "-v", "ON_ERROR_STOP=1", "-f", file.to_str()?]))?;
        Some(postgis)
    }

    fn client(&self, program: &str, words: &[&str]) -> Command {
        let port = self.port.to_string();
        let mut all = vec!["-h", "127.0.0.1", "-p", port.as_str(), "-U", "postgres"];
        all.extend_from_slice(words);
        run(program, &all)
    }

    fn postmaster(&self) -> u32 {
        let file = std::fs::read_to_string(self.folder.path().join("pg/postmaster.pid")).expect("it runs");
        file.lines().next().and_then(|line| line.parse().ok()).expect("its first line is the process")
    }

    /// How many processes the postmaster has.
    fn backends(&self) -> usize {
        let pid = self.postmaster();
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).map_or(0, |children| children.split_whitespace().count())
    }

    /// Queries a second, and the server's CPU a query in µs (backends are counted when they have ended).
    pub fn nearest(&self, clients: usize, time: Duration) -> (f64, f64) {
        let script = self.folder.path().join("nearest.sql");
        let text = "\\set lat random(5465000, 5735000)\n\\set lon random(-325000, -55000)\n\
                    SELECT id, ST_Y(at::geometry), ST_X(at::geometry) FROM couriers ORDER BY at <-> ST_SetSRID(ST_MakePoint(:lon/1e6, :lat/1e6),4326)::geography LIMIT 10;\n";
        write_all(&script, text);
        let idle = self.backends();
        let (clients, seconds, before) = (clients.to_string(), time.as_secs().to_string(), cpu_us(&[self.postmaster()]));
        let words =
            ["-n", "-M", "prepared", "-j", "2", "-c", &clients, "-T", &seconds, "-f", script.to_str().expect("a plain path"), "postgres"];
        let said = done(self.client("pgbench", &words)).expect("pgbench comes with PostgreSQL");
        // A backend's time is its parent's once it has ended, and that is a moment after its client.
        while self.backends() > idle {
            std::thread::sleep(Duration::from_millis(10));
        }
        let used = cpu_us(&[self.postmaster()]) - before;
        let number =
            |what: &str| said.split(what).nth(1).and_then(|rest| rest.split_whitespace().next()?.split('/').next()?.parse::<f64>().ok());
        let count = number("transactions actually processed: ").unwrap_or_else(|| panic!("no count in {said}"));
        (number("tps = ").unwrap_or_else(|| panic!("no rate in {said}")), used / count)
    }
}

fn write_all(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a temporary file");
}

impl Drop for Postgis {
    fn drop(&mut self) {
        let data = self.folder.path().join("pg");
        let _ =
            run("pg_ctl", &["-D", &data.to_string_lossy(), "-m", "immediate", "stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
