//! What one cell or value may be.

use crate::{
    content::{Cell, CellKind},
    error::{Error, ErrorKind, Result},
};

/// What one cell or value may be: of some types, or one of some choices; and what stands in for it.
///
/// A default is there wherever nothing else is: in a new row, and in place of what is refused or deleted. Without a
/// default, what is refused changes nothing.
///
/// ```
/// use roommate::{CellKind, CellSchema};
///
/// let size = CellSchema::one_of(["small", "large"])?.with_default("small")?;
/// let legs = CellSchema::number().allow_null().required();
/// let tags = CellSchema::any_of([CellKind::String, CellKind::Array])?;
/// assert!(CellSchema::number().with_default("four").is_err());
/// # Ok::<(), roommate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CellSchema {
    accepts: Accepts,
    default: Option<Cell>,
    allow_null: bool,
    required: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Accepts {
    /// Anything of these types; none of them is null.
    Kinds(Vec<CellKind>),
    /// One of these strings, numbers and booleans.
    Choices(Vec<Cell>),
}

macro_rules! of_one_kind {
    ($($(#[$doc:meta])* $name:ident: $kind:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name() -> Self {
            Self::new(Accepts::Kinds(vec![CellKind::$kind]))
        }
    )*};
}

impl CellSchema {
    of_one_kind! {
        /// A text.
        string: String;
        /// A number.
        number: Number;
        /// A boolean.
        boolean: Boolean;
        /// A JSON object.
        object: Object;
        /// A JSON array.
        array: Array;
    }

    /// Anything of these types. There has to be one, and null is none of them: it is [`CellSchema::allow_null`] that
    /// allows it.
    pub fn any_of(kinds: impl IntoIterator<Item = CellKind>) -> Result<Self> {
        let kinds: Vec<_> = kinds.into_iter().collect();
        if kinds.is_empty() || kinds.contains(&CellKind::Null) {
            return Err(invalid("a schema needs at least one type, and null is allowed by allow_null"));
        }
        Ok(Self::new(Accepts::Kinds(kinds)))
    }

    /// One of these, of which there has to be one, and each of them a text, a number or a boolean: TinyBase's `enum`.
    pub fn one_of<C: TryInto<Cell, Error: Into<Error>>>(choices: impl IntoIterator<Item = C>) -> Result<Self> {
        let choices = choices.into_iter().map(|choice| choice.try_into().map_err(Into::into));
        let choices: Vec<Cell> = choices.collect::<Result<_>>()?;
        let scalar = |cell: &Cell| !matches!(cell, Cell::Null | Cell::Json(_));
        if choices.is_empty() || !choices.iter().all(scalar) {
            return Err(invalid("a schema needs at least one choice, and choices are texts, numbers or booleans"));
        }
        Ok(Self::new(Accepts::Choices(choices)))
    }

    /// The same with a default. It has to be what the schema accepts; null only after [`CellSchema::allow_null`].
    pub fn with_default<C: TryInto<Cell, Error: Into<Error>>>(self, default: C) -> Result<Self> {
        let default = default.try_into().map_err(Into::into)?;
        if !self.accepts(&default) {
            return Err(invalid(&format!("the schema does not accept its own default {default:?}")));
        }
        Ok(Self { default: Some(default), ..self })
    }

    /// The same where null is accepted too.
    pub fn allow_null(self) -> Self {
        Self { allow_null: true, ..self }
    }

    /// The same where a row that is set or added as a whole needs the cell. With a default it does not.
    pub fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Whether a cell may hold this.
    pub fn accepts(&self, cell: &Cell) -> bool {
        match (cell, &self.accepts) {
            (Cell::Null, _) => self.allow_null,
            (cell, Accepts::Kinds(kinds)) => kinds.contains(&cell.kind()),
            (cell, Accepts::Choices(choices)) => choices.contains(cell),
        }
    }

    /// The types, if it is types that count.
    pub fn kinds(&self) -> Option<&[CellKind]> {
        match &self.accepts {
            Accepts::Kinds(kinds) => Some(kinds),
            Accepts::Choices(_) => None,
        }
    }

    /// The choices, if it is choices that count.
    pub fn choices(&self) -> Option<&[Cell]> {
        match &self.accepts {
            Accepts::Kinds(_) => None,
            Accepts::Choices(choices) => Some(choices),
        }
    }

    /// What is there where nothing else is.
    pub fn default(&self) -> Option<&Cell> {
        self.default.as_ref()
    }

    /// Whether null is accepted.
    pub fn allows_null(&self) -> bool {
        self.allow_null
    }

    /// Whether it was said to be required.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Whether a whole row without it is refused.
    pub(super) fn is_missed(&self) -> bool {
        self.required && self.default.is_none()
    }

    fn new(accepts: Accepts) -> Self {
        Self { accepts, default: None, allow_null: false, required: false }
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
