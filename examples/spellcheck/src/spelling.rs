//! Words, and how they are spelled.

use std::fmt;
use std::path::{Path, PathBuf};

use spellbook::Dictionary;

/// Languages, and the names of Hunspell's dictionaries for them.
const LANGUAGES: [(&str, &str); 2] = [("en", "en_US"), ("sv", "sv_SE")];

/// A dictionary for each language.
pub struct Dictionaries {
    by_language: Vec<(&'static str, Dictionary)>,
}

/// A dictionary that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DictionaryError {
    /// A file cannot be read.
    #[error(
        "the dictionary file {path} cannot be read: {source}; on Debian, install hunspell-en-us and hunspell-sv"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The files are no dictionary.
    #[error("{name} is no Hunspell dictionary: {message}")]
    Parse {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        message: String,
    },
}

/// A text whose spelling was corrected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrected {
    /// The text.
    pub text: String,
    /// Its words.
    pub words: usize,
    /// Words that were replaced.
    pub corrections: usize,
}

impl Dictionaries {
    /// Reads the dictionaries in this folder.
    ///
    /// # Errors
    /// One is missing, or cannot be read.
    pub fn read(folder: &Path) -> Result<Self, DictionaryError> {
        let read = |name: &str, ending: &str| {
            let path = folder.join(format!("{name}.{ending}"));
            std::fs::read_to_string(&path).map_err(|source| DictionaryError::Read { path, source })
        };
        let mut by_language = Vec::new();
        for (language, name) in LANGUAGES {
            let dictionary = Dictionary::new(&read(name, "aff")?, &read(name, "dic")?);
            let dictionary = dictionary.map_err(|error| DictionaryError::Parse {
                name,
                message: error.to_string(),
            })?;
            by_language.push((language, dictionary));
        }
        Ok(Self { by_language })
    }

    /// Replaces each word that is spelled wrong by the first suggestion, if there is one. A text of which most words are
    /// unknown is in another language, and is kept. None if there is no dictionary for the language.
    pub fn correct(&self, language: &str, text: &str) -> Option<Corrected> {
        let (_, dictionary) = self.by_language.iter().find(|(name, _)| *name == language)?;
        let mut corrected = Corrected {
            text: String::with_capacity(text.len()),
            words: 0,
            corrections: 0,
        };
        let all = || std::iter::successors(Some(("", "", text)), |(_, _, rest)| next_word(rest)).skip(1);
        let unknown = all().filter(|(_, word, _)| !dictionary.check(word)).count();
        let foreign = unknown * 2 > all().count();
        let mut rest = text;
        while let Some((before, word, after)) = next_word(rest) {
            corrected.text.push_str(before);
            corrected.words += 1;
            let better = if foreign {
                None
            } else {
                suggestion(dictionary, word)
            };
            match better {
                Some(better) => {
                    corrected.corrections += 1;
                    corrected.text.push_str(&better);
                }
                None => corrected.text.push_str(word),
            }
            rest = after;
        }
        corrected.text.push_str(rest);
        Some(corrected)
    }
}

/// What stands before the next word, the word, and what stands behind it.
fn next_word(text: &str) -> Option<(&str, &str, &str)> {
    let (before, word) = text.split_at(text.find(char::is_alphabetic)?);
    let end = word.find(|letter: char| !letter.is_alphabetic() && letter != '\'');
    let (word, after) = word.split_at(end.unwrap_or(word.len()));
    Some((before, word, after))
}

/// What to write instead of a word that is spelled wrong.
fn suggestion(dictionary: &Dictionary, word: &str) -> Option<String> {
    if dictionary.check(word) {
        return None;
    }
    let mut suggestions = Vec::new();
    dictionary.suggest(word, &mut suggestions);
    suggestions.into_iter().next()
}

impl fmt::Debug for Dictionaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.by_language.iter().map(|(language, _)| language))
            .finish()
    }
}
