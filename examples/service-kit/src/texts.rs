//! The texts of essays: a folder that the services share. A service in earnest would have an object store here.

use std::io;
use std::path::{Component, Path, PathBuf};

/// A folder with texts by their storage id, such as `text/018f…`.
#[derive(Debug, Clone)]
pub struct Texts {
    root: PathBuf,
}

impl Texts {
    /// The texts in this folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Reads a text.
    ///
    /// # Errors
    /// It is not there or is not UTF-8, or its id leads out of the folder.
    pub async fn read(&self, id: &str) -> io::Result<String> {
        tokio::fs::read_to_string(self.path(id)?).await
    }

    /// Writes a text; the same id again replaces it.
    ///
    /// # Errors
    /// It cannot be written, or its id leads out of the folder.
    pub async fn write(&self, id: &str, text: &str) -> io::Result<()> {
        let path = self.path(id)?;
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        tokio::fs::write(path, text).await
    }

    fn path(&self, id: &str) -> io::Result<PathBuf> {
        let inside = Path::new(id)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        match inside && !id.is_empty() {
            true => Ok(self.root.join(id)),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{id}` is no storage id: write a relative path without `..`"),
            )),
        }
    }
}
