//! Subscribers that cost little: they count frames and throw them away.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Nothing has come for so long: it is quiet.
const QUIET: Duration = Duration::from_secs(3);

#[derive(Default)]
struct Counted {
    frames: AtomicU64,
    bytes: AtomicU64,
    last: Mutex<Option<Instant>>,
}

pub struct Crowd {
    counted: Arc<Counted>,
    _readers: JoinSet<()>,
}

impl Crowd {
    /// Connects everybody, and with a token and a topic subscribes everybody.
    pub async fn gather(address: SocketAddr, path: &str, count: usize, subscribe: Option<(&str, &str)>) -> Self {
        let counted = Arc::new(Counted::default());
        let mut readers = JoinSet::new();
        for _ in 0..count {
            let mut stream = TcpStream::connect(address).await.expect("the server listens (is `ulimit -n` high enough?)");
            let token = subscribe.map_or(String::new(), |(token, _)| format!("Authorization: Bearer {token}\r\n"));
            let upgrade = format!(
                "GET {path} HTTP/1.1\r\nHost: medina\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{token}\r\n"
            );
            stream.write_all(upgrade.as_bytes()).await.expect("it reads");
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut bytes).await.expect("it answers") > 0, "refused: {}", String::from_utf8_lossy(&bytes));
            }
            assert!(bytes.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&bytes));
            bytes.clear();
            if let Some((_, topic)) = subscribe {
                let text = format!("{{\"type\":\"subscribe\",\"topic\":\"{topic}\"}}");
                stream.write_all(&masked(text.as_bytes())).await.expect("it reads");
                // The answer: subscribed.
                while frame(&bytes).is_none() {
                    assert!(stream.read_buf(&mut bytes).await.expect("it answers") > 0);
                }
                assert!(String::from_utf8_lossy(&bytes).contains("subscribed"), "{}", String::from_utf8_lossy(&bytes));
                bytes.drain(..frame(&bytes).map_or(0, |(end, _)| end));
            }
            readers.spawn(read(stream, bytes, counted.clone()));
        }
        Self { counted, _readers: readers }
    }

    /// Waits until nothing comes any more: frames and their bytes so far.
    pub async fn quiet(&self) -> (u64, u64) {
        loop {
            let before = self.counted.frames.load(Ordering::Relaxed);
            tokio::time::sleep(QUIET).await;
            let now = self.counted.frames.load(Ordering::Relaxed);
            if now == before && now > 0 {
                return (now, self.counted.bytes.load(Ordering::Relaxed));
            }
        }
    }

    /// When the last frame came.
    pub fn last_frame(&self) -> Instant {
        self.counted.last.lock().expect("nobody panics with it").expect("frames came")
    }
}

async fn read(mut stream: TcpStream, mut bytes: Vec<u8>, counted: Arc<Counted>) {
    loop {
        let (mut at, mut frames) = (0, 0);
        while let Some((end, data)) = frame(&bytes[at..]) {
            at += end;
            frames += u64::from(data);
        }
        bytes.drain(..at);
        if frames > 0 {
            counted.frames.fetch_add(frames, Ordering::Relaxed);
            counted.bytes.fetch_add(at as u64, Ordering::Relaxed);
            *counted.last.lock().expect("nobody panics with it") = Some(Instant::now());
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

/// Where a server's frame ends, and whether it is text or binary (RFC 6455, section 5.2).
fn frame(bytes: &[u8]) -> Option<(usize, bool)> {
    let (opcode, short) = (bytes.first()? & 0x0F, usize::from(bytes.get(1)? & 0x7F));
    let (head, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, short),
    };
    (bytes.len() >= head + length).then_some((head + length, opcode == 1 || opcode == 2))
}

/// A client's text frame, masked with zeros; shorter than 64 KiB.
fn masked(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(short) if short < 126 => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(text.len() as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text);
    frame
}
