//! The events and modules in one file.

use std::path::PathBuf;

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Ident, Item, ItemUse, Lit, Meta, Path, Token, Type, UseTree};

use super::cfg::Cfgs;

/// What a file holds.
pub(super) struct Contents {
    /// Whether the file's own attributes leave it in.
    pub(super) compiled: bool,
    pub(super) events: Vec<Found>,
    /// The types that implement the trait without the derive.
    pub(super) by_hand: Vec<Found>,
    pub(super) modules: Vec<Module>,
}

/// A struct or a variant that is an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) line: u32,
}

/// `mod name;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) name: String,
    /// The modules of this file that it stands in.
    pub(super) inside: Vec<String>,
    pub(super) path: Option<PathBuf>,
    pub(super) compiled: bool,
}

/// The events that `cfg` leaves in, and all modules.
pub(super) fn of(file: &syn::File, cfgs: &Cfgs) -> Contents {
    let mut aliases = Aliases(vec!["OutboxEvent".to_owned()]);
    aliases.visit_file(file);
    let mut search = Search {
        cfgs,
        names: aliases.0,
        compiled: true,
        inside: Vec::new(),
        events: Vec::new(),
        by_hand: Vec::new(),
        modules: Vec::new(),
    };
    search.visit_file(file);
    Contents {
        compiled: cfgs.leaves(&file.attrs),
        events: search.events,
        by_hand: search.by_hand,
        modules: search.modules,
    }
}

/// `use outbox_runtime::OutboxEvent as Event;`
struct Aliases(Vec<String>);

impl<'ast> Visit<'ast> for Aliases {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.visit_use_tree(&item.tree);
    }

    fn visit_use_tree(&mut self, tree: &'ast UseTree) {
        if let UseTree::Rename(rename) = tree
            && rename.ident == "OutboxEvent"
        {
            self.0.push(rename.rename.to_string());
        }
        visit::visit_use_tree(self, tree);
    }
}

struct Search<'c> {
    cfgs: &'c Cfgs,
    names: Vec<String>,
    compiled: bool,
    inside: Vec<String>,
    events: Vec<Found>,
    by_hand: Vec<Found>,
    modules: Vec<Module>,
}

impl Search<'_> {
    /// What is below an item with these attributes is compiled only if that is.
    fn below(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        let before = self.compiled;
        self.compiled = before && self.cfgs.leaves(attributes);
        visit(self);
        self.compiled = before;
    }

    fn is_event(&self, attributes: &[Attribute]) -> bool {
        let derives = |meta: &Meta| match meta {
            Meta::List(list) if list.path.is_ident("derive") => {
                let paths = list.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
                paths.into_iter().flatten().any(|path| self.names_trait(&path))
            }
            _ => false,
        };
        self.compiled && self.cfgs.effective(attributes).iter().any(derives)
    }

    fn names_trait(&self, path: &Path) -> bool {
        path.segments
            .last()
            .is_some_and(|last| self.names.iter().any(|name| last.ident == name))
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

impl<'ast> Visit<'ast> for Search<'_> {
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
        let name = syn::ext::IdentExt::unraw(&item.ident).to_string();
        if item.content.is_some() {
            self.inside.push(name);
            visit::visit_item_mod(self, item);
            self.inside.pop();
            return;
        }
        let path = self
            .cfgs
            .effective(&item.attrs)
            .into_iter()
            .find_map(|meta| match meta {
                Meta::NameValue(pair) if pair.path.is_ident("path") => match pair.value {
                    Expr::Lit(ExprLit {
                        lit: Lit::Str(text), ..
                    }) => Some(text.value().into()),
                    _ => None,
                },
                _ => None,
            });
        self.modules.push(Module {
            name,
            inside: self.inside.clone(),
            path,
            compiled: self.compiled,
        });
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        if self.is_event(&item.attrs) {
            self.events.push(Found::named(&item.ident));
        }
        visit::visit_item_struct(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of_trait = item
            .trait_
            .as_ref()
            .is_some_and(|(path, _)| self.names_trait(path));
        if self.compiled && of_trait {
            self.by_hand.extend(name_of(&item.self_ty).map(Found::named));
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        if self.is_event(&item.attrs) {
            for variant in &item.variants {
                if self.cfgs.leaves(&variant.attrs) && !is_transparent(&self.cfgs.effective(&variant.attrs)) {
                    self.events.push(Found::named(&variant.ident));
                }
            }
        }
        visit::visit_item_enum(self, item);
    }
}

/// The last name in a type's path.
fn name_of(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|last| &last.ident),
        _ => None,
    }
}

/// Such a variant is the event that it holds.
fn is_transparent(attributes: &[Meta]) -> bool {
    attributes.iter().any(|meta| match meta {
        Meta::List(list) if list.path.is_ident("outbox") => {
            let words = list.tokens.clone().into_iter();
            words
                .filter(|token| matches!(token, proc_macro2::TokenTree::Ident(word) if word == "transparent"))
                .count()
                > 0
        }
        _ => false,
    })
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
        let file = syn::parse_file(source).unwrap();
        of(&file, &Cfgs::default())
            .events
            .into_iter()
            .map(|event| event.name)
            .collect()
    }

    #[test]
    fn events_are_found_wherever_they_are_compiled() {
        let source = r#"
            #[derive(Serialize, OutboxEvent)] struct A;
            #[derive(outbox_runtime::OutboxEvent)] enum E {
                #[outbox(topic = "x")] B,
                #[outbox(transparent)] Held(A),
                #[cfg(windows)] W,
            }
            #[cfg_attr(not(windows), derive(my::OutboxEvent))] struct C;
            mod inner { use outbox_runtime::OutboxEvent as Event; #[derive(Event)] struct D; }
            fn f() { #[cfg(all())] { #[derive(OutboxEvent)] struct F; } }
            impl A { fn g() { #[derive(OutboxEvent)] struct G; } }
        "#;
        assert_eq!(names(source), ["A", "B", "C", "D", "F", "G"]);
    }

    #[test]
    fn what_is_not_compiled_is_no_event() {
        let source = r#"
            #[derive(Clone)] struct Other;
            #[cfg(windows)] #[derive(OutboxEvent)] struct A;
            #[cfg_attr(windows, derive(OutboxEvent))] struct B;
            #[cfg(test)] mod tests { #[derive(OutboxEvent)] struct C; }
            #[test] fn f() { #[derive(OutboxEvent)] struct D; }
            fn g() { #[cfg(windows)] { #[derive(OutboxEvent)] struct E; } }
            macro_rules! event { ($name:ident) => { #[derive(OutboxEvent)] struct $name; } }
            /// #[derive(OutboxEvent)] struct F;
            struct G;
        "#;
        assert_eq!(names(source), [""; 0]);
    }

    #[test]
    fn modules_know_where_they_stand() {
        let source = r#"mod a; #[cfg(windows)] mod b; mod c { #[path = "x.rs"] mod d; }"#;
        let modules = of(&syn::parse_file(source).unwrap(), &Cfgs::default()).modules;
        let module = |name: &str, inside: &[&str], path: Option<&str>, compiled| Module {
            name: name.into(),
            inside: inside.iter().map(ToString::to_string).collect(),
            path: path.map(Into::into),
            compiled,
        };
        assert_eq!(
            modules,
            [
                module("a", &[], None, true),
                module("b", &[], None, false),
                module("d", &["c"], Some("x.rs"), true)
            ]
        );
    }
}
