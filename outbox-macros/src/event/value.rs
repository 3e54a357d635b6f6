//! Where a value comes from: a field, an expression of `self`, or a literal.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Expr, Fields, Index, Lit, LitStr, Member, Token, Type};

use super::written::written;
use crate::mistakes::Mistakes;
use crate::place::at;
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
        if !input.peek(Token![=]) {
            let says = format!(
                "a header needs a value: write `{:?} = …`, a field or a literal",
                name.value()
            );
            return Err(syn::Error::new(name.span(), says));
        }
        input.parse::<Token![=]>()?;
        Ok(Self {
            name,
            value: input.parse()?,
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
    /// An expression of `self`.
    OfSelf(Expr),
}

impl Value {
    /// Reads `expr`, and checks that the field it names is there.
    pub(super) fn read(what: &str, expr: &Expr, owner: &Owner<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        if let Some((root, rest)) = field_chain(expr) {
            return match owner.field(&root) {
                Some(_) => Some(Self::Field {
                    root,
                    rest,
                    span: expr.span(),
                }),
                None => {
                    mistakes.at(expr, owner.no_such_field(&member_name(&root)));
                    None
                }
            };
        }
        if let Expr::Lit(literal) = expr
            && let Lit::Str(text) = &literal.lit
            && owner.names().contains(&text.value())
        {
            let name = text.value();
            mistakes.at(
                expr,
                format!("`{what}` names a field: write `{what} = {name}`, without quotes"),
            );
            return None;
        }
        if !mentions_self(expr.to_token_stream()) {
            let example = owner
                .names()
                .into_iter()
                .next()
                .unwrap_or_else(|| "field".to_owned());
            mistakes.at(
                expr,
                format!(
                    "`{what}` is a field or an expression of `self`: write for example `{what} = {example}` \
                     or `{what} = self.method()`"
                ),
            );
            return None;
        }
        owner.check_self_field(expr, mistakes);
        Some(Self::OfSelf(expr.clone()))
    }

    /// The field it is, if it is a field and nothing more.
    pub(super) fn plain_field(&self) -> Option<&Member> {
        match self {
            Self::Field { root, rest, .. } if rest.is_empty() => Some(root),
            _ => None,
        }
    }

    /// The field that has to be bound for it.
    pub(super) fn root(&self) -> Option<&Member> {
        match self {
            Self::Field { root, .. } => Some(root),
            Self::OfSelf(_) => None,
        }
    }

    /// A reference to the value, where its field is bound to [`binding`]; all at the value's own place.
    pub(super) fn reference(&self) -> TokenStream {
        match self {
            Self::Field { root, rest, span } => {
                let bound = binding(root);
                at(
                    *span,
                    if rest.is_empty() {
                        quote!(&*#bound)
                    } else {
                        quote!(&#bound #rest)
                    },
                )
            }
            Self::OfSelf(expr) => {
                let reference = at(expr.span(), quote!(&));
                quote!(#reference (#expr))
            }
        }
    }

    /// The value as it was written.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Field { root, rest, .. } => member_name(root) + &written(rest.clone()),
            Self::OfSelf(expr) => written(expr.to_token_stream()),
        }
    }

    pub(super) fn span(&self) -> Span {
        match self {
            Self::Field { span, .. } => *span,
            Self::OfSelf(expr) => expr.span(),
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

fn mentions_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(name) => name == "self",
        TokenTree::Group(group) => mentions_self(group.stream()),
        _ => false,
    })
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
    fn check_self_field(&self, expr: &Expr, mistakes: &mut Mistakes) {
        match expr {
            Expr::Field(field) => {
                let of_self = matches!(&*field.base, Expr::Path(path) if path.path.is_ident("self"));
                if !of_self {
                    self.check_self_field(&field.base, mistakes);
                } else if !self.is_struct {
                    let name = member_name(&field.member);
                    mistakes.at(
                        expr,
                        format!("`self` is the enum here: name the variant's field as `{name}`"),
                    );
                } else if self.field(&field.member).is_none() {
                    mistakes.at(&field.member, self.no_such_field(&member_name(&field.member)));
                }
            }
            Expr::MethodCall(call) => self.check_self_field(&call.receiver, mistakes),
            Expr::Paren(inner) => self.check_self_field(&inner.expr, mistakes),
            _ => {}
        }
    }
}
