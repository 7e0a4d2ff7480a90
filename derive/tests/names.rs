//! Names are spelled as serde spells them.

use roommate::{Cell, FromCell, Row, ToCell, TypedRow};
use serde::Serialize;

macro_rules! as_serde {
    ($($test:ident: $case:literal;)*) => {$(
        #[test]
        fn $test() {
            #[expect(non_snake_case, reason = "serde takes two underscores too")]
            #[derive(Row, Serialize)]
            #[row(rename_all = $case)]
            #[serde(rename_all = $case)]
            struct Names {
                one: u8,
                two_words: u8,
                _leading: u8,
                double__underscore: u8,
                trailing_: u8,
                r#type: u8,
                n2_o: u8,
            }

            #[derive(Cell, Clone, Copy, Debug, PartialEq, Serialize)]
            #[cell(rename_all = $case)]
            #[serde(rename_all = $case)]
            enum Variants {
                One,
                TwoWords,
                HTTPServer,
                N2O,
            }

            let names =
                Names { one: 1, two_words: 2, _leading: 3, double__underscore: 4, trailing_: 5, r#type: 6, n2_o: 7 };
            let serde = serde_json::to_value(&names).unwrap();
            let row = names.to_row().unwrap();
            assert_eq!(row.keys().map(|id| id.as_str()).collect::<Vec<_>>(), Names::CELL_IDS);
            for (id, cell) in &row {
                assert_eq!(serde.get(id.as_str()), Some(&cell.into()), "{id}");
            }
            assert_eq!(serde.as_object().unwrap().len(), row.len());
            for variant in [Variants::One, Variants::TwoWords, Variants::HTTPServer, Variants::N2O] {
                let cell = variant.to_cell().unwrap();
                assert_eq!(serde_json::Value::from(&cell), serde_json::to_value(variant).unwrap());
                assert_eq!(Variants::from_cell(&cell).unwrap(), variant);
            }
        }
    )*};
}

as_serde! {
    lowercase: "lowercase";
    uppercase: "UPPERCASE";
    pascal_case: "PascalCase";
    camel_case: "camelCase";
    snake_case: "snake_case";
    screaming_snake_case: "SCREAMING_SNAKE_CASE";
    kebab_case: "kebab-case";
    screaming_kebab_case: "SCREAMING-KEBAB-CASE";
}
