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
    /// The message that the function processes once.
    pub(super) inbox: Option<Expr>,
    /// Who processes it.
    pub(super) consumer: Option<Expr>,
    pub(super) runtime: Path,
}

const NAMES: [&str; 6] = ["isolation", "retry", "outbox", "inbox", "consumer", "crate"];

/// Names that others use for the same.
const SYNONYMS: [(&str, &str); 8] = [
    ("retries", "retry"),
    ("attempts", "retry"),
    ("isolation_level", "isolation"),
    ("pool", "outbox"),
    ("db", "outbox"),
    ("message", "inbox"),
    ("idempotent", "inbox"),
    ("group", "consumer"),
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
        inbox: None,
        consumer: None,
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
            let isolation = ISOLATIONS.iter().find(|(isolation, _)| *isolation == name);
            if isolation.is_some() {
                mistakes.at(&entry.name, format!("write `isolation = \"{name}\"`"));
                continue;
            }
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
            "inbox" => options.inbox = Some(value),
            "consumer" => options.consumer = Some(value),
            _ => options.runtime = runtime(&value, mistakes).unwrap_or(options.runtime),
        }
        given.push(name);
    }
    let told = (given.iter().any(|name| name == "inbox") && options.inbox.is_none())
        || (given.iter().any(|name| name == "consumer") && options.consumer.is_none());
    if !told {
        check_inbox(&options, mistakes);
    }
    options
}

/// An inbox and its consumer go together.
fn check_inbox(options: &Options, mistakes: &mut Mistakes) {
    match (&options.inbox, &options.consumer) {
        (Some(inbox), None) => mistakes.at(
            inbox,
            "the inbox keeps who has processed a message: add `consumer = \"…\"`, such as the service's name",
        ),
        (None, Some(consumer)) => mistakes.at(
            consumer,
            "`consumer` says who processes the message of `inbox`: add `inbox = <the argument with the message>`",
        ),
        _ => {}
    }
    if let Some(
        literal @ Expr::Lit(ExprLit {
            lit: Lit::Str(name), ..
        }),
    ) = &options.consumer
        && (name.value().is_empty() || name.value().len() > 512)
    {
        mistakes.at(literal, "a consumer's name has 1 to 512 bytes");
    }
}

fn example(name: &str) -> &'static str {
    match name {
        "isolation" => "isolation = \"serializable\"",
        "retry" => "retry = 3",
        "outbox" => "outbox = self.outbox",
        "inbox" => "inbox = message",
        "consumer" => "consumer = \"spellcheck\"",
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
