//! Who may do what: the table of roles, and what is said to those who may not.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use medina::engine::{Authorize, Caller, Denied, Engine, EngineOptions, Principal, Question, Resource, UserId, Wiring};
use medina::people::keyring::Keyring;
use medina::people::policy::{POLICIES, Policies, PolicyError, SCHEMA};
use medina::people::users::{self, NewUser, Role, USERS};
use storage::disk::SimDisk;
use storage::{ManualClock, Options, Timestamp, View};

const MERCHANT: u128 = 7;
const COURIER: u128 = 8;
const CITY: u128 = 9;

/// Policies over a state with one user for each role.
struct House {
    policies: Policies,
    view: Arc<View>,
    engine: Engine,
    people: Vec<(Who, UserId)>,
    _keyring: Arc<Keyring>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Nobody,
    Customer,
    /// Staff of [`MERCHANT`].
    Merchant,
    /// [`COURIER`].
    Courier,
    Support,
    /// Support for [`CITY`] only.
    CitySupport,
    Admin,
    Suspended,
    /// An administrator who has not changed the one-time password.
    NewAdmin,
}

impl House {
    async fn open() -> Self {
        let policies = Policies::embedded().expect("the embedded policies are valid");
        let keyring = Keyring::in_memory([1; 32]);
        let options = Options { seed: [2; 32], ..Options::with_seed([2; 32]) };
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
        let options = EngineOptions::new(options, clock, true);
        let again = Arc::new(Policies::embedded().expect("valid"));
        let engine =
            Engine::start(Arc::new(SimDisk::new(1)), std::path::Path::new("/data"), options, Wiring::new(), again).expect("an engine");
        let made = Arc::new(Mutex::new(Vec::new()));
        let (keys, into) = (keyring.clone(), made.clone());
        engine
            .write(&Caller::system("test"), "test.people", move |tx| {
                use Who::{Admin, CitySupport, Courier, Customer, Merchant, NewAdmin, Nobody, Support, Suspended};
                for who in [Customer, Merchant, Courier, Support, CitySupport, Admin, Suspended, NewAdmin] {
                    let id = users::create(tx, &keys, NewUser::default())?;
                    match who {
                        Merchant => users::bind_merchant(tx, id, MERCHANT).expect("known"),
                        Courier => {
                            users::bind_courier(tx, id, COURIER).expect("known");
                            users::grant_role(tx, id, Role::Courier).expect("known");
                        }
                        Support | CitySupport => users::grant_role(tx, id, Role::Support).expect("known"),
                        Admin | NewAdmin => users::grant_role(tx, id, Role::Admin).expect("known"),
                        Customer | Suspended | Nobody => (),
                    }
                    let mut user = users::get(tx, id).expect("just made");
                    user.suspended = who == Suspended;
                    user.password_change_required = who == NewAdmin;
                    if who == CitySupport {
                        user.cities = vec![CITY];
                    }
                    USERS.put(tx, &id, &user);
                    into.lock().expect("one writer").push((who, id));
                }
                Ok::<_, medina::engine::Fault>(())
            })
            .await
            .expect("written");
        let people = made.lock().expect("one writer").clone();
        Self { policies, view: engine.view(), engine, people, _keyring: keyring }
    }

    fn id(&self, who: Who) -> UserId {
        self.people.iter().find(|(one, _)| *one == who).map_or(UserId::from_u128(404), |(_, id)| *id)
    }

    fn caller(&self, who: Who) -> Caller {
        if who == Who::Nobody { Caller::anonymous() } else { Caller::user(self.id(who)) }
    }

    fn ask(&self, who: Who, action: &'static str, resource: Resource) -> Result<String, Denied> {
        self.policies.decide(&*self.view, &self.caller(who), &Question::new(action, resource))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.engine.stop();
    }
}

