//! Medina: a city's marketplace in one file. The map is in README.md; the walls are held by `tests/tidy.rs`.

pub mod app;
pub mod city;
pub mod cli;
pub mod crypto;
pub mod edge;
pub mod engine;
pub mod mdrp;
pub mod money;
pub mod ops;
pub mod people;
pub mod replication;
pub mod sim;
pub mod trade;
