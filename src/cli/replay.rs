//! `medina replay`: a real day of meal delivery, played by clients of the public API under the test clock.
//!
//! ```text
//!  folder ──► Instance ──► stage (city, people) ──► day, second by second ──► Solution ──► checker, metrics, report
//!                                   │                    │                        ▲
//!                                   └── HTTP only ───────┴── server's own events ─┘
//! ```
//!
//! Reading order: [`plane`] (metres on the globe), [`stage`] (who takes part), [`rider`] (a courier's rules, pure), [`day`] (what happens when),
//! [`calls`] (what they say to the server), [`report`].

pub mod calls;
pub mod day;
pub mod plane;
pub mod report;
pub mod rider;
pub mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::{self, AppOptions};
use crate::city::dispatch::policy::Choice;
use crate::cli::client::{CallError, Wire};
use crate::mdrp::{Instance, ReadError};
use day::Day;
use report::Report;
use stage::Stage;

/// Plays a day of meal delivery through the public HTTP API until every order that can be delivered is delivered and settled.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// Folder with orders.txt, couriers.txt, restaurants.txt and instance_parameters.txt.
    pub instance: PathBuf,
    /// Folder for the three solution files.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Prints the result as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Data folder to play in, new or empty, kept afterwards; otherwise a temporary one.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Orders that a courier may hold at a time (the instances set no limit; dispatch bundles only what one counter hands out).
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub capacity: u32,
    /// How couriers are chosen.
    #[arg(long, value_enum, default_value_t)]
    pub policy: Choice,
}

/// Why a day was not played to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Instance(#[from] ReadError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{} is not empty; a replay needs a folder of its own", .0.display())]
    NotEmpty(PathBuf),
    #[error("the server did not start: {0}")]
    Start(String),
    #[error("the client did not start: {0}")]
    Client(#[from] reqwest::Error),
    #[error("{at}: {source}")]
    Call { at: String, source: CallError },
    /// The server did something that stops the day.
    #[error("{0}")]
    Stuck(String),
}

impl From<CallError> for ReplayError {
    fn from(source: CallError) -> Self {
        Self::Call { at: "while the stage was set".to_owned(), source }
    }
}

/// Plays the day. Exit code 0 only if every order that can be delivered was delivered and settled, the checker is content and the books balance.
///
/// # Errors
/// [`ReplayError`]: the day could not be played to its end.
pub async fn run(args: ReplayArgs) -> Result<ExitCode, ReplayError> {
    let report = play(&args).await?;
    if args.json {
        println!("{}", report.json());
    } else {
        println!("{report}");
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plays the day and writes the solution files.
///
/// # Errors
/// [`ReplayError`].
pub async fn play(args: &ReplayArgs) -> Result<Report, ReplayError> {
    let instance = Instance::read(&args.instance)?;
    if let Some(data) = &args.data {
        let is_used = std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some());
        if is_used {
            return Err(ReplayError::NotEmpty(data.clone()));
        }
    }
    let options = AppOptions {
        data: args.data.clone(),
        sandbox: true,
        admin: Some("replay@medina.test".to_owned()),
        policy: args.policy,
        ..AppOptions::default()
    };
    let app = app::start(options).await.map_err(|error| ReplayError::Start(error.to_string()))?;
    let admin = app.admin().map(|admin| (admin.email.clone(), admin.password.clone()));
    let wire = Wire::new(&app.base_url())?;
    let played = match admin {
        Some((email, password)) => play_at(&instance, args, wire, &email, &password).await,
        None => Err(ReplayError::Start("it made no administrator".to_owned())),
    };
    app.stop().await;
    played
}

async fn play_at(
    instance: &Instance,
    args: &ReplayArgs,
    wire: std::sync::Arc<Wire>,
    email: &str,
    password: &str,
) -> Result<Report, ReplayError> {
    let stage = Stage::set(instance, wire, email, password, args.capacity).await?;
    let staged_s = stage.wire.elapsed().as_secs_f64();
    let mut day = Day::begin(instance, &stage, args.capacity).await?;
    day.play().await?;
    let (solution, faults) = day.close().await?;
    if let Some(out) = &args.out {
        solution.write(out).map_err(|source| ReplayError::Io { path: out.clone(), source })?;
    }
    Ok(Report::of(instance, &stage, &solution, faults, staged_s).await?)
}
