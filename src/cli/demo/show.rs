//! What a person sees while the city lives: an address to open, bars that grow, figures that change.

use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{City, DemoArgs};
use crate::cli::client::CallError;
use crate::cli::client::words::Order;

/// How often the figures change.
pub const EVERY: Duration = Duration::from_millis(250);

/// The bar. Hidden where nobody looks (no terminal); without colours if `NO_COLOR` says so.
pub struct Show {
    bar: ProgressBar,
}

/// What a look has shown.
pub struct Seen {
    /// Orders that have not ended.
    pub active: u64,
}

impl Show {
    /// Says where the city is. With `--json` the standard output is left to the result.
    #[must_use]
    pub fn begin(args: &DemoArgs, base: &str, email: &str, password: &str) -> Self {
        let lines = [
            format!("Medina demo: a city of simulated people at {base}"),
            format!("  API docs   {base}/docs"),
            format!("  overview   {base}/v1/ops/overview  (sign in as {email} with {password}: POST {base}/v1/auth/login)"),
            "  Time runs faster here than outside: the server's test clock is pushed on by the demo.".to_owned(),
        ];
        for line in lines {
            if args.json {
                eprintln!("{line}");
            } else {
                println!("{line}");
            }
        }
        if !args.exit {
            eprintln!("  Ctrl-C ends it.");
        }
        Self { bar: ProgressBar::no_length() }
    }

    /// People begin to sign in.
    pub fn assembling(&self, people: usize) {
        self.style("people   [{bar:30}] {pos}/{len}", "people   [{bar:30.cyan}] {pos}/{len}");
        self.bar.set_length(people as u64);
    }

    /// One has.
    pub fn assembled(&self) {
        self.bar.inc(1);
    }

    fn style(&self, plain: &str, coloured: &str) {
        let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let template = if wants_none { plain } else { coloured };
        self.bar.set_style(ProgressStyle::with_template(template).expect("the templates are constants"));
    }

    /// Asks the server what is going on and shows it. `wanted`: orders of the whole run.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn look(&self, city: &City, wanted: Option<u64>) -> Result<Seen, CallError> {
        let cast = &city.cast;
        let open: Vec<Order> = cast.admin.list(&format!("/v1/orders?city_id={}&active=true", cast.city)).await?;
        let placed = city.counts.placed.load(Ordering::Relaxed);
        let active = open.iter().filter(|order| !order.is_final()).count() as u64;
        let among = |states: &[&str]| open.iter().filter(|order| states.contains(&order.status.as_str())).count();
        let cooking = among(&["ACCEPTED", "PREPARING", "READY_FOR_PICKUP"]);
        let riding = among(&["ASSIGNED", "EN_ROUTE_TO_RESTAURANT", "AT_RESTAURANT", "PICKED_UP", "EN_ROUTE_TO_CUSTOMER", "AT_CUSTOMER"]);
        self.style("orders   [{bar:30}] {pos}/{len}  {msg}", "orders   [{bar:30.green}] {pos}/{len}  {msg}");
        self.bar.set_length(wanted.unwrap_or(placed));
        self.bar.set_position(placed.saturating_sub(active));
        let clock = city.pace.now().to_string();
        let clock = clock.get(11..16).unwrap_or_default();
        self.bar.set_message(format!("{clock}  {cooking} in kitchens, {riding} on the road, {:.0} requests/s", cast.wire.requests_per_s()));
        Ok(Seen { active })
    }

    /// Clears the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
