//! A catalog that `outbox catalog --json` wrote down.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use outbox_runtime::catalog::CatalogDocument;

use crate::failure::Failure;

/// The shape of the document that this program reads.
const SHAPE: u32 = 1;

/// Reads a catalog; `-` is stdin.
pub(super) fn read(path: &Path) -> Result<CatalogDocument, Failure> {
    let shown = if path == Path::new("-") {
        "stdin".to_owned()
    } else {
        format!("`{}`", path.display())
    };
    let text = text(path)
        .map_err(|error| Failure::usage(format!("cannot read the catalog from {shown}")).because(error))?;
    parse(&text).map_err(|error| {
        Failure::usage(format!("{shown} does not contain a catalog"))
            .because(error)
            .advise("generate it with `outbox catalog --json` of this version")
    })
}

fn text(path: &Path) -> io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(path)
}

fn parse(text: &str) -> Result<CatalogDocument, Box<dyn std::error::Error + Send + Sync>> {
    let document: CatalogDocument = serde_json::from_str(text)?;
    if document.schema_version != SHAPE {
        let other = document.schema_version;
        return Err(format!("its schema_version is {other}, and this program reads {SHAPE}").into());
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_catalog_of_this_shape_is_read() {
        let document = r#"{"schema_version": 1, "package": "shop", "events": []}"#;
        assert_eq!(parse(document).unwrap().package, "shop");
        let later = parse(&document.replace("1", "2")).unwrap_err();
        assert!(later.to_string().contains("is 2"), "{later}");
        for other in ["", "{}", "[]", "null"] {
            assert!(parse(other).is_err(), "{other:?} was accepted");
        }
    }
}