#[test]
fn the_embedded_policies_fit_the_schema_strictly_and_mistakes_are_found() {
    assert!(Policies::embedded().is_ok());
    type Fits = fn(&PolicyError) -> bool;
    let cases: [(&str, Fits); 4] = [
        ("permit (principal, action == Action::\"orders.acept\", resource);", |error| matches!(error, PolicyError::Id(_))),
        ("@id(\"x\") permit (principal, action == Action::\"orders.acept\", resource);", |error| matches!(error, PolicyError::Invalid(_))),
        ("@id(\"x\") permit (principal, action == Action::\"orders.accept\", resource) when { resource.courier == \"a\" };", |error| {
            matches!(error, PolicyError::Invalid(_))
        }),
        ("@id(\"me\") permit (principal, action == Action::\"me.read\", resource);", |error| matches!(error, PolicyError::Id(_))),
    ];
    for (extra, expected) in cases {
        let error = Policies::parse(&format!("{POLICIES}\n{extra}"), SCHEMA).err().expect(extra);
        assert!(expected(&error), "{extra}: {error}");
    }
}

#[tokio::test]
async fn the_table() {
    use Who::{Admin, CitySupport, Courier, Customer, Merchant, NewAdmin, Nobody, Support, Suspended};
    let house = House::open().await;
    let mer = |bits: u128| users::merchant_text(bits);
    let order = |customer: Who, merchant: u128, courier: Option<u128>, city: u128| {
        let order = Resource::new("Order", "ord_1").with("customer", house.id(customer).to_string()).with("merchant", mer(merchant));
        let order = order.with("city", users::city_text(city));
        courier.map_or(order.clone(), |courier| order.with("courier", users::courier_text(courier)))
    };
    let theirs = || order(Customer, MERCHANT, Some(COURIER), CITY);
    let others = || order(Nobody, 70, Some(80), 90);
    let unassigned = || order(Customer, MERCHANT, None, CITY);
    let own = |kind: &'static str, attribute: &'static str, who: Who| Resource::new(kind, "x").with(attribute, house.id(who).to_string());
    let plain = |kind: &'static str| Resource::new(kind, "x");
    let (forbidden, not_found) = (Err(Denied::Forbidden), Err(Denied::NotFound));
    let signed_out = Err(Denied::Unauthenticated);

    let cases: Vec<(Who, &'static str, Resource, Result<&str, Denied>)> = vec![
        (Nobody, "auth.otp", plain("Auth"), Ok("auth-public")),
        (Nobody, "auth.logout", plain("Auth"), signed_out),
        (Customer, "auth.logout", plain("Auth"), Ok("auth-own")),
        (Nobody, "orders.read", theirs(), signed_out),
        (Nobody, "payments.webhook", plain("Webhook"), Ok("payments-webhook")),
        // One's own row.
        (Customer, "me.read", Resource::new("User", house.id(Customer)), Ok("me")),
        (Customer, "me.edit", Resource::new("User", house.id(Admin)), not_found),
        (Customer, "users.roles", Resource::new("User", house.id(Customer)), forbidden),
        (Support, "users.roles", Resource::new("User", house.id(Customer)), forbidden),
        (Admin, "users.roles", Resource::new("User", house.id(Customer)), Ok("users-admin")),
        // Catalog.
        (Admin, "cities.create", plain("City"), Ok("cities-admin")),
        (Merchant, "cities.create", plain("City"), forbidden),
        (Customer, "merchants.create", plain("City"), forbidden),
        (Merchant, "merchants.create", plain("City"), Ok("merchants-create-merchant")),
        (Merchant, "merchants.edit", Resource::new("Merchant", mer(MERCHANT)), Ok("merchants-own")),
        (Merchant, "merchants.edit", Resource::new("Merchant", mer(70)), not_found),
        (Merchant, "items.edit", plain("Item").with("merchant", mer(MERCHANT)), Ok("items-own")),
        (Merchant, "items.edit", Resource::new("Merchant", mer(MERCHANT)), Ok("items-of-own-merchant")),
        (Merchant, "items.edit", plain("Item").with("merchant", mer(70)), not_found),
        (Merchant, "items.edit", plain("Item"), not_found),
        (Admin, "items.edit", plain("Item").with("merchant", mer(70)), Ok("merchants-admin")),
        // Orders.
        (Customer, "quotes.create", own("Cart", "customer", Customer), Ok("quotes-own")),
        (Customer, "orders.place", own("Quote", "customer", Customer), Ok("quotes-own")),
        (Customer, "orders.place", own("Quote", "customer", Admin), not_found),
        (Customer, "orders.read", theirs(), Ok("orders-customer")),
        (Customer, "orders.read", others(), not_found),
        (Merchant, "orders.read", theirs(), Ok("orders-merchant")),
        (Merchant, "orders.read", others(), not_found),
        (Courier, "orders.read", theirs(), Ok("orders-courier")),
        (Courier, "orders.read", unassigned(), not_found),
        (Support, "orders.read", others(), Ok("orders-support")),
        (CitySupport, "orders.read", theirs(), Ok("orders-support")),
        (CitySupport, "orders.read", others(), not_found),
        (Customer, "orders.accept", theirs(), forbidden),
        (Merchant, "orders.accept", theirs(), Ok("orders-merchant")),
        (Merchant, "orders.accept", others(), not_found),
        (Support, "orders.accept", theirs(), forbidden),
        (Courier, "orders.status", theirs(), Ok("orders-courier")),
        (Courier, "orders.status", others(), not_found),
        (Customer, "orders.status", theirs(), forbidden),
        (Merchant, "orders.fail", theirs(), forbidden),
        (Admin, "orders.fail", theirs(), Ok("orders-support")),
        (Courier, "orders.cancel", theirs(), not_found),
        (Customer, "orders.list", plain("Orders"), Ok("orders-list")),
        // Money.
        (Customer, "intents.confirm", own("Intent", "payer", Customer), Ok("intents-payer")),
        (Merchant, "intents.confirm", own("Intent", "payer", Customer), not_found),
        (Customer, "intents.capture", own("Intent", "payer", Customer), forbidden),
        (Support, "intents.capture", own("Intent", "payer", Customer), Ok("intents-support")),
        (Merchant, "refunds.create", own("Intent", "payer", Customer), forbidden),
        (Customer, "wallets.read", own("Wallet", "owner", Customer), Ok("wallets-own")),
        (Admin, "wallets.read", own("Wallet", "owner", Customer), not_found),
        (Support, "ledger.read", plain("Ledger"), forbidden),
        (Admin, "ledger.read", plain("Ledger"), Ok("ledger-admin")),
        (Support, "ledger.post", plain("Ledger"), forbidden),
        (Admin, "ledger.post", plain("Ledger"), Ok("ledger-admin")),
        // Couriers and dispatch.
        (Customer, "couriers.create", own("Courier", "user", Customer), Ok("couriers-apply")),
        (Customer, "couriers.create", own("Courier", "user", Admin), not_found),
        (Admin, "couriers.create", own("Courier", "user", Customer), Ok("couriers-admin")),
        (Customer, "couriers.presence", own("Courier", "user", Customer), forbidden),
        (Courier, "couriers.presence", own("Courier", "user", Courier), Ok("couriers-own")),
        (Courier, "couriers.ping", own("Courier", "user", Customer), not_found),
        (Courier, "offers.accept", plain("Offer").with("courier", users::courier_text(COURIER)), Ok("offers-own")),
        (Courier, "offers.accept", plain("Offer").with("courier", users::courier_text(80)), not_found),
        (Customer, "dispatch.nearby", plain("Dispatch"), forbidden),
        (Admin, "dispatch.nearby", plain("Dispatch"), Ok("dispatch-support")),
        (Support, "dispatch.candidates", plain("Dispatch").with("city", users::city_text(90)), Ok("dispatch-support")),
        (CitySupport, "dispatch.candidates", plain("Dispatch").with("city", users::city_text(CITY)), Ok("dispatch-support")),
        (CitySupport, "dispatch.candidates", plain("Dispatch").with("city", users::city_text(90)), not_found),
        (CitySupport, "dispatch.nearby", plain("Dispatch"), not_found),
        (Support, "dispatch.fairness", plain("Dispatch"), forbidden),
        (Admin, "dispatch.fairness", plain("Dispatch"), Ok("dispatch-admin")),
        (
            CitySupport,
            "merchants.staff",
            Resource::new("Merchant", mer(70)).with("city", users::city_text(CITY)),
            Ok("merchants-staff-support"),
        ),
        (CitySupport, "merchants.staff", Resource::new("Merchant", mer(70)).with("city", users::city_text(90)), not_found),
        // Operation.
        (Merchant, "ops.attention", plain("Ops"), forbidden),
        (Support, "ops.attention", plain("Ops"), Ok("ops-support")),
        (Admin, "ops.attention", plain("Ops"), Ok("ops-support")),
        (Support, "ops.outbox", plain("Ops"), forbidden),
        (Admin, "ops.events", plain("Ops"), Ok("ops-admin")),
        (Admin, "sandbox.clock", plain("Sandbox"), Ok("sandbox-admin")),
        (Customer, "sandbox.clock", plain("Sandbox"), forbidden),
        // Who is kept out of everything.
        (Suspended, "orders.read", order(Suspended, MERCHANT, None, CITY), forbidden),
        (NewAdmin, "ops.attention", plain("Ops"), Err(Denied::PasswordChange)),
        (NewAdmin, "me.read", Resource::new("User", house.id(NewAdmin)), Err(Denied::PasswordChange)),
        (NewAdmin, "auth.password", plain("Auth"), Ok("auth-own")),
        // What nobody wrote a policy, a kind or an attribute for.
        (Admin, "orders.steal", theirs(), forbidden),
        (Customer, "orders.read", plain("Banana"), not_found),
        (Customer, "orders.read", plain("Order"), not_found),
    ];
    for (who, action, resource, expected) in cases {
        let verdict = house.ask(who, action, resource.clone());
        assert_eq!(verdict.as_deref().map_err(|denied| *denied), expected, "{who:?} {action} {resource:?}");
    }
}

