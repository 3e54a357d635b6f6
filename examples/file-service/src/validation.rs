//! Which texts can be assessed, and the words for those that cannot.

pub use contracts::file::{ValidationErrorCode, ValidationErrorDetail};

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub code: ValidationErrorCode,
    /// For people.
    pub detail: ValidationErrorDetail,
}

impl Refusal {
    pub(crate) fn new(code: ValidationErrorCode, message: impl Into<String>) -> Self {
        let detail = ValidationErrorDetail {
            message: message.into(),
            actual: None,
            limit: None,
        };
        Self { code, detail }
    }

    fn measured(mut self, actual: usize, limit: usize) -> Self {
        self.detail.actual = Some(actual as u64);
        self.detail.limit = Some(limit as u64);
        self
    }
}

/// How long a text has to be, in characters (Unicode scalar values), without white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLength {
    /// The shortest text that is an essay.
    pub min: usize,
    /// The longest that is taken.
    pub max: usize,
}

impl TextLength {
    /// Says what is wrong with a text, if anything is.
    ///
    /// # Errors
    /// It is empty, too short or too long.
    pub fn check(self, text: &str) -> Result<(), Refusal> {
        use ValidationErrorCode::{ContentTooLong, ContentTooShort, EmptyContent};
        match text.trim().chars().count() {
            0 => Err(Refusal::new(EmptyContent, "there is no text in the file")),
            length if length < self.min => {
                let message = format!(
                    "the text has {length} characters; an essay has at least {}",
                    self.min
                );
                Err(Refusal::new(ContentTooShort, message).measured(length, self.min))
            }
            length if length > self.max => {
                let message = format!("the text has {length} characters; at most {} are taken", self.max);
                Err(Refusal::new(ContentTooLong, message).measured(length, self.max))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: TextLength = TextLength { min: 5, max: 8 };

    fn code(text: &str) -> Option<ValidationErrorCode> {
        LENGTH.check(text).err().map(|refusal| refusal.code)
    }

    #[test]
    fn characters_count_and_not_bytes() {
        assert_eq!(code("åäöåä"), None);
        assert_eq!(code("åäöå"), Some(ValidationErrorCode::ContentTooShort));
        assert_eq!(code("123456789"), Some(ValidationErrorCode::ContentTooLong));
    }

    #[test]
    fn white_space_around_a_text_is_no_text() {
        assert_eq!(code(""), Some(ValidationErrorCode::EmptyContent));
        assert_eq!(code(" \r\n\t\u{a0} "), Some(ValidationErrorCode::EmptyContent));
        assert_eq!(code("  1234  "), Some(ValidationErrorCode::ContentTooShort));
        let detail = LENGTH.check("1234").unwrap_err().detail;
        assert_eq!((detail.actual, detail.limit), (Some(4), Some(5)));
    }

    #[test]
    fn a_code_is_sent_as_it_is_stored() {
        use ValidationErrorCode::*;
        for code in [
            EmptyContent,
            ContentTooShort,
            ContentTooLong,
            RawStorageFailed,
            TextExtractionFailed,
            EncryptedFileUnsupported,
            UnknownValidationError,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
