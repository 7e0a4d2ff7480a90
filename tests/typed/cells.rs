//! What a cell holds, as a Rust type.

use std::{fmt::Debug, sync::Arc};

use roommate::{Cell, CellId, Field, FromCell, Id, Json, Number, Result, Row, Store, Text, ToCell, TypedRow};

fn there_and_back<T: ToCell + FromCell + Debug + PartialEq>(value: T) -> Cell {
    let cell = value.to_cell().unwrap();
    assert_eq!(T::from_cell(&cell).unwrap(), value);
    cell
}

#[test]
fn every_type_that_a_cell_holds_comes_back() {
    assert_eq!(there_and_back(true), Cell::Bool(true));
    assert_eq!(there_and_back(-7_i8), there_and_back(-7_i64));
    assert_eq!(there_and_back(200_u8), there_and_back(200_usize));
    assert_eq!(there_and_back(0.5_f32), there_and_back(0.5_f64));
    assert_eq!(there_and_back(String::from("x")), there_and_back(Id::from("x")));
    assert_eq!(there_and_back(Box::<str>::from("x")), there_and_back(Arc::<str>::from("x")));
    there_and_back(Text::new("x").unwrap());
    there_and_back(Number::new(1.5).unwrap());
    there_and_back(Json::new("[1, 2]").unwrap());
    there_and_back(Cell::Null);
}

#[test]
fn integers_reach_to_the_end_of_what_an_f64_holds_exactly_and_no_further() {
    const END: i64 = 1 << 53;
    there_and_back(END);
    there_and_back(-END);
    assert!((END + 1).to_cell().is_err());
    assert!(u64::MAX.to_cell().is_err());
    for beyond in [END as f64 * 2.0, -1e300, 0.5] {
        let cell = Cell::try_from(beyond).unwrap();
        assert!(i64::from_cell(&cell).is_err(), "{beyond}");
        assert!(u64::from_cell(&cell).is_err(), "{beyond}");
    }
    assert!(u32::from_cell(&Cell::from(-1)).is_err());
    assert_eq!(u32::from_cell(&Cell::try_from(-0.0).unwrap()).unwrap(), 0);
}

#[test]
fn an_f32_is_the_nearest_one_and_never_infinite() {
    assert_eq!(f32::from_cell(&Cell::try_from(0.1).unwrap()).unwrap(), 0.1);
    assert!(f32::from_cell(&Cell::try_from(1e300).unwrap()).is_err());
    assert!(f32::NAN.to_cell().is_err());
}

#[test]
fn a_null_is_none_unless_the_type_takes_it() {
    assert_eq!(Option::<String>::from_field(Some(&Cell::Null)).unwrap(), None);
    assert_eq!(Option::<Cell>::from_field(Some(&Cell::Null)).unwrap(), Some(Cell::Null));
    assert!(Option::<String>::from_field(Some(&Cell::from(1))).is_err());
    assert!(String::from_field(Some(&Cell::Null)).is_err());
}

#[test]
fn a_long_text_is_not_repeated_whole_in_an_error() {
    let cell = Cell::try_from("é".repeat(1000)).unwrap();
    let message = bool::from_cell(&cell).unwrap_err().to_string();
    assert_eq!(message, format!("expected a boolean, found a text that begins with {:?}", "é".repeat(40)));
}

#[test]
fn a_newtype_is_what_it_holds_and_generics_go_through() {
    #[derive(Cell, Clone, Debug, PartialEq)]
    struct Tagged<T: ToCell + FromCell>(T);

    #[derive(Row, Debug, PartialEq)]
    struct Measured<T>
    where
        T: ToCell + FromCell,
    {
        by: Option<Tagged<String>>,
        what: T,
    }

    assert_eq!(there_and_back(Tagged(4)), Cell::from(4));
    let row = Measured { by: Some(Tagged("ann".into())), what: Tagged(1.5) };
    let table = Store::new().table_of::<Measured<Tagged<f64>>>("t");
    table.set("r", &row).unwrap();
    assert_eq!(table.get("r").unwrap(), Some(row));
}

#[test]
fn an_enum_of_one_variant_says_so() {
    #[derive(Cell, Debug)]
    enum Only {
        One,
    }
    assert_eq!(Only::One.to_cell().unwrap().as_str(), Some("One"));
    assert_eq!(Only::from_cell(&Cell::Null).unwrap_err().to_string(), r#"expected "One", found null"#);
}

#[test]
fn defaults_are_types_literals_or_expressions() {
    fn three() -> u32 {
        3
    }

    #[derive(Row, Debug, PartialEq)]
    struct Defaults {
        is: bool,
        #[row(default)]
        of_type: u32,
        #[row(default = "dog")]
        text: String,
        #[row(default = three() + 1)]
        expression: u32,
        #[row(default = Some(-1.5))]
        option: Option<f64>,
        #[row(skip, default = "skipped")]
        skipped: Box<str>,
    }

    let row: Row = [("is", Cell::from(true))].into_iter().collect();
    let defaults = Defaults {
        is: true,
        of_type: 0,
        text: "dog".into(),
        expression: 4,
        option: Some(-1.5),
        skipped: "skipped".into(),
    };
    assert_eq!(Defaults::from_row(&row).unwrap(), defaults);
    assert_eq!(Defaults::CELL_IDS, ["is", "of_type", "text", "expression", "option"]);
}

#[test]
fn an_id_that_no_macro_made_reads_and_writes_alike() -> Result<()> {
    const LEGS: CellId<(), Option<u8>> = CellId::new("legs");
    let mut row = Row::new();
    LEGS.write(&Some(4), &mut row)?;
    assert_eq!(LEGS.read(&row)?, Some(4));
    LEGS.write(&None, &mut row)?;
    assert!(row.is_empty());
    assert_eq!(LEGS.read(&row)?, None);
    Ok(())
}