#[tokio::test]
async fn the_appliance_itself_is_never_let_in_by_a_policy() {
    let house = House::open().await;
    let system = Caller { principal: Principal::System("test"), ..Caller::anonymous() };
    let verdict = house.policies.decide(&*house.view, &system, &Question::new("auth.otp", Resource::new("Auth", "x")));
    assert_eq!(verdict, Err(Denied::Forbidden), "the engine decides for itself; nobody else can be it");
}

/// Every action that the product's code asks about is one that the schema knows, so that no route is shut by a misspelling.
#[test]
fn every_action_in_the_code_is_known() {
    let policies = Policies::embedded().expect("valid");
    let known: BTreeSet<&str> = policies.actions().collect();
    let mut asked = BTreeSet::new();
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&entry).expect("a source file");
                for (at, _) in source.match_indices("Question::new(\"") {
                    let action = source[at + "Question::new(\"".len()..].split('"').next().unwrap_or_default().to_owned();
                    asked.insert(action);
                }
            }
        }
    }
    let unknown: Vec<_> = asked.iter().filter(|action| !known.contains(action.as_str())).collect();
    assert!(asked.len() >= 8, "the search finds questions: {asked:?}");
    assert!(unknown.is_empty(), "asked about, but not in the schema: {unknown:?}");
}

/// How long a decision takes; run it with `--release -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn measure_a_decision() {
    let house = House::open().await;
    let resource = Resource::new("Order", "ord_1")
        .with("customer", house.id(Who::Customer).to_string())
        .with("merchant", users::merchant_text(MERCHANT));
    let question = Question::new("orders.read", resource);
    for who in [Who::Customer, Who::Merchant, Who::Support] {
        let caller = house.caller(who);
        let begun = std::time::Instant::now();
        for _ in 0..20_000 {
            assert!(house.policies.decide(&*house.view, &caller, &question).is_ok());
        }
        println!("{who:?} orders.read: {:.1} µs per decision", begun.elapsed().as_secs_f64() * 1e6 / 20_000.0);
    }
}
