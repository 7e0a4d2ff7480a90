//! The schema of one cell or value.

use crate::{
    content::{Cell, CellKind},
    error::{Error, ErrorKind, Result},
};

/// The schema of one cell or value: its types or its choices, and its default.
///
/// The default is used in a new row that lacks the cell, and in place of a cell that is refused or deleted. Without a
/// default, a refused cell changes nothing.
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
        /// Accepts a text.
        string: String;
        /// Accepts a number.
        number: Number;
        /// Accepts a boolean.
        boolean: Boolean;
        /// Accepts a JSON object.
        object: Object;
        /// Accepts a JSON array.
        array: Array;
    }

    /// Accepts these types. Null is not one of them: [`CellSchema::allow_null`] allows it.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if `kinds` is empty or contains [`CellKind::Null`].
    pub fn any_of(kinds: impl IntoIterator<Item = CellKind>) -> Result<Self> {
        let kinds: Vec<_> = kinds.into_iter().collect();
        if kinds.is_empty() || kinds.contains(&CellKind::Null) {
            return Err(invalid("a schema needs at least one type, and null is allowed by allow_null"));
        }
        Ok(Self::new(Accepts::Kinds(kinds)))
    }

    /// Accepts these choices, each of them a text, a number or a boolean: TinyBase's `enum`.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if `choices` is empty, if one of them cannot become a [`Cell`], or if one of them
    /// is null, an object or an array.
    pub fn one_of<C: TryInto<Cell, Error: Into<Error>>>(choices: impl IntoIterator<Item = C>) -> Result<Self> {
        let choices = choices.into_iter().map(|choice| choice.try_into().map_err(Into::into));
        let choices: Vec<Cell> = choices.collect::<Result<_>>()?;
        let scalar = |cell: &Cell| !matches!(cell, Cell::Null | Cell::Json(_));
        if choices.is_empty() || !choices.iter().all(scalar) {
            return Err(invalid("a schema needs at least one choice, and choices are texts, numbers or booleans"));
        }
        Ok(Self::new(Accepts::Choices(choices)))
    }

    /// Sets the default.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if `default` cannot become a [`Cell`], or if the schema does not accept it. The
    /// schema accepts null only after [`CellSchema::allow_null`].
    pub fn with_default<C: TryInto<Cell, Error: Into<Error>>>(self, default: C) -> Result<Self> {
        let default = default.try_into().map_err(Into::into)?;
        if !self.accepts(&default) {
            return Err(invalid(&format!("the schema does not accept its own default {default:?}")));
        }
        Ok(Self { default: Some(default), ..self })
    }

    /// Accepts null too.
    pub fn allow_null(self) -> Self {
        Self { allow_null: true, ..self }
    }

    /// Makes the cell required: a row that is set or added as a whole needs it, unless the schema has a default.
    pub fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Whether the schema accepts this cell.
    pub fn accepts(&self, cell: &Cell) -> bool {
        match (cell, &self.accepts) {
            (Cell::Null, _) => self.allow_null,
            (cell, Accepts::Kinds(kinds)) => kinds.contains(&cell.kind()),
            (cell, Accepts::Choices(choices)) => choices.contains(cell),
        }
    }

    /// Returns the accepted types, unless the schema has choices.
    pub fn kinds(&self) -> Option<&[CellKind]> {
        match &self.accepts {
            Accepts::Kinds(kinds) => Some(kinds),
            Accepts::Choices(_) => None,
        }
    }

    /// Returns the choices, if the schema has any.
    pub fn choices(&self) -> Option<&[Cell]> {
        match &self.accepts {
            Accepts::Kinds(_) => None,
            Accepts::Choices(choices) => Some(choices),
        }
    }

    /// Returns the default.
    pub fn default(&self) -> Option<&Cell> {
        self.default.as_ref()
    }

    /// Whether null is accepted.
    pub fn allows_null(&self) -> bool {
        self.allow_null
    }

    /// Whether [`CellSchema::required`] was called.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Whether a whole row without this cell is refused.
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
