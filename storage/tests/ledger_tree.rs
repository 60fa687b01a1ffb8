//! The tree: the known answers of RFC 6962's tests, every proof checked by an implementation that is not ours (Cloudflare's `tlog_tiles`), and leaves in
//! the order of posting.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use storage::disk::SimDisk;
use storage::ledger::tree::tile::{bundled, push_entry};
use storage::ledger::tree::{
    EMPTY_ROOT, Frontier, NodeHash, Pseudonyms, TILE_WIDTH, Tile, TileKind, TileNodes, TileSource, consistency, entry, entry_at, inclusion,
    leaf_hash, node_hash, root, verify_consistency, verify_inclusion,
};
use storage::ledger::{
    AccountKey, Constraint, Currency, LEAVES, Step, TRANSFERS, Transfer, TransferId, TransferKind, expire_due, leaf_count, number_old,
    open, post, post_linked,
};
use storage::{Options, Row, Store, Timestamp, Txn};
use tlog_tiles::{Hash, TileHashReader, TileReader, check_record, check_tree, prove_record, prove_tree, record_hash};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Tiles in memory, made the plain way: rows of whole subtrees.
struct Rows(Vec<Vec<NodeHash>>);

impl Rows {
    fn of(leaves: &[NodeHash]) -> Self {
        let mut rows = vec![leaves.to_vec()];
        while rows.last().is_some_and(|row| row.len() >= TILE_WIDTH as usize) {
            let below = rows.last().expect("it was just looked at");
            rows.push(below.chunks_exact(TILE_WIDTH as usize).map(storage::ledger::tree::tile::tile_root).collect());
        }
        Self(rows)
    }
}

impl TileSource for Rows {
    type Error = Infallible;
    fn tile(&self, tile: Tile) -> Result<Vec<u8>, Infallible> {
        let TileKind::Hashes { level } = tile.kind else { unreachable!("only hashes are asked for") };
        let first = tile.first() as usize;
        Ok(self.0[usize::from(level)][first..first + tile.width as usize].concat())
    }
}

/// The same tiles as a stranger reads them: by their names.
struct Stranger<'a>(&'a Rows);

impl TileReader for Stranger<'_> {
    fn height(&self) -> u8 {
        8
    }
    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            let path = tile.path();
            let name = path.strip_prefix("tile/8/").expect("height 8");
            let tile: Tile = name.parse().unwrap_or_else(|_| panic!("{name} is a tile's name"));
            assert_eq!(tile.to_string(), name);
            let Ok(bytes) = self.0.tile(tile);
            bytes
        };
        Ok(tiles.iter().map(read).collect())
    }
    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

