//! What goes wrong in the engine, as opposed to what a command refuses.

/// Something that is nobody's request's fault: the command is aborted and leaves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Impossible state, found by domain code.
    #[error("{0}")]
    Broken(String),
    /// Damage or a panic below.
    #[error(transparent)]
    Storage(#[from] storage::Fault),
    /// State was changed without an authorization decision.
    #[error("the command `{0}` changed state without a decision")]
    Undecided(&'static str),
    /// One command set off more events than any should.
    #[error("the command `{0}` set off more than {1} events")]
    EventStorm(&'static str, usize),
    /// Too many commands wait, or the state is being written out: try again.
    #[error("too much is waiting; try again in {retry_after_s} s")]
    Overloaded { retry_after_s: u32 },
    /// The idempotency key was used for another body.
    #[error("the idempotency key was used with another body")]
    KeyReused,
    /// The disk has no room for another log segment: nothing was written.
    #[error("the disk is full; nothing was changed")]
    NoSpace,
    /// Another node takes the writes.
    #[error("this node does not lead; write to {}", .leader.as_deref().unwrap_or("the leader"))]
    NotLeading { leader: Option<String> },
    /// Done here, but the follower that must have it did not say so in time: whether it stays is not known. Asked again with its idempotency key, it gets
    /// its answer once that is known.
    #[error("the follower has not acknowledged this in time: it may or may not last. Ask again with the same idempotency key")]
    Unacknowledged,
    /// The follower that must have every write is away.
    #[error("the follower that must have every write is not there; nothing was changed")]
    NoFollower,
    /// The process is stopping.
    #[error("the server is stopping")]
    Stopping,
}

impl Fault {
    /// Whether nobody's command would be taken just now, whatever it is: worth another try later, and nobody's bug.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Overloaded { .. } | Self::NoSpace | Self::NotLeading { .. } | Self::Unacknowledged | Self::NoFollower)
    }

    /// Impossible state, in a sentence.
    pub fn new(why: impl Into<String>) -> Self {
        Self::Broken(why.into())
    }
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

impl From<&str> for Fault {
    fn from(why: &str) -> Self {
        Self::Broken(why.to_owned())
    }
}

/// How a write failed: by its own refusal, or by a fault. Either way it changed nothing, but for [`Fault::Unacknowledged`].
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    #[error("refused")]
    Refused(E),
    #[error(transparent)]
    Fault(#[from] Fault),
}
