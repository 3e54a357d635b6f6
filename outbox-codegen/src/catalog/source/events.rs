//! The events in one file.

use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Ident, Item, Lit, Meta, Token, Type, UseTree};

/// What a file holds, as far as no `cfg` in it concerns it.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) events: Vec<Found>,
    /// The types that implement the trait without the derive.
    pub(super) by_hand: Vec<Found>,
    /// The modules with a file of their own that a `cfg` concerns, by their name and their file's.
    pub(super) conditional_modules: Vec<String>,
}

/// A struct or a variant that is an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) line: u32,
}

/// What is in this text; `None` if it is no Rust.
pub(super) fn read(text: &str) -> Option<Contents> {
    let file = syn::parse_file(text).ok()?;
    let mut search = Search {
        names: vec!["OutboxEvent".to_owned()],
        conditional: is_conditional(&file.attrs),
        found: Contents::default(),
    };
    Aliases(&mut search.names).visit_file(&file);
    search.visit_file(&file);
    Some(search.found)
}

/// `use outbox_runtime::OutboxEvent as Event;`
struct Aliases<'n>(&'n mut Vec<String>);

impl<'ast> Visit<'ast> for Aliases<'_> {
    fn visit_use_tree(&mut self, tree: &'ast UseTree) {
        if let UseTree::Rename(rename) = tree
            && rename.ident == "OutboxEvent"
        {
            self.0.push(rename.rename.to_string());
        }
        visit::visit_use_tree(self, tree);
    }
}

struct Search {
    names: Vec<String>,
    conditional: bool,
    found: Contents,
}

impl Search {
    fn below(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        let before = self.conditional;
        self.conditional |= is_conditional(attributes);
        visit(self);
        self.conditional = before;
    }

    fn derives_event(&self, attributes: &[Attribute]) -> bool {
        let mut derives = attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("derive"));
        derives.any(|derive| {
            let paths = derive.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated);
            paths.into_iter().flatten().any(|path| self.is_trait(&path))
        })
    }

    fn is_trait(&self, path: &syn::Path) -> bool {
        let last = path.segments.last();
        last.is_some_and(|last| self.names.iter().any(|name| last.ident == name))
    }
}

