//! The bytes of stored rows that the engine and the ledger write: a change of layout must be a decision (a new `VERSION`), not an accident.

use medina::engine::attention::Attention;
use medina::engine::clock::TestClock;
use medina::engine::effect::{EffectRow, EffectState};
use medina::engine::event::{KeptFrom, StoredEvent};
use medina::engine::idempotency::OnceRow;
use medina::engine::{FiredTimer, StoredAnswer};
use storage::ledger::model::{Leaf, LeafCount, Outcome};
use storage::ledger::{Account, AccountKey, Constraint, Currency, Transfer, TransferId, TransferKind};
use storage::{KeyPart, Row, Timestamp};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

#[test]
fn engine_rows() {
    let event = StoredEvent { name: "A".to_owned(), at: at(1), topics: vec!["t".to_owned()], data: "{}".to_owned(), more: true };
    let timer = FiredTimer { kind: "k".to_owned(), subject: 5, data: vec![9], at: at(-1), failures: 2 };
    let effect = EffectRow {
        destination: "d".to_owned(),
        subject: 1,
        kind: "k".to_owned(),
        body: "b".to_owned(),
        state: EffectState::Dead,
        tries: 3,
        next_at: at(2),
        created_at: at(1),
        last_error: Some("e".to_owned()),
    };
    let answer = StoredAnswer { status: 201, headers: vec![("h".to_owned(), "v".to_owned())], body: vec![1] };
    let once = OnceRow { fingerprint: [7; 32], answer, seq: 300, expires_at: at(1) };
    let waiting = Attention { reason: "r".to_owned(), since: at(1), actions: vec!["a".to_owned()] };
    let cases = [
        (event.to_bytes(), "01014102010174027b7d01".to_owned()),
        (KeptFrom(300).to_bytes(), "01ac02".to_owned()),
        (timer.to_bytes(), "01016b0501090102".to_owned()),
        (effect.to_bytes(), "010164010 16b016201030402010165".replace(' ', "")),
        (once.to_bytes(), format!("01{}c901010168017601 01ac0202", "07".repeat(32)).replace(' ', "")),
        (waiting.to_bytes(), "01017202010161".to_owned()),
        (TestClock::Offset(-1).to_bytes(), "010001".to_owned()),
        (TestClock::Frozen(at(1)).to_bytes(), "010102".to_owned()),
    ];
    for (place, (bytes, expected)) in cases.into_iter().enumerate() {
        assert_eq!(hex(&bytes), expected, "row {place}");
    }
    let decoded = OnceRow::from_bytes(&once.to_bytes()).expect("what was written is read");
    assert_eq!(decoded, once);
}

#[test]
fn ledger_rows() {
    let key = |code| AccountKey { code, owner: 2, currency: Currency(*b"GHS") };
    let account = Account {
        constraint: Constraint::DebitsMustNotExceedCredits,
        debits_pending: 1,
        debits_posted: 2,
        credits_pending: 3,
        credits_posted: 300,
    };
    let transfer = Transfer {
        debit: key(1),
        credit: key(2),
        amount: 300,
        kind: TransferKind::Post { pending: TransferId::from_u128(1) },
        code: 4,
        subject: 5,
        at: at(1),
        outcome: Some(Outcome::Posted(6)),
        leaf: Some(300),
    };
    assert_eq!(hex(&Leaf(TransferId::from_u128(1)).to_bytes()), "0100000000000000000000000000000001");
    assert_eq!(hex(&LeafCount(300).to_bytes()), "01ac02");
    assert_eq!(hex(&key(1).to_key()), "000100000000000000000000000000000002474853");
    assert_eq!(hex(&account.to_bytes()), "0101010203ac02");
    assert_eq!(
        hex(&transfer.to_bytes()),
        "020102474853 0202474853 ac02 02 00000000000000000000000000000001 04 05 02 01 01 06 01 ac02".replace(' ', "")
    );
}

#[test]
fn people_and_shift_rows() {
    use medina::city::shifts::{Shift, ShiftState};
    use medina::people::erasure::Erasure;
    let id = |n: u128| format!("{n:032x}");
    let erasure = Erasure { asked_at: at(1), by: None, due_at: at(2), timer: None, erased_at: Some(at(3)) };
    assert_eq!(hex(&erasure.to_bytes()), "01020004000106");
    let shift = Shift {
        courier: storage::Id::from_u128(1),
        city: storage::Id::from_u128(2),
        starts_at: at(1),
        ends_at: at(2),
        state: ShiftState::Missed,
        begun_at: None,
        by: None,
    };
    assert_eq!(hex(&shift.to_bytes()), format!("01{}{}0204030000", id(1), id(2)));
}

#[test]
fn dispatch_rows() {
    use medina::city::cities::CityId;
    use medina::city::couriers::CourierId;
    use medina::city::dispatch::by_hand::Handed;
    use medina::city::dispatch::demand::Demand;
    use medina::engine::UserId;
    assert_eq!(hex(&Demand { weight: 300, at: at(1) }.to_bytes()), "01ac0202");
    let handed = Handed {
        at: at(1),
        from: Some(CourierId::from_u128(1)),
        to: None,
        by: Some(UserId::from_u128(2)),
        reason: "r".to_owned(),
        picked_up: true,
    };
    let expected = "01 02 01 00000000000000000000000000000001 00 01 00000000000000000000000000000002 01 72 01";
    assert_eq!(hex(&handed.to_bytes()), expected.replace(' ', ""));
    let key = (CityId::from_u128(1), 0x0001_0203_u32, 5_u32);
    assert_eq!(hex(&key.to_key()), "000000000000000000000000000000010001020300000005");
}
