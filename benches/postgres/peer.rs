//! PostgreSQL 15 in a folder of its own, and enough of its protocol to call a prepared function.
//!
//! Source: PostgreSQL documentation, "Message Formats" (protocol 3.0).

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::load::{Ask, Server, cpu_of};
use crate::{ACCOUNTS, FUNDS};

const SCHEMA: &str = "
CREATE TABLE accounts (id bigint PRIMARY KEY, debits bigint NOT NULL, credits bigint NOT NULL) WITH (fillfactor = 50);
CREATE TABLE transfers (id uuid PRIMARY KEY, debit bigint NOT NULL, credit bigint NOT NULL, amount bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL);
CREATE FUNCTION transfer(t uuid, d bigint, c bigint, a bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO transfers (id, debit, credit, amount) VALUES (t, d, c, a) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    PERFORM 1 FROM transfers WHERE id = t AND debit = d AND credit = c AND amount = a;
    IF NOT FOUND THEN RAISE EXCEPTION 'exists, and is another one'; END IF;
    RETURN 'exists';
  END IF;
  -- Rows are locked in the order of their ids: no deadlock.
  IF d < c THEN
    UPDATE accounts SET debits = debits + a WHERE id = d AND debits + a <= credits;
    IF NOT FOUND THEN RAISE EXCEPTION 'overdrawn'; END IF;
    UPDATE accounts SET credits = credits + a WHERE id = c;
  ELSE
    UPDATE accounts SET credits = credits + a WHERE id = c;
    UPDATE accounts SET debits = debits + a WHERE id = d AND debits + a <= credits;
    IF NOT FOUND THEN RAISE EXCEPTION 'overdrawn'; END IF;
  END IF;
  INSERT INTO outbox (body) VALUES (json_build_object('transfers', json_build_array(t))::text);
  RETURN 'created';
END $$;
";

/// Fair to a server of two cores: room in memory, and no checkpoint forced by a small log.
const SETTINGS: &str = "synchronous_commit = on\nfsync = on\nshared_buffers = 256MB\nmax_wal_size = 4GB\nlisten_addresses = '127.0.0.1'\n";

pub struct Postgres {
    bin: PathBuf,
    data: PathBuf,
    port: u16,
    user: Option<(u32, u32)>,
    postmaster: u32,
}

/// Whom it runs as: it refuses to be root.
fn unprivileged() -> Result<Option<(u32, u32)>, String> {
    let own = std::fs::metadata("/proc/self").map_err(|error| error.to_string())?;
    if std::os::unix::fs::MetadataExt::uid(&own) != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
    let ids = |name: &str| {
        let line = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut fields = line.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).map(Some).ok_or_else(|| "neither the user postgres nor nobody exists".to_owned())
}

impl Postgres {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn ran(mut command: Command) -> Result<(), String> {
        let output = command.output().map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    /// Makes a cluster, starts it, loads schema and accounts.
    pub fn start(folder: &Path) -> Result<Self, String> {
        let bin = std::env::var_os("MEDINA_PG_BIN").map_or_else(|| PathBuf::from("/usr/lib/postgresql/15/bin"), PathBuf::from);
        if !bin.join("initdb").exists() {
            return Err(format!("no initdb in {}", bin.display()));
        }
        std::fs::create_dir(folder).map_err(|error| error.to_string())?;
        let user = unprivileged()?;
        if let Some((user, group)) = user {
            chown(folder, Some(user), Some(group)).map_err(|error| error.to_string())?;
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(|error| error.to_string())?.port();
        let mut made = Self { bin, data: folder.join("data"), port, user, postmaster: 0 };
        let mut init = made.command("initdb");
        init.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D"]).arg(&made.data);
        Self::ran(init)?;
        let mut settings =
            std::fs::OpenOptions::new().append(true).open(made.data.join("postgresql.conf")).map_err(|error| error.to_string())?;
        write!(settings, "{SETTINGS}port = {port}\nunix_socket_directories = '{}'\n", folder.display())
            .map_err(|error| error.to_string())?;
        let mut start = made.command("pg_ctl");
        // Its children keep what they inherit open: nothing of ours.
        start.stderr(Stdio::null()).args(["-w", "-s", "start", "-l"]).arg(folder.join("log")).arg("-D").arg(&made.data);
        Self::ran(start)?;
        let pid = std::fs::read_to_string(made.data.join("postmaster.pid")).map_err(|error| error.to_string())?;
        made.postmaster = pid.lines().next().and_then(|line| line.parse().ok()).ok_or("no process id")?;
        let accounts = format!("INSERT INTO accounts SELECT id, 0, {FUNDS} FROM generate_series(1, {ACCOUNTS}) id; VACUUM ANALYZE;");
        for sql in SCHEMA.split_inclusive("$$;\n").chain(accounts.split_inclusive(';')).filter(|sql| !sql.trim().is_empty()) {
            let mut psql = made.command("psql");
            psql.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-q", "-c", sql, "postgres"]);
            Self::ran(psql)?;
        }
        Ok(made)
    }

    pub fn stop(&self) {
        let mut stop = self.command("pg_ctl");
        stop.args(["-s", "-m", "immediate", "stop", "-D"]).arg(&self.data);
        if let Err(why) = Self::ran(stop) {
            eprintln!("PostgreSQL did not stop: {why}");
        }
    }
}

/// A message: its letter, its length with itself, its body.
fn message(letter: u8, body: &[u8], into: &mut Vec<u8>) {
    into.push(letter);
    into.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    into.extend_from_slice(body);
}

impl Server for Postgres {
    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    fn greeting(&self) -> Vec<Vec<u8>> {
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        body.extend_from_slice(b"user\0postgres\0database\0postgres\0\0");
        let mut startup = (body.len() as u32 + 4).to_be_bytes().to_vec();
        startup.extend_from_slice(&body);
        let mut parse = Vec::new();
        message(b'P', b"t\0SELECT transfer($1::uuid, $2::bigint, $3::bigint, $4::bigint)\0\0\0", &mut parse);
        message(b'S', b"", &mut parse);
        vec![startup, parse]
    }

    fn request(&self) -> Ask {
        Arc::new(|transfer, into| {
            let mut bind = b"\0t\0\0\0\0\x04".to_vec();
            let id = uuid::Uuid::from_u128(transfer.id).to_string();
            for value in [id, transfer.debit.to_string(), transfer.credit.to_string(), transfer.amount.to_string()] {
                bind.extend_from_slice(&(value.len() as u32).to_be_bytes());
                bind.extend_from_slice(value.as_bytes());
            }
            bind.extend_from_slice(&[0, 0]);
            message(b'B', &bind, into);
            message(b'E', b"\0\0\0\0\0", into);
            message(b'S', b"", into);
        })
    }

    fn is_whole(answer: &[u8]) -> bool {
        let mut rest = answer;
        while let Some((head, body)) = rest.split_first_chunk::<5>() {
            let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
            let Some((body, next)) = body.split_at_checked(len) else { return false };
            assert!(head[0] != b'E', "PostgreSQL refused: {}", String::from_utf8_lossy(body));
            if head[0] == b'Z' {
                return true;
            }
            rest = next;
        }
        false
    }

    fn cpu(&self) -> Duration {
        let mut all = cpu_of(self.postmaster);
        for task in std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.postmaster)).unwrap_or_default().split_whitespace()
        {
            all += task.parse().map_or(Duration::ZERO, cpu_of);
        }
        all
    }
}
