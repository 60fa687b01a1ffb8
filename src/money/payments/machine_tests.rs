use proptest::collection::vec;
use proptest::prelude::*;
use storage::{Row, Timestamp};

use super::super::model::{CaptureTime, Connector, IntentId, Subject};
use super::*;
use crate::engine::UserId;
use crate::money::Money;

fn intent(status: Status) -> Intent {
    Intent {
        id: IntentId::from_u128(1),
        subject: Subject::order(2),
        payer: UserId::from_u128(3),
        method: Method::Card,
        connector: Connector::Sandbox,
        amount: Money::new(1000, "GHS".parse().expect("a currency")),
        status,
        capture_time: CaptureTime::Delivery,
        created_at: Timestamp::from_millis(1),
        expires_at: None,
        client_secret: "s".to_owned(),
        confirmed_with: Some([7; 32]),
        next_action: None,
        decline_code: None,
        capture_asked: None,
        captured: 0,
        void_asked: false,
        unwind: None,
        closed: false,
        refunds: Vec::new(),
        early: Vec::new(),
    }
}

fn refund(id: u128, amount: i64) -> Refund {
    Refund { id: RefundId::from_u128(id), amount, reason: "r".to_owned(), state: RefundState::Pending, at: Timestamp::from_millis(1) }
}

#[test]
fn golden_bytes() {
    let row = Intent { refunds: vec![refund(9, 5)], early: vec![Notice::Captured { amount: 3 }], ..intent(Status::Captured) };
    let mut expected = vec![1];
    for id in [1_u8, 0, 2, 3] {
        match id {
            0 => expected.push(0), // the subject's kind
            2 => expected.push(2), // a u128 is a varint
            id => expected.extend([[0; 15].as_slice(), &[id]].concat()),
        }
    }
    expected.extend([0, 1, 0xD0, 0x0F, b'G', b'H', b'S', 4, 0, 2, 0, 1, b's', 1]);
    expected.extend([7; 32]);
    expected.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    expected.extend([[0; 15].as_slice(), &[9, 10, 1, b'r', 0, 2, 1, 3, 6]].concat());
    assert_eq!(row.to_bytes(), expected);
    assert_eq!(Intent::from_bytes(&expected), Some(row));
}

/// The small rows, and the effect's body: it waits in the outbox across an upgrade.
#[test]
fn golden_bytes_of_the_rest() {
    use super::super::carry::Ask;
    use super::super::{model::RefundOf, notices::Seen, provider::Offered};
    assert_eq!(Seen { at: Timestamp::from_millis(1) }.to_bytes(), [1, 2]);
    assert_eq!(Offered { connector: Connector::Sandbox }.to_bytes(), [1, 1]);
    assert_eq!(RefundOf(IntentId::from_u128(1)).to_bytes(), [[1].as_slice(), &[0; 15], &[1]].concat());
    let ask = Ask {
        intent: IntentId::from_u128(1),
        amount: intent(Status::Processing).amount,
        token: Some("t".to_owned()),
        return_url: None,
        refund: None,
    };
    let json = r#"{"intent":"int_00000000000000000000000001","amount":{"amount":1000,"currency":"GHS"},"token":"t"}"#;
    assert_eq!(serde_json::to_string(&ask).expect("encodes"), json);
    assert_eq!(serde_json::from_str::<Ask>(json).expect("decodes"), ask);
}

