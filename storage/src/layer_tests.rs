use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Model = BTreeMap<Vec<u8>, Change>;

fn check(layer: &Layer, model: &Model, from: &[u8], to: &[u8]) {
    let plain = |entries: &mut dyn Iterator<Item = (Key, Change)>| entries.map(|(key, change)| (key.to_vec(), change)).collect::<Vec<_>>();
    let all: Vec<_> = layer.iter().map(|(key, change)| (key.to_vec(), change)).collect();
    assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
    let mut expected: Vec<_> =
        model.iter().filter(|(key, _)| (from..to).contains(&&key[..])).map(|(k, c)| (k.clone(), c.clone())).collect();
    assert_eq!(plain(&mut layer.scan(from, to, Direction::Forward)), expected);
    expected.reverse();
    assert_eq!(plain(&mut layer.scan(from, to, Direction::Backward)), expected);
    assert_eq!(layer.is_empty(), model.is_empty());
    for key in model.keys() {
        assert_eq!(layer.get(key).as_ref(), model.get(key));
        let longer = [&key[..], &[0]].concat();
        assert_eq!(layer.get(&longer).as_ref(), model.get(&longer));
    }
}

#[derive(Clone, Debug)]
enum Op {
    Write(Vec<u8>, Option<Vec<u8>>),
    /// Keeps a copy.
    Keep,
    /// Goes on from a copy that was kept, as after a batch that was forgotten.
    Back(prop::sample::Index),
}

fn any_op() -> impl Strategy<Value = Op> {
    // Few keys, so that they meet again; some too long for a node.
    let key =
        (0_u8..12, any::<bool>()).prop_map(|(name, long)| if long { vec![name; 40 + usize::from(name) * 2] } else { vec![name / 2; 3] });
    prop_oneof![
        8 => (key, proptest::option::of(vec(any::<u8>(), 0..40))).prop_map(|(key, value)| Op::Write(key, value)),
        2 => Just(Op::Keep),
        1 => any::<prop::sample::Index>().prop_map(Op::Back),
    ]
}

proptest! {
    /// It is a map, and whatever is written to the original or to a copy, the other copies stay what they were.
    #[test]
    fn copies_are_pictures(ops in vec(any_op(), 1..200), from in vec(0_u8..12, 0..3), to in vec(0_u8..12, 0..3)) {
        let (mut layer, mut model) = (Layer::new(), Model::new());
        let mut kept = vec![(layer.clone(), model.clone())];
        for op in ops {
            match op {
                Op::Write(key, value) => {
                    let change = value.map(Into::into);
                    layer.insert(&key, change.clone());
                    model.insert(key, change);
                }
                Op::Keep => kept.push((layer.clone(), model.clone())),
                Op::Back(place) => (layer, model) = place.get(&kept).clone(),
            }
        }
        kept.push((layer, model));
        for (layer, model) in &kept {
            check(layer, model, &from, &to);
        }
    }
}

#[test]
fn many_nodes_are_found_again() {
    let mut layer = Layer::new();
    let count = 100_000_u32;
    let key = |n: u32| n.wrapping_mul(0x9E37_79B9).to_be_bytes();
    (0..count).for_each(|n| layer.insert(key(n), Some(n.to_le_bytes().as_slice().into())));
    assert!((0..count).all(|n| layer.get(&key(n)) == Some(Some(n.to_le_bytes().as_slice().into()))));
    assert_eq!(layer.iter().count(), count as usize);
    assert!(layer.iter().map(|(key, _)| key.to_vec()).is_sorted());
}

/// Readers on other threads see whole pictures while the writer writes: in picture `n` each key that was written holds the number of its last write.
#[test]
fn readers_never_wait_and_never_see_more() {
    const KEYS: u32 = 64;
    let shown = arc_swap::ArcSwap::from_pointee((0_u32, Layer::new()));
    let done = AtomicBool::new(false);
    let look = |checked: &mut u64| {
        let picture = shown.load_full();
        let (n, layer) = &*picture;
        let last = |key: u32| (key < *n).then(|| key + (n - 1 - key) / KEYS * KEYS);
        let expected: Vec<u32> = (0..KEYS).filter_map(last).collect();
        let number = |change: &Change| u32::from_le_bytes(change.as_deref().expect("a value").try_into().expect("4 bytes"));
        assert_eq!(layer.iter().map(|(_, change)| number(&change)).collect::<Vec<_>>(), expected);
        let backward = layer.scan(&[], &[0xFF; 8], Direction::Backward).map(|(_, change)| number(&change));
        assert!(backward.eq(expected.into_iter().rev()));
        *checked += 1;
    };
    std::thread::scope(|threads| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                threads.spawn(|| {
                    let mut checked = 0;
                    while !done.load(Ordering::Acquire) {
                        look(&mut checked);
                    }
                    look(&mut checked);
                    checked
                })
            })
            .collect();
        let mut layer = Layer::new();
        for n in 0..20_000_u32 {
            layer.insert((n % KEYS).to_be_bytes(), Some(n.to_le_bytes().as_slice().into()));
            if n % 7 == 0 {
                shown.store(Arc::new((n + 1, layer.clone())));
            }
        }
        shown.store(Arc::new((20_000, layer)));
        done.store(true, Ordering::Release);
        assert!(readers.into_iter().all(|reader| reader.join().expect("a reader ends well") > 0));
    });
}
