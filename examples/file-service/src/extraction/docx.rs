//! The text of a Word document: a ZIP archive with the text in `word/document.xml`.

use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};
use zip::ZipArchive;
use zip::result::ZipError;

use super::{MAX_UNPACKED_BYTES, decode, is_encrypted, unreadable};
use crate::validation::Refusal;

const DOCUMENT: &str = "word/document.xml";

/// The text of all paragraphs, one a line. Footnotes, headers and comments are no part of it.
pub(super) fn text(bytes: &[u8]) -> Result<String, Refusal> {
    let markup = markup(bytes)?;
    let mut reader = Reader::from_str(&markup);
    let mut paragraphs = Paragraphs::default();
    loop {
        match reader.read_event().map_err(refused)? {
            Event::Eof => break,
            Event::Start(tag) => paragraphs.start(tag.local_name().into_inner()),
            Event::End(tag) => paragraphs.end(tag.local_name().into_inner()),
            Event::Empty(tag) => {
                paragraphs.start(tag.local_name().into_inner());
                paragraphs.end(tag.local_name().into_inner());
            }
            Event::Text(text) => paragraphs.text(&text),
            Event::CData(text) => paragraphs.text(&text),
            Event::GeneralRef(reference) => paragraphs.character(&reference)?,
            // Word writes none, and what it declares could be made to grow without end.
            Event::DocType(_) => return Err(refused("it declares a document type")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if paragraphs.open > 0 {
        return Err(refused("its end is missing"));
    }
    Ok(paragraphs.written)
}

fn markup(bytes: &[u8]) -> Result<String, Refusal> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(refused)?;
    let document = match archive.by_name(DOCUMENT) {
        Ok(document) => document,
        Err(ZipError::FileNotFound) => return Err(refused("the archive has no `word/document.xml`")),
        Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => {
            return Err(is_encrypted("a ZIP archive with a password"));
        }
        Err(error) => return Err(refused(error)),
    };
    let mut markup = Vec::new();
    // The size that the archive states may be wrong: what is really unpacked counts.
    let limit = MAX_UNPACKED_BYTES as u64;
    document
        .take(limit + 1)
        .read_to_end(&mut markup)
        .map_err(refused)?;
    if markup.len() > MAX_UNPACKED_BYTES {
        return Err(refused(format_args!("it unpacks to more than {limit} bytes")));
    }
    decode(&markup).ok_or_else(|| refused("its text is neither UTF-8 nor UTF-16"))
}

fn refused(reason: impl std::fmt::Display) -> Refusal {
    unreadable("a Word document", reason)
}

/// What the tags so far have said.
#[derive(Default)]
struct Paragraphs {
    written: String,
    /// Elements that have begun and not ended.
    open: usize,
    /// Depth of `w:t`, whose text is what people read.
    in_text: usize,
    /// Depth of `mc:Fallback`, which repeats the text of its neighbour for old programs.
    in_fallback: usize,
}

impl Paragraphs {
    fn start(&mut self, name: &str) {
        self.open += 1;
        match name {
            "t" => self.in_text += 1,
            "Fallback" => self.in_fallback += 1,
            "tab" if self.in_fallback == 0 => self.written.push('\t'),
            "br" | "cr" if self.in_fallback == 0 => self.written.push('\n'),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        self.open = self.open.saturating_sub(1);
        match name {
            "t" => self.in_text = self.in_text.saturating_sub(1),
            "Fallback" => self.in_fallback = self.in_fallback.saturating_sub(1),
            "p" if self.in_fallback == 0 => self.written.push('\n'),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_text > 0 && self.in_fallback == 0 {
            self.written.push_str(text);
        }
    }

    fn character(&mut self, reference: &BytesRef<'_>) -> Result<(), Refusal> {
        if let Some(character) = reference.resolve_char_ref().map_err(refused)? {
            self.text(character.encode_utf8(&mut [0; 4]));
        } else {
            let text = resolve_predefined_entity(reference);
            self.text(text.ok_or_else(|| refused("it names a character that is not declared"))?);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::super::extract_text;
    use super::*;
    use crate::validation::ValidationErrorCode;

    /// A document with a table and a line break.
    pub(crate) const ESSAY: &[u8] = include_bytes!("../../tests/files/essay.docx");

    fn archive(name: &str, content: &[u8]) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
        archive.finish().unwrap().into_inner()
    }

    fn document(body: &str) -> Vec<u8> {
        archive(
            DOCUMENT,
            format!("<w:document><w:body>{body}</w:body></w:document>").as_bytes(),
        )
    }

    fn refusal(bytes: &[u8]) -> String {
        let refusal = extract_text(bytes).unwrap_err();
        assert_eq!(refusal.code, ValidationErrorCode::TextExtractionFailed);
        refusal.detail.message
    }

    #[test]
    fn the_paragraphs_of_a_document_are_lines() {
        assert_eq!(
            extract_text(ESSAY).unwrap(),
            "Sommaren på ön\nVi åt räksmörgåsar & glass,\nvarje dag.\ni en tabell\nThe last paragraph.\n"
        );
    }

    #[test]
    fn what_is_not_read_by_people_is_left_out() {
        let text = "<w:p><w:r><w:instrText>PAGE</w:instrText><w:delText>gone</w:delText>\
            <mc:Choice><w:t>a &lt;&#229;</w:t></mc:Choice><mc:Fallback><w:t>a</w:t></mc:Fallback>\
            <w:tab/><w:t>b</w:t></w:r></w:p>";
        assert_eq!(extract_text(&document(text)).unwrap(), "a <å\tb\n");
    }

    #[test]
    fn archives_that_are_no_documents_are_refused() {
        assert!(refusal(&archive("essay.txt", b"text")).contains("word/document.xml"));
        assert!(refusal(&archive(DOCUMENT, b"<a>\xE5</a>")).contains("UTF-8"));
        assert!(refusal(&archive(DOCUMENT, b"<w:p><w:t>cut of")).contains("end is missing"));
        assert!(refusal(&document("<w:t>&file;</w:t>")).contains("not declared"));
        let bomb = br#"<!DOCTYPE d [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;">]><w:t>&b;</w:t>"#;
        assert!(refusal(&archive(DOCUMENT, bomb)).contains("document type"));
    }

    /// Nothing of an archive is written to a disk, so its names lead nowhere.
    #[test]
    fn names_in_an_archive_do_no_harm() {
        assert!(refusal(&archive("../../etc/passwd", b"text")).contains("word/document.xml"));
        assert!(refusal(&archive("../word/document.xml", b"<w:t>x</w:t>")).contains("word/document.xml"));
    }

    #[test]
    fn a_document_that_unpacks_to_too_much_is_refused() {
        let bomb = document(&" ".repeat(MAX_UNPACKED_BYTES));
        assert!(bomb.len() < 1 << 20);
        assert!(refusal(&bomb).contains("unpacks to more than"));
    }
}
