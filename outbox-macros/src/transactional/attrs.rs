//! The options of `#[transactional(…)]`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Expr, ExprLit, Ident, Lit, Path};

use crate::entries::{self, EntryValue};
use crate::mistakes::Mistakes;
use crate::spelling::closest;

/// The options, as far as they are right.
pub(super) struct Options {
    /// The variant of `Isolation`.
    pub(super) isolation: Option<Ident>,
    pub(super) retry: Option<u32>,
    pub(super) outbox: Option<Expr>,
    pub(super) runtime: Path,
}

const NAMES: [&str; 4] = ["isolation", "retry", "outbox", "crate"];

/// Names that others use for the same.
const SYNONYMS: [(&str, &str); 5] = [
    ("retries", "retry"),
    ("attempts", "retry"),
    ("isolation_level", "isolation"),
    ("pool", "outbox"),
    ("db", "outbox"),
];

/// Isolations as they are written, and their variants.
const ISOLATIONS: [(&str, &str); 3] = [
    ("read_committed", "ReadCommitted"),
    ("repeatable_read", "RepeatableRead"),
    ("serializable", "Serializable"),
];

/// Reads the options; a wrong one is told and left out.
pub(super) fn read(tokens: TokenStream, mistakes: &mut Mistakes) -> Options {
    let mut options = Options {
        isolation: None,
        retry: None,
        outbox: None,
        runtime: syn::parse_quote!(::outbox_runtime),
    };
    let mut given = Vec::new();
    for entry in entries::read(tokens, mistakes) {
        let name = entry.name.to_string();
        if !NAMES.contains(&name.as_str()) {
            let synonym = SYNONYMS
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, ours)| *ours);
            let says = match synonym.or_else(|| closest(&name, NAMES)) {
                Some(near) => format!("unknown option `{name}`: did you mean `{near}`?"),
                None => format!("unknown option `{name}`: there are `{}`", NAMES.join("`, `")),
            };
            mistakes.at(&entry.name, says);
            continue;
        }
        if given.contains(&name) {
            mistakes.at(&entry.name, format!("`{name}` is given twice: leave one"));
            continue;
        }
        let value = match entry.value {
            EntryValue::Expr(expr) => entries::ungrouped(*expr),
            EntryValue::Broken => {
                given.push(name);
                continue;
            }
            EntryValue::Nothing | EntryValue::List(_) => {
                mistakes.at(
                    &entry.name,
                    format!("`{name}` needs a value: write `{}`", example(&name)),
                );
                given.push(name);
                continue;
            }
        };
        match name.as_str() {
            "isolation" => options.isolation = isolation(&value, mistakes),
            "retry" => options.retry = retry(&value, mistakes),
            "outbox" => options.outbox = Some(value),
            _ => options.runtime = runtime(&value, mistakes).unwrap_or(options.runtime),
        }
        given.push(name);
    }
    options
}

fn example(name: &str) -> &'static str {
    match name {
        "isolation" => "isolation = \"serializable\"",
        "retry" => "retry = 3",
        "outbox" => "outbox = self.outbox",
        _ => "crate = \"::outbox_runtime\"",
    }
}

fn isolation(value: &Expr, mistakes: &mut Mistakes) -> Option<Ident> {
    let (word, quoted) = match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text), ..
        }) => (text.value(), true),
        other => (other.to_token_stream().to_string(), false),
    };
    // `Serializable`, `READ COMMITTED` and the like are told what they are called here.
    let plain = |text: &str| {
        text.to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "")
    };
    let known = ISOLATIONS
        .iter()
        .find(|(name, _)| if quoted { *name == word } else { false });
    if let Some((_, variant)) = known {
        return Some(Ident::new(variant, proc_macro2::Span::call_site()));
    }
    let meant = ISOLATIONS
        .iter()
        .find(|(name, _)| plain(name) == plain(&word))
        .map(|(name, _)| *name)
        .or_else(|| closest(&word, ISOLATIONS.map(|(name, _)| name)));
    let says = match meant {
        Some(name) => format!("write `isolation = \"{name}\"`"),
        None => "`isolation` is \"read_committed\", \"repeatable_read\" or \"serializable\"".to_owned(),
    };
    mistakes.at(value, says);
    None
}

fn retry(value: &Expr, mistakes: &mut Mistakes) -> Option<u32> {
    if let Expr::Lit(ExprLit {
        lit: Lit::Int(number),
        ..
    }) = value
        && let Ok(retries) = number.base10_parse()
    {
        return Some(retries);
    }
    mistakes.at(
        value,
        "`retry` is how often to begin again: write a number, such as `retry = 3`",
    );
    None
}

fn runtime(value: &Expr, mistakes: &mut Mistakes) -> Option<Path> {
    if let Expr::Lit(ExprLit {
        lit: Lit::Str(text), ..
    }) = value
        && let Ok(path) = text.parse_with(Path::parse_mod_style)
    {
        return Some(path);
    }
    mistakes.at(
        value,
        "`crate` is the path of the runtime: write for example `crate = \"::my_outbox\"`",
    );
    None
}
