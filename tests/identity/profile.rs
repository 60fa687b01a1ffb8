//! One's own row, and what is kept of people on the disk.

use medina::people::keyring::Keyring;
use medina::people::users::{self, UserId};
use serde_json::{Value, json};

use crate::house::House;

#[tokio::test]
async fn a_merge_patch_changes_what_it_names() {
    let house = House::sandbox();
    let token = house.sign_in("+233241234567").await.text("access_token");
    let patch = async |body: Value, headers: &[(&str, &str)]| house.call_with("PATCH", "/v1/me", Some(&token), body, headers).await;

    let named = patch(json!({ "name": "Ama", "email": "Ama@example.org" }), &[]).await;
    assert_eq!((named.status, &named.body["name"], &named.body["email"]), (200, &json!("Ama"), &json!("ama@example.org")));
    let etag = named.headers["etag"].to_str().expect("text").to_owned();
    assert_eq!(house.me(&token).await.headers["etag"].to_str().expect("text"), etag);

    let cleared = patch(json!({ "name": null }), &[("if-match", &etag)]).await;
    assert_eq!((cleared.status, cleared.body.get("name"), &cleared.body["email"]), (200, None, &json!("ama@example.org")));
    assert_eq!(patch(json!({ "name": "Esi" }), &[("if-match", &etag)]).await.problem(), (412, "precondition_failed"));
    assert_eq!(patch(json!({ "phone": "+233241234568" }), &[]).await.problem(), (422, "invalid_request"), "a phone is proved, not typed");

    house.post("/v1/auth/register", json!({ "email": "kofi@example.org", "password": "a password", "name": "Kofi" })).await;
    assert_eq!(patch(json!({ "email": "kofi@example.org" }), &[]).await.problem(), (409, "email_taken"));
    assert_eq!(patch(json!({ "email": null }), &[]).await.status, 200);
    let kofi = house.log_in("kofi@example.org", "a password").await.text("access_token");
    let last = house.call("PATCH", "/v1/me", Some(&kofi), json!({ "email": null })).await;
    assert_eq!(last.problem(), (409, "last_contact"), "the only way in");
    let after = house.call("PATCH", "/v1/me", Some(&kofi), json!({ "email": "ama@example.org" })).await;
    assert_eq!(after.status, 200, "an address that was given up is free");
}

/// Every file of the data folder, but for the keys.
fn bytes_on_disk(house: &House) -> Vec<u8> {
    let mut folders = vec![house.folder.path().join("data")];
    let mut bytes = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                bytes.extend(std::fs::read(entry).expect("a file"));
            }
        }
    }
    bytes
}

#[tokio::test]
async fn nothing_personal_and_no_secret_is_readable_on_the_disk() {
    let house = House::sandbox();
    let session = house.sign_in("+233241234567").await;
    let token = session.text("access_token");
    house.call("PATCH", "/v1/me", Some(&token), json!({ "name": "Ama Mensah", "email": "ama@example.org" })).await;
    house.post("/v1/auth/register", json!({ "email": "kofi@example.org", "password": "correct horse", "name": "Kofi Boateng" })).await;
    house.engine.stop();

    let bytes = bytes_on_disk(&house);
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for secret in ["233241234567", "Ama Mensah", "ama@example.org", "kofi@example.org", "Kofi Boateng", "correct horse", &token] {
        assert!(!holds(secret), "{secret} is readable on the disk");
    }
    // `rt_`, the family's id, then the secret.
    let secret = u128::from_str_radix(&session.text("refresh_token")[35..67], 16).expect("hexadecimal").to_be_bytes();
    assert!(!bytes.windows(16).any(|window| window == secret), "a refresh token's secret is readable on the disk");
    // The search itself finds what is there.
    let id: UserId = session.body["user"]["id"].as_str().expect("an id").parse().expect("a user's");
    assert!(bytes.windows(16).any(|window| window == id.as_u128().to_be_bytes()) && holds("$argon2id$"));
}

#[tokio::test]
async fn an_erased_key_erases_the_person_everywhere() {
    let house = House::sandbox();
    let session = house.sign_in("+233241234567").await;
    let token = session.text("access_token");
    house.call("PATCH", "/v1/me", Some(&token), json!({ "name": "Ama Mensah" })).await;
    let id: UserId = session.body["user"]["id"].as_str().expect("an id").parse().expect("a user's");
    let view = house.engine.view();
    assert_eq!(users::contact(&*view, id).name.as_deref(), Some("Ama Mensah"));

    house.people.keyring.erase(users::get(&*view, id).expect("known").slot).expect("erased");
    assert_eq!(users::contact(&*view, id), users::Contact::default(), "also in a picture taken before");
    let me = house.me(&token).await;
    assert_eq!((me.status, me.body.get("name"), me.body.get("phone")), (200, None, None));
}

#[tokio::test]
async fn keys_of_another_folder_are_noticed() {
    let house = House::sandbox();
    house.sign_in("+233241234567").await;
    let view = house.engine.view();
    assert_eq!(house.people.keyring.check(&*view), Ok(()));
    assert!(Keyring::in_memory([9; 32]).check(&*view).is_err());
}
