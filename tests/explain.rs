//! `medina dispatch …` against the running server itself, through the binary: explanations, another policy's opinion, fairness; by socket and by HTTP.
#![allow(clippy::unwrap_used)] // tests

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

fn medina(words: &[&str], data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medina"));
    command.args(words).arg("--data").arg(data);
    command
}

fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(command: Command) -> Value {
    serde_json::from_str(&said(command)).unwrap()
}

/// A server on the folder, ended with the test.
struct Serving {
    child: Child,
    base: String,
}

impl Serving {
    fn on(data: &Path) -> Self {
        let mut command = medina(&["serve", "--sandbox", "--listen", "127.0.0.1:0"], data);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (tell, told) = std::sync::mpsc::channel();
        // Whichever of the two it is said on; both are kept empty.
        for lines in [Box::new(out) as Box<dyn std::io::Read + Send>, Box::new(err)] {
            let tell = tell.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(lines).lines().map_while(Result::ok) {
                    if let Some(said) = line.strip_prefix("medina serves ") {
                        let _ = tell.send(said.split_whitespace().next().unwrap_or_default().to_owned());
                    }
                }
            });
        }
        drop(tell);
        let base = told.recv().expect("it says where it serves before it ends");
        Self { child, base }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn login(base: &str, admin: &Value) -> (reqwest::Client, String) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({ "email": admin["email"], "password": admin["password"] });
    let session: Value = client.post(format!("{base}/v1/auth/login")).json(&body).send().await.unwrap().json().await.unwrap();
    (client, session["access_token"].as_str().unwrap_or_else(|| panic!("{session}")).to_owned())
}

#[tokio::test]
async fn a_running_server_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("city");
    said(medina(&["demo", "--orders", "4", "--couriers", "4", "--seed", "11", "--policy", "horizon", "--exit", "--json"], &data));
    let serving = Serving::on(&data);
    let admin = json_of(medina(&["admin", "create", "--json", "--email", "why@medina.test"], &data));
    let (client, token) = login(&serving.base, &admin).await;
    let orders: Value = client.get(format!("{}/v1/orders", serving.base)).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
    let settled =
        orders["data"].as_array().unwrap().iter().find(|order| order["status"] == "SETTLED").unwrap_or_else(|| panic!("{orders}"));
    let order = settled["id"].as_str().unwrap();

    let text = said(medina(&["dispatch", "explain", order], &data));
    assert!(text.starts_with("why this courier?") && text.contains(" was asked") && text.contains("The policy was horizon/"), "{text}");
    assert!(text.contains("why so late?") && text.contains("It was delivered."), "{text}");

    // Another policy on what was stored, by the socket and over HTTP: the same answer.
    let explained = json_of(medina(&["dispatch", "explain", order, "--with", "immediate", "--json"], &data));
    let decisions = explained["decisions"].as_array().unwrap();
    let offered = decisions.iter().find(|decision| decision["again"].is_object()).unwrap_or_else(|| panic!("{explained}"));
    assert!(offered["policy"].as_str().unwrap().starts_with("horizon/") && offered["again"]["policy"] == "immediate/1", "{explained}");
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, &token).unwrap();
    let file = token_file.to_str().unwrap();
    let words = ["dispatch", "explain", order, "--with", "immediate", "--json", "--url", &serving.base, "--token-file", file];
    assert_eq!(json_of(medina(&words, &data)), explained);

    let fairness = json_of(medina(&["dispatch", "fairness", "--json"], &data));
    let city = fairness["data"].as_array().unwrap().iter().find(|row| row["group"] == "city").unwrap_or_else(|| panic!("{fairness}"));
    assert_eq!(city["couriers"], 4);
    assert!(city["offers"].as_u64().unwrap() >= 1 && city["delivered"].as_u64().unwrap() >= 1, "{fairness}");
    assert!(said(medina(&["dispatch", "fairness"], &data)).contains("earned/h"));

    let nobody = "ord_00000000000000000000000009";
    let refused = medina(&["dispatch", "explain", nobody], &data).output().unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    drop(serving);
    let nowhere = medina(&["dispatch", "fairness"], &data).output().unwrap();
    assert!(!nowhere.status.success() && String::from_utf8_lossy(&nowhere.stderr).contains("no server has"), "{nowhere:?}");
}
