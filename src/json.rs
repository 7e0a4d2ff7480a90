//! TinyBase's JSON of cells, contents and changes.

use crate::{
    content::{Cell, Changes, Content},
    error::{Error, Result},
};

/// What was read, and what of it had to be left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded<T> {
    /// What was read.
    pub value: T,
    /// How many leaves were left out because nothing here can stand for them.
    pub unrepresentable: usize,
}

impl Content {
    /// Reads `[tables, values]`.
    pub fn from_json(_text: &str) -> Result<Decoded<Self>> {
        todo!()
    }
    /// Writes `[tables, values]`.
    pub fn to_json(&self) -> String {
        todo!()
    }
}
impl Changes {
    /// Reads `[tables, values, 1]`.
    pub fn from_json(_text: &str) -> Result<Decoded<Self>> {
        todo!()
    }
    /// Writes `[tables, values, 1]`.
    pub fn to_json(&self) -> String {
        todo!()
    }
}
pub(crate) fn is_object_or_array(_text: &str) -> bool {
    todo!()
}
pub(crate) fn cell_from_value(_value: &serde_json::Value) -> Result<Cell, Error> {
    todo!()
}
pub(crate) fn value_from_cell(_cell: &Cell) -> serde_json::Value {
    todo!()
}
