//! Parses the attributes `#[row(...)]` and `#[cell(...)]`.

use proc_macro2::Span;
use syn::{Attribute, Error, Expr, Ident, LitStr, Result, ext::IdentExt, meta::ParseNestedMeta};

use crate::case::Case;

/// The attributes of a struct or an enum.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) rename_all: Option<Case>,
}

/// The attributes of a field or a variant.
#[derive(Default)]
pub(crate) struct Member {
    pub(crate) rename: Option<LitStr>,
    pub(crate) default: Option<Default>,
    /// Where the attribute is written.
    pub(crate) json: Option<Span>,
    pub(crate) skip: Option<Span>,
}

/// The value of a field for a row without the cell.
pub(crate) enum Default {
    /// The `Default` of its type.
    Type,
    /// The value of an expression.
    Expr(Expr),
}

/// The attributes that a field of a row, and a variant of a cell, may have.
pub(crate) const FIELD: &[&str] = &["rename", "default", "json", "skip"];
pub(crate) const VARIANT: &[&str] = &["rename"];

impl Container {
    pub(crate) fn parse(attributes: &[Attribute], name: &str) -> Result<Self> {
        let mut this = Self::default();
        each(attributes, name, &["rename_all"], |meta| {
            this.rename_all = Some(Case::parse(&meta.value()?.parse()?)?);
            Ok(())
        })?;
        Ok(this)
    }
}

impl Member {
    pub(crate) fn parse(attributes: &[Attribute], name: &str, known: &[&str]) -> Result<Self> {
        let mut this = Self::default();
        each(attributes, name, known, |meta| {
            if meta.path.is_ident("rename") {
                this.rename = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("json") {
                this.json = Some(span(meta));
            } else if meta.path.is_ident("skip") {
                this.skip = Some(span(meta));
            } else if meta.input.peek(syn::Token![=]) {
                this.default = Some(Default::Expr(meta.value()?.parse()?));
            } else {
                this.default = Some(Default::Type);
            }
            Ok(())
        })?;
        Ok(this)
    }
}

/// The name without `r#`.
pub(crate) fn name(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// Calls `parse` for each attribute, after checking that its name is known and not a duplicate.
fn each(
    attributes: &[Attribute],
    name: &str,
    known: &[&str],
    mut parse: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    let mut said = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(name)) {
        attribute.parse_nested_meta(|meta| {
            let Some(known) = known.iter().find(|known| meta.path.is_ident(known)) else {
                let known: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
                return Err(meta.error(format!("unknown attribute; known here: {}", known.join(", "))));
            };
            if said.contains(known) {
                return Err(meta.error(format!("`{known}` is said twice")));
            }
            said.push(known);
            parse(&meta)
        })?;
    }
    Ok(())
}

fn span(meta: &ParseNestedMeta<'_>) -> Span {
    meta.path.get_ident().map_or_else(Span::call_site, Ident::span)
}

/// Adds an error to the earlier ones.
pub(crate) fn add(errors: &mut Option<Error>, error: Error) {
    match errors {
        Some(errors) => errors.combine(error),
        None => *errors = Some(error),
    }
}
