//! `medina replay` on days that are small enough to know their end, through the binary.
#![allow(clippy::unwrap_used)] // tests

use std::path::Path;
use std::process::{Command, Output};

use medina::mdrp::{Instance, Solution, check};
use serde_json::Value;

const PARAMETERS: &str = "meters_per_minute\tpickup service minutes\tdropoff service minutes\ttarget click-to-door\tmaximum click-to-door\tpay per order\tguaranteed pay per hour\n300\t4\t4\t40\t90\t10\t15\n";

/// Writes a day: rows of couriers `(x, y, on, off)` and orders `(x, y, placed, restaurant, ready)`; restaurants r1 at the origin and r2 3 km east.
fn day(folder: &Path, couriers: &[(i32, i32, i32, i32)], orders: &[(i32, i32, i32, &str, i32)]) {
    let mut text = "courier\tx\ty\ton_time\toff_time\n".to_owned();
    for (i, (x, y, on, off)) in couriers.iter().enumerate() {
        text += &format!("c{}\t{x}\t{y}\t{on}\t{off}\n", i + 1);
    }
    std::fs::write(folder.join("couriers.txt"), text).unwrap();
    let mut text = "order\tx\ty\tplacement_time\trestaurant\tready_time\n".to_owned();
    for (i, (x, y, placed, restaurant, ready)) in orders.iter().enumerate() {
        text += &format!("o{}\t{x}\t{y}\t{placed}\t{restaurant}\t{ready}\n", i + 1);
    }
    std::fs::write(folder.join("orders.txt"), text).unwrap();
    std::fs::write(folder.join("restaurants.txt"), "restaurant\tx\ty\nr1\t0\t0\nr2\t3000\t0\n").unwrap();
    std::fs::write(folder.join("instance_parameters.txt"), PARAMETERS).unwrap();
}

fn replay(day: &Path, out: &Path) -> (Output, Value) {
    let medina = Command::new(env!("CARGO_BIN_EXE_medina")).arg("replay").arg(day).arg("--out").arg(out).arg("--json").output().unwrap();
    let result = serde_json::from_slice(&medina.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", String::from_utf8_lossy(&medina.stdout), String::from_utf8_lossy(&medina.stderr)));
    (medina, result)
}

#[test]
fn a_small_day_is_delivered_and_settled() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // The third order falls due while both couriers ride; the fifth is ready the moment it is placed.
    let orders = [
        (1500, 900, 10, "r1", 20),
        (3600, 500, 12, "r2", 25),
        (600, -900, 14, "r1", 22),
        (2400, 600, 40, "r2", 55),
        (300, 300, 60, "r1", 60),
    ];
    day(folder.path(), &[(200, 200, 0, 150), (2800, -200, 5, 150)], &orders);
    let (medina, result) = replay(folder.path(), out.path());
    assert!(medina.status.success(), "{result:#}");
    assert_eq!((&result["ok"], &result["orders"]), (&Value::Bool(true), &serde_json::json!({ "SETTLED": 5 })), "{result:#}");
    for currency in result["trial_balance"].as_array().unwrap() {
        assert_eq!(currency["difference"], 0, "{result:#}");
        assert_ne!(currency["debits"], 0, "{result:#}");
    }
    // The files, not the report, prove it.
    let (instance, solution) = (Instance::read(folder.path()).unwrap(), Solution::read(out.path()).unwrap());
    let report = check(&instance, &solution).unwrap();
    assert_eq!((report.delivered, report.undelivered.len()), (5, 0));
    // Nobody can be at the door before the food is cooked, picked up and ridden there.
    assert!(solution.orders.iter().all(|order| order.dropoff_s > order.ready_s), "{solution:?}");
}

#[test]
fn what_nobody_can_deliver_is_ended_and_said() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // The only courier is off before the second order is ready.
    day(folder.path(), &[(0, 300, 0, 60)], &[(900, 0, 5, "r1", 15), (900, 0, 50, "r1", 90)]);
    let (medina, result) = replay(folder.path(), out.path());
    assert!(medina.status.success(), "{result:#}");
    assert_eq!(result["undeliverable"], serde_json::json!(["o2"]), "{result:#}");
    assert_eq!(result["orders"], serde_json::json!({ "SETTLED": 1, "CANCELLED": 1 }), "{result:#}");
    assert!(result["trial_balance"].as_array().unwrap().iter().all(|currency| currency["difference"] == 0), "{result:#}");
}

#[test]
fn a_folder_that_is_no_instance_is_told_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let medina = Command::new(env!("CARGO_BIN_EXE_medina")).arg("replay").arg(folder.path()).output().unwrap();
    assert_eq!(medina.status.code(), Some(1));
    let said = String::from_utf8_lossy(&medina.stderr);
    assert!(said.contains("restaurants.txt") || said.contains("orders.txt"), "{said}");
}
