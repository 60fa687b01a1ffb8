//! What is shown of the days.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::mind::DecisionTimes;
use crate::mdrp::{Metrics, Summary};

/// One day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub metrics: Metrics,
    pub decisions: DecisionTimes,
    /// Picked up by somebody who vanished.
    pub lost: usize,
    /// Never picked up.
    pub left: usize,
    pub declined: u32,
    pub vanished: u32,
}

/// All days, played by one policy; again with people in them, if asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    pub policy: String,
    pub obedient: Vec<Row>,
    pub people: Vec<Row>,
}

/// Over all orders of all days.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Total {
    pub orders: usize,
    pub undelivered: usize,
    pub undelivered_percent: f64,
    /// Weighted by delivered orders.
    pub click_to_door_mean: f64,
    pub pay_per_order: f64,
}

impl Total {
    fn of(rows: &[Row]) -> Self {
        let orders: usize = rows.iter().map(|row| row.metrics.orders).sum();
        let undelivered: usize = rows.iter().map(|row| row.metrics.undelivered).sum();
        let delivered = (orders - undelivered) as f64;
        let minutes: f64 = rows
            .iter()
            .filter(|row| row.metrics.delivered > 0)
            .map(|row| row.metrics.click_to_door_mean * row.metrics.delivered as f64)
            .sum();
        let cents: i64 = rows.iter().map(|row| row.metrics.pay_total_cents).sum();
        Self {
            orders,
            undelivered,
            undelivered_percent: 100.0 * undelivered as f64 / orders as f64,
            click_to_door_mean: minutes / delivered,
            pay_per_order: cents as f64 / 100.0 / delivered,
        }
    }
}

impl Table {
    /// One JSON object.
    pub fn json(&self) -> String {
        let people = (!self.people.is_empty()).then(|| json!({"days": self.people, "total": Total::of(&self.people)}));
        json!({"policy": self.policy, "days": self.obedient, "total": Total::of(&self.obedient), "people": people}).to_string()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "policy {}", self.policy)?;
        days(f, &self.obedient)?;
        if !self.people.is_empty() {
            writeln!(f, "\n\nwith people: a quarter of the calls declined, kitchens up to half off, couriers gone in mid-shift")?;
            days(f, &self.people)?;
            for row in &self.people {
                let Row { metrics, lost, left, declined, vanished, .. } = row;
                write!(
                    f,
                    "\n{}: {declined} calls declined, {vanished} couriers gone, {lost} orders lost with them, {left} left",
                    metrics.instance
                )?;
            }
        }
        Ok(())
    }
}

fn days(f: &mut fmt::Formatter<'_>, rows: &[Row]) -> fmt::Result {
    let metrics: Vec<Metrics> = rows.iter().map(|row| row.metrics.clone()).collect();
    write!(f, "{}", Summary(&metrics))?;
    let total = Total::of(rows);
    write!(
        f,
        "\n{} of {} orders undelivered ({:.2} %), click-to-door {:.2} min, pay per order {:.2}",
        total.undelivered, total.orders, total.undelivered_percent, total.click_to_door_mean, total.pay_per_order
    )?;
    let slowest = rows.iter().max_by_key(|row| row.decisions.max_us);
    if let Some(row) = slowest {
        let p50 = rows.iter().map(|row| row.decisions.p50_us).max().unwrap_or(0);
        let p99 = rows.iter().map(|row| row.decisions.p99_us).max().unwrap_or(0);
        write!(
            f,
            "\ntime of a decision, the worst day: p50 {p50} µs, p99 {p99} µs, max {} µs ({})",
            row.decisions.max_us, row.metrics.instance
        )?;
    }
    Ok(())
}
