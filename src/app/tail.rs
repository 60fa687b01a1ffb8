//! A record of the log in words: what an old leader's end held, for whoever has to make it good.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use storage::ledger::{TRANSFERS, Transfer, TransferId};
use storage::log::Record;
use storage::{Key, KeyPart, Row, changes};

use super::tables::TABLES;
use crate::trade::orders::model::OrderId;
use crate::trade::orders::record::{ORDERS, Order};

/// One line of JSON: each command's changes by table, the orders as they were, and the transfers.
#[must_use]
pub fn tell(record: &Record) -> String {
    let commands = match changes::decode(&record.body, record.count) {
        Ok(commands) => commands.iter().zip(record.first_seq..).map(|(changes, seq)| command(seq, changes)).collect(),
        Err(error) => vec![json!({ "unreadable": error.to_string() })],
    };
    let line = json!({
        "epoch": record.epoch,
        "first_seq": record.first_seq,
        "time_ms": record.time.millis(),
        "hash": record.hash.to_string(),
        "commands": commands,
    });
    format!("{line}\n")
}

fn command(seq: u64, changes: &[(Key, storage::Change)]) -> Value {
    let names: BTreeMap<u16, &str> = TABLES.iter().filter_map(|table| Some((*table.ids().first()?, table.name()))).collect();
    let mut by_table: BTreeMap<String, u64> = BTreeMap::new();
    let (mut orders, mut transfers) = (Vec::new(), Vec::new());
    for (key, change) in changes {
        let Some((table, mut fields)) = key.split_first_chunk::<2>() else { continue };
        let table = u16::from_be_bytes(*table);
        // Index entries follow from their rows.
        let Some(name) = names.get(&table) else { continue };
        *by_table.entry((*name).to_owned()).or_default() += 1;
        let Some(value) = change else { continue };
        if table == ORDERS.id {
            orders.extend(OrderId::decode(&mut fields).zip(Order::from_bytes(value)).map(|(id, order)| show_order(&id, &order)));
        } else if table == TRANSFERS.id {
            transfers.extend(
                TransferId::decode(&mut fields).zip(Transfer::from_bytes(value)).map(|(id, transfer)| show_transfer(&id, &transfer)),
            );
        }
    }
    json!({ "seq": seq, "changes": by_table, "orders": orders, "transfers": transfers })
}

fn show_order(id: &OrderId, order: &Order) -> Value {
    json!({ "id": id.to_string(), "number": order.created.number, "state": order.state.name(), "total": order.total() })
}

fn show_transfer(id: &TransferId, transfer: &Transfer) -> Value {
    json!({
        "id": id.to_string(),
        "debit": transfer.debit.code,
        "credit": transfer.credit.code,
        "amount": transfer.amount,
        "currency": transfer.debit.currency.to_string(),
        "kind": format!("{:?}", transfer.kind),
    })
}
