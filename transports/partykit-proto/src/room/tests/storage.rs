//! Rebuilding a room from what is stored.

use proptest::prelude::*;
use roommate::Id;

use super::*;
use crate::AllowAll;

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
    fn r1_r6_the_records_and_the_frames_both_make_the_room(
        history in prop::collection::vec(changes(), 0..20),
        refusing in any::<bool>(),
        snapshot_after in any::<prop::sample::Index>(),
    ) {
        let config = stock();
        let config = if refusing { config.with_policy(NoB) } else { config.with_policy(AllowAll) };
        let mut room = Room::new(config.clone(), "e");
        let (mut log, mut heard, mut model) = (Vec::new(), Content::new(), Content::new());
        let (outputs, _) = http(&mut room, "PUT", "/store", "[{},{}]");
        log.extend(records(&outputs));
        join(&mut room, ALICE);
        join(&mut room, BOB);
        let mut snapshots = vec![room.snapshot()];
        for changes in &history {
            let outputs = say(&mut room, ALICE, &Wire::default().encode_changes(changes));
            log.extend(records(&outputs));
            for output in &outputs {
                if let Output::Send { frame, .. } = output {
                    heard.apply(&Wire::default().decode_changes(frame).unwrap().value);
                }
            }
            prop_assert_eq!(room.content(), &heard);
            model.apply(changes);
            if !refusing {
                prop_assert_eq!(&heard, &model);
            }
            snapshots.push(room.snapshot());
        }
        let snapshot = snapshot_after.get(&snapshots);
        let whole = stored(&log, &[("e", 0)], ("f", room.seq()));
        let from_snapshot = Opened { snapshot: Some(snapshot.encode()), ..whole.clone() };
        for opened in [whole, from_snapshot] {
            let again = Room::open(config.clone(), opened).unwrap();
            prop_assert_eq!((again.exists(), again.seq(), again.number()), (true, room.seq(), room.number()));
            prop_assert_eq!(again.content(), room.content());
        }
    }
}

#[test]
fn r4_a_room_with_a_record_that_is_missing_or_cannot_be_read_is_not_opened() {
    let mut room = meeting(stock());
    let mut log = records(&http(&mut Room::new(stock(), "e"), "PUT", "/store", CONTENT).0);
    for value in 0..3 {
        log.extend(records(&say(&mut room, ALICE, &format!("s[{{}},{{\"v\":{value}}},1]"))));
    }
    let whole = stored(&log, &[], ("f", 4));
    assert_eq!(Room::open(stock(), whole.clone()).unwrap().content(), room.content());
    let mut gap = whole.clone();
    gap.log.remove(2);
    let mut unreadable = whole.clone();
    unreadable.log[1].records = "[\"changed\",2,2,null,null,[{},7,1]]\n".to_owned();
    let mut too_much = whole.clone();
    too_much.log[1].records = "[\"changed\",2,2,null,null,[{},{\"v\":1e999},1]]\n".to_owned();
    let no_snapshot = Opened { snapshot: Some("{}".to_owned()), ..whole };
    for opened in [gap, unreadable, too_much, no_snapshot] {
        assert_eq!(Room::open(stock(), opened).unwrap_err().kind(), roommate::ErrorKind::Corrupt);
    }
}

#[test]
fn what_the_host_edits_is_sent_to_all_and_makes_the_store() {
    let mut room = Room::new(stock(), "e");
    join(&mut room, ALICE);
    let edit = |room: &mut Room, edit: Edit<'_>| {
        room.handle(Input::Edit { request: RequestId(3), author: Some("host".into()), change: None, edit })
    };
    let mut changes = Changes::new();
    changes.del_value("v");
    let nothing = edit(&mut room, Edit::Apply(&changes));
    assert_eq!(
        nothing,
        [Output::Edited { request: RequestId(3), seq: 0, is_recorded: false }],
        "a deletion makes no store"
    );
    changes.set_value("v", 1.into());
    let made = edit(&mut room, Edit::Apply(&changes));
    assert!(matches!(&*made, [Output::Commit(_), Output::Edited { seq: 1, .. }]), "{made:?}");
    changes.set_value("v", 2.into());
    let outputs = edit(&mut room, Edit::Apply(&changes));
    assert_eq!(sent(&outputs[..2]), (&[ALICE][..], r#"s[{},{"v":2},1]"#));
    let outputs = edit(&mut room, Edit::Replace(&Content::from_json(CONTENT).unwrap().value));
    let (_, frame) = sent(&outputs[..2]);
    assert!(frame.contains("\"open\":true") && frame.contains("\"v\":\"\u{FFFC}\""), "{frame}");
    assert_eq!(get(&mut room), CONTENT);
    let again = edit(&mut room, Edit::Replace(&Content::from_json(CONTENT).unwrap().value));
    assert_eq!(again, [Output::Edited { request: RequestId(3), seq: 3, is_recorded: false }], "it is so already");
}

#[test]
fn the_host_can_make_a_store_only_where_there_is_none_and_change_only_one_that_is_there() {
    let mut room = Room::new(stock(), "e");
    let edit = |room: &mut Room, edit: Edit<'_>| {
        let outputs = room.handle(Input::Edit { request: RequestId(3), author: None, change: None, edit });
        let Some(&Output::Edited { seq, is_recorded, .. }) = outputs.last() else { panic!("{outputs:?}") };
        (seq, is_recorded)
    };
    let mut changes = Changes::new();
    changes.set_value("v", 1.into());
    assert_eq!(edit(&mut room, Edit::Update(&changes)), (0, false));
    assert!(!room.exists());
    assert_eq!(edit(&mut room, Edit::Create(&Content::new())), (1, true));
    assert_eq!(edit(&mut room, Edit::Create(&Content::from_json(CONTENT).unwrap().value)), (1, false));
    assert_eq!(edit(&mut room, Edit::Update(&changes)), (2, true));
    assert_eq!(get(&mut room), r#"[{},{"v":1}]"#);
}

#[test]
fn r7_a_numbered_edit_of_the_host_is_taken_once_also_by_a_room_that_was_opened_again() {
    let mut room = Room::new(RoomConfig::new(), "e");
    let edit = |room: &mut Room, change, edit: Edit<'_>| {
        room.handle(Input::Edit { request: RequestId(3), author: Some("host".into()), change: Some(change), edit })
    };
    let mut changes = Changes::new();
    changes.set_value("v", 1.into());
    let mut log = records(&edit(&mut room, 4, Edit::Create(&Content::new())));
    log.extend(records(&edit(&mut room, 7, Edit::Update(&changes))));
    assert_eq!(log.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2]);
    changes.set_value("v", 2.into());
    let by_another = Input::Edit { request: RequestId(3), author: None, change: None, edit: Edit::Update(&changes) };
    log.extend(records(&room.handle(by_another)));

    let mut opened = Room::open(RoomConfig::new(), stored(&log, &[("e", 0)], ("f", 3))).unwrap();
    changes.set_value("v", 1.into());
    for room in [&mut room, &mut opened] {
        for change in [4, 7] {
            let again = edit(room, change, Edit::Update(&changes));
            assert_eq!(again, [Output::Edited { request: RequestId(3), seq: 3, is_recorded: false }]);
        }
        assert_eq!(get(room), r#"[{},{"v":2}]"#);
    }
}
