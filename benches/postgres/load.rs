//! The load: so many clients, each asking again when it was answered, on one thread; the same loop for both servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::ACCOUNTS;

pub struct Scenario {
    pub name: &'static str,
    pub clients: usize,
    /// All transfers debit one account.
    pub hot: bool,
}

/// One transfer of the load.
#[derive(Clone, Copy)]
pub struct Transfer {
    pub id: u128,
    /// 1 to [`ACCOUNTS`], never the same.
    pub debit: u64,
    pub credit: u64,
    pub amount: u64,
}

/// Writes the request for a transfer.
pub type Ask = Arc<dyn Fn(Transfer, &mut Vec<u8>) + Send + Sync>;

/// A server under load.
pub trait Server {
    fn address(&self) -> SocketAddr;
    /// What a connection says before its first transfer, if anything.
    fn greeting(&self) -> Vec<Vec<u8>>;
    /// The request for a transfer.
    fn request(&self) -> Ask;
    /// Whether the answer is whole. Panics if it is a refusal: the load is made of transfers that succeed.
    fn is_whole(answer: &[u8]) -> bool;
    /// CPU of all its processes so far.
    fn cpu(&self) -> Duration;
}

/// What one run gave.
pub struct Measured {
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Server CPU for each transaction.
    pub cpu_us: f64,
}

/// Ids rise as UUIDv7 would, on both sides.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The next transfer: spread over all accounts by a multiplicative hash, or all from one.
pub fn next_transfer(hot: bool) -> Transfer {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let spread = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let debit = if hot { 1 } else { 1 + spread % ACCOUNTS };
    let credit = 1 + (debit - 1 + 1 + (spread >> 14) % (ACCOUNTS - 1)) % ACCOUNTS;
    Transfer { id: (0x0190_u128 << 112) | u128::from(n), debit, credit, amount: 1 + n % 9 }
}

async fn exchange<S: Server>(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) {
    stream.write_all(request).await.expect("the server takes it");
    answer.clear();
    loop {
        let read = stream.read_buf(answer).await.expect("the server answers");
        assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(answer));
        if S::is_whole(answer) {
            return;
        }
    }
}

async fn client<S: Server>(mut stream: TcpStream, request: Ask, hot: bool, until: Instant) -> Vec<u32> {
    let (mut asked, mut answer, mut took) = (Vec::new(), Vec::with_capacity(4_096), Vec::new());
    loop {
        let begun = Instant::now();
        if begun >= until {
            return took;
        }
        asked.clear();
        request(next_transfer(hot), &mut asked);
        exchange::<S>(&mut stream, &asked, &mut answer).await;
        took.push(begun.elapsed().as_micros() as u32);
    }
}

/// Loads a server for so long.
pub fn run<S: Server + 'static>(scenario: &Scenario, length: Duration, server: &S) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let ran = runtime.block_on(async {
        let mut streams = Vec::new();
        let mut answer = Vec::new();
        for _ in 0..scenario.clients {
            let mut stream = TcpStream::connect(server.address()).await.expect("the server listens");
            stream.set_nodelay(true).expect("a TCP socket");
            for line in server.greeting() {
                exchange::<S>(&mut stream, &line, &mut answer).await;
            }
            streams.push(stream);
        }
        let (before, begun) = (server.cpu(), Instant::now());
        let clients: Vec<_> =
            streams.into_iter().map(|stream| tokio::spawn(client::<S>(stream, server.request(), scenario.hot, begun + length))).collect();
        let mut took = Vec::new();
        for client in clients {
            took.extend(client.await.expect("a client ends well"));
        }
        // The connections' ends come after this look: a backend that is gone has taken its figures with it.
        (took, begun.elapsed(), server.cpu() - before)
    });
    let (mut took, elapsed, cpu) = ran;
    took.sort_unstable();
    let quantile = |q: f64| f64::from(took[((took.len() - 1) as f64 * q) as usize]);
    let count = took.len() as f64;
    Measured {
        per_second: count / elapsed.as_secs_f64(),
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        cpu_us: cpu.as_secs_f64() * 1e6 / count,
    }
}

/// CPU of a process, its threads, and the children it has waited for: user and system, in clock ticks of 1/100 s.
pub fn cpu_of(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name may hold spaces; what follows it does not.
    let ticks = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(4);
    Duration::from_millis(10 * ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>())
}
