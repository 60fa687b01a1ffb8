//! `medina demo`, through the binary: to its end, and through a kill.
#![allow(clippy::unwrap_used)] // tests

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

fn demo(orders: u32, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medina"));
    command.args(["demo", "--orders", &orders.to_string(), "--couriers", "6", "--seed", "11", "--exit", "--json", "--data"]).arg(data);
    command
}

fn to_the_end(mut command: Command) -> Value {
    let medina = command.output().unwrap();
    let said = String::from_utf8_lossy(&medina.stderr).into_owned();
    let result: Value = serde_json::from_slice(&medina.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert!(medina.status.success(), "{result:#}\n{said}");
    result
}

/// Every order has ended, and debits equal credits.
fn check(result: &Value, orders: u64) {
    let states = result["orders"].as_object().unwrap();
    let count = |states: &serde_json::Map<String, Value>| states.values().map(|count| count.as_u64().unwrap()).sum::<u64>();
    assert_eq!(count(states), orders, "{result:#}");
    assert!(states.keys().all(|state| ["SETTLED", "REJECTED", "CANCELLED"].contains(&state.as_str())), "{result:#}");
    assert!(states.contains_key("SETTLED"), "{result:#}");
    for currency in result["trial_balance"].as_array().unwrap() {
        assert_eq!(currency["debits"], currency["credits"], "{result:#}");
    }
}

#[test]
fn a_city_lives_to_the_end() {
    let data = tempfile::tempdir().unwrap();
    let result = to_the_end(demo(12, data.path()));
    check(&result, 12);
    assert!(result["click_to_door_minutes"]["mean"].as_f64().unwrap() > 5.0, "{result:#}");
}

/// Waits until the log line says where the city is, and some orders have been placed.
fn wait_for_orders(child: &mut Child, wanted: usize) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let base = lines.find_map(|line| Some(line.unwrap().strip_prefix("Medina demo: ")?.split_whitespace().last()?.to_owned())).unwrap();
    let password = lines.find_map(|line| Some(line.unwrap().split_once(" with ")?.1.split(':').next()?.to_owned())).unwrap();
    // Keeps the pipe open and empty.
    std::thread::spawn(move || lines.for_each(drop));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let login = serde_json::json!({ "email": "demo@medina.test", "password": password });
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let session: Value = client.post(format!("{base}/v1/auth/login")).json(&login).send().await.unwrap().json().await.unwrap();
        let token = session["access_token"].as_str().unwrap_or_else(|| panic!("{session}")).to_owned();
        loop {
            let orders: Value =
                client.get(format!("{base}/v1/orders?limit=100")).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
            if orders["data"].as_array().unwrap_or_else(|| panic!("{orders}")).len() >= wanted {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    base
}

#[test]
fn a_city_that_was_killed_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let mut killed = demo(40, data.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_orders(&mut killed, 8);
    // SIGKILL: no goodbye.
    killed.kill().unwrap();
    killed.wait().unwrap();

    let result = to_the_end(demo(4, data.path()));
    let states = result["orders"].as_object().unwrap();
    let orders: u64 = states.values().map(|count| count.as_u64().unwrap()).sum();
    // What was placed before the kill is there, and has ended like everything else.
    assert!(orders >= 12, "{result:#}");
    check(&result, orders);
}
