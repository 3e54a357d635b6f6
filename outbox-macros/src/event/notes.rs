//! What serde's attributes do and schemars does not put into a schema: other names, functions that write and read, a
//! struct's tag. Whoever compares two versions looks for it below keywords of our own.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, DeriveInput, Expr, ExprLit, Field, Fields, GenericArgument, Lit, LitStr, Meta, Token, Type,
};
use syn::{PathArguments, Variant, parse_quote};

const ALIASES: &str = "x-serde-alias";
const WRITTEN_WITH: &str = "x-serde-serialize-with";
const READ_WITH: &str = "x-serde-deserialize-with";
const NEVER_NULL: &str = "x-serde-never-null";
const TAG: &str = "x-serde-tag";

/// A struct with nothing but the fields that have something to note, each named as in the payload: schemars reads the same
/// attributes from it, and so decides their names. `None` if there is nothing to note.
pub(super) fn names(input: &DeriveInput, fields: &Fields, name: &TokenStream) -> Option<TokenStream> {
    let mut of_the_whole = of_container(&input.attrs);
    let fields = otherwise(&input.attrs, fields);
    of_the_whole.extend(tag(input));
    let mut noted = Vec::new();
    for field in &fields {
        let extensions = of_field(field);
        match &field.ident {
            Some(name) if !has(&field.attrs, "flatten") && !extensions.is_empty() => {
                let naming = naming(&field.attrs, "rename");
                noted.push(quote!(#(#naming)* #(#extensions)* #name: ()));
            }
            Some(_) if extensions.is_empty() => {}
            // Without a name of its own, a field's function is the whole payload's.
            _ => of_the_whole.extend(functions(&field.attrs)),
        }
    }
    if noted.is_empty() && of_the_whole.is_empty() {
        return None;
    }
    let naming = naming(&input.attrs, "rename_all");
    let of_the_whole = of_the_whole.into_iter().fold(Vec::new(), once_each);
    Some(quote!(#(#naming)* #(#of_the_whole)* struct #name { #(#noted),* }))
}

/// The fields without what does not hold where the whole is written or read as another type.
pub(super) fn otherwise(item: &[Attribute], fields: &Fields) -> Fields {
    let mut fields = fields.clone();
    let written = ["serialize_with", "skip_serializing_if"].as_slice();
    let read = ["deserialize_with", "alias"].as_slice();
    for (conversion, void) in [("into", written), ("from", read), ("try_from", read)] {
        if has(item, conversion) {
            fields
                .iter_mut()
                .for_each(|field| without(&mut field.attrs, void));
        }
    }
    fields
}

fn without(attributes: &mut [Attribute], void: &[&str]) {
    for attribute in attributes
        .iter_mut()
        .filter(|attribute| attribute.path().is_ident("serde"))
    {
        let mut items = items(attribute);
        items.retain(|item| !void.iter().any(|name| item.path().is_ident(name)));
        *attribute = parse_quote!(#[serde(#(#items),*)]);
    }
}

/// What belongs to the schema of a field.
pub(super) fn of_field(field: &Field) -> Vec<Attribute> {
    let aliases: Vec<LitStr> = texts(&field.attrs, "alias");
    let mut notes = functions(&field.attrs);
    if !aliases.is_empty() && !declares(&field.attrs, ALIASES) {
        notes.push(parse_quote!(#[schemars(extend(#ALIASES = [#(#aliases),*]))]));
    }
    if let Some(known) = never_null(field) {
        notes.push(parse_quote!(#[schemars(extend(#NEVER_NULL = #known))]));
    }
    notes
}

/// What belongs to the schema of a variant's payload.
pub(super) fn of_variant(variant: &Variant) -> Vec<Attribute> {
    functions(&variant.attrs)
}

/// What belongs to the schema of a whole struct or enum.
pub(super) fn of_container(attributes: &[Attribute]) -> Vec<Attribute> {
    let refuses = texts(attributes, "try_from");
    let refuses = refuses.first().filter(|_| !declares(attributes, READ_WITH));
    let note = refuses.map(|from| {
        let function = format!("TryFrom<{}>", from.value());
        parse_quote!(#[schemars(extend(#READ_WITH = #function))])
    });
    note.into_iter().collect()
}

/// `serialize_with`, `deserialize_with` and `with`, unless the user declares to schemars what they write and read.
fn functions(attributes: &[Attribute]) -> Vec<Attribute> {
    if is_declared(attributes) {
        return Vec::new();
    }
    let sides = [(WRITTEN_WITH, "serialize_with"), (READ_WITH, "deserialize_with")];
    let noted = sides.into_iter().filter_map(|(keyword, attribute)| {
        let function = texts(attributes, attribute).pop()?;
        (!declares(attributes, keyword)).then(|| parse_quote!(#[schemars(extend(#keyword = #function))]))
    });
    noted.collect()
}

/// Whether the user declares to schemars what is written and read.
pub(super) fn is_declared(attributes: &[Attribute]) -> bool {
    let mut listed = listed(attributes, "schemars");
    listed.any(|item| item.path().is_ident("with") || item.path().is_ident("schema_with"))
}

/// Each keyword can be given once: the first stands for all.
fn once_each(mut notes: Vec<Attribute>, note: Attribute) -> Vec<Attribute> {
    let keyword = |note: &Attribute| {
        let text = note.to_token_stream().to_string();
        [WRITTEN_WITH, READ_WITH, TAG]
            .into_iter()
            .find(|keyword| text.contains(keyword))
    };
    if !notes.iter().any(|before| keyword(before) == keyword(&note)) {
        notes.push(note);
    }
    notes
}

/// A struct's tag, which serde writes before its fields.
fn tag(input: &DeriveInput) -> Option<Attribute> {
    let tag = texts(&input.attrs, "tag").pop()?;
    if has(&input.attrs, "into") {
        return None;
    }
    let renamed = listed(&input.attrs, "serde").filter(|item| item.path().is_ident("rename"));
    let name = renamed.filter_map(|item| written_name(&item)).last();
    let name = name.unwrap_or_else(|| input.ident.unraw().to_string());
    Some(parse_quote!(#[schemars(extend(#TAG = { #tag: #name }))]))
}

/// The name of `rename = "…"`, or that of `rename(serialize = "…")`.
fn written_name(item: &Meta) -> Option<String> {
    match item {
        Meta::NameValue(_) => text(item).map(|text| text.value()),
        Meta::List(list) => {
            let names = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            let mut names = names.ok()?.into_iter();
            let written = names.find(|name| name.path().is_ident("serialize"))?;
            text(&written).map(|text| text.value())
        }
        Meta::Path(_) => None,
    }
}

/// Whether an `Option` is left out where it is `None`, and so is never null: known, or only if what is in it has a
/// definition of its own to look at.
fn never_null(field: &Field) -> Option<TokenStream> {
    let skipped = texts(&field.attrs, "skip_serializing_if").pop()?.value();
    if !skipped.replace(' ', "").ends_with("Option::is_none") || declares(&field.attrs, NEVER_NULL) {
        return None;
    }
    let inner = argument(&field.ty, "Option")?;
    Some(if is_never_null(inner) {
        quote!(true)
    } else {
        quote!("named")
    })
}

/// Types without a null value.
const NEVER: [&str; 42] = [
    "bool",
    "char",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "String",
    "str",
    "Vec",
    "VecDeque",
    "HashMap",
    "BTreeMap",
    "IndexMap",
    "HashSet",
    "BTreeSet",
    "PathBuf",
    "Path",
    "Duration",
    "SystemTime",
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
    "SocketAddr",
    "Uuid",
    "DateTime",
    "NaiveDate",
    "NaiveDateTime",
    "NaiveTime",
    "Decimal",
    "BigDecimal",
    "Url",
    "Version",
    "Bytes",
    "Timestamp",
];

/// Types that are null if what they hold is.
const AROUND: [&str; 4] = ["Box", "Arc", "Rc", "Cow"];

/// Whether it is known that no value of the type is null.
fn is_never_null(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => is_never_null(&reference.elem),
        Type::Paren(inner) => is_never_null(&inner.elem),
        Type::Group(inner) => is_never_null(&inner.elem),
        Type::Array(_) | Type::Slice(_) => true,
        Type::Tuple(tuple) => !tuple.elems.is_empty(),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            NEVER.iter().any(|name| last.ident == name)
                || AROUND
                    .iter()
                    .any(|name| argument(ty, name).is_some_and(is_never_null))
        }),
        _ => false,
    }
}

/// The last type in the brackets of a type of this name.
fn argument<'t>(ty: &'t Type, name: &str) -> Option<&'t Type> {
    let last = match ty {
        Type::Path(path) => path.path.segments.last()?,
        Type::Paren(inner) => return argument(&inner.elem, name),
        Type::Group(inner) => return argument(&inner.elem, name),
        _ => return None,
    };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let of = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    of.last().filter(|_| last.ident == name)
}

/// Whether the user has declared the keyword to schemars.
fn declares(attributes: &[Attribute], keyword: &str) -> bool {
    let mut listed = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("schemars"));
    listed.any(|attribute| {
        attribute
            .to_token_stream()
            .to_string()
            .contains(&format!("{keyword:?}"))
    })
}

fn has(attributes: &[Attribute], name: &str) -> bool {
    listed(attributes, "serde").any(|item| item.path().is_ident(name))
}

/// The texts of `name = "…"` among serde's attributes.
pub(super) fn texts(attributes: &[Attribute], name: &str) -> Vec<LitStr> {
    let items = listed(attributes, "serde").filter(|item| item.path().is_ident(name));
    items.filter_map(|item| text(&item)).collect()
}

fn text(item: &Meta) -> Option<LitStr> {
    match item {
        Meta::NameValue(item) => match &item.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Of these attributes, what names something: `rename` or `rename_all`.
fn naming(attributes: &[Attribute], wanted: &str) -> Vec<TokenStream> {
    let attributes = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde") || attribute.path().is_ident("schemars"));
    let named = attributes.flat_map(|attribute| {
        let path = attribute.path();
        let items = items(attribute)
            .into_iter()
            .filter(|item| item.path().is_ident(wanted));
        items.map(move |item| quote!(#[#path(#item)]))
    });
    named.collect()
}

/// All that stands in the attributes of this name.
fn listed<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = Meta> + 'a {
    let attributes = attributes
        .iter()
        .filter(move |attribute| attribute.path().is_ident(name));
    attributes.flat_map(items)
}

/// What stands in the parentheses. What is no list of these is for serde or schemars to complain about.
fn items(attribute: &Attribute) -> Vec<Meta> {
    let items = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    items.map(|items| items.into_iter().collect()).unwrap_or_default()
}
