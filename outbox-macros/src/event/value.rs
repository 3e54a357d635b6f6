//! Where a value comes from: a field, an expression of `self`, or a literal.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Fields, Index, Lit, LitStr, Member, Token, Type};

use super::names::{self, mentions_self, with_our_self};
use super::token_text::token_text;
use crate::entries::{in_place_of_equals, ungrouped};
use crate::errors::Errors;
use crate::span::at;
use crate::spelling::closest;

/// One entry of `headers(…)`.
pub(super) struct HeaderEntry {
    pub(super) name: LitStr,
    pub(super) value: Expr,
}

impl Parse for HeaderEntry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(LitStr) {
            return Err(input.error("a header's name is a text in quotes: write `\"x-tenant\" = tenant`"));
        }
        let name: LitStr = input.parse()?;
        let says = format!(
            "a header needs a value: write `{:?} = …`, a field or a literal",
            name.value()
        );
        if !input.peek(Token![=]) || in_place_of_equals(input).is_some() {
            return Err(syn::Error::new(name.span(), says));
        }
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(syn::Error::new(name.span(), says));
        }
        Ok(Self {
            name,
            value: ungrouped(input.parse()?),
        })
    }
}

/// A value that is read from the event.
#[derive(Clone)]
pub(super) enum Value {
    /// A field, and what is done with it: `order.customer_id` is the field `order` and the rest
    /// `.customer_id`.
    Field {
        root: Member,
        rest: TokenStream,
        span: Span,
    },
    /// An expression of `self`, or a constant.
    OfSelf(Expr),
    /// An expression that names fields, such as `format!("{}-{}", region, id)`.
    OfFields { expr: Expr, fields: Vec<Member> },
    /// `(region, id)`: several values, with `:` between them.
    Tuple { values: Vec<Value>, span: Span },
}

impl Value {
    /// Reads `expr`, and checks that the field it names is there.
    pub(super) fn read(what: &str, expr: &Expr, owner: &Owner<'_>, errors: &mut Errors) -> Option<Self> {
        if let Some((root, rest)) = field_chain(expr) {
            return match owner.field(&root) {
                Some(_) => Some(Self::Field {
                    root,
                    rest,
                    span: expr.span(),
                }),
                None => {
                    errors.at(expr, owner.no_such_field(&member_name(&root)));
                    None
                }
            };
        }
        if let Some(name) = field_in_quotes(expr, owner) {
            let says = format!("`{what}` names a field: write `{what} = {name}`, without quotes");
            errors.at(expr, says);
            return None;
        }
        if let Expr::Tuple(tuple) = expr
            && tuple.elems.len() > 1
        {
            let values: Vec<_> = tuple
                .elems
                .iter()
                .map(|part| Self::read_part(what, part, owner, errors))
                .collect();
            return Some(Self::Tuple {
                values: values.into_iter().collect::<Option<_>>()?,
                span: expr.span(),
            });
        }
        if is_of_program(expr) && !mentions_self(expr.to_token_stream()) {
            let fields = owner.mentioned_in(expr.to_token_stream());
            let expr = expr.clone();
            return Some(match fields.is_empty() {
                true => Self::OfSelf(expr),
                false => Self::OfFields { expr, fields },
            });
        }
        let of_self = mentions_self(expr.to_token_stream());
        let fields = owner.mentioned_in(expr.to_token_stream());
        if !of_self && !fields.is_empty() {
            return Some(Self::OfFields {
                expr: expr.clone(),
                fields,
            });
        }
        if !of_self {
            errors.at(expr, Self::no_value(what, owner));
            return None;
        }
        owner.check_self_field(expr, errors);
        Some(Self::OfSelf(expr.clone()))
    }

    /// What to say of an expression that takes nothing of the event.
    fn no_value(what: &str, owner: &Owner<'_>) -> String {
        let first = owner.names().into_iter().next();
        let example = first.unwrap_or_else(|| "field".to_owned());
        format!(
            "`{what}` is a field or an expression of `self`: write for example `{what} = {example}` \
             or `{what} = self.method()`"
        )
    }

