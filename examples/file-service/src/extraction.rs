//! From a file's bytes to its text.

mod docx;
mod pdf;

use crate::validation::{Refusal, ValidationErrorCode};

/// The most text and markup that one file may unpack to, in bytes. A file of a few kilobytes can unpack to gigabytes.
const MAX_UNPACKED_BYTES: usize = 16 << 20;

/// The text of a file, with line ends made `\n`: plain text in UTF-8, or in UTF-16 with a byte order mark; a PDF; or a
/// Word document (`.docx`). The file's bytes say which it is, and not its name.
///
/// # Errors
/// [`EncryptedFileUnsupported`](ValidationErrorCode::EncryptedFileUnsupported) for what can be recognized as
/// encrypted, [`TextExtractionFailed`](ValidationErrorCode::TextExtractionFailed) for everything else that has
/// no text.
pub fn extract_text(bytes: &[u8]) -> Result<String, Refusal> {
    if let Some(kind) = encrypted(bytes) {
        return Err(is_encrypted(kind));
    }
    let text = if bytes.starts_with(PDF) {
        parsed("a PDF", || pdf::text(bytes))?
    } else if bytes.starts_with(ZIP) {
        parsed("a Word document", || docx::text(bytes))?
    } else {
        plain_text(bytes)?
    };
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// What a parser returns. A parser that panics has met a file that it was not made for: the file is refused at once,
/// since another attempt would end in the same way.
fn parsed(format: &str, parse: impl FnOnce() -> Result<String, Refusal>) -> Result<String, Refusal> {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(parse));
    outcome.unwrap_or_else(|_| Err(unreadable(format, "its parser failed")))
}

fn plain_text(bytes: &[u8]) -> Result<String, Refusal> {
    decode(bytes).ok_or_else(|| {
        let message = match known_format(bytes) {
            Some(format) => {
                format!("the file is {format}, from which no text is extracted: upload plain text, a PDF or a .docx")
            }
            None => "the file is no plain text in UTF-8 or UTF-16: save it with the encoding UTF-8, and upload it again"
                .to_owned(),
        };
        Refusal::new(ValidationErrorCode::TextExtractionFailed, message)
    })
}

fn is_encrypted(kind: &str) -> Refusal {
    let message = format!("the file is {kind}; remove the protection and upload it again");
    Refusal::new(ValidationErrorCode::EncryptedFileUnsupported, message)
}

/// An error and what it was caused by, since some parsers name only the step that failed.
fn reason(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

fn unreadable(format: &str, reason: impl std::fmt::Display) -> Refusal {
    let message = format!(
        "the file looks like {format}, but its text cannot be read: {reason}; upload it as plain text"
    );
    Refusal::new(ValidationErrorCode::TextExtractionFailed, message)
}

fn decode(bytes: &[u8]) -> Option<String> {
    let text = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }?;
    // Many binary formats are valid UTF-8 for long stretches; text has no control characters but these.
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    text.chars().all(is_text).then_some(text)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().copied().map(unit).collect();
    rest.is_empty().then(|| String::from_utf16(&units).ok())?
}

const PDF: &[u8] = b"%PDF-";
const ZIP: &[u8] = b"PK\x03\x04";
/// The container of old Office files, and of new ones with a password.
const COMPOUND: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";

fn encrypted(bytes: &[u8]) -> Option<&'static str> {
    let package: Vec<u8> = "EncryptedPackage"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    if bytes.starts_with(PDF) && contains(bytes, b"/Encrypt") {
        Some("a PDF with a password")
    } else if bytes.starts_with(ZIP) && bytes.get(6).is_some_and(|flags| flags & 1 == 1) {
        Some("a ZIP archive with a password")
    } else if bytes.starts_with(COMPOUND) && contains(bytes, &package) {
        Some("an Office document with a password")
    } else if bytes.starts_with(b"-----BEGIN PGP MESSAGE-----") || bytes.starts_with(b"age-encryption.org/") {
        Some("encrypted")
    } else {
        None
    }
}

fn known_format(bytes: &[u8]) -> Option<&'static str> {
    let formats: [(&[u8], _); 4] = [
        (COMPOUND, "an old Office document"),
        (b"{\\rtf", "in Rich Text Format"),
        (b"\x89PNG", "an image"),
        (b"\xFF\xD8\xFF", "an image"),
    ];
    formats
        .into_iter()
        .find_map(|(magic, name)| bytes.starts_with(magic).then_some(name))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> ValidationErrorCode {
        extract_text(bytes).unwrap_err().code
    }

    #[test]
    fn text_is_read_in_the_encodings_that_editors_write() {
        let utf16 = |unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}Smörgås".encode_utf16().flat_map(unit).collect()
        };
        for bytes in [
            "Smörgås".as_bytes().to_vec(),
            "\u{feff}Smörgås".as_bytes().to_vec(),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
        ] {
            assert_eq!(extract_text(&bytes).unwrap(), "Smörgås");
        }
        assert_eq!(extract_text(b"a\r\nb\rc\n").unwrap(), "a\nb\nc\n");
        assert_eq!(extract_text(b"").unwrap(), "");
    }

    #[test]
    fn what_is_encrypted_is_called_so() {
        let package: Vec<u8> = "EncryptedPackage"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for bytes in [
            b"%PDF-1.7\n1 0 obj\n<< /Encrypt 5 0 R >>".to_vec(),
            b"PK\x03\x04\x14\x00\x01\x00".to_vec(),
            [COMPOUND, &package].concat(),
            b"-----BEGIN PGP MESSAGE-----\n".to_vec(),
        ] {
            assert_eq!(refused(&bytes), ValidationErrorCode::EncryptedFileUnsupported);
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for bytes in [
            b"%PDF-1.7\n\xE2\xE3".as_slice(),
            b"%PDF-",
            b"PK\x03\x04\x14\x00\x00\x00",
            b"\xFF\xFEa",
            b"{\\rtf1 hello\0}",
            b"latin-1: \xE5\xE4\xF6",
            b"a\0b",
        ] {
            assert_eq!(refused(bytes), ValidationErrorCode::TextExtractionFailed);
        }
    }
    #[test]
    fn a_file_in_another_encoding_gets_an_error_that_names_the_right_one() {
        let refusal = extract_text(b"latin-1: \xE5\xE4\xF6").unwrap_err();
        assert!(
            refusal.detail.message.contains("UTF-8"),
            "{}",
            refusal.detail.message
        );
    }

    #[test]
    fn a_parser_that_panics_refuses_the_file() {
        let refusal = parsed("a PDF", || panic!("a bug")).unwrap_err();
        assert_eq!(refusal.code, ValidationErrorCode::TextExtractionFailed);
    }

    #[test]
    fn a_large_file_is_read() {
        let text = "åäö ".repeat(10 << 20 >> 3);
        assert_eq!(extract_text(text.as_bytes()).unwrap(), text);
    }

    /// Files that are cut off or have one wrong byte are what interrupted downloads and broken disks leave.
    #[test]
    fn no_damaged_document_stops_the_service() {
        for document in [pdf::tests::ESSAY, docx::tests::ESSAY] {
            for length in (0..document.len()).step_by(97) {
                let _ = extract_text(&document[..length]);
                let mut damaged = document.to_vec();
                damaged[length] ^= 0x55;
                let _ = extract_text(&damaged);
            }
        }
    }
}
