//! The edge: HTTP in, one domain call, HTTP out. It knows the engine and nothing of the product; what it needs of people it defines
//! ([`gate::Authenticate`]) and the composition root wires.
//!
//! Reading order: [`problem`] (every refusal), [`gate`] (who asks), [`request`] (strict input), [`command`] (writes), [`page`] (lists), [`live`] (streams),
//! [`docs`] (the contract), [`server`] (sockets, TLS, limits), [`patience`] (idle lines and slow heads).

pub mod command;
pub mod docs;
pub mod gate;
pub mod json;
pub mod layers;
pub mod live;
pub mod page;
pub mod patience;
pub mod place;
pub mod problem;
pub mod request;
pub mod server;
pub mod stream;
pub mod waiting;

pub use crate::engine::Caller;
pub use command::{Command, Empty, PublicCommand};
pub use gate::{Authenticate, Ctx, Gate, PublicCtx, Unauthenticated};
pub use json::Json;
pub use page::{Page, PageQuery};
pub use place::P;
pub use problem::Problem;
pub use request::{Path, Query};
pub use waiting::waited;
