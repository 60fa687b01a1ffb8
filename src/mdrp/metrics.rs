//! The measures of the problem, as the public evaluator defines them.

use std::fmt;

use serde::Serialize;

use super::instance::{Instance, Place};
use super::solution::Solution;

/// What a day was like. Times are minutes. Means and percentiles are over the delivered orders; where there is none they are NaN,
/// which is `null` in JSON, `-` in the table, and fails every comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    pub instance: String,
    pub orders: usize,
    pub delivered: usize,
    pub undelivered: usize,
    /// Drop-off − placement.
    pub click_to_door_mean: f64,
    /// Between the two nearest values, linearly.
    pub click_to_door_p90: f64,
    pub click_to_door_max: f64,
    /// max(0, click-to-door − target): an order in time counts as zero.
    pub overage_mean: f64,
    /// Drop-off − ready.
    pub ready_to_door_mean: f64,
    /// Pickup − ready.
    pub ready_to_pickup_mean: f64,
    /// Mean over all couriers, idle ones too, of (driving + pickup service × bundles + drop-off service × orders) ÷ shift. Waiting for
    /// food is not in it. What is driven after the shift is, so that a courier can be over 1.
    pub utilisation: f64,
    /// Σ over couriers of max(pay per order × orders, guaranteed pay per hour × shift); rounded once, half to even.
    pub pay_total_cents: i64,
    /// Total pay ÷ delivered orders, in units of the currency.
    pub pay_per_order: f64,
    pub orders_per_bundle: f64,
    /// Delivered within the target ÷ all orders: one that was not delivered was not in time.
    pub within_target: f64,
    /// Delivered later than the maximum click-to-door.
    pub over_maximum: usize,
}

/// Measures a solution. It is believed: [`super::check`] it first. What names nothing of the instance is passed over.
#[must_use]
pub fn measure(instance: &Instance, solution: &Solution) -> Metrics {
    let parameters = &instance.parameters;
    let rows = || solution.orders.iter();
    let mut click_to_door: Vec<i64> = rows().map(|row| row.dropoff_s - row.placed_s).collect();
    click_to_door.sort_unstable();
    let delivered = click_to_door.len();
    let minutes_mean = |total_s: i64| total_s as f64 / 60.0 / delivered as f64;
    let in_time = click_to_door.partition_point(|took_s| *took_s <= parameters.target_s);

    let work = Work::of(instance, solution);
    let pay_total_cents = half_even(work.pay_in_3600ths, 3600);
    let bundled: usize = solution.assignments.iter().map(|assignment| assignment.orders.len()).sum();
    Metrics {
        instance: instance.name.clone(),
        orders: instance.orders.len(),
        delivered,
        undelivered: instance.orders.len().saturating_sub(delivered),
        click_to_door_mean: minutes_mean(click_to_door.iter().sum()),
        click_to_door_p90: percentile(&click_to_door, 0.9) / 60.0,
        click_to_door_max: click_to_door.last().map_or(f64::NAN, |took_s| *took_s as f64 / 60.0),
        overage_mean: minutes_mean(click_to_door[in_time..].iter().map(|took_s| took_s - parameters.target_s).sum()),
        ready_to_door_mean: minutes_mean(rows().map(|row| row.dropoff_s - row.ready_s).sum()),
        ready_to_pickup_mean: minutes_mean(rows().map(|row| row.pickup_s - row.ready_s).sum()),
        utilisation: work.utilisation,
        pay_total_cents,
        pay_per_order: pay_total_cents as f64 / 100.0 / delivered as f64,
        orders_per_bundle: bundled as f64 / solution.assignments.len() as f64,
        within_target: in_time as f64 / instance.orders.len() as f64,
        over_maximum: click_to_door.iter().filter(|took_s| **took_s > parameters.maximum_s).count(),
    }
}

struct Work {
    utilisation: f64,
    pay_in_3600ths: i128,
}

