//! Tables: what is read, what is written, what is left alone.

use std::panic::{AssertUnwindSafe, catch_unwind};

use roommate::{ANY, Changes, Engine, Error, ErrorKind, Memory, Row, Store, TablesSchema, TypedRow, block_on};

use super::{Chip, LEAST, Pet, Species, fido, pets};

#[test]
fn a_struct_comes_back_as_it_went() {
    let (store, pets) = pets("{}");
    pets.set("fido", &fido()).unwrap();
    assert_eq!(pets.get("fido").unwrap(), Some(fido()));
    assert_eq!(pets.get("felix").unwrap(), None);
    assert_eq!(
        store.tables_json().replace('\u{FFFD}', "@"),
        concat!(
            r#"{"pets":{"fido":{"name":"Fido","species":"dog","legs":4,"weight":30.5,"isIndoors":false,"#,
            r#""soldTo":"ann","tags":"@[\"good\",\"loud\"]","chip":"@{\"number\":7,\"clinic\":null}","#,
            r#""favourite toy":null}}}"#
        )
    );
}

#[test]
fn what_a_web_page_wrote_is_read() {
    let (_store, pets) = pets(
        r#"{"rex":{"name":"Rex","species":"dog","legs":3.0,"weight":1e1,"isIndoors":true,"unknown":[1],
            "tags":"\ufffd[ \"a\" ]","chip":{"clinic":"x","number":9,"more":1},"favourite toy":"ball"}}"#,
    );
    let rex = Pet {
        name: "Rex".into(),
        legs: 3,
        weight: 10.0,
        is_indoors: true,
        sold_to: None,
        tags: vec!["a".into()],
        chip: Some(Chip { number: 9, clinic: Some("x".into()) }),
        r#type: Some("ball".try_into().unwrap()),
        ..fido()
    };
    assert_eq!(pets.get("rex").unwrap(), Some(rex));
}

