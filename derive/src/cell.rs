//! `#[derive(Cell)]`.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataEnum, DataStruct, DeriveInput, Error, Fields, LitStr, Result};

use crate::attributes::{Container, Member, VARIANT, add, name};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let [to_cell, from_cell, schema] = match &input.data {
        Data::Enum(data) => of_enum(input, data)?,
        Data::Struct(data) => of_newtype(input, data)?,
        Data::Union(data) => return Err(Error::new(data.union_token.span, "a union is no cell")),
    };
    let (ident, (generics, of, bounds)) = (&input.ident, input.generics.split_for_impl());
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::roommate::ToCell for #ident #of #bounds {
            fn to_cell(&self) -> ::roommate::Result<::roommate::Cell> {
                #to_cell
            }
        }

        #[automatically_derived]
        impl #generics ::roommate::FromCell for #ident #of #bounds {
            fn from_cell(cell: &::roommate::Cell) -> ::roommate::Result<Self> {
                #from_cell
            }

            fn schema() -> ::roommate::Result<::roommate::CellSchema> {
                #schema
            }
        }
    })
}

fn of_enum(input: &DeriveInput, data: &DataEnum) -> Result<[TokenStream; 3]> {
    let container = Container::parse(&input.attrs, "cell")?;
    let mut errors = None;
    let mut known = HashSet::new();
    let (mut idents, mut texts) = (Vec::new(), Vec::new());
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            let message = "a cell holds one thing: a variant with data is none; `#[row(json)]` keeps it as JSON";
            add(&mut errors, Error::new_spanned(variant, message));
            continue;
        }
        let attributes = match Member::parse(&variant.attrs, "cell", VARIANT) {
            Ok(attributes) => attributes,
            Err(error) => {
                add(&mut errors, error);
                continue;
            }
        };
        let text = attributes.rename.unwrap_or_else(|| {
            let name = name(&variant.ident);
            let text = container.rename_all.map_or_else(|| name.clone(), |case| case.variant(&name));
            LitStr::new(&text, variant.ident.span())
        });
        // The rule of `roommate::Text`.
        if text.value() == "\u{FFFC}" || text.value().starts_with('\u{FFFD}') {
            let message = "a cell cannot hold exactly U+FFFC or a text that begins with U+FFFD: TinyBase reserves them";
            add(&mut errors, Error::new_spanned(&text, message));
        }
        if !known.insert(text.value()) {
            add(&mut errors, Error::new_spanned(&text, format!("another variant is `{}` already", text.value())));
        }
        idents.push(&variant.ident);
        texts.push(text);
    }
    if data.variants.is_empty() {
        add(&mut errors, Error::new_spanned(&input.ident, "an enum without variants is no cell"));
    }
    if let Some(errors) = errors {
        return Err(errors);
    }
    let to_cell = quote! {
        <::roommate::Cell as ::core::convert::TryFrom<&str>>::try_from(match self {
            #(Self::#idents => #texts,)*
        })
    };
    let from_cell = quote! {
        match cell.as_str() {
            #(::core::option::Option::Some(#texts) => ::core::result::Result::Ok(Self::#idents),)*
            _ => ::core::result::Result::Err(::roommate::__private::no_such_variant(cell, &[#(#texts),*])),
        }
    };
    let schema = quote!(::roommate::CellSchema::one_of([#(#texts),*]));
    Ok([to_cell, from_cell, schema])
}

fn of_newtype(input: &DeriveInput, data: &DataStruct) -> Result<[TokenStream; 3]> {
    let Fields::Unnamed(fields) = &data.fields else {
        let message = "a cell holds one thing: `#[derive(Row)]` makes a row of this, `#[row(json)]` keeps it as JSON";
        return Err(Error::new_spanned(&input.ident, message));
    };
    let (Some(field), 1) = (fields.unnamed.first(), fields.unnamed.len()) else {
        return Err(Error::new_spanned(fields, "a cell holds one thing: one field"));
    };
    let mut attributes = input.attrs.iter().chain(&field.attrs);
    if let Some(attribute) = attributes.find(|attribute| attribute.path().is_ident("cell")) {
        return Err(Error::new_spanned(attribute, "a struct is what its field is, and takes no attributes"));
    }
    let ty = &field.ty;
    let to_cell = quote!(<#ty as ::roommate::ToCell>::to_cell(&self.0));
    let from_cell = quote!(<#ty as ::roommate::FromCell>::from_cell(cell).map(Self));
    let schema = quote!(<#ty as ::roommate::FromCell>::schema());
    Ok([to_cell, from_cell, schema])
}