/// Every command in every state: what it does, or that it is refused.
#[test]
fn commands() {
    use Status::{Authorized, Cancelled, Captured, Expired, Failed, Processing, Refunded, RequiresAction, RequiresPaymentMethod};
    let all = [RequiresPaymentMethod, RequiresAction, Processing, Authorized, Captured, Refunded, Failed, Cancelled, Expired];
    let refund = |amount| Command::Refund { id: RefundId::from_u128(9), amount, reason: String::new(), at: Timestamp::EPOCH };
    let cases: [(Command, &[Status]); 5] = [
        (Command::Confirm { with: [0; 32] }, &[RequiresPaymentMethod]),
        (Command::Capture { amount: None }, &[Authorized]),
        (Command::Cancel, &[RequiresPaymentMethod, RequiresAction, Processing, Authorized]),
        (Command::Expire, &[RequiresPaymentMethod, RequiresAction, Processing]),
        (refund(None), &[Captured]),
    ];
    for (command, possible) in cases {
        for status in all {
            let asked = Intent { captured: 1000, ..intent(status) };
            assert_eq!(decide(&asked, &command).is_ok(), possible.contains(&status), "{command:?} while {status}");
        }
    }
    let range = |amount| decide(&intent(Authorized), &Command::Capture { amount: Some(amount) }).is_ok();
    assert_eq!([0, 1, 1000, 1001, -1].map(range), [false, true, true, false, false]);
    let under_way = Intent { capture_asked: Some(1000), ..intent(Authorized) };
    assert_eq!(decide(&under_way, &Command::Cancel), Err(Refusal::CaptureUnderWay));
    assert_eq!(decide(&under_way, &Command::Capture { amount: None }), Err(Refusal::CaptureUnderWay));
    let partly = Intent { captured: 600, refunds: vec![super::Refund { amount: 500, ..self::refund(8, 0) }], ..intent(Captured) };
    assert!(decide(&partly, &refund(Some(101))).is_err() && decide(&partly, &refund(Some(100))).is_ok(), "a pending refund counts");
    assert_eq!(decide(&intent(Authorized), &Command::CollectCash), Err(Refusal::NotWhile { from: Authorized, to: Captured }), "not cash");
}

/// No event leads where the graph has no edge, whatever a provider says in whatever state.
#[test]
fn every_edge_is_in_the_graph() {
    use Status::{Authorized, Cancelled, Captured, Expired, Failed, Processing, Refunded, RequiresAction, RequiresPaymentMethod};
    let notices = || {
        let refund = RefundId::from_u128(9);
        [
            Notice::ActionRequired { url: String::new() },
            Notice::Authorized,
            Notice::Declined { code: String::new() },
            Notice::Captured { amount: 1000 },
            Notice::CaptureFailed { reason: String::new() },
            Notice::Voided,
            Notice::Refunded { refund },
            Notice::RefundFailed { refund, reason: String::new() },
        ]
    };
    for from in [RequiresPaymentMethod, RequiresAction, Processing, Authorized, Captured, Refunded, Failed, Cancelled, Expired] {
        for notice in notices() {
            let before = Intent { captured: 1000, refunds: vec![refund(9, 1000)], ..intent(from) };
            if let Heard::Apply(event) = hear(&before, &notice) {
                let to = evolve(before, &event).status;
                assert!(to == from || from.allowed().contains(&to), "{notice:?}: {from} to {to}");
            }
        }
    }
}

/// What a provider says about one charge, whole and in order, and what we had asked of it.
#[derive(Clone, Debug)]
struct Story {
    before: Intent,
    says: Vec<Notice>,
    ends: Status,
}

fn any_story() -> impl Strategy<Value = Story> {
    let action = Notice::ActionRequired { url: "u".to_owned() };
    let asked = Intent { capture_asked: Some(1000), ..intent(Status::Processing) };
    let paid = vec![Notice::Authorized, Notice::Captured { amount: 1000 }];
    // A capture that failed is asked for again, and then both answers are under way.
    let second_try = vec![Notice::Authorized, Notice::CaptureFailed { reason: "r".to_owned() }, Notice::Captured { amount: 1000 }];
    let stories = prop_oneof![
        Just((intent(Status::Processing), vec![Notice::Authorized], Status::Authorized)),
        Just((intent(Status::Processing), vec![Notice::Declined { code: "c".to_owned() }], Status::Failed)),
        Just((intent(Status::Processing), vec![Notice::Authorized, Notice::Voided], Status::Cancelled)),
        Just((Intent { void_asked: true, ..intent(Status::Cancelled) }, vec![Notice::Authorized, Notice::Voided], Status::Cancelled)),
        Just((asked.clone(), paid, Status::Captured)),
        Just((asked.clone(), second_try, Status::Captured)),
        vec(1_i64..400, 1..3).prop_map(move |amounts| {
            let refunds: Vec<Refund> = amounts.iter().zip(10..).map(|(amount, id)| refund(id, *amount)).collect();
            let says = [Notice::Authorized, Notice::Captured { amount: 1000 }]
                .into_iter()
                .chain(refunds.iter().map(|refund| Notice::Refunded { refund: refund.id }))
                .collect();
            (Intent { refunds, ..asked.clone() }, says, Status::Captured)
        }),
        Just((
            Intent { refunds: vec![refund(9, 1000)], capture_asked: Some(1000), ..intent(Status::Processing) },
            vec![Notice::Authorized, Notice::Captured { amount: 1000 }, Notice::Refunded { refund: RefundId::from_u128(9) }],
            Status::Refunded
        )),
    ];
    (stories, any::<bool>()).prop_map(move |((before, mut says, ends), with_action)| {
        if with_action {
            says.insert(0, action.clone());
        }
        Story { before, says, ends }
    })
}

