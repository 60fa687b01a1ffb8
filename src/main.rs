//! The binary: parse arguments, call one function.

use std::process::ExitCode;

use clap::Parser;
use medina::cli::{Arguments, run};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("MEDINA_LOG").unwrap_or_else(|_| EnvFilter::new("warn,medina=info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    run(arguments).await
}
