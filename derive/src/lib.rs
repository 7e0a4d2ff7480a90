//! The derive macros of [`roommate`](https://docs.rs/roommate), which exports both under its feature `derive`.
//!
//! [`Row`] makes a struct a row of a table. [`Cell`] makes an enum or a newtype a type that a cell can hold.

mod attributes;
mod case;
mod cell;
mod row;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// Makes a struct with named fields a row of typed tables: implements `roommate::TypedRow`.
///
/// Each field is a cell, whose id is the field's name. A field may have any type that implements `roommate::Field`: a
/// boolean, an integer, a float, a text, a type that derives [`Cell`], or an `Option` of one of these.
///
/// The macro also adds a constant for each field, such as `Pet::SPECIES` for `species`, with the visibility of the
/// field. It is a `roommate::CellId`, which reads or writes that one cell, or selects it for a listener.
///
/// ```
/// use roommate::{Row, Store};
///
/// #[derive(Row, Debug, PartialEq)]
/// #[row(rename_all = "camelCase")]
/// struct Pet {
///     name: String,
///     legs: u8,
///     #[row(default = true)]
///     is_indoors: bool,
///     sold_to: Option<String>,
/// }
///
/// let store = Store::new();
/// store.set_row("pets", "fido", [("name", "Fido")])?;
/// store.set_cell("pets", "fido", "legs", 4)?;
/// let pets = store.table_of::<Pet>("pets");
/// let fido = Pet { name: "Fido".into(), legs: 4, is_indoors: true, sold_to: None };
/// assert_eq!(pets.get("fido")?, Some(fido));
/// assert_eq!(Pet::SOLD_TO.as_str(), "soldTo");
/// # Ok::<(), roommate::Error>(())
/// ```
///
/// # Attributes
///
/// Attributes of the struct:
///
/// - `#[row(rename_all = "camelCase")]`: the ids of all cells, by serde's rules: `lowercase`, `UPPERCASE`,
///   `PascalCase`, `camelCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case`, `SCREAMING-KEBAB-CASE`.
///
/// Attributes of a field:
///
/// - `#[row(rename = "soldTo")]`: the id of this cell.
/// - `#[row(default)]`, `#[row(default = 4)]`: the value of the field if the row has no such cell: the `Default` of its
///   type, or the value of an expression. A text may be a literal: `#[row(default = "dog")]`. A field that has its
///   default value is written like any other.
/// - `#[row(json)]`: the field has any type that serde supports, and is stored as JSON. A field that serialises to
///   `null` has no cell.
/// - `#[row(skip)]`: the field has no cell. When a row is read, the field gets the `Default` of its type, or the value
///   of `default = ...`.
#[proc_macro_derive(Row, attributes(row))]
pub fn derive_row(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    row::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Makes a type one that a cell can hold: implements `roommate::ToCell` and `roommate::FromCell`.
///
/// An enum without data is stored as a text, the name of its variant; reading any other text is an error. A struct with
/// one unnamed field is stored as that field.
///
/// ```
/// use roommate::{Cell, ErrorKind, FromCell, ToCell};
///
/// #[derive(Cell, Debug, PartialEq)]
/// #[cell(rename_all = "lowercase")]
/// enum Species {
///     Dog,
///     #[cell(rename = "felis catus")]
///     Cat,
/// }
///
/// #[derive(Cell, Debug, PartialEq)]
/// struct Kilograms(f64);
///
/// assert_eq!(Species::Dog.to_cell()?, Cell::try_from("dog")?);
/// assert_eq!(Species::from_cell(&Cell::try_from("felis catus")?)?, Species::Cat);
/// assert_eq!(Species::from_cell(&Cell::try_from("cow")?).unwrap_err().kind(), ErrorKind::Invalid);
/// assert_eq!(Kilograms(30.5).to_cell()?, Cell::try_from(30.5)?);
/// # Ok::<(), roommate::Error>(())
/// ```
///
/// # Attributes
///
/// - `#[cell(rename_all = "lowercase")]` of the enum: the texts of all variants, by serde's rules as in [`Row`].
/// - `#[cell(rename = "cat")]` of a variant: its text.
#[proc_macro_derive(Cell, attributes(cell))]
pub fn derive_cell(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    cell::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}