fn leaves(count: u64) -> Vec<NodeHash> {
    (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

fn rows_root(rows: &Rows, size: u64) -> NodeHash {
    let Ok(root) = root(&TileNodes::new(rows, size), size);
    root
}

/// Source: certificate-transparency, `merkle_tree_test` (the inputs and roots of RFC 6962's reference implementation).
#[test]
fn known_answers() {
    let inputs: [&[u8]; 8] = [b"", b"\0", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves: Vec<NodeHash> = inputs.iter().map(|input| leaf_hash(input)).collect();
    let rows = Rows::of(&leaves);
    let mut frontier = Frontier::default();
    assert_eq!((frontier.root(), rows_root(&rows, 0)), (EMPTY_ROOT, EMPTY_ROOT));
    for (leaf, expected) in leaves.iter().zip(roots) {
        frontier.push(*leaf);
        assert_eq!(hex(&frontier.root()), expected, "{} leaves", frontier.size());
        assert_eq!(hex(&rows_root(&rows, frontier.size())), expected, "{} leaves, from tiles", frontier.size());
    }
    assert_eq!(EMPTY_ROOT, tlog_tiles::EMPTY_HASH.0);
}

#[test]
fn names_of_tiles() {
    let hashes = |level, index, width| Tile { kind: TileKind::Hashes { level }, index, width };
    let entries = |index, width| Tile { kind: TileKind::Entries, index, width };
    let cases = [
        ("0/000", hashes(0, 0, 256)),
        ("0/x001/234", hashes(0, 1_234, 256)),
        ("3/x001/x234/067.p/1", hashes(3, 1_234_067, 1)),
        ("entries/999.p/255", entries(999, 255)),
        ("entries/x001/000", entries(1_000, 256)),
    ];
    for (name, tile) in cases {
        assert_eq!((tile.to_string().as_str(), name.parse()), (name, Ok(tile)));
    }
    for bad in [
        "",
        "0",
        "0/",
        "0/0",
        "0/00",
        "0/0000",
        "0/001/234",
        "0/x001",
        "0/x000/001",
        "00/000",
        "8/000",
        "-1/000",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000.p/",
        "0/000.p/1.p/1",
        "data/000",
        "entries/+01",
        "0/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(bad.parse::<Tile>().is_err(), "{bad:?}");
    }
    let tree = 70_000;
    for (tile, is_in) in [
        (hashes(0, 272, 256), true),
        (hashes(0, 273, 112), true),
        (hashes(0, 273, 113), false),
        (hashes(0, 274, 1), false),
        (hashes(1, 1, 17), true),
        (hashes(1, 1, 18), false),
        (hashes(2, 0, 1), true),
        (hashes(2, 0, 2), false),
        (hashes(3, 0, 1), false),
        (entries(273, 112), true),
    ] {
        assert_eq!(tile.is_in(tree), is_in, "{tile}");
    }
    let mut bundle = Vec::new();
    push_entry(&mut bundle, b"one");
    push_entry(&mut bundle, b"");
    assert_eq!(bundled(&bundle), Some(vec![&b"one"[..], b""]));
    assert_eq!(bundled(&bundle[..bundle.len() - 1]), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the sizes: our roots and proofs are what the other implementation computes and accepts from our tiles, ours accepts its proofs, and neither
    /// accepts them for anything else.
    #[test]
    fn proofs_hold_before_strangers(size in prop_oneof![7 => 1_u64..600, 1 => 65_000_u64..66_500], old: u64, leaf: u64, bit in 0_usize..256, which: usize) {
        let (old, leaf) = (1 + old % size, leaf % size);
        let leaves = leaves(size);
        let rows = Rows::of(&leaves);
        let (is, was) = (rows_root(&rows, size), rows_root(&rows, old));
        let stranger = Stranger(&rows);
        let theirs = TileHashReader::new(size, Hash(is), &stranger);
        prop_assert_eq!(tlog_tiles::tree_hash(size, &theirs).expect("our tiles are authentic").0, is);
        prop_assert_eq!(tlog_tiles::tree_hash(old, &theirs).expect("our tiles are authentic").0, was);

        let nodes = TileNodes::new(&rows, size);
        let Ok(path) = inclusion(&nodes, leaf, size);
        let hash = leaves[leaf as usize];
        prop_assert_eq!(hash, record_hash(&leaf.to_be_bytes()).0);
        let as_theirs = |path: &[NodeHash]| path.iter().map(|hash| Hash(*hash)).collect::<Vec<_>>();
        prop_assert!(check_record(&as_theirs(&path), size, Hash(is), leaf, Hash(hash)).is_ok());
        prop_assert!(verify_inclusion(&path, leaf, &hash, size, &is));
        let made = prove_record(size, leaf, &theirs).expect("they can make one");
        prop_assert!(made == as_theirs(&path));
        prop_assert!(!verify_inclusion(&path, (leaf + 1) % size, &hash, size, &is) || size == 1);
        prop_assert!(!verify_inclusion(&path, leaf, &hash, size, &was) || old == size);
        prop_assert!(!verify_inclusion(&path, leaf, &leaf_hash(b"other"), size, &is));

        let Ok(grown) = consistency(&nodes, old, size);
        prop_assert!(check_tree(&as_theirs(&grown), size, Hash(is), old, Hash(was)).is_ok());
        prop_assert!(verify_consistency(&grown, old, &was, size, &is));
        prop_assert!(prove_tree(size, old, &theirs).expect("they can make one") == as_theirs(&grown));
        prop_assert!(verify_consistency(&[], 0, &EMPTY_ROOT, size, &is));

        // One bit of anything turned over.
        let turn = |mut hash: NodeHash| { hash[bit / 8] ^= 1 << (bit % 8); hash };
        prop_assert!(!verify_consistency(&grown, old, &turn(was), size, &is));
        prop_assert!(!verify_consistency(&grown, old, &was, size, &turn(is)));
        let is_in = |path: &[NodeHash]| verify_inclusion(path, leaf, &hash, size, &is);
        let only_grew = |path: &[NodeHash]| verify_consistency(path, old, &was, size, &is);
        for (path, accepts) in [(&path, &is_in as &dyn Fn(&[NodeHash]) -> bool), (&grown, &only_grew)] {
            if !path.is_empty() {
                let mut forged = path.clone();
                let at = which % forged.len();
                forged[at] = turn(forged[at]);
                prop_assert!(!accepts(&forged));
                prop_assert!(!accepts(&path[1..]) && !accepts(&path[..path.len() - 1]));
                prop_assert!(!accepts(&[&path[..], &path[..1]].concat()));
            }
        }
    }
}

// ---- leaves

const GHS: Currency = Currency(*b"GHS");

fn key(code: u16, owner: u128) -> AccountKey {
    AccountKey { code, owner, currency: GHS }
}

fn books() -> Store {
    let options = Options { segment_bytes: 64 << 10, cache_bytes: 1 << 20, ..Options::with_seed([2; 32]) };
    let mut store = Store::open(Arc::new(SimDisk::new(5)), Path::new("data"), options).expect("a new folder opens");
    store.begin(Timestamp::from_millis(1_000));
    run(&mut store, |txn| {
        for owner in 1..4 {
            open(txn, key(1, owner), Constraint::None);
        }
    });
    store
}

fn run<T>(store: &mut Store, command: impl FnOnce(&mut Txn<'_>) -> T) -> T {
    match store.run(|txn| Ok::<T, ()>(command(txn))) {
        Ok((_, value)) => value,
        Err(()) => unreachable!("the command never refuses"),
    }
}

fn step(id: u128, kind: TransferKind) -> Step {
    Step { id: TransferId::from_u128(id), debit: key(1, 1), credit: key(1, 2), amount: 5, kind, code: 7, subject: 9 }
}

fn posted(store: &Store) -> Vec<u128> {
    LEAVES.scan(store.head()).map(|(_, leaf)| leaf.0.as_u128()).collect()
}

fn entries(store: &Store, names: &Pseudonyms) -> Vec<[u8; 163]> {
    (0..leaf_count(store.head())).map(|leaf| entry_at(store.head(), leaf, names).expect("every leaf has a transfer")).collect()
}

#[test]
fn leaves_are_transfers_in_the_order_of_posting_and_never_change() {
    let (mut store, names) = (books(), Pseudonyms::new([3; 32]));
    let hold = |id, at| step(id, TransferKind::Pending { expires_at: Some(Timestamp::from_millis(at)) });
    run(&mut store, |txn| {
        post(txn, &step(50, TransferKind::Single)).expect("it is posted");
        post(txn, &hold(40, 9_000)).expect("it is held");
        post(txn, &hold(30, 2_000)).expect("it is held");
        post(txn, &step(50, TransferKind::Single)).expect("a repeat is recognised");
        // A chain that is refused leaves no gap.
        let chain = [step(20, TransferKind::Single), step(21, TransferKind::Post { pending: TransferId::from_u128(99) })];
        assert!(post_linked(txn, &chain).is_err());
    });
    assert_eq!(posted(&store), [50, 40, 30]);
    let before = entries(&store, &names);
    store.commit().expect("the disk is healthy");
    store.begin(Timestamp::from_millis(3_000));
    run(&mut store, |txn| {
        post(txn, &step(10, TransferKind::Post { pending: TransferId::from_u128(40) })).expect("it is posted");
        assert_eq!(expire_due(txn, 10), 1);
    });
    let after = entries(&store, &names);
    assert_eq!((posted(&store)[3], after.len()), (10, 5));
    assert_eq!(after[..3], before, "an outcome is no part of the leaf");
    for (leaf, id) in posted(&store).into_iter().enumerate() {
        assert_eq!(TRANSFERS.get(store.head(), &TransferId::from_u128(id)).and_then(|transfer| transfer.leaf), Some(leaf as u64));
    }
}

#[test]
fn a_rewritten_transfer_has_another_root() {
    let (mut store, names) = (books(), Pseudonyms::new([3; 32]));
    run(&mut store, |txn| (1..=20).for_each(|id| assert!(post(txn, &step(id, TransferKind::Single)).is_ok())));
    let root = |store: &Store| {
        let mut frontier = Frontier::default();
        entries(store, &names).iter().for_each(|entry| frontier.push(leaf_hash(entry)));
        frontier.root()
    };
    let honest = root(&store);
    let id = TransferId::from_u128(13);
    let written = TRANSFERS.get(store.head(), &id).expect("it was posted");
    let rewritten = [
        Transfer { amount: 6, ..written },
        Transfer { at: Timestamp::from_millis(2), ..written },
        Transfer { code: 8, ..written },
        Transfer { subject: 10, ..written },
        Transfer { kind: TransferKind::Pending { expires_at: None }, ..written },
        Transfer { debit: key(1, 3), ..written },
        Transfer { credit: AccountKey { code: 2, ..written.credit }, ..written },
    ];
    for other in rewritten {
        run(&mut store, |txn| TRANSFERS.put(txn, &id, &other));
        assert_ne!(root(&store), honest, "{other:?}");
    }
    run(&mut store, |txn| TRANSFERS.put(txn, &id, &written));
    assert_eq!(root(&store), honest);
}

/// The bytes of FORMAT.md's example: a leaf is for ever.
#[test]
fn the_bytes_of_a_leaf() {
    let names = Pseudonyms::new([3; 32]);
    let transfer = Transfer {
        debit: key(1, 0),
        credit: key(2_400, 2),
        amount: 300,
        kind: TransferKind::Pending { expires_at: Some(Timestamp::from_millis(5)) },
        code: 4,
        subject: 5,
        at: Timestamp::from_millis(1),
        outcome: None,
        leaf: Some(9),
    };
    let bytes = entry(TransferId::from_u128(1), &transfer, &names);
    let fixed = "01 00000000000000000000000000000001 0000000000000001 0004 01 00000000000000000000000000000000 0000000000000005 000000000000012c \
                 474853 0001";
    let expected =
        format!("{}{}0960{}{}", fixed.replace(' ', ""), "00".repeat(32), hex(&names.owner(&transfer.credit)), hex(&names.subject(5)));
    assert_eq!(hex(&bytes), expected);
    assert_eq!(hex(&names.owner(&transfer.credit)), hex(&keyed(&[3; 32], b"owner", 2_400, 2)));
    assert_eq!(hex(&names.subject(5)), hex(&keyed(&[3; 32], b"subject", 0, 5)));
    assert_ne!(names.owner(&key(1, 2)), names.owner(&key(2, 2)), "one owner, two kinds of account: two names");
}

fn keyed(secret: &[u8; 32], what: &[u8], code: u16, id: u128) -> [u8; 32] {
    *blake3::keyed_hash(secret, &[what, &[0], &code.to_be_bytes(), &id.to_be_bytes()].concat()).as_bytes()
}

#[test]
fn transfers_of_before_the_tree_get_their_places_once() {
    let mut store = books();
    // Version 1 of the row had no leaf at its end.
    run(&mut store, |txn| {
        for (id, at) in [(1_u128, 30), (2, 10), (3, 10)] {
            let transfer = Transfer {
                debit: key(1, 1),
                credit: key(1, 2),
                amount: 5,
                kind: TransferKind::Single,
                code: 1,
                subject: 0,
                at: Timestamp::from_millis(at),
                outcome: None,
                leaf: None,
            };
            let mut old = transfer.to_bytes();
            (old[0], _) = (1, old.pop());
            assert_eq!(Transfer::from_bytes(&old), Some(transfer), "version 1 is read");
            TRANSFERS.put(txn, &TransferId::from_u128(id), &transfer);
        }
    });
    assert_eq!(run(&mut store, number_old), 3);
    assert_eq!(posted(&store), [2, 3, 1], "by time, then by id");
    assert_eq!(run(&mut store, number_old), 0);
    run(&mut store, |txn| post(txn, &step(60, TransferKind::Single)).expect("it is posted"));
    assert_eq!(posted(&store), [2, 3, 1, 60]);
}

#[test]
fn a_node_is_not_a_leaf() {
    let (left, right) = (leaf_hash(b"l"), leaf_hash(b"r"));
    assert_ne!(leaf_hash(&[left, right].concat()), node_hash(&left, &right));
}
