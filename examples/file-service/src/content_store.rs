//! Where files and their texts lie: a folder, in which a content's name is its hash. A service in earnest would have an
//! object store here.
//!
//! The same content is stored once, however often it comes, and work that is done again writes what is there already.
//! Several uploads may refer to one content, so none is removed with an upload: [`sweep`] removes those that nobody has
//! referred to for some time.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use md5::Md5;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// What a content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file as it was uploaded.
    Raw,
    /// The text of a file that passed.
    Text,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Raw, Self::Text];

    fn folder(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Text => "text",
        }
    }
}

/// Contents that are being written.
const DRAFTS: &str = "drafts";

/// A folder with contents.
#[derive(Debug, Clone)]
pub struct ContentStore {
    root: PathBuf,
}

/// A content that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place below the folder: its kind and its SHA-256, such as `raw/9f86d0…`.
    pub id: String,
    /// Its MD5 in hex.
    pub md5: String,
}

impl ContentStore {
    /// The store in this folder, which is created if it is missing.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub async fn open(root: &Path) -> io::Result<Self> {
        for folder in Kind::ALL.map(Kind::folder).into_iter().chain([DRAFTS]) {
            fs::create_dir_all(root.join(folder)).await?;
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Begins to write a content, which nobody sees before it is [finished](ContentWriter::finish).
    ///
    /// # Errors
    /// The file cannot be created.
    pub async fn writer(&self, kind: Kind) -> io::Result<ContentWriter> {
        let draft = self.root.join(DRAFTS).join(Uuid::new_v4().simple().to_string());
        Ok(ContentWriter {
            file: File::create(&draft).await?,
            draft,
            root: self.root.clone(),
            kind,
            sha256: Sha256::new(),
            md5: Md5::new(),
        })
    }

    /// Writes a content that is in memory.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn write(&self, kind: Kind, bytes: &[u8]) -> io::Result<Stored> {
        let mut writer = self.writer(kind).await?;
        writer.write(bytes).await?;
        writer.finish().await
    }

    /// A content.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    pub async fn read(&self, id: &str) -> io::Result<Vec<u8>> {
        fs::read(self.root.join(id)).await
    }

    /// The ids of contents, and of drafts, that were last written before so long.
    async fn written_before(&self, age: Duration) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for folder in Kind::ALL.map(Kind::folder).into_iter().chain([DRAFTS]) {
            let mut entries = fs::read_dir(self.root.join(folder)).await?;
            while let Some(entry) = entries.next_entry().await? {
                let written = entry.metadata().await?.modified()?;
                if written.elapsed().unwrap_or_default() >= age {
                    ids.push(format!("{folder}/{}", entry.file_name().to_string_lossy()));
                }
            }
        }
        Ok(ids)
    }
}

/// Removes contents that no upload refers to and that were last written before so long: longer than any request takes from
/// its first byte to its commit. Returns how many.
///
/// # Errors
/// The folder or the database cannot be read.
pub async fn sweep(store: &ContentStore, pool: &PgPool, age: Duration) -> io::Result<usize> {
    let old = store.written_before(age).await?;
    let unused: Vec<String> = sqlx::query_scalar(
        "SELECT old.id FROM unnest($1::text[]) AS old (id)
         WHERE NOT EXISTS (SELECT FROM file_uploads WHERE raw_storage_id = old.id)
         AND NOT EXISTS (SELECT FROM file_uploads WHERE text_storage_id = old.id)",
    )
    .bind(old)
    .fetch_all(pool)
    .await
    .map_err(io::Error::other)?;
    for id in &unused {
        match fs::remove_file(store.root.join(id)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(unused.len())
}

/// A content that is being written.
#[derive(Debug)]
pub struct ContentWriter {
    file: File,
    draft: PathBuf,
    root: PathBuf,
    kind: Kind,
    sha256: Sha256,
    md5: Md5,
}

impl ContentWriter {
    /// Adds bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sha256.update(bytes);
        self.md5.update(bytes);
        self.file.write_all(bytes).await
    }

    /// Makes the content durable and visible.
    ///
    /// # Errors
    /// It cannot be made so.
    pub async fn finish(mut self) -> io::Result<Stored> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        let id = format!("{}/{}", self.kind.folder(), hex(&self.sha256.finalize()));
        let place = self.root.join(&id);
        // Also over the same content: it is as young as its last writer.
        fs::rename(&self.draft, &place).await?;
        // The name has to be as durable as the bytes.
        File::open(self.root.join(self.kind.folder()))
            .await?
            .sync_all()
            .await?;
        let md5 = hex(&self.md5.finalize());
        Ok(Stored { id, md5 })
    }

    /// Gives it up.
    pub async fn discard(self) {
        // It is a draft: nobody refers to it.
        let _ = fs::remove_file(&self.draft).await;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_content_is_seen_when_it_is_finished_and_stored_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).await.unwrap();
        let id = "raw/b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
        let mut writer = store.writer(Kind::Raw).await.unwrap();
        writer.write(b"hello ").await.unwrap();
        assert_eq!(store.read(id).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        writer.write(b"world").await.unwrap();
        let stored = writer.finish().await.unwrap();
        let expected = Stored {
            id: id.to_owned(),
            md5: "5eb63bbbe01eeed093cb22bb8f5acdc3".to_owned(),
        };
        assert_eq!(stored, expected);
        assert_eq!(store.write(Kind::Raw, b"hello world").await.unwrap(), expected);
        assert_eq!(store.read(id).await.unwrap(), b"hello world");
        assert_eq!(std::fs::read_dir(folder.path().join("raw")).unwrap().count(), 1);
        assert_eq!(
            std::fs::read_dir(folder.path().join("drafts")).unwrap().count(),
            0
        );
    }
}
