//! What the event leaves for the catalog: constants, strung up by `inventory`.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Attribute, DeriveInput, Expr, ExprLit, GenericParam, Lit, Meta, Path, Type, parse_quote};

use super::model::{Case, Event, Forms, HeaderValue, NamedForm, Route};
use super::token_text::token_text;
use super::topic::Part;
use super::value::Value;
use super::{forms, notes};
use crate::span::at;

/// The registrations of all events of the item.
pub(super) fn registration(input: &DeriveInput, runtime: &Path, event: &Event<'_>) -> TokenStream {
    let item = Item {
        input,
        runtime,
        private: parse_quote!(#runtime::__private),
    };
    let forms: Vec<Form<'_>> = match &event.forms {
        Forms::Item => vec![Form::only(item.itself())],
        Forms::Alike(types) => types.iter().cloned().map(Form::of_generic).collect(),
        Forms::Named(named) => named.iter().map(Form::named).collect(),
        Forms::Any => Vec::new(),
    };
    let routed: Vec<(&Case<'_>, &Route)> = event.cases.iter().filter_map(Case::routed).collect();
    let mut registrations = Vec::new();
    for form in &forms {
        registrations.extend(routed.iter().map(|(case, route)| item.event(case, route, form)));
    }
    if matches!(event.forms, Forms::Any) && !routed.is_empty() {
        registrations.push(item.formless());
    }
    let private = &item.private;
    quote!(#[allow(deprecated)] const _: () = { #(#private::inventory::submit! { #registrations })* };)
}

/// One type that the events are of.
struct Form<'a> {
    ty: Type,
    is_generic: bool,
    named: Option<&'a NamedForm>,
}

impl<'a> Form<'a> {
    fn only(ty: Type) -> Self {
        Self {
            ty,
            is_generic: false,
            named: None,
        }
    }

    fn of_generic(ty: Type) -> Self {
        Self {
            ty,
            is_generic: true,
            named: None,
        }
    }

    fn named(form: &'a NamedForm) -> Self {
        Self {
            named: Some(form),
            ..Self::of_generic(form.ty.clone())
        }
    }
}

struct Item<'a> {
    input: &'a DeriveInput,
    runtime: &'a Path,
    private: Path,
}

