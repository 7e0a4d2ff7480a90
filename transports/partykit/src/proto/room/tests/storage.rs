//! What a room is made of again.

use proptest::prelude::*;
use roommate::Id;

use super::*;
use crate::proto::AllowAll;

#[test]
fn a_restored_room_passes_over_what_is_not_its_own() {
    let storage = [
        ("phasStore", Cell::from(1)),
        ("pt\"t\",\"r\",\"c\"", Cell::from(2)),
        ("pvv", Cell::from(3)),
        ("pt\"t\",\"r\"", Cell::from(4)),
        ("t\"t\",\"r\",\"x\"", Cell::from(5)),
        ("px", Cell::from(6)),
        ("hasStore", Cell::from(7)),
    ];
    let storage = storage.map(|(key, cell)| (key.to_owned(), cell));
    let mut room = Room::restore(stock().with_storage_prefix("p"), "e", storage);
    assert!(room.exists());
    assert_eq!(get(&mut room), "[{\"t\":{\"r\":{\"c\":2}}},{\"v\":3}]");
    for falsy in [Cell::Null, Cell::from(false), Cell::from(0), Cell::try_from("").unwrap()] {
        assert!(!Room::restore(stock(), "e", [("hasStore".to_owned(), falsy)]).exists());
    }
}

/// A few ids, so that changes meet.
fn id() -> impl Strategy<Value = Id> {
    prop::sample::select(vec!["a", "b", "", "\"", "1"]).prop_map(Id::from)
}

fn cell() -> impl Strategy<Value = Option<Cell>> {
    prop::option::weighted(0.7, (0..3).prop_map(Cell::from))
}

fn changes() -> impl Strategy<Value = Changes> {
    let cells = prop::collection::vec((id(), cell()), 0..3);
    let row = prop::option::weighted(0.8, cells.prop_map(|cells| cells.into_iter().collect()));
    let rows = prop::collection::vec((id(), row), 0..3);
    let table = prop::option::weighted(0.8, rows.prop_map(|rows| rows.into_iter().collect()));
    let tables = prop::collection::vec((id(), table), 0..3);
    let values = prop::collection::vec((id(), cell()), 0..3);
    (tables, values).prop_map(|(tables, values)| Changes {
        tables: tables.into_iter().collect(),
        values: values.into_iter().collect(),
    })
}

#[derive(Debug)]
struct NoB;

impl Policy for NoB {
    fn can_set_row(&self, _: &Id, row_id: &Id, _: Asker<'_>) -> bool {
        row_id != "b"
    }
    fn can_del_cell(&self, _: &Id, _: &Id, cell_id: &Id, _: Asker<'_>) -> bool {
        cell_id != "b"
    }
    fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
        value_id != "b"
    }
}

proptest! {
    #[test]
    fn r1_r6_the_batches_and_the_frames_both_make_the_room(
        history in prop::collection::vec(changes(), 0..20),
        refusing in any::<bool>(),
    ) {
        let config = stock().with_storage_prefix("p");
        let config = if refusing { config.with_policy(NoB) } else { config.with_policy(AllowAll) };
        let mut room = Room::new(config.clone(), "e");
        let mut storage = BTreeMap::new();
        let mut heard = Content::new();
        let mut model = Content::new();
        let (outputs, _) = http(&mut room, "PUT", "/store", "[{},{}]");
        store(&mut storage, &outputs);
        join(&mut room, ALICE);
        join(&mut room, BOB);
        for changes in &history {
            let outputs = say(&mut room, ALICE, &Wire::default().encode_changes(changes));
            store(&mut storage, &outputs);
            for output in &outputs {
                if let Output::Send { frame, .. } = output {
                    heard.apply(&Wire::default().decode_changes(frame).unwrap().value);
                }
            }
            prop_assert_eq!(&room.content(), &heard);
            model.apply(changes);
            if !refusing {
                prop_assert_eq!(&heard, &model);
            }
        }
        let restored = Room::restore(config, "e", storage);
        prop_assert_eq!(restored.exists(), room.exists());
        prop_assert_eq!(restored.content(), room.content());
    }
}

fn store(storage: &mut BTreeMap<String, Cell>, outputs: &[Output]) {
    for output in outputs {
        if let Output::Commit(batch) = output {
            for key in &batch.deletes {
                storage.remove(key).expect("only what is there is deleted");
            }
            storage.extend(batch.puts.iter().cloned());
        }
    }
}
