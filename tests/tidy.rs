//! The house rules that a machine can hold: walls, file length, banned names, unique table ids.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;
const BANNED: [&str; 4] = ["utils", "helpers", "common", "manager"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return files };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                files.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn house() -> Vec<(String, String)> {
    ["src", "storage", "index", "tests", "benches", "fuzz"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, text)
        })
        .collect()
}

/// Which module of `src` a path belongs to: `src/trade/orders/http.rs` → `trade/orders`.
fn room(name: &str) -> String {
    let parts: Vec<&str> = name.trim_start_matches("src/").trim_end_matches(".rs").split('/').collect();
    parts[..parts.len().min(2)].join("/")
}

/// The code without its comments, so that a doc link is no import.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split("//").next().unwrap_or_default())
}

#[test]
fn rooms_are_small() {
    let long: Vec<String> = house()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > LINES_MAX)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines; one file is one thought:\n{}", long.join("\n"));
}

#[test]
fn names_say_something() {
    let bad: Vec<String> = house()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.split('/').any(|part| BANNED.contains(&part.trim_end_matches(".rs"))))
        .collect();
    assert!(bad.is_empty(), "shared code must earn a noun: {bad:?}");
}

/// Who may not import whom inside `src`, as (room prefix, forbidden `crate::` path).
const WALLS: [(&str, &[&str]); 7] = [
    ("replication", &["people", "money", "city", "talk", "trade", "ops", "app", "cli"]),
    ("engine", &["people", "money", "city", "talk", "trade", "ops", "app", "cli"]),
    ("edge", &["people", "money", "city", "talk", "trade", "ops", "app", "cli"]),
    ("people", &["money", "city", "trade", "ops", "app", "cli"]),
    ("money", &["city", "trade", "ops", "app", "cli"]),
    ("city", &["trade", "ops", "app", "cli"]),
    ("mdrp", &["engine", "edge", "people", "money", "city", "trade", "ops", "app", "cli"]),
];

#[test]
fn walls_stand() {
    let mut broken = Vec::new();
    for (name, text) in house() {
        let Some(inside) = name.strip_prefix("src/") else {
            let knows_the_product = name.starts_with("storage/src") || name.starts_with("index/src");
            let other = if name.starts_with("storage") { "index::" } else { "storage::" };
            let starts = |line: &str| line.contains("medina::") || line.trim_start().starts_with(&format!("use {other}"));
            if knows_the_product && code(&text).any(starts) {
                broken.push(format!("{name}: storage and index know nothing of each other or of the product"));
            }
            continue;
        };
        for (from, forbidden) in WALLS {
            if inside.starts_with(&format!("{from}/")) || inside == format!("{from}.rs") {
                for to in forbidden {
                    if code(&text).any(|line| line.contains(&format!("crate::{to}::"))) {
                        broken.push(format!("{name} imports {to}"));
                    }
                }
            }
        }
        if inside.starts_with("trade/") {
            // Carts, quotes and orders are one vertical; others never import each other.
            let family = ["trade/orders", "trade/carts", "trade/quotes"];
            let own = room(&name);
            for line in code(&text).filter(|line| line.contains("crate::trade::")) {
                let other = line.split("crate::trade::").nth(1).unwrap_or_default().split([':', ';', ',', '{']).next().unwrap_or_default();
                let other = format!("trade/{other}");
                let both = family.contains(&own.as_str()) && family.contains(&other.as_str());
                let is_vertical = root().join("src").join(&other).is_dir();
                if is_vertical && other != own && !both && own.starts_with("trade/") && root().join("src").join(&own).is_dir() {
                    broken.push(format!("{name} imports {other}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn domain_code_has_no_clock_and_no_chance_of_its_own() {
    let mut broken = Vec::new();
    for (name, text) in house() {
        let domain = ["src/people/", "src/money/", "src/city/", "src/trade/"].iter().any(|room| name.starts_with(room));
        let is_domain = domain && (name.ends_with("machine.rs") || name.ends_with("commands.rs") || name.contains("/machine/"));
        for banned in ["SystemTime::now", "Instant::now", "rand::", "MachineClock"] {
            if is_domain && code(&text).any(|line| line.contains(banned)) {
                broken.push(format!("{name}: {banned}"));
            }
        }
    }
    assert!(broken.is_empty(), "time, ids and randomness come from the transaction:\n{}", broken.join("\n"));
}

#[test]
fn nothing_is_left_undone_or_unwrapped() {
    let mut found = Vec::new();
    for (name, text) in house().into_iter().filter(|(name, _)| name.starts_with("src/") || name.contains("/src/")) {
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        for mark in ["todo!(", "unimplemented!(", ".unwrap()", "FIXME", "TODO", "XXX"] {
            if !name.contains("_tests") && product.lines().any(|line| line.contains(mark)) {
                found.push(format!("{name}: {mark}"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Every `Table::new(N, …)` and `Index::new(N, …)` in the house has its own number, for ever.
#[test]
fn table_ids_are_unique() {
    let mut ids: BTreeMap<u16, String> = BTreeMap::new();
    let mut twice = Vec::new();
    for (name, text) in house() {
        if !(name.starts_with("src/") || name.starts_with("storage/src/")) {
            continue;
        }
        let product: String =
            text.split("#[cfg(test)]").next().unwrap_or_default().lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for kind in ["Table::new(", "Index::new("] {
            for after in product.split(kind).skip(1) {
                let digits: String = after.trim_start().chars().take_while(char::is_ascii_digit).collect();
                let Ok(id) = digits.parse::<u16>() else { continue };
                if let Some(before) = ids.insert(id, name.clone()) {
                    twice.push(format!("{id} in {before} and {name}"));
                }
            }
        }
    }
    assert!(twice.is_empty(), "{}", twice.join("\n"));
    assert!(ids.len() > 20, "the test found only {} ids: it looks in the wrong place", ids.len());
}

#[test]
fn every_table_is_in_the_inventory() {
    let inventory = fs::read_to_string(root().join("src/app/tables.rs")).expect("the inventory");
    let missing: Vec<String> = house()
        .into_iter()
        .filter(|(name, _)| name.starts_with("src/") || name.starts_with("storage/src/"))
        .flat_map(|(name, text)| {
            let tables: Vec<String> = code(&text)
                .filter_map(|line| {
                    line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub ").strip_prefix("static ")?.split_once(": Table<")
                })
                .map(|(table, _)| table.to_owned())
                .collect();
            tables.into_iter().map(move |table| (name.clone(), table))
        })
        .filter(|(_, table)| !inventory.contains(&format!("&{table},")))
        .map(|(name, table)| format!("{name}: {table}"))
        .collect();
    assert!(missing.is_empty(), "`medina verify` would not see these tables; add them to src/app/tables.rs: {missing:?}");
}
