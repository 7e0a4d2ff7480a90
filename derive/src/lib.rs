//! The derive macros of [`roommate`](https://docs.rs/roommate), which exports both with its feature `derive`.
//!
//! [`Row`] makes of a struct the row of a table; [`Cell`] makes of an enum, or of a newtype, what a cell holds.

mod attributes;
mod case;
mod cell;
mod row;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// Makes of a struct with named fields a row of typed tables: implements `roommate::TypedRow`.
///
/// Each field is a cell, whose id is the field's name. A field may be of any type that is a `roommate::Field`: a
/// boolean, an integer, a float, a text, an `Option` of one of these, whatever derives [`Cell`].
///
/// For each field there is a constant as well, `Pet::SPECIES` for `species`, as visible as the field: a
/// `roommate::CellId`, to read or write that one cell, or to listen to it.
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
/// Of the struct:
///
/// - `#[row(rename_all = "camelCase")]`: the ids of all cells, after serde's rules: `lowercase`, `UPPERCASE`,
///   `PascalCase`, `camelCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case`, `SCREAMING-KEBAB-CASE`.
///
/// Of a field:
///
/// - `#[row(rename = "soldTo")]`: the id of this cell.
/// - `#[row(default)]`, `#[row(default = 4)]`: what the field is where the row has no such cell: its type's `Default`, or
///   the value of an expression. A text may be written as such: `#[row(default = "dog")]`. It is written like any other.
/// - `#[row(json)]`: the field is any type of serde's, kept as a JSON object or array. What serialises to `null` is no
///   cell.
/// - `#[row(skip)]`: the field is no cell; read, it is its type's `Default`, or the value of `default = ...`.
#[proc_macro_derive(Row, attributes(row))]
pub fn derive_row(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    row::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Makes of a type what a cell holds: implements `roommate::ToCell` and `roommate::FromCell`.
///
/// An enum without data is a text, the name of its variant; any other text is an error. A struct with one unnamed field
/// is what that field is.
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
/// - `#[cell(rename_all = "lowercase")]` of the enum: the texts of all variants, after serde's rules as in [`Row`].
/// - `#[cell(rename = "cat")]` of a variant: its text.
#[proc_macro_derive(Cell, attributes(cell))]
pub fn derive_cell(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    cell::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}
