//! `medina sim`: the product's commands on a disk that breaks, under seeds.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::sim::{Campaign, Plot, Report};

/// What `medina sim` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct SimArgs {
    /// How many seeds to play.
    #[arg(long, default_value_t = 100)]
    pub seeds: u64,
    /// The first seed; a failure prints its own.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// Begin no further seed after this many minutes.
    #[arg(long)]
    pub minutes: Option<u64>,
    /// Seeds played at a time.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// One JSON object at the end.
    #[arg(long)]
    pub json: bool,
    /// A planted bug to find, by name.
    #[cfg(feature = "planted")]
    #[arg(long)]
    pub plant: Option<String>,
}

/// How often a long campaign says how far it is.
const PROGRESS: Duration = Duration::from_secs(30);

/// Plays; says how far it is now and then, and every failure at once and again at the end. 0 if every promise was kept, 1 if not.
///
/// # Errors
/// The product does not even start on a healthy disk, or the name of a bug is none.
pub fn run(args: &SimArgs) -> Result<ExitCode, String> {
    let campaign = Campaign {
        from: args.from,
        seeds: args.seeds,
        at_most: args.minutes.map(|minutes| Duration::from_secs(minutes * 60)),
        threads: args.threads,
        plot: Plot::default(),
        bug: planted(args)?,
    };
    // A panic is caught and told with its seed; redb panics on some of the bits that are turned over, and that is one way to notice them.
    std::panic::set_hook(Box::new(|_| ()));
    let said = std::sync::Mutex::new((0, Instant::now()));
    let report = campaign.run(|report| {
        let mut said = said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for broken in &report.broken[said.0..] {
            eprintln!("{broken}");
        }
        let is_time = said.1.elapsed() >= PROGRESS;
        if is_time && !args.json {
            eprintln!("{}", line(report));
        }
        *said = (report.broken.len(), if is_time { Instant::now() } else { said.1 });
    })?;
    // Once more: whoever reads only the end of a long record must find them.
    for broken in &report.broken {
        eprintln!("{broken}");
    }
    if args.json {
        println!("{}", serde_json::json!(report));
    } else {
        println!("{}", line(&report));
    }
    Ok(if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(report: &Report) -> String {
    format!(
        "{} seeds, {} crash images ({:.0}/s), {} crashes, {} faults, {} promotions, {} of {} flipped bits noticed and the others harmless, {} commands, {} orders ({} settled); {} lost, {} invented, {} seeds broken",
        report.seeds,
        report.images,
        report.images_per_s,
        report.crashes,
        report.faults,
        report.promotions,
        report.flips_noticed,
        report.flips,
        report.commands,
        report.orders,
        report.orders_settled,
        report.lost,
        report.invented,
        report.broken.len(),
    )
}

#[cfg(feature = "planted")]
fn planted(args: &SimArgs) -> Result<Option<storage::disk::planted::Bug>, String> {
    use storage::disk::planted::Bug;
    let Some(name) = &args.plant else { return Ok(None) };
    let found = Bug::ALL.into_iter().find(|bug| format!("{bug:?}").eq_ignore_ascii_case(name));
    found.map(Some).ok_or_else(|| format!("no bug is called {name}; there are {:?}", Bug::ALL))
}

#[cfg(not(feature = "planted"))]
fn planted(_: &SimArgs) -> Result<Option<storage::disk::planted::Bug>, String> {
    Ok(None)
}
