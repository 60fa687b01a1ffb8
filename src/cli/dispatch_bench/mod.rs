//! `medina dispatch-bench`: real days played by the policies that serve, under a virtual clock, without HTTP.
//!
//! ```text
//!  folder ──► Instance ──► mdrp::play_by ◄──► Dispatcher's Policy ──► Solution ──► checker, metrics, one row a day
//!                             (the day)   stage: a Scene of the moment
//! ```
//!
//! Reading order: [`stage`] (a moment of the day as the scene that a policy sees), [`mind`] (asks the policy, times it), [`row`] (what is shown).

pub mod mind;
pub mod row;
pub mod stage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::city::dispatch::policy::{Choice, Leanings, Policy};
use crate::mdrp::{Instance, People, Played, ReadError, Violation, check, measure, play_by};
use mind::PolicyMind;
use row::{Row, Table};

/// Plays days of meal delivery by the dispatch policy itself and prints one row a day.
#[derive(Clone, Debug, clap::Args)]
pub struct DispatchBenchArgs {
    /// Folders with orders.txt, couriers.txt, restaurants.txt and instance_parameters.txt, or folders of such folders.
    #[arg(required = true)]
    pub days: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "horizon")]
    pub policy: Choice,
    /// Writes the three solution files of each day to a folder of its name in here.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
    /// What chance is drawn from; only people are left to chance.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Plays each day also with people in it: a quarter of the calls declined, kitchens up to half off, 5 % of couriers gone in mid-shift.
    #[arg(long)]
    pub people: bool,
    /// As `fair_pay_seconds` of the configuration file; only `horizon` looks at it.
    #[arg(long, default_value_t = Leanings::default().fair_pay_seconds, value_parser = clap::value_parser!(u32).range(..=i64::from(Leanings::FAIR_PAY_S_MAX)))]
    pub fair_pay_seconds: u32,
    /// Orders that a courier may hold at a time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=6))]
    pub capacity: u32,
}

impl DispatchBenchArgs {
    fn policy(&self) -> Arc<dyn Policy> {
        self.policy.leaning(Leanings { fair_pay_seconds: self.fair_pay_seconds })
    }
}

/// Why a day was not played.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Instance(#[from] ReadError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{0} holds no instance")]
    Empty(PathBuf),
    #[error("{day}: {} rules are broken, the first: {}", violations.len(), violations[0])]
    Infeasible { day: String, violations: Vec<Violation> },
    #[error("{day}: {order} has no end")]
    NoEnd { day: String, order: String },
}

/// Plays all days. Exit code 0 if every day obeys the rules.
///
/// # Errors
/// [`BenchError`], in a sentence.
pub fn run(args: &DispatchBenchArgs) -> Result<ExitCode, BenchError> {
    let table = bench(args)?;
    if args.json {
        println!("{}", table.json());
    } else {
        println!("{table}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Plays all days, checks each, writes the solution files.
///
/// # Errors
/// [`BenchError`]
pub fn bench(args: &DispatchBenchArgs) -> Result<Table, BenchError> {
    let mut table = Table { policy: args.policy().name().to_owned(), obedient: Vec::new(), people: Vec::new() };
    for folder in folders(&args.days)? {
        let instance = Instance::read(&folder)?;
        table.obedient.push(day(args, &instance, &People::obedient(), args.out.as_deref())?);
        if args.people {
            table.people.push(day(args, &instance, &People::real(args.seed), None)?);
        }
    }
    Ok(table)
}

fn day(args: &DispatchBenchArgs, instance: &Instance, people: &People, out: Option<&Path>) -> Result<Row, BenchError> {
    let mut mind = PolicyMind::new(instance, args.policy(), args.capacity);
    let played = play_by(instance, people, &mut mind);
    if let Err(violations) = check(&played.real, &played.solution) {
        return Err(BenchError::Infeasible { day: instance.name.clone(), violations });
    }
    every_order_ends(&played)?;
    if let Some(out) = out {
        let folder = out.join(&instance.name);
        played.solution.write(&folder).map_err(|source| BenchError::Io { path: folder, source })?;
    }
    let metrics = measure(&played.real, &played.solution);
    let Played { lost, left, declined, vanished, .. } = played;
    Ok(Row { metrics, decisions: mind.times(), lost: lost.len(), left: left.len(), declined, vanished })
}

/// Delivered, lost with who carried it, or left when the last shift ended: one of the three, once.
fn every_order_ends(played: &Played) -> Result<(), BenchError> {
    let mut ends = vec![0; played.real.orders.len()];
    let delivered: std::collections::BTreeSet<&str> = played.solution.orders.iter().map(|row| row.order.as_str()).collect();
    played.lost.iter().chain(&played.left).for_each(|order| ends[*order] += 1);
    for (number, order) in played.real.orders.iter().enumerate() {
        if ends[number] + usize::from(delivered.contains(order.id.as_str())) != 1 {
            return Err(BenchError::NoEnd { day: played.real.name.clone(), order: order.id.clone() });
        }
    }
    Ok(())
}

/// The instances among the given folders, and those inside of them, sorted by name.
fn folders(given: &[PathBuf]) -> Result<Vec<PathBuf>, BenchError> {
    let is_day = |folder: &Path| folder.join("orders.txt").is_file();
    let mut days = Vec::new();
    for folder in given {
        if is_day(folder) {
            days.push(folder.clone());
            continue;
        }
        let fail = |source| BenchError::Io { path: folder.clone(), source };
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(fail)? {
            inside.push(entry.map_err(fail)?.path());
        }
        inside.retain(|path| is_day(path));
        inside.sort();
        if inside.is_empty() {
            return Err(BenchError::Empty(folder.clone()));
        }
        days.extend(inside);
    }
    Ok(days)
}
