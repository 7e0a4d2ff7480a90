//! `#[derive(Row)]`.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, GenericParam, Ident, Lit, LitStr, Result, spanned::Spanned,
};

use crate::attributes::{Container, Default, FIELD, Member, add, name};

/// A field that is stored as a cell.
struct Column<'a> {
    field: &'a Field,
    ident: &'a Ident,
    /// The name of its constant.
    constant: Ident,
    id: LitStr,
    attributes: Member,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let fields = named_fields(input)?;
    let container = Container::parse(&input.attrs, "row")?;
    let mut errors = None;
    let mut ids = HashSet::new();
    let mut columns = Vec::new();
    let mut skipped = Vec::new();
    for field in fields {
        let Some(ident) = &field.ident else { continue };
        let attributes = match Member::parse(&field.attrs, "row", FIELD) {
            Ok(attributes) => attributes,
            Err(error) => {
                add(&mut errors, error);
                continue;
            }
        };
        if let Some(skip) = attributes.skip {
            if attributes.rename.is_some() || attributes.json.is_some() {
                add(&mut errors, Error::new(skip, "a field that is skipped is no cell: it takes `default` alone"));
            }
            skipped.push((field, ident, attributes));
            continue;
        }
        let id = attributes.rename.clone().unwrap_or_else(|| {
            let name = name(ident);
            LitStr::new(&container.rename_all.map_or_else(|| name.clone(), |case| case.field(&name)), ident.span())
        });
        if !ids.insert(id.value()) {
            add(&mut errors, Error::new_spanned(&id, format!("another field is the cell `{}` already", id.value())));
        }
        let constant = format_ident!("{}", name(ident).to_uppercase(), span = ident.span());
        columns.push(Column { field, ident, constant, id, attributes });
    }
    if columns.is_empty() && errors.is_none() {
        add(
            &mut errors,
            Error::new_spanned(&input.ident, "a row needs at least one cell: a field that is not skipped"),
        );
    }
    match errors {
        Some(errors) => Err(errors),
        None => Ok(tokens(input, &columns, &skipped)),
    }
}

fn tokens(input: &DeriveInput, columns: &[Column<'_>], skipped: &[(&Field, &Ident, Member)]) -> TokenStream {
    let (struct_ident, (generics, of, bounds)) = (&input.ident, input.generics.split_for_impl());
    let constants = columns.iter().map(Column::constant);
    let idents = columns.iter().map(|c| c.ident);
    let names: Vec<_> = columns.iter().map(|c| &c.constant).collect();
    let (ids, writes) = (columns.iter().map(|c| &c.id), columns.iter().map(|c| (&c.constant, c.ident)));
    let writes = writes.map(|(constant, ident)| quote!(Self::#constant.write(&self.#ident, &mut row)?;));
    let skipped = skipped.iter().map(|(field, ident, attributes)| {
        let default = default(field, attributes.default.as_ref().unwrap_or(&Default::Type));
        quote!(#ident: (#default)())
    });
    quote! {
        #[automatically_derived]
        #[allow(dead_code)]
        impl #generics #struct_ident #of #bounds {
            #(#constants)*
        }

        #[automatically_derived]
        impl #generics ::roommate::TypedRow for #struct_ident #of #bounds {
            const CELL_IDS: &'static [&'static str] = &[#(#ids),*];

            fn to_row(&self) -> ::roommate::Result<::roommate::Row> {
                let mut row = ::roommate::Row::new();
                #(#writes)*
                ::core::result::Result::Ok(row)
            }

            fn from_row(row: &::roommate::Row) -> ::roommate::Result<Self> {
                ::core::result::Result::Ok(Self {
                    #(#idents: Self::#names.read(row)?,)*
                    #(#skipped,)*
                })
            }

            fn schema() -> ::roommate::Result<::roommate::Map<::roommate::CellSchema>> {
                let mut schema = ::roommate::Map::new();
                #(schema.insert(Self::#names.as_str(), Self::#names.schema()?);)*
                ::core::result::Result::Ok(schema)
            }
        }
    }
}

impl Column<'_> {
    fn constant(&self) -> TokenStream {
        let Self { field, constant, id, attributes, .. } = self;
        let (visibility, ty) = (&field.vis, &field.ty);
        // The span of the type makes the compiler report type errors at the type.
        let mut cell_id = match attributes.json {
            None => quote_spanned!(ty.span()=> ::roommate::CellId::<Self, #ty>::new(#id)),
            Some(_) => quote_spanned!(ty.span()=> ::roommate::CellId::<Self, #ty>::json(#id)),
        };
        if let Some(said) = &attributes.default {
            let default = default(field, said);
            cell_id = quote_spanned!(ty.span()=> #cell_id.with_default(#default));
        }
        let doc = format!("The cell `{}`.", id.value());
        quote! {
            #[doc = #doc]
            #visibility const #constant: ::roommate::CellId<Self, #ty> = #cell_id;
        }
    }
}

/// A function without arguments that returns the default.
fn default(field: &Field, said: &Default) -> TokenStream {
    let ty = &field.ty;
    match said {
        Default::Type => quote_spanned!(ty.span()=> <#ty as ::core::default::Default>::default),
        Default::Expr(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => {
            quote_spanned!(text.span()=> || -> #ty { ::core::convert::Into::into(#text) })
        }
        Default::Expr(expr) => quote_spanned!(expr.span()=> || -> #ty { #expr }),
    }
}

fn named_fields(input: &DeriveInput) -> Result<impl Iterator<Item = &Field>> {
    let error = |span: Span, message| Err(Error::new(span, message));
    for parameter in &input.generics.params {
        if let GenericParam::Lifetime(lifetime) = parameter {
            return error(lifetime.span(), "a row owns what it holds: have a `String` in place of a `&str`");
        }
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields.named.iter()),
            Fields::Unnamed(fields) => error(fields.span(), "the fields of a row need names, which are its cells' ids"),
            Fields::Unit => error(input.ident.span(), "a row needs at least one cell: a field"),
        },
        Data::Enum(data) => error(data.enum_token.span, "an enum is no row; `#[derive(Cell)]` makes a cell of it"),
        Data::Union(data) => error(data.union_token.span, "a union is no row"),
    }
}
