//! Against the obvious model: a vector of pairs, and for slots one of options.

use proptest::{collection::vec, prelude::*};

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Insert(u8, u32),
    Remove(u8),
    /// Takes out this number of entries, and restores them in their slots.
    TakeAndRestore(Vec<u8>),
    /// Adds entries at the end and cuts them off again.
    PushAndCut(Vec<u8>),
    Retain(u32),
    Clone,
}

proptest! {
    #[test]
    fn a_map_is_a_list_of_pairs_whatever_happens_to_it(ops in vec(op(), 0..300), few in any::<bool>()) {
        let id = |n: u8| format!("id {}", if few { n % 16 } else { n });
        let mut map = Map::new();
        let mut model: Vec<(String, u32)> = Vec::new();
        let mut clones = Vec::new();
        for op in ops {
            match op {
                Op::Insert(n, value) => {
                    let known = model.iter_mut().find(|(known, _)| *known == id(n));
                    let expected = known.as_ref().map(|(_, value)| *value);
                    match known {
                        Some((_, known)) => *known = value,
                        None => model.push((id(n), value)),
                    }
                    prop_assert_eq!(map.insert(id(n), value), expected);
                }
                Op::Remove(n) => {
                    let at = model.iter().position(|(known, _)| *known == id(n));
                    prop_assert_eq!(map.remove(&id(n)), at.map(|at| model.remove(at).1));
                }
                Op::TakeAndRestore(ns) => {
                    let slots: Vec<_> = ns.iter().filter_map(|n| map.slot(&id(*n))).collect();
                    let taken: Vec<_> = slots.iter().filter_map(|slot| Some((*slot, map.take(*slot)?))).collect();
                    for (slot, (id, value)) in taken.into_iter().rev() {
                        prop_assert!(map.slot(&id).is_none());
                        map.restore(slot, id, value);
                    }
                }
                Op::PushAndCut(ns) => {
                    let end = map.slots();
                    for n in &ns {
                        map.get_or_default(&Id::from(format!("new {n}")));
                    }
                    for slot in end..map.slots() {
                        map.take(slot);
                    }
                    map.cut_holes(end);
                    prop_assert_eq!(map.slots(), end);
                }
                Op::Retain(of) => {
                    map.retain(|_, value| *value % 4 != of % 4);
                    model.retain(|(_, value)| *value % 4 != of % 4);
                }
                Op::Clone => clones.push((map.clone(), model.clone())),
            }
            prop_assert!(map.slots() <= 2 * map.len() + UNINDEXED, "holes were left to pile up");
            clones.truncate(4);
            for (map, model) in clones.iter().chain([&(map.clone(), model.clone())]) {
                let read: Vec<_> = map.iter().map(|(id, value)| (id.to_string(), *value)).collect();
                prop_assert_eq!(&read, model);
                prop_assert_eq!(map.len(), model.len());
                prop_assert_eq!(map.iter().len(), model.len());
            }
            for n in 0..=255 {
                let expected = model.iter().find(|(known, _)| *known == id(n)).map(|(_, value)| value);
                prop_assert_eq!(map.get(&id(n)), expected);
            }
        }
        let ids: Vec<_> = (0..=255).map(|n| Id::from(id(n))).collect();
        let slots: Vec<_> = ids.iter().map(|id| map.slot(id)).collect();
        prop_assert_eq!(map.slots_of(ids.iter()), slots);
        let owned: Vec<_> = map.clone().into_iter().map(|(id, value)| (id.to_string(), value)).collect();
        prop_assert_eq!(&owned, &model);
        let turned: Map<u32> = model.into_iter().rev().collect();
        prop_assert_eq!(&turned, &map);
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (any::<u8>(), any::<u32>()).prop_map(|(n, value)| Op::Insert(n, value)),
        4 => any::<u8>().prop_map(Op::Remove),
        1 => vec(any::<u8>(), 0..8).prop_map(Op::TakeAndRestore),
        1 => vec(any::<u8>(), 0..100).prop_map(Op::PushAndCut),
        1 => any::<u32>().prop_map(Op::Retain),
        1 => Just(Op::Clone),
    ]
}

#[test]
fn what_a_clone_is_told_its_original_does_not_hear() {
    let mut map: Map<usize> = (0..1000).map(|n| (n.to_string(), n)).collect();
    let clone = map.clone();
    map.insert("500", 0);
    map.remove("7");
    map.insert("new", 1);
    assert_eq!(clone.len(), 1000);
    assert_eq!(clone["500"], 500);
    assert_eq!(clone["7"], 7);
    assert!(!clone.contains("new"));
    assert!(map.contains("new") && !map.contains("7"));
}

#[test]
fn holes_do_not_outlive_a_multitude_of_removals() {
    let mut map: Map<usize> = (0..1000).map(|n| (n.to_string(), n)).collect();
    for n in 0..990 {
        map.remove(&n.to_string());
    }
    assert!(map.slots() < 40);
    assert_eq!(map.keys().map(Id::as_str).next(), Some("990"));
}

#[test]
fn a_map_that_is_filled_and_emptied_again_and_again_does_not_grow() {
    let mut map: Map<usize> = Map::new();
    for round in 0..20 {
        for n in 0..500 {
            map.insert(format!("{round} {n}"), n);
        }
        for n in 0..500 {
            assert_eq!(map.remove(&format!("{round} {n}")), Some(n));
        }
        assert!(map.is_empty() && map.iter().next().is_none());
        assert!(map.slots() <= UNINDEXED && map.full().is_empty());
    }
}

#[test]
fn a_queue_of_entries_takes_no_more_slots_than_twice_its_length() {
    let mut map: Map<usize> = Map::new();
    for n in 0..10_000 {
        map.insert(n.to_string(), n);
        if n >= 100 {
            map.remove(&(n - 100).to_string());
        }
        assert!(map.slots() <= 2 * 100 + UNINDEXED + 1);
    }
    assert!(map.values().copied().eq(9_900..10_000));
}

#[test]
fn a_removal_touches_the_chunk_of_its_entry_and_no_other() {
    let mut map: Map<usize> = (0..100 * CHUNK).map(|n| (n.to_string(), n)).collect();
    let clone = map.clone();
    map.remove("777");
    let own: Vec<_> = (0..99).filter(|at| !Arc::ptr_eq(&map.full()[*at], &clone.full()[*at])).collect();
    assert_eq!(own, [777 / CHUNK]);
    map.retain(|_, n| *n < 70 * CHUNK);
    assert!(map.values().copied().eq((0..70 * CHUNK).filter(|n| *n != 777)));
    assert!(clone.values().copied().eq(0..100 * CHUNK));
}