impl Work {
    fn of(instance: &Instance, solution: &Solution) -> Self {
        let parameters = &instance.parameters;
        let courier = |id: &str| match instance.place(id) {
            Some(Place::Courier(index)) => Some(index),
            Some(Place::Order(_) | Place::Restaurant(_)) | None => None,
        };
        let mut busy_s = vec![0; instance.couriers.len()];
        let mut carried = vec![0_i64; instance.couriers.len()];
        for leg in &solution.moves {
            let Some(courier) = courier(&leg.courier) else {
                continue;
            };
            let from = leg.origin.as_ref().map_or(Some(Place::Courier(courier)), |id| instance.place(id));
            if let (Some(from), Some(to)) = (from, instance.place(&leg.destination)) {
                busy_s[courier] += instance.travel_s(from, to);
            }
        }
        for assignment in &solution.assignments {
            let Some(courier) = courier(&assignment.courier) else {
                continue;
            };
            let orders = assignment.orders.len() as i64;
            busy_s[courier] += parameters.pickup_service_s + parameters.dropoff_service_s * orders;
            carried[courier] += orders;
        }
        let shifts_s = instance.couriers.iter().map(|courier| courier.off_s - courier.on_s);
        let shares = shifts_s.clone().zip(&busy_s).map(|(shift_s, busy_s)| match shift_s {
            0 => 0.0,
            shift_s => *busy_s as f64 / shift_s as f64,
        });
        let pays = shifts_s.zip(&carried).map(|(shift_s, orders)| {
            let for_orders = 3600 * i128::from(parameters.pay_per_order_cents) * i128::from(*orders);
            for_orders.max(i128::from(parameters.pay_per_hour_cents) * i128::from(shift_s))
        });
        Self { utilisation: shares.sum::<f64>() / instance.couriers.len() as f64, pay_in_3600ths: pays.sum() }
    }
}

fn half_even(amount: i128, unit: i128) -> i64 {
    let (whole, rest) = (amount.div_euclid(unit), amount.rem_euclid(unit));
    let up = 2 * rest > unit || (2 * rest == unit && whole % 2 != 0);
    i64::try_from(whole + i128::from(up)).unwrap_or(i64::MAX)
}

/// The value below which `share` of the sorted values lie, linear between neighbours; NaN of nothing.
fn percentile(sorted: &[i64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let rank = share * last as f64;
    let (below, above) = (sorted[rank.floor() as usize] as f64, sorted[rank.ceil() as usize] as f64);
    below + (above - below) * rank.fract()
}

/// Metrics as an aligned table, one row an instance; under more than one, a row of their plain means.
pub struct Summary<'a>(pub &'a [Metrics]);

const HEADINGS: [&str; 14] =
    ["instance", "orders", "undeliv", "c2d", "p90", "max", "overage", "r2door", "r2pick", "util", "pay", "pay/ord", "ord/bdl", "in-time"];

impl Metrics {
    fn numbers(&self) -> [f64; 13] {
        [
            self.orders as f64,
            self.undelivered as f64,
            self.click_to_door_mean,
            self.click_to_door_p90,
            self.click_to_door_max,
            self.overage_mean,
            self.ready_to_door_mean,
            self.ready_to_pickup_mean,
            self.utilisation,
            self.pay_total_cents as f64 / 100.0,
            self.pay_per_order,
            self.orders_per_bundle,
            self.within_target,
        ]
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(days) = self;
        let first = days.iter().map(|day| day.instance.chars().count()).max().unwrap_or(0).max(HEADINGS[0].len());
        write!(f, "{:first$}", HEADINGS[0])?;
        HEADINGS[1..].iter().try_for_each(|heading| write!(f, " {heading:>8}"))?;
        let mut row = |name: &str, numbers: [f64; 13], counts: usize| {
            write!(f, "\n{name:first$}")?;
            numbers.iter().enumerate().try_for_each(|(column, number)| match number {
                number if number.is_nan() => write!(f, " {:>8}", "-"),
                number if column < 2 => write!(f, " {number:>8.counts$}"),
                number => write!(f, " {number:>8.2}"),
            })
        };
        days.iter().try_for_each(|day| row(&day.instance, day.numbers(), 0))?;
        if days.len() > 1 {
            let mean = std::array::from_fn(|i| days.iter().map(|day| day.numbers()[i]).sum::<f64>() / days.len() as f64);
            row("mean", mean, 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Summary(std::slice::from_ref(self)).fmt(f)
    }
}
