//! The options of `#[transactional(…)]`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Expr, ExprLit, Ident, Lit, Path};

use crate::entries::{self, EntryValue, names};
use crate::errors::Errors;
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

names! {
    /// The options' names.
    Name {
        Isolation = "isolation",
        Retry = "retry",
        Outbox = "outbox",
        Inbox = "inbox",
        Consumer = "consumer",
        Crate = "crate",
    }
}

/// Names that others use for the same.
const SYNONYMS: [(&str, Name); 8] = [
    ("retries", Name::Retry),
    ("attempts", Name::Retry),
    ("isolation_level", Name::Isolation),
    ("pool", Name::Outbox),
    ("db", Name::Outbox),
    ("message", Name::Inbox),
    ("idempotent", Name::Inbox),
    ("group", Name::Consumer),
];

/// Isolations as in the source, and their variants.
const ISOLATIONS: [(&str, &str); 3] = [
    ("read_committed", "ReadCommitted"),
    ("repeatable_read", "RepeatableRead"),
    ("serializable", "Serializable"),
];

/// Reads the options. A wrong one becomes an error and is left out.
pub(super) fn read(tokens: TokenStream, errors: &mut Errors) -> Options {
    let mut options = Options {
        isolation: None,
        retry: None,
        outbox: None,
        inbox: None,
        consumer: None,
        runtime: syn::parse_quote!(::outbox_runtime),
    };
    let mut given = Vec::new();
    for entry in entries::read(tokens, errors) {
        let word = entry.name.to_string();
        let Some(name) = Name::of(&word) else {
            errors.at(&entry.name, unknown(&word));
            continue;
        };
        if given.contains(&name) {
            errors.at(&entry.name, format!("`{word}` is given twice: leave one"));
            continue;
        }
        given.push(name);
        match entry.value {
            EntryValue::Expr(value) => options.set(name, entries::ungrouped(*value), errors),
            EntryValue::Broken => {}
            EntryValue::Nothing | EntryValue::List(_) => errors.at(
                &entry.name,
                format!("`{word}` needs a value: write `{}`", example(name)),
            ),
        }
    }
    let unreadable = (given.contains(&Name::Inbox) && options.inbox.is_none())
        || (given.contains(&Name::Consumer) && options.consumer.is_none());
    if !unreadable {
        check_inbox(&options, errors);
    }
    options
}

impl Options {
    fn set(&mut self, name: Name, value: Expr, errors: &mut Errors) {
        match name {
            Name::Isolation => self.isolation = isolation(&value, errors),
            Name::Retry => self.retry = retry(&value, errors),
            Name::Outbox => self.outbox = Some(value),
            Name::Inbox => self.inbox = Some(value),
            Name::Consumer => self.consumer = Some(value),
            Name::Crate => {
                if let Some(path) = runtime(&value, errors) {
                    self.runtime = path;
                }
            }
        }
    }
}

/// What to say of an option that there is not.
fn unknown(word: &str) -> String {
    if ISOLATIONS.iter().any(|(isolation, _)| *isolation == word) {
        return format!("write `isolation = \"{word}\"`");
    }
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == word);
    let meant = synonym.map(|(_, ours)| ours.as_str());
    match meant.or_else(|| closest(word, Name::TEXTS)) {
        Some(near) => format!("unknown option `{word}`: did you mean `{near}`?"),
        None => format!(
            "unknown option `{word}`: there are `{}`",
            Name::TEXTS.join("`, `")
        ),
    }
}

/// An inbox and its consumer go together.
fn check_inbox(options: &Options, errors: &mut Errors) {
    match (&options.inbox, &options.consumer) {
        (Some(inbox), None) => errors.at(
            inbox,
            "the inbox keeps who has processed a message: add `consumer = \"…\"`, such as the service's name",
        ),
        (None, Some(consumer)) => errors.at(
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
        errors.at(literal, "a consumer's name has 1 to 512 bytes");
    }
}

fn example(name: Name) -> &'static str {
    match name {
        Name::Isolation => "isolation = \"serializable\"",
        Name::Retry => "retry = 3",
        Name::Outbox => "outbox = self.outbox",
        Name::Inbox => "inbox = message",
        Name::Consumer => "consumer = \"spellcheck\"",
        Name::Crate => "crate = \"::outbox_runtime\"",
    }
}

fn isolation(value: &Expr, errors: &mut Errors) -> Option<Ident> {
    let (word, quoted) = match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text), ..
        }) => (text.value(), true),
        other => (other.to_token_stream().to_string(), false),
    };
    // The error for `Serializable`, `READ COMMITTED` and the like names the right spelling.
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
    errors.at(value, says);
    None
}

fn retry(value: &Expr, errors: &mut Errors) -> Option<u32> {
    if let Expr::Lit(ExprLit {
        lit: Lit::Int(number),
        ..
    }) = value
        && let Ok(retries) = number.base10_parse()
    {
        return Some(retries);
    }
    errors.at(
        value,
        "`retry` is how often to begin again: write a number, such as `retry = 3`",
    );
    None
}

fn runtime(value: &Expr, errors: &mut Errors) -> Option<Path> {
    if let Expr::Lit(ExprLit {
        lit: Lit::Str(text), ..
    }) = value
        && let Ok(path) = text.parse_with(Path::parse_mod_style)
    {
        return Some(path);
    }
    errors.at(
        value,
        "`crate` is the path of the runtime: write for example `crate = \"::my_outbox\"`",
    );
    None
}
