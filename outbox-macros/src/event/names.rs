//! The names in an expression, and what they mean there.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Arm, Block, Expr, ExprClosure, ExprIf, FieldValue, Ident, Macro, Member, Pat, PatIdent, Stmt, Token,
};

use crate::span::at;

/// Whether `self` is one of them.
pub(super) fn mentions_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(name) => name == "self",
        TokenTree::Group(group) => mentions_self(group.stream()),
        _ => false,
    })
}

/// All identifiers, and those in the braces of texts, with their spans.
pub(super) fn in_expression(tokens: TokenStream) -> Vec<(String, Span)> {
    let mut names = Vec::new();
    collect(tokens, &mut names);
    names
}

fn collect(tokens: TokenStream, names: &mut Vec<(String, Span)>) {
    for token in tokens {
        let span = token.span();
        match token {
            TokenTree::Ident(name) => names.push((name.unraw().to_string(), span)),
            TokenTree::Group(group) => collect(group.stream(), names),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let inside = text.split('{').skip(1);
                let inside = inside.map(|inside| inside.split('}').next().unwrap_or_default());
                names.extend(
                    inside
                        .flat_map(names_in_braces)
                        .map(|name| (name.to_owned(), span)),
                );
            }
            TokenTree::Punct(_) => {}
        }
    }
}

/// `region`, `width` and `precision` of `{region:>width$.precision$}`.
fn names_in_braces(inside: &str) -> impl Iterator<Item = &str> {
    let (name, format) = inside.split_once(':').unwrap_or((inside, ""));
    let words = format.split(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '_' | '$'));
    let sizes = words.filter_map(|word| {
        Some(
            word.split_once('$')?
                .0
                .trim_start_matches(|c: char| c.is_ascii_digit()),
        )
    });
    std::iter::once(name.trim()).chain(sizes)
}

/// The name of a field with another span.
pub(super) fn respanned(field: &Member, span: Span) -> Option<Ident> {
    let Member::Named(name) = field else { return None };
    let mut name = name.clone();
    name.set_span(span);
    Some(name)
}

/// An expression that came through a macro of the user's speaks of another `self` than the method's.
pub(super) fn with_our_self(tokens: TokenStream) -> TokenStream {
    let ours = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(mut name) if name == "self" => {
            name.set_span(Span::call_site().located_at(name.span()));
            TokenTree::Ident(name)
        }
        TokenTree::Group(group) => {
            let mut inside = Group::new(group.delimiter(), with_our_self(group.stream()));
            inside.set_span(group.span());
            TokenTree::Group(inside)
        }
        other => other,
    });
    ours.collect()
}

/// The expression with its fields as places: each field is bound to a reference under its own name, and `id` means what
/// `self.id` would, so that it can be cast, compared and passed on.
pub(super) fn as_places(expr: &Expr, fields: &[Member]) -> Expr {
    let named = fields.iter().filter_map(|field| match field {
        Member::Named(name) => Some(name.unraw()),
        Member::Unnamed(_) => None,
    });
    let mut places = Places {
        fields: named.collect(),
    };
    let mut expr = expr.clone();
    places.visit_expr_mut(&mut expr);
    expr
}

struct Places {
    fields: Vec<Ident>,
}

impl Places {
    /// Visits what stands in the scope of patterns: what a closure, a `match` or a `let` calls like a field is another
    /// thing.
    fn below<'p>(&mut self, patterns: impl IntoIterator<Item = &'p Pat>, visit: impl FnOnce(&mut Self)) {
        let mut bound = Bound(Vec::new());
        patterns.into_iter().for_each(|pattern| bound.visit_pat(pattern));
        self.hiding(&bound, visit);
    }

    fn hiding(&mut self, bound: &Bound, visit: impl FnOnce(&mut Self)) {
        let hidden: Vec<_> = self
            .fields
            .extract_if(.., |field| bound.0.contains(field))
            .collect();
        visit(self);
        self.fields.extend(hidden);
    }
}

/// The names that patterns bind.
struct Bound(Vec<Ident>);

impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, bound: &'ast PatIdent) {
        self.0.push(bound.ident.unraw());
        visit::visit_pat_ident(self, bound);
    }
}

impl VisitMut for Places {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let name = match &*expr {
            Expr::Path(path) => path.path.get_ident(),
            _ => None,
        };
        let Some(name) = name.filter(|name| self.fields.contains(&name.unraw())) else {
            return visit_mut::visit_expr_mut(self, expr);
        };
        *expr = Expr::Verbatim(at(name.span(), quote!((*#name))));
    }

    fn visit_field_value_mut(&mut self, field: &mut FieldValue) {
        // `Id { id }` is `Id { id: id }`.
        field.colon_token.get_or_insert_default();
        visit_mut::visit_field_value_mut(self, field);
    }

    fn visit_expr_closure_mut(&mut self, closure: &mut ExprClosure) {
        let inputs: Vec<_> = closure.inputs.iter().cloned().collect();
        self.below(&inputs, |places| {
            visit_mut::visit_expr_closure_mut(places, closure)
        });
    }

    fn visit_arm_mut(&mut self, arm: &mut Arm) {
        let pattern = arm.pat.clone();
        self.below([&pattern], |places| visit_mut::visit_arm_mut(places, arm));
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        let bound = block.stmts.iter().filter_map(|statement| match statement {
            Stmt::Local(local) => Some(local.pat.clone()),
            Stmt::Item(_) | Stmt::Expr(..) | Stmt::Macro(_) => None,
        });
        let bound: Vec<_> = bound.collect();
        self.below(&bound, |places| visit_mut::visit_block_mut(places, block));
    }

    fn visit_expr_if_mut(&mut self, expr: &mut ExprIf) {
        if let Expr::Let(bound) = &*expr.cond {
            let pattern = (*bound.pat).clone();
            self.visit_expr_mut(&mut expr.cond);
            self.below([&pattern], |places| places.visit_block_mut(&mut expr.then_branch));
            if let Some((_, otherwise)) = &mut expr.else_branch {
                self.visit_expr_mut(otherwise);
            }
        } else {
            // A chain of conditions binds names in its midst.
            let mut bound = Bound(Vec::new());
            bound.visit_expr(&expr.cond);
            self.hiding(&bound, |places| visit_mut::visit_expr_if_mut(places, expr));
        }
    }

    fn visit_macro_mut(&mut self, call: &mut Macro) {
        let arguments = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(call.tokens.clone());
        let Ok(mut arguments) = arguments else { return };
        for argument in &mut arguments {
            match argument {
                Expr::Assign(named) => self.visit_expr_mut(&mut named.right),
                other => self.visit_expr_mut(other),
            }
        }
        call.tokens = arguments.into_token_stream();
    }
}