impl Item<'_> {
    /// The type itself; its lifetimes mean nothing here.
    fn itself(&self) -> Type {
        let name = &self.input.ident;
        let lifetimes = self.input.generics.lifetimes().map(|_| quote!('static));
        let arguments: Vec<_> = lifetimes.collect();
        if arguments.is_empty() {
            parse_quote!(#name)
        } else {
            parse_quote!(#name<#(#arguments),*>)
        }
    }

    fn event(&self, case: &Case<'_>, route: &Route, form: &Form<'_>) -> TokenStream {
        let private = &self.private;
        let ty = &form.ty;
        let event_type = form.named.map_or(&route.event_type, |form| &form.event_type);
        let version = form.named.map_or(route.version, |form| form.version);
        let template = match (&route.template, route.topic.as_slice()) {
            (None, [Part::Constant(constant)]) => of_type(constant.to_token_stream(), ty),
            (template, _) => {
                let template = spaceless(template.as_deref().unwrap_or_default());
                quote!(#template)
            }
        };
        let aggregate = &route.aggregate;
        let key = route.key.token_text();
        let content_type = route
            .content_type
            .as_ref()
            .map_or_else(|| "application/json".to_owned(), syn::LitStr::value);
        let source = self.optional(route.source.as_ref().map(syn::LitStr::value));
        let occurred_at = self.optional(route.occurred_at.as_ref().map(Value::token_text));
        let correlation_id = self.optional(route.correlation_id.as_ref().map(Value::token_text));
        let headers = route.headers.iter().map(|(name, value)| match value {
            HeaderValue::Literal(text) => quote!(#private::DeclaredHeader::Literal(#name, #text)),
            HeaderValue::Value(value) => {
                let field = value.token_text();
                quote!(#private::DeclaredHeader::Field(#name, #field))
            }
        });
        let rust_type = self.path(case, form);
        let type_id = at(ty.span(), quote!(#private::event_id::<#ty>()));
        let (file, line) = location(case.name.span());
        let doc = doc(case.attributes);
        let schema = match route.schema {
            None => quote!(#private::None),
            Some(span) => {
                let make = self.schema(case, ty, event_type, span);
                quote!(#private::Some(#make))
            }
        };
        quote! {
            #private::event(#private::Declaration {
                event_type: #event_type,
                version: #version,
                topic: #template,
                aggregate: #aggregate,
                key: #key,
                content_type: #content_type,
                source: #source,
                occurred_at: #occurred_at,
                correlation_id: #correlation_id,
                headers: &[#(#headers),*],
                rust_type: #rust_type,
                file: #file,
                line: #line,
                doc: #doc,
                type_id: #type_id,
                schema: #schema,
            })
        }
    }

    fn formless(&self) -> TokenStream {
        let private = &self.private;
        let name = syn::ext::IdentExt::unraw(&self.input.ident).to_string();
        let (file, line) = location(self.input.ident.span());
        quote! {
            #private::Registration::Formless(#private::FormlessEvent {
                rust_type: #private::concat!(#private::module_path!(), "::", #name),
                file: #file,
                line: #line,
            })
        }
    }

    fn optional(&self, text: Option<String>) -> TokenStream {
        let private = &self.private;
        match text {
            Some(text) => quote!(#private::Some(#text)),
            None => quote!(#private::None),
        }
    }

    /// `module::Struct`, `module::Enum::Variant`, `module::Wrapper<OrderV1>`.
    fn path(&self, case: &Case<'_>, form: &Form<'_>) -> TokenStream {
        let private = &self.private;
        let mut name = syn::ext::IdentExt::unraw(&self.input.ident).to_string();
        if form.is_generic {
            name += &token_text(forms::arguments(&form.ty).to_token_stream());
        }
        if let Some(variant) = case.variant {
            name = format!("{name}::{}", syn::ext::IdentExt::unraw(variant));
        }
        quote!(#private::concat!(#private::module_path!(), "::", #name))
    }

    /// A function that makes the schema: the type's own, or that of an enum with only this variant in it.
    fn schema(&self, case: &Case<'_>, ty: &Type, event_type: &str, span: Span) -> TokenStream {
        let private = &self.private;
        let runtime = self.runtime.to_token_stream().to_string().replace(' ', "") + "::__private::schemars";
        let Some(variant) = case.variant else {
            let name = quote!(__OutboxNotes);
            let Some(names) = notes::names(self.input, case.fields, &name) else {
                return at(span, quote!(#private::json_schema::of::<#ty>));
            };
            let make = at(span, quote!(#private::noted_schema!));
            return quote!(#make(#ty, #name, #[schemars(crate = #runtime)] #names));
        };
        let name = quote!(__OutboxPayload);
        let arguments = forms::arguments(ty);
        let generics = &self.input.generics;
        let bounds = &generics.where_clause;
        let attributes = self.input.attrs.iter().filter(|attribute| shapes(attribute));
        let noted = notes::of_container(&self.input.attrs);
        let mut only = variant_of(self.input, variant);
        if let Some(only) = &mut only {
            only.attrs.retain(shapes);
            only.attrs.extend(notes::of_variant(only));
            let noted = notes::otherwise(&self.input.attrs, &only.fields);
            for (field, noted) in only.fields.iter_mut().zip(&noted) {
                field.attrs.retain(shapes);
                field.attrs.extend(notes::of_field(noted));
            }
        }
        let unused = generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Lifetime(parameter) => {
                let lifetime = &parameter.lifetime;
                Some(quote!(&#lifetime ()))
            }
            GenericParam::Type(parameter) => Some(parameter.ident.to_token_stream()),
            GenericParam::Const(_) => None,
        });
        let unused: Vec<_> = unused.collect();
        let rest = (!unused.is_empty())
            .then(|| quote!(#[schemars(skip)] __OutboxUnused(#private::PhantomData<(#(#unused,)*)>),));
        let make = at(span, quote!(#private::variant_schema!));
        quote! {
            #make(
                #event_type, #name #arguments,
                #[schemars(crate = #runtime)]
                #(#attributes)*
                #(#noted)*
                enum #name #generics #bounds { #only, #rest }
            )
        }
    }
}

fn variant_of(input: &DeriveInput, wanted: &syn::Ident) -> Option<syn::Variant> {
    match &input.data {
        syn::Data::Enum(data) => data
            .variants
            .iter()
            .find(|variant| variant.ident == *wanted)
            .cloned(),
        _ => None,
    }
}

/// Whether an attribute changes the shape of the payload, or of its schema.
fn shapes(attribute: &Attribute) -> bool {
    ["serde", "schemars", "validate", "garde", "doc"]
        .iter()
        .any(|name| attribute.path().is_ident(name))
}

/// The doc comment, without its markers.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let text: Vec<_> = lines
        .flat_map(|text| {
            text.split('\n')
                .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    text.join("\n").trim().to_owned()
}

/// A constant outside of the type: `Self::TOPIC` is `<Type>::TOPIC` there.
fn of_type(constant: TokenStream, ty: &Type) -> TokenStream {
    let mut constant = constant.into_iter().peekable();
    let mut replaced = Vec::new();
    while let Some(token) = constant.next() {
        let begins_a_path =
            matches!(constant.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
        replaced.push(match token {
            TokenTree::Ident(name) if name == "Self" && begins_a_path => quote!(<#ty>),
            TokenTree::Ident(name) if name == "Self" => quote!(#ty),
            TokenTree::Group(group) => {
                let mut inside = Group::new(group.delimiter(), of_type(group.stream(), ty));
                inside.set_span(group.span());
                TokenTree::Group(inside).into_token_stream()
            }
            other => other.into_token_stream(),
        });
    }
    replaced.into_iter().collect()
}

/// A template without spaces: `{ region }` is `{region}`.
fn spaceless(template: &str) -> String {
    template.replace(char::is_whitespace, "")
}

/// File and line of a name, as the compiler counts them.
fn location(span: Span) -> (String, u32) {
    let span = span.unwrap();
    (span.file(), u32::try_from(span.line()).unwrap_or_default())
}
