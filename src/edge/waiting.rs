//! Reads that may wait for somebody else (a routing server, a large search): on a thread that is there for waiting, never on one that serves sockets.

use super::problem::Problem;

/// Runs `read` where it may wait.
///
/// # Errors
/// 500 if it panicked; 503 while the process stops.
pub async fn waited<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(read).await.map_err(|error| {
        if error.is_panic() {
            tracing::error!(%error, "a read panicked");
            Problem::new(500, "internal", "this is our fault; it has been noted")
        } else {
            Problem::new(503, "stopping", "the process stops").retry_after(1)
        }
    })
}
