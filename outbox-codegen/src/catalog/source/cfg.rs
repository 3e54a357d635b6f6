//! Whether `cfg` leaves an item in, as it was decided for the build.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use proc_macro2::{Ident, Span, TokenStream};
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, LitBool, MacroDelimiter, Meta, MetaList, Token};

use crate::catalog::package::Chosen;
use crate::failure::Failure;

/// What is set: `unix`, `feature="postgres"`.
#[derive(Clone, Debug, Default)]
pub(super) struct Cfgs {
    set: BTreeSet<String>,
}

/// What the compiler sets for every crate.
pub(super) fn of_target(chosen: &Chosen) -> Result<Cfgs, Failure> {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(chosen.directory());
    if let Ok(flags) = env::var("CARGO_ENCODED_RUSTFLAGS") {
        rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    } else if let Ok(flags) = env::var("RUSTFLAGS") {
        rustc.args(flags.split_whitespace());
    }
    let output = rustc.args(["--print", "cfg"]).output();
    let output = output.map_err(|error| Failure::failed("cannot run rustc").because(error))?;
    if !output.status.success() {
        return Err(Failure::failed("rustc did not print its cfgs")
            .because(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(Cfgs {
        set: String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect(),
    })
}

impl Cfgs {
    /// With a package's features, and what its build script sets.
    pub(super) fn with(&self, features: &[String], cfgs: &[String]) -> Self {
        let mut with = self.clone();
        with.set
            .extend(features.iter().map(|feature| format!("feature=\"{feature}\"")));
        with.set.extend(cfgs.iter().cloned());
        with
    }

    /// Whether an item with these attributes is compiled. Tests are not.
    pub(super) fn leaves(&self, attributes: &[Attribute]) -> bool {
        self.effective(attributes).iter().all(|meta| match meta {
            Meta::List(list) if list.path.is_ident("cfg") => list
                .parse_args_with(predicate)
                .is_ok_and(|predicate| self.holds(&predicate)),
            Meta::Path(path) | Meta::List(MetaList { path, .. }) => !path
                .segments
                .last()
                .is_some_and(|last| last.ident == "test" || last.ident == "bench"),
            Meta::NameValue(_) => true,
        })
    }

    /// The attributes, with those that a `cfg_attr` adds.
    pub(super) fn effective(&self, attributes: &[Attribute]) -> Vec<Meta> {
        attributes
            .iter()
            .flat_map(|attribute| self.expanded(&attribute.meta))
            .collect()
    }

    fn expanded(&self, meta: &Meta) -> Vec<Meta> {
        let Meta::List(list) = meta else {
            return vec![meta.clone()];
        };
        if !list.path.is_ident("cfg_attr") {
            return vec![meta.clone()];
        }
        let parts = list.parse_args_with(predicates);
        let mut parts = parts.into_iter().flatten();
        match parts.next() {
            Some(predicate) if self.holds(&predicate) => {
                parts.flat_map(|meta| self.expanded(&meta)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn holds(&self, predicate: &Meta) -> bool {
        match predicate {
            Meta::Path(path) => path
                .get_ident()
                .is_some_and(|name| self.set.contains(&name.to_string())),
            Meta::NameValue(pair) => match (&pair.value, pair.path.get_ident()) {
                (
                    Expr::Lit(ExprLit {
                        lit: Lit::Str(text), ..
                    }),
                    Some(name),
                ) => self.set.contains(&format!("{name}={:?}", text.value())),
                _ => false,
            },
            Meta::List(list) => {
                let parts = list.parse_args_with(predicates);
                let parts: Vec<Meta> = parts.into_iter().flatten().collect();
                let mut parts = parts.iter();
                match list.path.get_ident().map(ToString::to_string).as_deref() {
                    Some("all") => parts.all(|part| self.holds(part)),
                    Some("any") => parts.any(|part| self.holds(part)),
                    Some("not") => parts.next().is_some_and(|part| !self.holds(part)),
                    _ => false,
                }
            }
        }
    }
}

/// What may stand in a `cfg`. `true` and `false` are no paths, so they are read as `all()` and `any()`, which mean
/// the same.
fn predicate(input: ParseStream<'_>) -> syn::Result<Meta> {
    if !input.peek(LitBool) {
        return input.parse();
    }
    let name = if input.parse::<LitBool>()?.value {
        "all"
    } else {
        "any"
    };
    Ok(Meta::List(MetaList {
        path: Ident::new(name, Span::call_site()).into(),
        delimiter: MacroDelimiter::Paren(Default::default()),
        tokens: TokenStream::new(),
    }))
}

fn predicates(input: ParseStream<'_>) -> syn::Result<Punctuated<Meta, Token![,]>> {
    Punctuated::parse_terminated_with(input, predicate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(attributes: &str) -> bool {
        let cfgs = Cfgs {
            set: ["unix", "target_os=\"linux\""].map(str::to_owned).into(),
        };
        let item: syn::ItemStruct = syn::parse_str(&format!("{attributes} struct X;")).unwrap();
        cfgs.with(&["kafka".into()], &["made".into()]).leaves(&item.attrs)
    }

    #[test]
    fn cfg_is_decided_as_the_compiler_does() {
        for left in [
            "",
            "#[cfg(unix)]",
            "#[cfg(all(unix, target_os = \"linux\"))]",
            "#[cfg(all())]",
            "#[cfg(any(windows, feature = \"kafka\"))]",
            "#[cfg(not(test))]",
            "#[cfg(made)]",
            "#[cfg(true)]",
            "#[cfg(all(true, not(false)))]",
            "#[cfg_attr(windows, cfg(windows))]",
            "#[cfg_attr(unix, cfg(feature = \"kafka\"), doc = \"x\")]",
        ] {
            assert!(leaves(left), "{left}");
        }
        for out in [
            "#[cfg(test)]",
            "#[cfg(false)]",
            "#[cfg(windows)]",
            "#[cfg(any())]",
            "#[cfg(unix)] #[cfg(feature = \"postgres\")]",
            "#[cfg(not(any(windows, unix)))]",
            "#[cfg_attr(unix, cfg_attr(made, cfg(windows)))]",
            "#[tokio::test(flavor = \"multi_thread\")]",
            "#[test]",
        ] {
            assert!(!leaves(out), "{out}");
        }
    }
}
