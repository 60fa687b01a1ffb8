//! A load generator that costs little: one request in flight a connection, answers only measured and counted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::seed::Chance;

/// What a run came to.
pub struct Figures {
    pub count: u64,
    pub refused: u64,
    pub time: Duration,
    /// The server's CPU time a request, in µs.
    pub cpu_us: f64,
    latencies_us: Vec<u32>,
}

impl Figures {
    pub fn per_second(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }

    pub fn quantile_us(&self, share: f64) -> f64 {
        let at = ((self.latencies_us.len() as f64 * share) as usize).min(self.latencies_us.len().saturating_sub(1));
        self.latencies_us.get(at).map_or(0.0, |us| f64::from(*us))
    }
}

/// Where an answer ends in `bytes`, and whether it says yes; `None` if more must come.
pub type Answer = fn(&[u8]) -> Option<(usize, bool)>;

/// HTTP/1.1 with a Content-Length.
pub fn http(bytes: &[u8]) -> Option<(usize, bool)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?.to_ascii_lowercase();
    let length: usize = text.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    (bytes.len() >= head + length).then_some((head + length, text.starts_with("http/1.1 2")))
}

/// One RESP2 value, nested arrays included.
pub fn resp(bytes: &[u8]) -> Option<(usize, bool)> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")?;
    let number = || std::str::from_utf8(&bytes[1..line]).ok()?.parse::<i64>().ok();
    let mut at = line + 2;
    match bytes.first()? {
        b'$' => {
            at += usize::try_from(number()?).map_or(0, |length| length + 2);
            (bytes.len() >= at).then_some((at, true))
        }
        b'*' => {
            for _ in 0..number()?.max(0) {
                at += resp(&bytes[at..])?.0;
            }
            Some((at, true))
        }
        first => Some((at, *first != b'-')),
    }
}

/// CPU time of processes so far, their threads and their ended children included, in µs.
pub fn cpu_us(pids: &[u32]) -> f64 {
    let ticks: f64 = pids
        .iter()
        .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok())
        .filter_map(|stat| {
            // utime, stime, cutime, cstime: fields 14 to 17, after the name in brackets.
            let fields: Vec<f64> =
                stat.rsplit(')').next()?.split_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
            Some(fields.iter().sum::<f64>())
        })
        .sum();
    ticks * 10_000.0 // clock ticks are 1/100 s on Linux
}

/// Asks as fast as `connections` can, for `time`.
pub async fn drive(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    pids: &[u32],
    answer: Answer,
    ask: impl Fn(&mut Chance) -> Vec<u8> + Sync,
) -> Figures {
    let before = cpu_us(pids);
    let begun = Instant::now();
    let asked = futures_util::future::join_all((0..connections).map(|n| one(address, n as u64, begun + time, answer, &ask))).await;
    let time = begun.elapsed();
    let used = cpu_us(pids) - before;
    let refused = asked.iter().map(|(_, refused)| refused).sum();
    let mut latencies_us: Vec<u32> = asked.into_iter().flat_map(|(latencies, _)| latencies).collect();
    latencies_us.sort_unstable();
    let count = latencies_us.len() as u64;
    Figures { count, refused, time, cpu_us: used / count.max(1) as f64, latencies_us }
}

async fn one(
    address: SocketAddr,
    n: u64,
    until: Instant,
    answer: Answer,
    ask: &(impl Fn(&mut Chance) -> Vec<u8> + Sync),
) -> (Vec<u32>, u64) {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("a socket option");
    let mut chance = Chance(n + 1);
    let (mut latencies, mut refused, mut bytes) = (Vec::new(), 0, Vec::with_capacity(64 << 10));
    while Instant::now() < until {
        let request = ask(&mut chance);
        let begun = Instant::now();
        stream.write_all(&request).await.expect("the server reads");
        let ok = loop {
            if let Some((end, ok)) = answer(&bytes) {
                bytes.drain(..end);
                break ok;
            }
            let read = stream.read_buf(&mut bytes).await.expect("the server answers");
            assert!(read > 0, "the server closed the connection");
        };
        latencies.push(begun.elapsed().as_micros() as u32);
        refused += u64::from(!ok);
    }
    (latencies, refused)
}