impl<'ast> Visit<'ast> for Search {
    fn visit_item(&mut self, item: &'ast Item) {
        self.below(attributes_of(item), |search| visit::visit_item(search, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.below(&item.attrs, |search| visit::visit_impl_item_fn(search, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.below(&item.attrs, |search| visit::visit_trait_item_fn(search, item));
    }

    fn visit_expr_block(&mut self, block: &'ast syn::ExprBlock) {
        self.below(&block.attrs, |search| visit::visit_expr_block(search, block));
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        self.below(&local.attrs, |search| visit::visit_local(search, local));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let added = added(&item.attrs);
        let own = item.attrs.iter().map(|attribute| &attribute.meta);
        let files: Vec<String> = own.chain(&added).filter_map(file_in).collect();
        // With `#[cfg_attr(…, path = "…")]`, neither of the two files is certain.
        if item.content.is_none() && (self.conditional || added.iter().any(|meta| file_in(meta).is_some())) {
            self.found
                .conditional_modules
                .push(item.ident.unraw().to_string());
            self.found.conditional_modules.extend(files);
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        if !self.conditional && self.derives_event(&item.attrs) {
            self.found.events.push(Found::named(&item.ident));
        }
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        if !self.conditional && self.derives_event(&item.attrs) {
            let own = item.variants.iter().filter(|variant| {
                !is_conditional(&variant.attrs) && !variant.attrs.iter().any(is_transparent)
            });
            self.found
                .events
                .extend(own.map(|variant| Found::named(&variant.ident)));
        }
        visit::visit_item_enum(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let (false, Some((path, _)), Type::Path(of)) = (self.conditional, &item.trait_, &*item.self_ty)
            && self.is_trait(path)
        {
            let name = of.path.segments.last();
            self.found
                .by_hand
                .extend(name.map(|last| Found::named(&last.ident)));
        }
        visit::visit_item_impl(self, item);
    }
}

impl Found {
    fn named(name: &Ident) -> Self {
        Self {
            name: name.to_string(),
            line: u32::try_from(name.span().start().line).unwrap_or(u32::MAX),
        }
    }
}

/// Whether it depends on a `cfg` that something is compiled; tests do.
fn is_conditional(attributes: &[Attribute]) -> bool {
    let own = attributes.iter().map(Attribute::path);
    let depends = |path: &syn::Path| {
        let last = path.segments.last();
        last.is_some_and(|last| ["cfg", "test", "bench"].iter().any(|name| last.ident == name))
    };
    let added = added(attributes);
    own.chain(added.iter().map(Meta::path)).any(depends)
}

/// What each `cfg_attr` adds where it applies: the text behind the first comma.
fn added(attributes: &[Attribute]) -> Vec<Meta> {
    let conditional = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg_attr"));
    let lists = conditional.filter_map(|attribute| attribute.meta.require_list().ok());
    lists
        .flat_map(|list| {
            let is_comma =
                |token: &TokenTree| matches!(token, TokenTree::Punct(sign) if sign.as_char() == ',');
            let tokens = list.tokens.clone().into_iter();
            let behind: TokenStream = tokens.skip_while(|token| !is_comma(token)).skip(1).collect();
            let metas = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(behind);
            metas.into_iter().flatten()
        })
        .collect()
}

/// The module's name by `path = "…"`.
fn file_in(meta: &Meta) -> Option<String> {
    let Expr::Lit(ExprLit {
        lit: Lit::Str(path), ..
    }) = &meta.require_name_value().ok()?.value
    else {
        return None;
    };
    let path = path.value();
    let path = Path::new(&path);
    let name = match path.file_stem() {
        Some(stem) if stem == "mod" => path.parent()?.file_name(),
        stem => stem,
    };
    meta.path()
        .is_ident("path")
        .then(|| name?.to_str().map(str::to_owned))?
}

/// Such a variant is the event that it holds.
fn is_transparent(attribute: &Attribute) -> bool {
    let tokens = match &attribute.meta {
        Meta::List(list) if list.path.is_ident("outbox") => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    let mut tokens = tokens.into_iter();
    tokens.any(|token| matches!(token, TokenTree::Ident(word) if word == "transparent"))
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        // Nothing of ours can be inside.
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<String> {
        let events = read(source).unwrap().events.into_iter();
        events.map(|event| event.name).collect()
    }

    #[test]
    fn events_are_found_wherever_they_are() {
        let source = r#"
            #[derive(Serialize, OutboxEvent)] #[cfg_attr(windows, derive(Clone))] struct A;
            #[derive(outbox_runtime::OutboxEvent)] enum E {
                #[outbox(topic = "x")] B,
                #[outbox(transparent)] Held(A),
                #[cfg(windows)] W,
            }
            mod inner { use outbox_runtime::OutboxEvent as Event; #[derive(Event)] struct D; }
            fn f() { { #[derive(OutboxEvent)] struct F; } }
            impl A { fn g() { #[derive(OutboxEvent)] struct G; } }
        "#;
        assert_eq!(names(source), ["A", "B", "D", "F", "G"]);
    }

    #[test]
    fn what_may_not_be_compiled_is_not_missed() {
        let source = r#"
            #[derive(Clone)] struct Other;
            #[cfg(windows)] #[derive(OutboxEvent)] struct A;
            #[cfg_attr(windows, derive(OutboxEvent))] struct B;
            #[cfg_attr(all(unix, windows), doc = "x", cfg(windows))] #[derive(OutboxEvent)] struct H;
            #[cfg(test)] mod tests { #[derive(OutboxEvent)] struct C; }
            #[tokio::test(flavor = "multi_thread")] fn f() { #[derive(OutboxEvent)] struct D; }
            fn g() { #[cfg(windows)] { #[derive(OutboxEvent)] struct E; } }
            impl A { #[cfg(windows)] fn h() { #[derive(OutboxEvent)] struct I; } }
            macro_rules! event { ($name:ident) => { #[derive(OutboxEvent)] struct $name; } }
            /// #[derive(OutboxEvent)] struct F;
            struct G;
        "#;
        assert_eq!(names(source), [""; 0]);
        assert_eq!(
            names("#![cfg(windows)] #[derive(OutboxEvent)] struct A;"),
            [""; 0]
        );
    }

    #[test]
    fn modules_that_a_cfg_concerns_are_named() {
        let source = r#"
            mod a;
            #[path = "x.rs"] mod b;
            #[cfg(windows)] mod c;
            #[cfg(windows)] mod inline { #[path = "y/mod.rs"] mod r#d; }
            #[cfg_attr(windows, path = "z.rs")] mod e;
        "#;
        assert_eq!(
            read(source).unwrap().conditional_modules,
            ["c", "d", "y", "e", "z"]
        );
    }
}
