//! One file per verb.

pub mod admin;
pub mod client;
pub mod config;
pub mod demo;
pub mod map;
pub mod replay;
pub mod serve;

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
    /// A living city on localhost: a generated town whose people use the public API.
    Demo(demo::DemoArgs),
    /// Plays a real day of meal delivery through the public API.
    Replay(replay::ReplayArgs),
    /// Administrators.
    #[command(subcommand)]
    Admin(admin::AdminVerb),
    /// The road graph that travel times come from.
    #[command(subcommand)]
    Map(map::MapVerb),
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
        Verb::Demo(args) => demo::run(args).await.map_err(|error| error.to_string()),
        Verb::Replay(args) => replay::run(args).await.map_err(|error| error.to_string()),
        Verb::Admin(verb) => admin::run(verb).await,
        Verb::Map(verb) => map::run(&verb),
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