fn any_delivery() -> impl Strategy<Value = (Story, Vec<Notice>)> {
    any_story().prop_flat_map(|story| {
        let repeats = vec(prop::sample::select(story.says.clone()), 0..4);
        let says = story.says.clone();
        let delivered = repeats.prop_map(move |repeats| [says.clone(), repeats].concat()).prop_shuffle();
        (Just(story), delivered)
    })
}

fn tell(before: &Intent, notices: &[Notice]) -> (Intent, Vec<Event>) {
    notices.iter().fold((before.clone(), Vec::new()), |(intent, mut events), notice| {
        let received = receive(intent, notice.clone());
        assert_eq!(received.refused, [], "an honest provider contradicts itself nowhere");
        assert_ne!(received.taken, Heard::Refused, "{notice:?}");
        events.extend(received.events);
        (received.intent, events)
    })
}

proptest! {
    /// In whatever order and however often a provider's words arrive, the end is the same, nothing is left unheard, and money moves once.
    #[test]
    fn the_order_of_delivery_does_not_matter((story, delivered) in any_delivery()) {
        let (told, _) = tell(&story.before, &story.says);
        let (shuffled, events) = tell(&story.before, &delivered);
        prop_assert_eq!(told.status, story.ends);
        prop_assert_eq!(&shuffled, &told);
        prop_assert_eq!(&shuffled.early, &[]);
        let captures = events.iter().filter(|event| matches!(event, Event::Captured { .. })).count();
        prop_assert_eq!(captures, usize::from(shuffled.captured > 0));
        let refunds = events.iter().filter(|event| matches!(event, Event::RefundSettled { .. })).count();
        prop_assert_eq!(refunds, shuffled.refunds.iter().filter(|refund| refund.state == RefundState::Settled).count());
    }
}

#[test]
fn ways_back_are_refused() {
    let captured = Intent { captured: 1000, ..intent(Status::Captured) };
    let cases = [
        (captured.clone(), Notice::Authorized, Heard::Known),
        (captured.clone(), Notice::Captured { amount: 999 }, Heard::Refused),
        (captured.clone(), Notice::Voided, Heard::Refused),
        (captured, Notice::Refunded { refund: RefundId::from_u128(77) }, Heard::Refused),
        (intent(Status::Authorized), Notice::Declined { code: String::new() }, Heard::Refused),
        (intent(Status::Authorized), Notice::Captured { amount: 1001 }, Heard::Refused),
        (intent(Status::Cancelled), Notice::Captured { amount: 1000 }, Heard::Refused),
        (intent(Status::Cancelled), Notice::Authorized, Heard::Apply(Event::LateAuthorization)),
        (intent(Status::Expired), Notice::Authorized, Heard::Apply(Event::LateAuthorization)),
        (Intent { void_asked: true, ..intent(Status::Cancelled) }, Notice::Authorized, Heard::Known),
    ];
    for (before, notice, heard) in cases {
        let received = receive(before.clone(), notice.clone());
        assert_eq!(received.taken, heard, "{notice:?} while {}", before.status);
        assert_eq!(received.intent.status, before.status);
    }
}
