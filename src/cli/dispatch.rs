//! `medina dispatch …`: why a courier, who gets the work; asked of a running server, over HTTP or through its data folder's socket.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::app::control::{self, Ask};
use crate::city::cities::CityId;
use crate::city::dispatch::model::SubjectId;
use crate::city::dispatch::policy::Choice;

/// `medina dispatch …`
#[derive(Clone, Debug, clap::Subcommand)]
pub enum DispatchVerb {
    /// Why this courier, and why so late?
    Explain(ExplainArgs),
    /// Offers, acceptance and earnings per hour online, by city, vehicle and tenure.
    Fairness(FairnessArgs),
}

/// Which server.
#[derive(Clone, Debug, clap::Args)]
pub struct Server {
    /// The server's address; without it, the server that has the data folder open.
    #[arg(long, requires = "token_file")]
    pub url: Option<String>,
    /// File with an access token (support or admin).
    #[arg(long)]
    pub token_file: Option<PathBuf>,
    /// Data folder.
    #[arg(long, env = "MEDINA_DATA_DIR", default_value = super::serve::DATA)]
    pub data: PathBuf,
    /// Prints the server's JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `medina dispatch explain` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// The order (`ord_…`).
    pub order: SubjectId,
    /// Plays each decision again by this policy.
    #[arg(long, value_enum)]
    pub with: Option<Choice>,
    #[command(flatten)]
    pub server: Server,
}

/// What `medina dispatch fairness` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct FairnessArgs {
    /// One city only.
    #[arg(long)]
    pub city: Option<CityId>,
    /// The last so many days.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: u32,
    #[command(flatten)]
    pub server: Server,
}

/// Runs the verb.
///
/// # Errors
/// Why not, in a sentence.
pub async fn run(verb: DispatchVerb) -> Result<ExitCode, String> {
    match verb {
        DispatchVerb::Explain(args) => {
            let with = args.with.map_or_else(String::new, |with| format!("?with={}", word(with)));
            let path = format!("/v1/dispatch/orders/{}/explanation{with}", args.order);
            let answer = answer(&args.server, &path, &Ask::DispatchExplain { order: args.order, with: args.with }).await?;
            print(&args.server, &answer, &told(&answer));
        }
        DispatchVerb::Fairness(args) => {
            let city = args.city.map_or_else(String::new, |city| format!("&city_id={city}"));
            let path = format!("/v1/dispatch/fairness?days={}{city}", args.days);
            let answer = answer(&args.server, &path, &Ask::DispatchFairness { city: args.city, days: args.days }).await?;
            print(&args.server, &answer, &table(&answer));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn word(choice: Choice) -> &'static str {
    match choice {
        Choice::Immediate => "immediate",
        Choice::Horizon => "horizon",
        Choice::Rolling => "rolling",
    }
}

async fn answer(server: &Server, path: &str, ask: &Ask) -> Result<Value, String> {
    let (Some(url), Some(file)) = (&server.url, &server.token_file) else {
        let none = format!("no server has {} open; start one, or name one with --url", server.data.display());
        return control::ask(&server.data, ask).await?.ok_or(none);
    };
    let token = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    crate::crypto::install();
    let url = format!("{}{path}", url.trim_end_matches('/'));
    let response = reqwest::Client::new().get(&url).bearer_auth(token.trim()).send().await.map_err(|error| error.to_string())?;
    let status = response.status();
    let body: Value = response.json().await.map_err(|error| format!("{url}: {error}"))?;
    if status.is_success() { Ok(body) } else { Err(format!("{url}: {status} {}", body["detail"].as_str().unwrap_or_default())) }
}

fn print(server: &Server, answer: &Value, text: &str) {
    if server.json {
        println!("{answer}");
    } else {
        println!("{text}");
    }
}

fn lines(heading: &str, list: &Value) -> String {
    let said = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    said.fold(format!("{heading}\n"), |text, line| text + "  " + line + "\n")
}

fn told(answer: &Value) -> String {
    let mut text = lines("why this courier?", &answer["why_this_courier"]) + &lines("why so late?", &answer["why_so_late"]);
    let again = answer["decisions"].as_array().into_iter().flatten().filter(|decision| decision["again"].is_object());
    let again: Vec<Value> =
        again.map(|decision| format!("{} {}", text_of(&decision["told"]), text_of(&decision["again"]["told"])).into()).collect();
    if !again.is_empty() {
        text += &lines("and another policy?", &again.into());
    }
    text.trim_end().to_owned()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn table(answer: &Value) -> String {
    let mut text = format!(
        "{:<44} {:>8} {:>9} {:>7} {:>9} {:>10} {:>14}",
        "group", "couriers", "hours", "offers", "offers/h", "acceptance", "earned/h"
    );
    for row in answer["data"].as_array().into_iter().flatten() {
        let number = |value: &Value, digits: usize| value.as_f64().map_or("-".to_owned(), |number| format!("{number:.digits$}"));
        let money = &row["earned_per_hour"];
        // Minor units, as they are: which digits are cents is the currency's business.
        let earned = money["amount"].as_i64().map_or("-".to_owned(), |amount| format!("{amount} {}", text_of(&money["currency"])));
        let name = format!("{} {}", text_of(&row["group"]), text_of(&row["value"]));
        text += &format!(
            "\n{name:<44} {:>8} {:>9} {:>7} {:>9} {:>10} {earned:>14}",
            row["couriers"],
            number(&row["online_hours"], 1),
            row["offers"],
            number(&row["offers_per_hour"], 2),
            number(&row["acceptance"], 2),
        );
    }
    text
}