    /// As [`Self::read`], for a part of several: there a text between fields is the same for all events on purpose.
    fn read_part(what: &str, part: &Expr, owner: &Owner<'_>, errors: &mut Errors) -> Option<Self> {
        match part {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) if !owner.names().contains(&text.value()) => Some(Self::OfSelf(part.clone())),
            _ => Self::read(what, part, owner, errors),
        }
    }

    /// Whether an expression is a field, something of one, or of `self`.
    pub(super) fn is_of_fields(expr: &Expr) -> bool {
        field_chain(expr).is_some() || mentions_self(expr.to_token_stream())
    }

    /// The field it is, if it is a field and nothing more.
    pub(super) fn plain_field(&self) -> Option<&Member> {
        match self {
            Self::Field { root, rest, .. } if rest.is_empty() => Some(root),
            _ => None,
        }
    }

    /// The parts of a tuple, or the value itself.
    pub(super) fn parts(&self) -> &[Self] {
        match self {
            Self::Tuple { values, .. } => values,
            other => std::slice::from_ref(other),
        }
    }

    /// The fields that have to be bound for it.
    pub(super) fn roots(&self) -> Vec<&Member> {
        match self {
            Self::Field { root, .. } => vec![root],
            Self::OfSelf(_) => Vec::new(),
            Self::OfFields { fields, .. } => fields.iter().collect(),
            Self::Tuple { values, .. } => values.iter().flat_map(Self::roots).collect(),
        }
    }

    /// What `reader`, a path to a function, makes of a reference to the value, where its fields are bound to [`binding`].
    ///
    /// The whole has the value's own span, and the user's tokens keep theirs.
    /// `part` reads the values of a tuple.
    pub(super) fn read_by(&self, reader: TokenStream, part: &TokenStream) -> TokenStream {
        let reader = at(self.span(), reader);
        let call = |inner: TokenStream| {
            let reference = at(self.span(), quote!(&));
            let mut group = Group::new(Delimiter::Parenthesis, inner);
            group.set_span(Span::call_site().located_at(self.span()));
            quote!(#reader(#reference #group))
        };
        match self {
            Self::Field { root, rest, span } if rest.is_empty() => {
                let bound = binding(root);
                let reference = at(*span, quote!(&*#bound));
                quote!(#reader(#reference))
            }
            Self::Field { root, rest, .. } => {
                let bound = binding(root);
                let bound = at(root.span(), quote!(#bound));
                call(quote!(#bound #rest))
            }
            Self::OfSelf(expr) => call(with_our_self(expr.to_token_stream())),
            Self::OfFields { expr, fields } => {
                // Under their own names, which a format text can hold too; a name means what it does where it stands.
                let names = names::in_expression(expr.to_token_stream());
                let bound = names.iter().filter_map(|(name, span)| {
                    let field = fields.iter().find(|field| member_name(field) == *name)?;
                    let (variable, bound) = (names::respanned(field, *span)?, binding(field));
                    Some(quote!(#[allow(unused_variables)] let #variable = #bound;))
                });
                // The names around the call, and not only around the expression: that may be a place, which is not moved.
                let call = call(names::as_places(expr, fields).into_token_stream());
                quote!({ #(#bound)* #call })
            }
            Self::Tuple { values, .. } => {
                let parts = values.iter().map(|value| value.read_by(part.clone(), part));
                call(quote!(<[::std::string::String]>::join(&[#(#parts),*], ":")))
            }
        }
    }

    /// The value as in the source.
    pub(super) fn token_text(&self) -> String {
        match self {
            Self::Field { root, rest, .. } => member_name(root) + &token_text(rest.clone()),
            Self::OfSelf(expr) | Self::OfFields { expr, .. } => token_text(expr.to_token_stream()),
            Self::Tuple { values, .. } => {
                let parts: Vec<_> = values.iter().map(Self::token_text).collect();
                format!("({})", parts.join(", "))
            }
        }
    }

    pub(super) fn span(&self) -> Span {
        match self {
            Self::Field { span, .. } | Self::Tuple { span, .. } => *span,
            Self::OfSelf(expr) | Self::OfFields { expr, .. } => expr.span(),
        }
    }
}

/// The variable that a field is bound to in generated code.
pub(super) fn binding(member: &Member) -> syn::Ident {
    quote::format_ident!("__outbox_{}", member_name(member), span = Span::mixed_site())
}

/// A field's name or number.
pub(super) fn member_name(member: &Member) -> String {
    match member {
        Member::Named(name) => syn::ext::IdentExt::unraw(name).to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    }
}

/// `a`, `a.b.c`, `a.b()`, `0`: a field and what is done with it.
fn field_chain(expr: &Expr) -> Option<(Member, TokenStream)> {
    let continued = |base: &Expr, more: TokenStream| {
        let (root, mut rest) = field_chain(base)?;
        rest.extend(more);
        Some((root, rest))
    };
    match expr {
        Expr::Path(path) => {
            let name = path.path.get_ident().filter(|name| *name != "self")?;
            if is_constant(expr) {
                return None;
            }
            Some((Member::Named(name.clone()), TokenStream::new()))
        }
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) if number.suffix().is_empty() => {
                let index = Index {
                    index: number.base10_parse().ok()?,
                    span: number.span(),
                };
                Some((Member::Unnamed(index), TokenStream::new()))
            }
            // The lexer takes `0.1` for a number.
            Lit::Float(number) if number.suffix().is_empty() => {
                let (outer, inner) = number.base10_digits().split_once('.')?;
                let index = |digits: &str| -> Option<Index> {
                    Some(Index {
                        index: digits.parse().ok()?,
                        span: number.span(),
                    })
                };
                let inner = index(inner)?;
                Some((Member::Unnamed(index(outer)?), quote!(.#inner)))
            }
            _ => None,
        },
        Expr::Field(field) => {
            let (dot, member) = (&field.dot_token, &field.member);
            continued(&field.base, quote!(#dot #member))
        }
        Expr::MethodCall(call) => {
            let (dot, method, turbofish, args) = (&call.dot_token, &call.method, &call.turbofish, &call.args);
            continued(&call.receiver, quote!(#dot #method #turbofish (#args)))
        }
        Expr::Paren(inner) => field_chain(&inner.expr),
        Expr::Group(inner) => field_chain(&inner.expr),
        _ => None,
    }
}

/// A constant, what a function returns, and what is made of either: no slip in a field's name.
fn is_of_program(expr: &Expr) -> bool {
    match expr {
        Expr::Call(_) | Expr::Macro(_) => true,
        Expr::MethodCall(call) => is_of_program(&call.receiver),
        Expr::Field(field) => is_of_program(&field.base),
        Expr::Reference(reference) => is_of_program(&reference.expr),
        other => is_constant(other),
    }
}

/// `KEY`, `Self::KEY`, `limits::KEY`, `env!("…")`, `concat!(…)`: what is the same for all values.
pub(super) fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Path(path) => path.path.segments.last().is_some_and(|last| {
            let name = last.ident.to_string();
            name.starts_with(|first: char| first.is_ascii_uppercase())
                && !name.contains(|letter: char| letter.is_ascii_lowercase())
        }),
        Expr::Macro(call) => call.mac.path.segments.last().is_some_and(|last| {
            [
                "env",
                "option_env",
                "concat",
                "stringify",
                "module_path",
                "include_str",
                "file",
                "line",
            ]
            .iter()
            .any(|name| last.ident == name)
        }),
        _ => false,
    }
}

/// The struct or variant that has the fields.
pub(super) struct Owner<'a> {
    pub(super) name: String,
    pub(super) fields: &'a Fields,
    /// In a variant, `self` is the enum, which has no fields.
    pub(super) is_struct: bool,
}

impl Owner<'_> {
    /// The type of a field.
    pub(super) fn field(&self, member: &Member) -> Option<&Type> {
        let wanted = member_name(member);
        self.fields
            .members()
            .zip(self.fields)
            .find(|(at, _)| member_name(at) == wanted)
            .map(|(_, field)| &field.ty)
    }

    /// Whether an expression is the number of a field, `0` or `0.1`.
    pub(super) fn has_field_at(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Lit(_)) && field_chain(expr).is_some_and(|(root, _)| self.field(&root).is_some())
    }

    /// The named fields that an expression names, by themselves or in a format text.
    fn mentioned_in(&self, tokens: TokenStream) -> Vec<Member> {
        let names = names::in_expression(tokens);
        self.fields
            .members()
            .filter(|member| {
                matches!(member, Member::Named(_))
                    && names.iter().any(|(name, _)| *name == member_name(member))
            })
            .collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.fields.members().map(|member| member_name(&member)).collect()
    }

    pub(super) fn no_such_field(&self, wanted: &str) -> String {
        let names = self.names();
        let owner = &self.name;
        // Numbers are not slips of each other.
        let is_number = wanted.bytes().all(|byte| byte.is_ascii_digit());
        match closest(wanted, names.iter().map(String::as_str)).filter(|_| !is_number) {
            Some(near) => format!("`{owner}` has no field `{wanted}`: did you mean `{near}`?"),
            None if names.is_empty() => {
                format!("`{owner}` has no field `{wanted}`, nor any other: write an expression of `self`")
            }
            None => format!(
                "`{owner}` has no field `{wanted}`: there are `{}`",
                names.join("`, `")
            ),
        }
    }

    /// `self.field` of a field that is not there, at any place in an expression of `self` that starts so.
    fn check_self_field(&self, expr: &Expr, errors: &mut Errors) {
        match expr {
            Expr::Field(field) => {
                let of_self = matches!(&*field.base, Expr::Path(path) if path.path.is_ident("self"));
                if !of_self {
                    self.check_self_field(&field.base, errors);
                } else if !self.is_struct {
                    let name = member_name(&field.member);
                    errors.at(
                        expr,
                        format!("`self` is the enum here: name the variant's field as `{name}`"),
                    );
                } else if self.field(&field.member).is_none() {
                    errors.at(&field.member, self.no_such_field(&member_name(&field.member)));
                }
            }
            Expr::MethodCall(call) => self.check_self_field(&call.receiver, errors),
            Expr::Paren(inner) => self.check_self_field(&inner.expr, errors),
            _ => {}
        }
    }
}

/// The field that a text names.
fn field_in_quotes(expr: &Expr, owner: &Owner<'_>) -> Option<String> {
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text), ..
    }) = expr
    else {
        return None;
    };
    Some(text.value()).filter(|name| owner.names().contains(name))
}
