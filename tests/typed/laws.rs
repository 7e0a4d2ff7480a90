//! What holds of every struct and of every row.

use proptest::{collection::vec, option, prelude::*};
use roommate::{Cell, ErrorKind, Json, Row, Store, TablesSchema, TypedRow};

use super::{Chip, Pet, Species};

/// No reserved text among them.
fn text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace(['\u{FFFC}', '\u{FFFD}'], "?"))
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        Just(Cell::Null),
        any::<bool>().prop_map(Cell::from),
        any::<f64>().prop_filter_map("finite", |number| Cell::try_from(number).ok()),
        (-300..300).prop_map(Cell::from),
        text().prop_map(|text| Cell::try_from(text).unwrap()),
        prop_oneof![Just("[]"), Just("{}"), Just(r#"["a"]"#), Just(r#"{"number":1}"#), Just(r#"{"number":1e999}"#)]
            .prop_map(|text| Json::new(text).unwrap().into()),
        prop_oneof![Just("dog"), Just("felis catus")].prop_map(|text| Cell::try_from(text).unwrap()),
    ]
}

fn pet() -> impl Strategy<Value = Pet> {
    let chip = (0..=1_u64 << 53, option::of(any::<String>())).prop_map(|(number, clinic)| Chip { number, clinic });
    let species = prop_oneof![Just(Species::Dog), Just(Species::Cat)];
    let finite = any::<f64>().prop_filter("finite", |number| number.is_finite());
    let first = (text(), species, any::<u8>(), finite, any::<bool>());
    (first, option::of(text()), vec(any::<String>(), 0..3), option::of(chip), option::of(cell())).prop_map(
        |((name, species, legs, weight, is_indoors), sold_to, tags, chip, r#type)| Pet {
            name,
            species,
            legs,
            weight,
            is_indoors,
            sold_to: sold_to.map(Into::into),
            tags,
            chip,
            r#type,
            seen: 0,
        },
    )
}

fn row() -> impl Strategy<Value = Row> {
    let ids = prop::sample::subsequence(Pet::CELL_IDS, 0..=Pet::CELL_IDS.len());
    (ids, vec(cell(), Pet::CELL_IDS.len())).prop_map(|(ids, cells)| ids.into_iter().zip(cells).collect())
}

proptest! {
    #[test]
    fn a_struct_is_the_same_after_a_row_and_after_a_web_page(pet in pet()) {
        prop_assert_eq!(&Pet::from_row(&pet.to_row().unwrap()).unwrap(), &pet);
        let here = Store::new();
        here.table_of("pets").set("fido", &pet).unwrap();
        let there = Store::new();
        prop_assert_eq!(there.set_json(&here.json()).unwrap(), 0);
        prop_assert_eq!(there.table_of("pets").get("fido").unwrap(), Some(pet));
    }

    #[test]
    fn a_struct_is_what_its_own_schema_takes(pet in pet()) {
        let store = Store::new();
        store.set_tables_schema(TablesSchema::new().with_table_of::<Pet>("pets").unwrap()).unwrap();
        store.table_of("pets").set("fido", &pet).unwrap();
        prop_assert_eq!(store.table_of("pets").get("fido").unwrap(), Some(pet.clone()));
        prop_assert_eq!(store.row("pets", "fido"), pet.to_row().unwrap());
    }

    #[test]
    fn an_update_is_a_set_that_touches_nothing_else(before in pet(), after in pet(), other in cell()) {
        let store = Store::new();
        let pets = store.table_of("pets");
        pets.set("fido", &before).unwrap();
        store.set_cell("pets", "fido", "unknown", other.clone()).unwrap();
        pets.update("fido", |pet| *pet = after.clone()).unwrap();
        let mut expected = after.to_row().unwrap();
        expected.insert("unknown", other);
        prop_assert_eq!(store.row("pets", "fido"), expected);
    }

    #[test]
    fn r8_any_row_is_a_struct_or_an_error_and_an_update_of_nothing_writes_nothing(row in row()) {
        let store = Store::new();
        store.set_row("pets", "fido", row.iter()).unwrap();
        let pets = store.table_of::<Pet>("pets");
        match pets.update("fido", |_| ()) {
            Ok(pet) => prop_assert_eq!(pet.is_some(), !row.is_empty()),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Invalid),
        }
        prop_assert_eq!(store.row("pets", "fido"), row);
    }
}
