//! Jobs and offers without a database. The graphs are drawn in [`super`].

pub mod job;
pub mod offer;

#[cfg(test)]
mod play;
