//! The implementation of `OutboxEvent`: thin calls into the runtime, nothing decided here.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{DeriveInput, Fields, Generics, Ident, Path, Type, parse_quote};

use super::model::{Case, Event, Forms, HeaderValue, NamedForm, Route, What};
use super::topic::Part;
use super::value::{Value, binding, member_name};
use crate::span::at;

/// `impl OutboxEvent for …`: for all forms at once, or for each that has a name of its own.
pub(super) fn implementation(input: &DeriveInput, runtime: &Path, event: &Event<'_>) -> TokenStream {
    let Forms::Named(forms) = &event.forms else {
        let name = &input.ident;
        let private: Path = parse_quote!(#runtime::__private);
        let (_, arguments, _) = input.generics.split_for_impl();
        let generics = bounded(input, &private, runtime, event);
        return implementation_for(input, runtime, event, &generics, &quote!(#name #arguments), None);
    };
    let implement = |form: &NamedForm| {
        let ty = &form.ty;
        implementation_for(
            input,
            runtime,
            event,
            &Generics::default(),
            &quote!(#ty),
            Some(form),
        )
    };
    forms.iter().map(implement).collect()
}

fn implementation_for(
    input: &DeriveInput,
    runtime: &Path,
    event: &Event<'_>,
    generics: &Generics,
    target: &TokenStream,
    form: Option<&NamedForm>,
) -> TokenStream {
    let name = &input.ident;
    let private: Path = parse_quote!(#runtime::__private);
    let (impl_generics, _, bounds) = generics.split_for_impl();
    let method = |name: &str, routed: &dyn Fn(&Route) -> (TokenStream, Vec<Value>)| {
        let name = Ident::new(name, Span::call_site());
        let arms = event.cases.iter().map(|case| arm(case, runtime, &name, routed));
        quote!(match self { #(#arms)* })
    };
    let fixed = |tokens: TokenStream| (tokens, Vec::new());

    let event_type = method("event_type", &|route| {
        let event_type = form.map_or(&route.event_type, |form| &form.event_type);
        fixed(quote!(#private::Cow::Borrowed(#event_type)))
    });
    let version = method("version", &|route| {
        let version = form.map_or(route.version, |form| form.version);
        fixed(quote!(#version))
    });
    let topic = method("topic", &|route| topic(route, &private));
    let aggregate = method("aggregate_type", &|route| {
        let aggregate = &route.aggregate;
        fixed(quote!(#private::Cow::Borrowed(#aggregate)))
    });
    let key = method("key", &|route| {
        let key = quote!(#private::key);
        (route.key.read_by(key.clone(), &key), vec![route.key.clone()])
    });
    // A missing `Serialize` is reported at the event's name.
    let payload = method("payload", &|_| {
        fixed(at(name.span(), quote!(#private::Payload::json(self))))
    });
    let content_type = method("content_type", &|route| {
        let given = route.content_type.iter();
        let default = if route.content_type.is_none() {
            quote!("application/json")
        } else {
            quote!()
        };
        fixed(quote!(#private::Cow::Borrowed(#(#given)* #default)))
    });
    let source = method("source", &|route| match &route.source {
        Some(source) => fixed(quote!(#private::Some(#private::Cow::Borrowed(#source)))),
        None => fixed(quote!(#private::None)),
    });
    let occurred_at = method("occurred_at", &|route| {
        optional(&route.occurred_at, &private, "time")
    });
    let correlation_id = method("correlation_id", &|route| {
        optional(&route.correlation_id, &private, "text")
    });
    let headers = method("headers", &|route| headers(route, &private));

    quote! {
        // The compiler warns those who emit a deprecated event.
        #[allow(deprecated)]
        const _: () = {
            #[automatically_derived]
            impl #impl_generics #runtime::OutboxEvent for #target #bounds {
                fn event_type(&self) -> #private::Cow<'static, #private::str> { #event_type }
                fn version(&self) -> #private::u32 { #version }
                fn topic(&self) -> #private::Cow<'_, #private::str> { #topic }
                fn aggregate_type(&self) -> #private::Cow<'static, #private::str> { #aggregate }
                fn key(&self) -> #private::String { #key }
                fn payload(&self) -> #private::Result<#private::Payload, #private::BoxError> { #payload }
                fn content_type(&self) -> #private::Cow<'static, #private::str> { #content_type }
                fn source(&self) -> #private::Option<#private::Cow<'_, #private::str>> { #source }
                fn occurred_at(&self) -> #private::Option<#private::Time> { #occurred_at }
                fn correlation_id(&self) -> #private::Option<#private::String> { #correlation_id }
                fn headers(&self) -> #private::Headers { #headers }
            }
        };
    }
}

/// One arm: the fields that are needed, bound, and what is made of them.
fn arm(
    case: &Case<'_>,
    runtime: &Path,
    method: &Ident,
    routed: &dyn Fn(&Route) -> (TokenStream, Vec<Value>),
) -> TokenStream {
    let path = match case.variant {
        Some(variant) => quote!(Self::#variant),
        None => quote!(Self),
    };
    match &case.what {
        What::Transparent { member, ty } => {
            let event = binding(member);
            let call = at(ty.span(), quote!(#runtime::OutboxEvent::#method(#event)));
            quote!(#path { #member: #event } => #call,)
        }
        What::Routed(route) => {
            let (expression, values) = routed(route);
            let pattern = pattern(case.fields, &values);
            quote!(#path #pattern => #expression,)
        }
    }
}

fn pattern(fields: &Fields, values: &[Value]) -> TokenStream {
    let wanted: Vec<_> = values.iter().flat_map(Value::roots).map(member_name).collect();
    let bound = fields
        .members()
        .filter(|member| wanted.contains(&member_name(member)))
        .map(|member| {
            let variable = binding(&member);
            quote!(#member: #variable,)
        });
    quote!({ #(#bound)* .. })
}

fn topic(route: &Route, private: &Path) -> (TokenStream, Vec<Value>) {
    if let [Part::Constant(constant)] = route.topic.as_slice() {
        let topic = at(
            constant.span(),
            quote!(const { #private::constant_topic(#constant) }),
        );
        return (quote!(#private::Cow::Borrowed(#topic)), Vec::new());
    }
    if let [Part::Literal(whole)] = route.topic.as_slice() {
        return (quote!(#private::Cow::Borrowed(#whole)), Vec::new());
    }
    let mut values = Vec::new();
    let parts = route.topic.iter().map(|part| match part {
        Part::Literal(text) => quote!(&#text),
        Part::Constant(constant) => quote!(&#constant),
        Part::Value(value) => {
            values.push((**value).clone());
            value.read_by(quote!(#private::topic_part), &part_reader())
        }
    });
    let parts: Vec<_> = parts.collect();
    (quote!(#private::topic(&[#(#parts),*])), values)
}

fn optional(value: &Option<Value>, private: &Path, reader: &str) -> (TokenStream, Vec<Value>) {
    let Some(value) = value else {
        return (quote!(#private::None), Vec::new());
    };
    let reader = Ident::new(reader, Span::call_site());
    (
        value.read_by(quote!(#private::#reader), &part_reader()),
        vec![value.clone()],
    )
}

/// Makes text of one of several values.
fn part_reader() -> TokenStream {
    quote!(::std::string::ToString::to_string)
}

fn headers(route: &Route, private: &Path) -> (TokenStream, Vec<Value>) {
    let mut values = Vec::new();
    let pairs = route.headers.iter().map(|(name, value)| match value {
        HeaderValue::Literal(text) => quote!((#name, #private::literal(#text))),
        HeaderValue::Value(value) => {
            values.push(value.clone());
            let text = value.read_by(quote!(#private::text), &part_reader());
            quote!((#name, #text))
        }
    });
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() {
        return (quote!(#private::Headers::new()), values);
    }
    (quote!(#private::headers([#(#pairs),*])), values)
}

/// The item's generics, and what its event needs of them.
fn bounded(input: &DeriveInput, private: &Path, runtime: &Path, event: &Event<'_>) -> Generics {
    let mut generics = input.generics.clone();
    let parameters: Vec<_> = generics
        .type_params()
        .map(|parameter| parameter.ident.clone())
        .collect();
    if parameters.is_empty() {
        return generics;
    }
    let (_, arguments, _) = input.generics.split_for_impl();
    let name = &input.ident;
    let mut predicates: Vec<syn::WherePredicate> = Vec::new();
    let mut routed = false;
    for case in &event.cases {
        match &case.what {
            What::Transparent { ty, .. } if mentions(ty, &parameters) => {
                predicates.push(parse_quote!(#ty: #runtime::OutboxEvent));
            }
            What::Transparent { .. } => {}
            What::Routed(route) => {
                routed = true;
                let of_parameters =
                    |value: &Value| field_type(case.fields, value).filter(|ty| mentions(ty, &parameters));
                let key = route.key.parts().iter().filter_map(of_parameters);
                predicates.extend(key.map(|ty| parse_quote!(#ty: #private::EventKey)));
                let texts = route.texts().filter_map(of_parameters).map(always);
                predicates.extend(texts.map(|ty| parse_quote!(#ty: #private::Display)));
            }
        }
    }
    if routed {
        predicates.push(parse_quote!(#name #arguments: #private::Serialize));
    }
    generics.make_where_clause().predicates.extend(predicates);
    generics
}

/// The type of what is there, where it is an `Option`.
fn always(ty: &Type) -> Type {
    let inner = match ty {
        Type::Path(path) => path.path.segments.last().filter(|last| last.ident == "Option"),
        _ => None,
    };
    match inner.map(|last| &last.arguments) {
        Some(syn::PathArguments::AngleBracketed(arguments)) => match arguments.args.first() {
            Some(syn::GenericArgument::Type(inner)) => inner.clone(),
            _ => ty.clone(),
        },
        _ => ty.clone(),
    }
}

fn field_type<'a>(fields: &'a Fields, value: &Value) -> Option<&'a Type> {
    let wanted = member_name(value.plain_field()?);
    fields
        .members()
        .zip(fields)
        .find(|(member, _)| member_name(member) == wanted)
        .map(|(_, field)| &field.ty)
}

/// Whether a type is made with one of these parameters.
fn mentions(ty: &Type, parameters: &[Ident]) -> bool {
    struct Search<'p>(&'p [Ident], bool);
    impl<'ast> syn::visit::Visit<'ast> for Search<'_> {
        fn visit_ident(&mut self, ident: &'ast Ident) {
            self.1 |= self.0.contains(ident);
        }
    }
    let mut search = Search(parameters, false);
    syn::visit::Visit::visit_type(&mut search, ty);
    search.1
}
