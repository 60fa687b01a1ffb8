//! Two nodes that talk over TLS, with an authority of their own; one that nobody signed is not believed.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::machine::{Machine, Place, Setup, client, free_port};
use super::wire::{Town, Wire, try_send};
use super::{ADMIN, fresh_key};

/// An authority, as PEM, and a certificate of its for this machine's loopback, with the key.
fn authority() -> (String, String, String) {
    let made = || -> Result<_, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let ca = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
        Ok((ca, leaf.pem(), key.serialize_pem()))
    };
    made().expect("certificates are made")
}

fn place() -> Place {
    let listen = format!("127.0.0.1:{}", free_port());
    let url = format!("https://{listen}");
    Place { listen, base: url.clone(), url, namespace: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_follow_and_fail_over_over_tls() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ca, certificate, key) = authority();
    let path = |name: &str| folder.path().join(name);
    for (name, pem) in [("ca.pem", &ca), ("node.pem", &certificate), ("node.key", &key), ("other.pem", &authority().0)] {
        std::fs::write(path(name), pem).expect("written");
    }
    let setup = Setup {
        places: [place(), place()],
        replication: format!("ca = {:?}\n", path("ca.pem")),
        sections: format!("[tls]\ncertificate = {:?}\nkey = {:?}\n", path("node.pem"), path("node.key")),
        ca: Some(ca.clone()),
        ..Setup::new("follower")
    };
    let (mut a, mut b) = Machine::pair_as(folder.path(), &setup);
    a.start();
    a.until_alive().await;
    b.start();
    b.until_ready().await;
    a.until_ready().await;
    let made = a.run(&["admin", "create", "--json", "--email", ADMIN]);
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"));
    let wire = |base: &str| Wire { http: client(Some(&ca)), base: base.to_owned() };
    let town = Town::found(wire(&a.base), ADMIN, made["password"].as_str().expect("a password")).await;
    let who = town.customer("+233200000001").await;
    // With ack = "follower" each of these was on the other node's disk, over TLS.
    let order = town.order(&who).await;
    assert_eq!(order.header("medina-durability"), None);
    a.kill();
    let promoted = b.run(&["promote"]);
    assert!(promoted.status.success(), "{}", String::from_utf8_lossy(&promoted.stderr));
    a.start();
    b.until_ready().await;
    a.until_ready().await;
    let there = Town { wire: wire(&b.base), ..town.clone() };
    let after = there.order(&who).await;
    assert!(after.seq().0 > order.seq().0, "another epoch");
    let asked = wire(&a.base).ask(&format!("GET /v1/orders/{}", after.text("id"))).bearer_auth(&who.token);
    try_send(asked.header("medina-min-seq", format!("{}.{}", after.seq().0, after.seq().1))).await.expect("it serves").is(200);

    // A follower that believes another authority hears nothing from this one; nor does one in the clear.
    a.kill();
    let config = std::fs::read_to_string(path("a.toml")).expect("written above");
    std::fs::write(path("a.toml"), config.replace("ca.pem", "other.pem")).expect("written");
    a.start();
    a.until("alone", "/readyz", |status, text| status == 503 && text.contains("no leader")).await;
    let refused = there.wire.ask("POST /v1/merchants").bearer_auth(&town.admin.token).header("idempotency-key", fresh_key());
    let body =
        serde_json::json!({ "city_id": town.city, "name": "Nobody's", "kind": "restaurant", "position": super::at(super::wire::KITCHEN) });
    try_send(refused.json(&body)).await.expect("it answers").is(503);
}
