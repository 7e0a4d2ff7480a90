//! Rows as Rust structs: `#[derive(Row)]`, `#[derive(Cell)]`, and the tables that hold them.

#[path = "typed/cells.rs"]
mod cells;
#[path = "typed/laws.rs"]
mod laws;
#[path = "typed/listeners.rs"]
mod listeners;
#[path = "typed/rows.rs"]
mod rows;

use roommate::{Cell, Id, Row, Store, TypedTable};
use serde::{Deserialize, Serialize};

/// What most of these stories are about.
#[derive(Row, Clone, Debug, PartialEq)]
#[row(rename_all = "camelCase")]
struct Pet {
    name: String,
    species: Species,
    legs: u8,
    weight: f64,
    #[row(default = true)]
    is_indoors: bool,
    sold_to: Option<Id>,
    #[row(json, default)]
    tags: Vec<String>,
    #[row(json)]
    chip: Option<Chip>,
    #[row(rename = "favourite toy")]
    r#type: Option<Cell>,
    #[row(skip)]
    seen: u32,
}

#[derive(Cell, Clone, Copy, Debug, PartialEq)]
#[cell(rename_all = "lowercase")]
enum Species {
    Dog,
    #[cell(rename = "felis catus")]
    Cat,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Chip {
    number: u64,
    clinic: Option<String>,
}

fn fido() -> Pet {
    Pet {
        name: "Fido".into(),
        species: Species::Dog,
        legs: 4,
        weight: 30.5,
        is_indoors: false,
        sold_to: Some("ann".into()),
        tags: vec!["good".into(), "loud".into()],
        chip: Some(Chip { number: 7, clinic: None }),
        r#type: Some(Cell::Null),
        seen: 0,
    }
}

/// The least that is a pet.
const LEAST: &str = r#"{"name":"Felix","species":"felis catus","legs":4,"weight":3}"#;

fn pets(rows: &str) -> (Store, TypedTable<Pet>) {
    let store = Store::new();
    store.set_tables_json(&format!(r#"{{"pets":{rows}}}"#)).unwrap();
    let pets = store.table_of("pets");
    (store, pets)
}
