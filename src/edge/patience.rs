//! Whoever has begun to say what they want must finish soon; whoever has said nothing yet may keep the line.
//!
//! hyper has one limit for both (`header_read_timeout` runs from the end of the answer before), and browsers, load balancers and pools keep idle lines
//! for a minute or more: a line that the server closes after seconds is now and then closed just when the next request is on its way, and that
//! request fails without an answer. So hyper's limit is the long one, for idle lines, and this watches over heads.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::{StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a line may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the first byte of a request's head (or the line's beginning) to its last.
    pub head: Duration,
    /// Between two requests. Longer than clients keep an idle line themselves (60 to 90 s), so that they hang up first.
    pub idle: Duration,
}

/// Nothing of the next head has come.
const IDLE: u8 = 0;
const IN_HEAD: u8 = 1;
/// A request is being answered.
const SERVING: u8 = 2;
/// Another protocol has limits of its own: HTTP/2 frames, WebSocket messages.
const OTHER: u8 = 3;

/// What the line's requests tell its watch.
#[derive(Clone)]
pub struct Heads(Arc<AtomicU8>);

impl Heads {
    /// A head is complete.
    pub fn came(&self, version: Version) {
        let is_ours = version < Version::HTTP_2;
        self.0.store(if is_ours { SERVING } else { OTHER }, Ordering::Release);
    }

    /// Its answer is on the way.
    pub fn answered(&self, status: StatusCode) {
        let next = if status == StatusCode::SWITCHING_PROTOCOLS { OTHER } else { IDLE };
        let _ = self.0.compare_exchange(SERVING, next, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// A line that ends with an error when a head takes too long.
pub struct Watched<S> {
    line: S,
    heads: Heads,
    patience: Duration,
    timer: Pin<Box<Sleep>>,
}

impl<S> Watched<S> {
    /// A new line; its first head counts as begun.
    pub fn new(line: S, head: Duration) -> (Self, Heads) {
        let heads = Heads(Arc::new(AtomicU8::new(IN_HEAD)));
        (Self { line, heads: heads.clone(), patience: head, timer: Box::pin(tokio::time::sleep(head)) }, heads)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.line).poll_read(cx, into);
        let state = self.heads.0.load(Ordering::Acquire);
        if read.is_ready() {
            if state == IDLE && into.filled().len() > before {
                self.heads.0.store(IN_HEAD, Ordering::Release);
                let until = Instant::now() + self.patience;
                self.timer.as_mut().reset(until);
            }
        } else if state == IN_HEAD {
            ready!(self.timer.as_mut().poll(cx));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "a request's head took too long")));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.line.is_write_vectored()
    }
}