#[test]
fn absent_cells_are_none_or_the_default() {
    let (_store, pets) = pets(&format!(r#"{{"felix":{LEAST}}}"#));
    let felix = Pet {
        name: "Felix".into(),
        species: Species::Cat,
        weight: 3.0,
        is_indoors: true,
        sold_to: None,
        tags: Vec::new(),
        chip: None,
        r#type: None,
        ..fido()
    };
    assert_eq!(pets.get("felix").unwrap(), Some(felix));
}

#[test]
fn what_does_not_fit_is_an_error_that_says_where_and_what() {
    for (cell, json, message) in [
        ("name", "7", r#"expected a text, found the number 7"#),
        ("name", "null", r#"expected a text, found null"#),
        ("species", r#""cow""#, r#"expected one of "dog", "felis catus", found the text "cow""#),
        ("species", "true", r#"expected one of "dog", "felis catus", found true"#),
        ("legs", "4.5", "expected a whole number from 0 to 255, found the number 4.5"),
        ("legs", "-1", "expected a whole number from 0 to 255, found the number -1"),
        ("legs", "256", "expected a whole number from 0 to 255, found the number 256"),
        ("legs", r#""4""#, r#"expected a whole number from 0 to 255, found the text "4""#),
        ("weight", r#""\ufffd{}""#, "expected a number, found an object"),
        ("isIndoors", "1", "expected a boolean, found the number 1"),
        ("soldTo", r#""\ufffd[]""#, "expected a text, found an array"),
        ("tags", r#""a""#, r#"it does not fit: invalid type: string "a", expected a sequence"#),
        ("chip", r#""\ufffd{\"number\":-1}""#, "it does not fit: invalid value: integer `-1`, expected u64"),
    ] {
        let (store, pets) = pets(&format!(r#"{{"felix":{LEAST}}}"#));
        store.apply_changes(&Changes::from_json(&cell_json(cell, json)).unwrap().value).unwrap();
        let error = pets.get("felix").unwrap_err();
        let expected = format!(r#"row "felix" of table "pets": cell "{cell}": {message}"#);
        assert!(error.to_string().starts_with(&expected), "{error}\nis not\n{expected}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(pets.update("felix", |_| ()).unwrap_err().to_string(), error.to_string());
    }
    let (_store, pets) = pets(r#"{"felix":{"name":"Felix"}}"#);
    let error = pets.get("felix").unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"row "felix" of table "pets": cell "species": there is no such cell, and no default"#
    );
}

fn cell_json(cell: &str, json: &str) -> String {
    format!(r#"[{{"pets":{{"felix":{{"{cell}":{json}}}}}}},{{}},1]"#)
}

#[test]
fn a_row_that_does_not_fit_is_an_error_in_its_place_and_ends_nothing() {
    let (_store, pets) = pets(&format!(r#"{{"a":{LEAST},"b":{{"name":1}},"c":{LEAST}}}"#));
    let rows: Vec<_> = pets.iter().map(|row| row.map(|(id, pet)| (id.to_string(), pet.name)).ok()).collect();
    assert_eq!(rows, [Some(("a".into(), "Felix".into())), None, Some(("c".into(), "Felix".into()))]);
    assert_eq!(pets.ids(), ["a", "b", "c"]);
    assert_eq!((pets.len(), pets.contains("b"), pets.contains("d"), pets.is_empty()), (3, true, false, false));
    assert_eq!(pets.iter().collect::<Result<Vec<_>, _>>().unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn what_no_cell_can_stand_for_is_an_error_and_writes_nothing() {
    type Spoil = fn(&mut Pet);

    let (store, pets) = pets(&format!(r#"{{"felix":{LEAST}}}"#));
    let before = store.content();
    let cases: [(&str, Spoil); 4] = [
        ("weight", |pet| pet.weight = f64::NAN),
        ("name", |pet| pet.name = "\u{FFFC}".into()),
        ("chip", |pet| pet.chip = Some(Chip { number: u64::MAX, clinic: None })),
        ("chip", |pet| pet.chip = Some(Chip { number: (1 << 53) + 1, clinic: None })),
    ];
    for (cell, spoil) in cases {
        let mut spoilt = fido();
        spoil(&mut spoilt);
        let at = format!(r#"row "felix" of table "pets": cell "{cell}": "#);
        for error in [
            pets.set("felix", &spoilt).unwrap_err(),
            pets.set_partial("felix", &spoilt).unwrap_err(),
            pets.update("felix", spoil).unwrap_err(),
        ] {
            assert!(error.to_string().starts_with(&at), "{error}");
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        let error = pets.add(&spoilt).unwrap_err();
        assert!(error.to_string().starts_with(r#"a new row of table "pets": cell "#), "{error}");
    }
    let error = pets.set_cell("felix", Pet::WEIGHT, f64::INFINITY).unwrap_err();
    assert!(error.to_string().starts_with(r#"row "felix" of table "pets": cell "weight": "#), "{error}");
    assert_eq!(store.content(), before);
}

#[test]
fn an_update_writes_what_it_changed_and_keeps_what_it_does_not_know() {
    let (store, pets) = pets(&format!(r#"{{"felix":{LEAST}}}"#));
    store.set_cell("pets", "felix", "unknown", 1).unwrap();
    store.set_cell("pets", "felix", "soldTo", "ann").unwrap();
    store.set_cell("pets", "felix", "chip", ()).unwrap();
    let mut expected = Changes::new();
    expected.set_cell("pets", "felix", "legs", 3.into());
    expected.del_cell("pets", "felix", "soldTo");
    let _listener = store.add_did_finish_transaction_listener(move |event| assert_eq!(event.changes(), expected));
    let updated = pets.update("felix", |pet| {
        pet.legs -= 1;
        pet.sold_to = None;
        pet.seen = 5;
    });
    assert_eq!(updated.unwrap().unwrap().legs, 3);
    assert!(store.has_cell("pets", "felix", "unknown"));
    assert!(store.has_cell("pets", "felix", "chip"), "read as `None`, and left as it is");
    assert!(!store.has_cell("pets", "felix", "tags"), "read as the default, and left as it is");
}

#[test]
fn an_update_of_no_row_is_none_and_calls_nothing() {
    let (store, pets) = pets("{}");
    assert_eq!(pets.update("nobody", |_| unreachable!("there is no such row")).unwrap(), None);
    assert!(!store.has_tables());
}

#[test]
fn an_update_that_fails_leaves_the_transaction_around_it_and_one_that_panics_rolls_it_back() {
    let (store, pets) = pets(&format!(r#"{{"felix":{LEAST},"bad":{{"name":1}}}}"#));
    let failed = store.transaction(|store| {
        store.set_value("kept", true)?;
        Ok::<_, Error>(
            pets.update("bad", |_| ()).is_err() && pets.update("felix", |pet| pet.weight = f64::NAN).is_err(),
        )
    });
    assert!(failed.unwrap());
    assert!(store.has_value("kept"));

    let before = store.content();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        store.transaction(|store| {
            store.set_value("lost", true)?;
            pets.update("felix", |_| panic!("no"))
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(store.content(), before);
}

#[test]
fn set_replaces_the_row_and_set_partial_leaves_the_rest() {
    let (store, pets) = pets(&format!(r#"{{"felix":{LEAST}}}"#));
    let more = fido().to_row().unwrap();
    store.set_partial_row("pets", "felix", more.iter()).unwrap();
    store.set_cell("pets", "felix", "unknown", 1).unwrap();
    let less = Pet { sold_to: None, ..fido() };
    pets.set_partial("felix", &less).unwrap();
    assert_eq!(pets.get("felix").unwrap(), Some(fido()), "a field that is none was left");
    assert!(store.has_cell("pets", "felix", "unknown"));
    pets.set("felix", &less).unwrap();
    assert_eq!(store.row("pets", "felix"), less.to_row().unwrap());
}

#[test]
fn a_row_without_cells_is_none_so_setting_it_deletes() {
    #[derive(Row, Debug, PartialEq)]
    struct Note {
        text: Option<String>,
    }

    let store = Store::new();
    let notes = store.table_of::<Note>("notes");
    notes.set("a", &Note { text: Some("x".into()) }).unwrap();
    notes.set("a", &Note { text: None }).unwrap();
    assert_eq!(notes.get("a").unwrap(), None);
    assert!(!store.has_table("notes"));
    assert_eq!(notes.add(&Note { text: None }).unwrap_err().kind(), ErrorKind::Invalid);

    store.set_cell("notes", "b", "other", 1).unwrap();
    assert_eq!(notes.get("b").unwrap(), Some(Note { text: None }), "but one with other cells is there");
    notes.set_cell("b", Note::TEXT, Some("x".into())).unwrap();
    notes.update("b", |note| note.text = None).unwrap();
    assert_eq!(store.cell_ids("notes", "b"), ["other"]);
}

#[test]
fn rows_are_added_under_new_ids_and_deleted() {
    let (_store, pets) = pets("{}");
    let first = pets.add(&fido()).unwrap();
    let second = pets.add(&fido()).unwrap();
    assert_eq!(pets.ids(), [first.clone(), second.clone()]);
    pets.del(&first).unwrap();
    pets.del("nobody").unwrap();
    assert_eq!(pets.iter().map(|row| row.unwrap()).collect::<Vec<_>>(), [(second, fido())]);
}

#[test]
fn one_cell_is_read_and_written_as_its_type_whatever_the_others_are() {
    let (store, pets) = pets(r#"{"felix":{"legs":4,"name":false}}"#);
    assert!(pets.get("felix").is_err());
    assert_eq!(pets.cell("felix", Pet::LEGS).unwrap(), Some(4));
    assert_eq!(pets.cell("felix", Pet::SOLD_TO).unwrap(), Some(None));
    assert_eq!(pets.cell("felix", Pet::IS_INDOORS).unwrap(), Some(true), "the default");
    assert_eq!(pets.cell("nobody", Pet::IS_INDOORS).unwrap(), None);
    assert!(pets.cell("felix", Pet::NAME).is_err());
    assert!(pets.cell("felix", Pet::SPECIES).is_err(), "it is missing");

    pets.set_cell("felix", Pet::NAME, "Felix".into()).unwrap();
    pets.set_cell("felix", Pet::SOLD_TO, Some("ann".into())).unwrap();
    pets.set_cell("felix", Pet::TAGS, vec!["a".into()]).unwrap();
    assert_eq!(pets.cell("felix", Pet::TAGS).unwrap(), Some(vec!["a".into()]));
    pets.set_cell("felix", Pet::SOLD_TO, None).unwrap();
    assert_eq!(store.cell_ids("pets", "felix"), ["legs", "name", "tags"]);
}

#[test]
fn an_id_is_taken_wherever_the_store_takes_one() {
    let (store, pets) = pets("{}");
    let _listener = store.add_cell_listener("pets", ANY, Pet::SOLD_TO, |event| {
        event.store.set_value(event.cell_id, event.new.unwrap()).unwrap();
    });
    pets.set("fido", &fido()).unwrap();
    assert_eq!(store.value(Pet::SOLD_TO.as_ref()), Some("ann".try_into().unwrap()));
    store.set_cell("pets", "fido", Pet::SOLD_TO, "ben").unwrap();
    assert_eq!(store.value("soldTo"), Some("ben".try_into().unwrap()));
    assert_eq!(Pet::CELL_IDS[5], Pet::SOLD_TO.as_str());
}

#[test]
fn two_types_are_two_views_of_one_table() {
    #[derive(Row, Debug, PartialEq)]
    struct Name {
        name: String,
    }

    let (store, pets) = pets("{}");
    pets.set("fido", &fido()).unwrap();
    let names = store.table_of::<Name>("pets");
    assert_eq!(names.get("fido").unwrap(), Some(Name { name: "Fido".into() }));
    names.update("fido", |row| row.name = "Rex".into()).unwrap();
    assert_eq!(pets.get("fido").unwrap(), Some(Pet { name: "Rex".into(), ..fido() }));
}

#[test]
fn clients_that_update_different_fields_of_a_row_keep_both() {
    block_on(async {
        let place = Memory::new();
        let (ann, ann_pets) = pets("{}");
        let (ben, ben_pets) = pets("{}");
        let ann_engine = Engine::new(&ann, place.client());
        let ben_engine = Engine::new(&ben, place.client());
        ann_pets.set("fido", &fido()).unwrap();
        ann_engine.load().await.unwrap();
        ann_engine.save().await.unwrap();
        ben_engine.load().await.unwrap();

        ann_pets.update("fido", |pet| pet.legs = 3).unwrap();
        ben_pets.update("fido", |pet| pet.name = "Rex".into()).unwrap();
        ann_engine.save().await.unwrap();
        ben_engine.save().await.unwrap();
        ann_engine.load().await.unwrap();
        ben_engine.load().await.unwrap();
        let both = Pet { legs: 3, name: "Rex".into(), ..fido() };
        assert_eq!(ann_pets.get("fido").unwrap(), Some(both.clone()));
        assert_eq!(ben_pets.get("fido").unwrap(), Some(both));
    });
}

#[test]
fn a_schema_says_what_the_struct_can_read() {
    let schema = TablesSchema::new().with_table_of::<Pet>("pets").unwrap();
    let any = r#""type":["string","number","boolean","object","array"]"#;
    let expected = concat!(
        r#"{"pets":{"name":{"type":"string","required":true},"#,
        r#""species":{"enum":["dog","felis catus"],"required":true},"legs":{"type":"number","required":true},"#,
        r#""weight":{"type":"number","required":true},"isIndoors":{"type":"boolean","default":true},"#,
        r#""soldTo":{"type":"string"},"tags":{ANY,"default":[]},"chip":{ANY},"#,
        r#""favourite toy":{ANY,"allowNull":true}}}"#
    );
    assert_eq!(schema.to_json(), expected.replace("ANY", any));

    let store = Store::new();
    store.set_tables_schema(schema).unwrap();
    let pets = store.table_of::<Pet>("pets");
    store.set_row("pets", "nameless", [("legs", 4)]).unwrap();
    assert!(pets.is_empty());
    store.set_tables_json(&format!(r#"{{"pets":{{"felix":{LEAST}}}}}"#)).unwrap();
    store.set_cell("pets", "felix", "species", "cow").unwrap();
    assert_eq!(pets.get("felix").unwrap().unwrap().species, Species::Cat);
    assert_eq!(store.cell("pets", "felix", "isIndoors"), Some(true.into()));
}

#[test]
fn a_default_that_no_cell_can_hold_is_found_by_the_schema() {
    #[derive(Row, Debug)]
    struct Note {
        #[row(default = f64::NAN)]
        weight: f64,
    }
    let error = TablesSchema::new().with_table_of::<Note>("notes").unwrap_err();
    assert!(error.to_string().starts_with(r#"table "notes": cell "weight": a cell cannot hold NaN"#), "{error}");
}
