//! The text of a PDF.

use lopdf::{Document, LoadOptions};

use super::{MAX_UNPACKED_BYTES, reason, unreadable};
use crate::validation::Refusal;

/// The text of all pages, in their order.
pub(super) fn text(bytes: &[u8]) -> Result<String, Refusal> {
    let options = LoadOptions::with_max_decompressed_size(MAX_UNPACKED_BYTES);
    let document = Document::load_mem_with_options(bytes, options)
        .map_err(|error| unreadable("a PDF", reason(error)))?;
    let mut text = String::new();
    for page in document.get_pages().into_keys() {
        // What is left bounds the whole document: each of many pages may stay just below a limit of its own.
        let left = MAX_UNPACKED_BYTES.saturating_sub(text.len());
        let page = document.extract_text_with_limit(&[page], left);
        let page = page.map_err(|error| unreadable("a PDF", reason(error)))?;
        text.extend(
            page.chars()
                .filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')),
        );
    }
    if text.trim().is_empty() {
        return Err(unreadable("a PDF", "its pages have no text, as those of a scan"));
    }
    Ok(text)
}

#[cfg(test)]
pub(super) mod tests {
    use lopdf::content::{Content, Operation};
    use lopdf::{Dictionary, Object, Stream, dictionary};

    use super::super::extract_text;
    use super::*;
    use crate::validation::ValidationErrorCode;

    /// Two pages, with a font that is embedded and compressed streams.
    pub(crate) const ESSAY: &[u8] = include_bytes!("../../tests/files/essay.pdf");

    /// A PDF of one page with this content, compressed.
    fn page(content: Vec<u8>) -> Vec<u8> {
        let mut document = Document::with_version("1.5");
        let pages = document.new_object_id();
        let mut stream = Stream::new(Dictionary::new(), content);
        stream.compress().unwrap();
        let content = document.add_object(stream);
        let page =
            document.add_object(dictionary! { "Type" => "Page", "Parent" => pages, "Contents" => content });
        let kids = vec![Object::Reference(page)];
        document.objects.insert(
            pages,
            dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => 1 }.into(),
        );
        let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
        document.trailer.set("Root", catalog);
        let mut bytes = Vec::new();
        document.save_to(&mut bytes).unwrap();
        bytes
    }

    fn refusal(bytes: &[u8]) -> String {
        let refusal = extract_text(bytes).unwrap_err();
        assert_eq!(refusal.code, ValidationErrorCode::TextExtractionFailed);
        refusal.detail.message
    }

    #[test]
    fn the_pages_of_a_pdf_are_read_in_order() {
        let text = extract_text(ESSAY).unwrap();
        let at = |part: &str| {
            text.find(part)
                .unwrap_or_else(|| panic!("no `{part}` in {text:?}"))
        };
        assert!(at("Sommaren på ön") < at("räksmörgåsar"), "{text:?}");
        assert!(at("räksmörgåsar") < at("The second page"), "{text:?}");
    }

    #[test]
    fn a_pdf_without_text_is_refused() {
        let empty = Content::<Vec<Operation>> {
            operations: Vec::new(),
        };
        assert!(refusal(&page(empty.encode().unwrap())).contains("scan"));
    }

    #[test]
    fn a_pdf_that_unpacks_to_too_much_is_refused() {
        let bomb = page(vec![b' '; MAX_UNPACKED_BYTES + 1]);
        assert!(bomb.len() < 1 << 20);
        assert!(refusal(&bomb).contains("limit"), "{}", refusal(&bomb));
    }
}
