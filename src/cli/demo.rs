//! `medina demo`: a living city on this machine. Customers, merchants and couriers are clients of the public API over loopback.
//!
//! ```text
//!   pace: the test clock, faster than life ─────────────┐
//!   customers ── cart, quote, order, pay, cancel ──►    ▼
//!   merchants ── accept, reject, ready ──────────►   HTTP   ──► report
//!   couriers ── presence, pings, offers, codes ──►      ▲
//!   support ── watches, counts ─────────────────────────┘
//! ```
//!
//! Nobody here remembers anything that the server does not know: killed at any time and started again on the same data folder, the same people
//! (their phones follow from the seed) go on with what they find.
//!
//! Reading order: [`chance`], [`town`] (streets, names, menus), [`pace`], [`cast`] (who takes part), [`customers`], [`merchants`], [`couriers`],
//! [`show`] (bars), [`report`].

pub mod cast;
pub mod chance;
pub mod couriers;
pub mod customers;
pub mod merchants;
pub mod pace;
pub mod report;
pub mod show;
pub mod town;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;

use crate::app::{self, AppOptions};
use crate::city::dispatch::policy::Choice;
use crate::cli::client::{CallError, Wire};
use cast::Cast;
use chance::Chance;
use pace::Pace;
use report::Report;
use show::Show;

/// Orders of a run that ends, unless said otherwise.
const ORDERS: u32 = 120;
/// Seconds of the city in a second of the machine: in a run that ends, and in one to look at.
const PACE_TO_THE_END: f64 = 240.0;
const PACE_TO_LOOK_AT: f64 = 30.0;
/// A run that has placed all its orders ends this many seconds of the city later, whatever is still open.
const PATIENCE_S: i64 = 6 * 3_600;

/// Brings up a living city on localhost: merchants, couriers and customers as clients of the API, in time that runs faster.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// Orders to place; without --exit, orders keep trickling in after them.
    #[arg(long)]
    pub orders: Option<u32>,
    /// Couriers on the road.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=900))]
    pub couriers: u32,
    /// Makes another city of the same kind; the same seed finds its people again.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Runs until the last order has ended, prints what happened, and exits: 0 only if all invariants hold.
    #[arg(long)]
    pub exit: bool,
    /// Prints the result as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Data folder, kept afterwards and gone on with the next time; otherwise a temporary one.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]
    pub listen: SocketAddr,
    /// Seconds of the city in a second of the machine.
    #[arg(long, value_parser = pace_factor)]
    pub pace: Option<f64>,
    /// How couriers are chosen.
    #[arg(long, value_enum, default_value_t)]
    pub policy: Choice,
}

fn pace_factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor: &f64| (1.0..=1_000.0).contains(factor));
    factor.ok_or_else(|| "a number from 1 to 1000".to_owned())
}

/// Why there was no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the server did not start: {0}")]
    Start(String),
    #[error("the client did not start: {0}")]
    Client(#[from] reqwest::Error),
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What all actors share.
pub struct City {
    pub cast: Cast,
    pub pace: Pace,
    pub counts: Counts,
}

/// What the actors did, and what surprised them.
#[derive(Default)]
pub struct Counts {
    pub placed: AtomicU64,
    /// Customers who are still on their way through shop and till.
    pub shopping: AtomicU64,
    pub surprises: AtomicU64,
    examples: Mutex<Vec<String>>,
}

impl Counts {
    /// Something that an actor did not expect. The first few are shown.
    pub fn surprise(&self, who: &str, error: &CallError) {
        self.surprises.fetch_add(1, Ordering::Relaxed);
        let mut examples = self.examples.lock().unwrap_or_else(PoisonError::into_inner);
        if examples.len() < 5 {
            examples.push(format!("{who}: {error}"));
        }
    }

    /// The first few surprises.
    #[must_use]
    pub fn examples(&self) -> Vec<String> {
        self.examples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs the demo. Exit code 0 only if every order reached a final state and the books balance.
///
/// # Errors
/// [`DemoError`]: the city did not come up, or the server is gone.
pub async fn run(args: DemoArgs) -> Result<ExitCode, DemoError> {
    let options = AppOptions {
        data: args.data.clone(),
        listen: args.listen,
        sandbox: true,
        admin: Some("demo@medina.test".to_owned()),
        policy: args.policy,
        ..AppOptions::default()
    };
    let app = app::start(options).await.map_err(|error| DemoError::Start(error.to_string()))?;
    let base = app.base_url();
    let admin = app.admin().map(|admin| (admin.email.clone(), admin.password.clone()));
    let ran = match admin {
        Some((email, password)) => tokio::select! {
            ran = live(&args, &base, &email, &password) => ran,
            _ = tokio::signal::ctrl_c() => Ok(None),
        },
        None => Err(DemoError::Start("it made no administrator".to_owned())),
    };
    app.stop().await;
    let Some(report) = ran? else { return Ok(ExitCode::SUCCESS) };
    if args.json {
        println!("{}", report.json());
    } else {
        println!("{report}");
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The city's life; for ever, unless it was to end.
async fn live(args: &DemoArgs, base: &str, email: &str, password: &str) -> Result<Option<Report>, DemoError> {
    let wire = Wire::new(base)?;
    let show = Show::begin(args, base, email, password);
    let cast = Cast::assemble(wire, args, email, password, &show).await?;
    let factor = args.pace.unwrap_or(if args.exit { PACE_TO_THE_END } else { PACE_TO_LOOK_AT });
    let city = Arc::new(City { pace: Pace::begin(&cast.admin).await?, cast, counts: Counts::default() });

    let mut actors = JoinSet::new();
    let clock = city.clone();
    actors.spawn(async move { clock.pace.drive(&clock.cast.admin, factor).await });
    for merchant in 0..city.cast.merchants.len() {
        actors.spawn(merchants::work(city.clone(), merchant, Chance::new(args.seed, 2_000 + merchant as u64)));
    }
    for courier in 0..city.cast.couriers.len() {
        actors.spawn(couriers::work(city.clone(), courier, Chance::new(args.seed, 3_000 + courier as u64)));
    }
    let wanted = if args.exit { Some(args.orders.unwrap_or(ORDERS)) } else { None };
    // A city that goes on is given other wishes than in its first life.
    let chance = Chance::new(args.seed, 1_000 + city.cast.known_orders);
    actors.spawn(customers::come(city.clone(), wanted, args.orders.unwrap_or(0), chance));

    let mut deadline_s = None;
    loop {
        tokio::time::sleep(show::EVERY).await;
        let seen = show.look(&city, wanted.map(u64::from)).await?;
        let all_placed = wanted.is_some_and(|wanted| city.counts.placed.load(Ordering::Relaxed) >= u64::from(wanted));
        if !all_placed || city.counts.shopping.load(Ordering::Relaxed) > 0 {
            continue;
        }
        let deadline_s = *deadline_s.get_or_insert(city.pace.now().plus_s(PATIENCE_S));
        if seen.active == 0 || city.pace.now() > deadline_s {
            break;
        }
    }
    show.end();
    actors.shutdown().await;
    Ok(Some(Report::of(&city, args).await?))
}
