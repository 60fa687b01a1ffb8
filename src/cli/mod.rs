//! One file per verb.

pub mod admin;
pub mod client;
pub mod config;
pub mod demo;
pub mod follow;
pub mod ledger;
pub mod outbox;
pub mod replay;
pub mod restore;
pub mod serve;
pub mod sim;
pub mod snapshot;
pub mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Medina: a city's marketplace in one file.
#[derive(Debug, Parser)]
#[command(name = "medina", version, about, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serves the marketplace from a data folder.
    Serve(serve::ServeArgs),
    /// Keeps a copy of a leader's history, serves reads from it, and can take over.
    Follow(Box<follow::FollowArgs>),
    /// Makes a running follower the leader.
    Promote(follow::PromoteArgs),
    /// A living city on localhost: a generated town whose people use the public API.
    Demo(demo::DemoArgs),
    /// Plays a real day of meal delivery through the public API.
    Replay(replay::ReplayArgs),
    /// Says whether a data folder is in order, or exactly what is not and where.
    Verify(verify::VerifyArgs),
    /// Administrators.
    #[command(subcommand)]
    Admin(admin::AdminVerb),
    /// Takes a snapshot, also while the server runs.
    Snapshot(snapshot::SnapshotArgs),
    /// Builds a data folder from a copy, or proves that a copy can be restored (--verify).
    Restore(restore::RestoreArgs),
    /// What goes to the outside.
    #[command(subcommand)]
    Outbox(outbox::OutboxVerb),
    /// The verifiable ledger.
    #[command(subcommand)]
    Ledger(ledger::LedgerVerb),
    /// Plays the product on a disk that breaks, under seeds: is anything acknowledged ever lost?
    Sim(sim::SimArgs),
    /// Prints the OpenAPI document.
    Openapi,
    /// The configuration file.
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Prints completions for a shell.
    Completions {
        /// bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
}

/// Runs the verb. 0 done, 1 failed, 2 wrong usage (clap's own exit).
pub async fn run(arguments: Arguments) -> ExitCode {
    let ran: Result<ExitCode, String> = match arguments.verb {
        Verb::Serve(args) => serve::run(args).await,
        Verb::Follow(args) => follow::run(*args).await,
        Verb::Promote(args) => follow::promote(args).await,
        Verb::Demo(args) => demo::run(args).await.map_err(|error| error.to_string()),
        Verb::Replay(args) => replay::run(args).await.map_err(|error| error.to_string()),
        Verb::Verify(args) => verify::run(&args).await,
        Verb::Admin(verb) => admin::run(verb).await,
        Verb::Snapshot(args) => snapshot::run(args).await,
        Verb::Restore(args) => restore::run(args).await,
        Verb::Outbox(verb) => outbox::run(verb).await,
        Verb::Ledger(verb) => ledger::run(verb).await,
        Verb::Sim(args) => sim::run(&args),
        Verb::Openapi => crate::app::openapi().await.map_err(|error| error.to_string()).and_then(|document| {
            let text = document.to_pretty_json().map_err(|error| error.to_string())?;
            println!("{text}");
            Ok(ExitCode::SUCCESS)
        }),
        Verb::Config(verb) => config::run(&verb),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "medina", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    };
    ran.unwrap_or_else(|why| {
        eprintln!("medina: {why}");
        ExitCode::FAILURE
    })
}
