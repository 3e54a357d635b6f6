//! Where files and their texts lie: a folder. A service in earnest would have an object store here.

use std::io;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// A folder with files as they were uploaded, and the texts of those that passed.
///
/// A content's id is its place below the folder, such as `raw/018f…`; it follows from the upload's id, so that
/// work that is done again writes to the same place.
#[derive(Debug, Clone)]
pub struct ContentStore {
    root: PathBuf,
}

impl ContentStore {
    /// The store in this folder, which is made if it is missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub async fn open(root: &Path) -> io::Result<Self> {
        for kind in ["raw", "text"] {
            fs::create_dir_all(root.join(kind)).await?;
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// The id of an upload's file.
    pub fn raw_id(upload: Uuid) -> String {
        format!("raw/{upload}")
    }

    /// The id of an upload's text.
    pub fn text_id(upload: Uuid) -> String {
        format!("text/{upload}")
    }

    /// Begins to write a content, which nobody sees before it is [finished](ContentWriter::finish).
    ///
    /// # Errors
    /// The file cannot be made.
    pub async fn writer(&self, id: &str) -> io::Result<ContentWriter> {
        let place = self.root.join(id);
        // A name of its own: a slow writer of the same content may still be at work.
        let draft = place.with_extension(format!("{}.draft", Uuid::new_v4().simple()));
        Ok(ContentWriter {
            file: File::create(&draft).await?,
            draft,
            place,
            hash: Md5::new(),
        })
    }

    /// A content.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    pub async fn read(&self, id: &str) -> io::Result<Vec<u8>> {
        fs::read(self.root.join(id)).await
    }

    /// Removes all contents of an upload that are there. One that stays behind is only said: nobody refers to
    /// it any more.
    pub async fn remove(&self, upload: Uuid) {
        for id in [Self::raw_id(upload), Self::text_id(upload)] {
            match fs::remove_file(self.root.join(&id)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%id, %error, "a content is left behind");
                }
                _ => {}
            }
        }
    }
}

/// A content that is being written.
#[derive(Debug)]
pub struct ContentWriter {
    file: File,
    draft: PathBuf,
    place: PathBuf,
    hash: Md5,
}

impl ContentWriter {
    /// Adds bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes).await
    }

    /// Makes the content durable and visible, and returns its MD5 in hex.
    ///
    /// # Errors
    /// It cannot be made so.
    pub async fn finish(mut self) -> io::Result<String> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        fs::rename(&self.draft, &self.place).await?;
        // The name has to be as durable as the bytes.
        if let Some(folder) = self.place.parent() {
            File::open(folder).await?.sync_all().await?;
        }
        let hash = self.hash.finalize();
        Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Gives it up.
    pub async fn discard(self) {
        // It is a draft: nobody refers to it.
        let _ = fs::remove_file(&self.draft).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_content_is_seen_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).await.unwrap();
        let upload = Uuid::now_v7();
        let id = ContentStore::raw_id(upload);
        let mut writer = store.writer(&id).await.unwrap();
        writer.write(b"hello ").await.unwrap();
        assert_eq!(store.read(&id).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        writer.write(b"world").await.unwrap();
        assert_eq!(writer.finish().await.unwrap(), "5eb63bbbe01eeed093cb22bb8f5acdc3");
        assert_eq!(store.read(&id).await.unwrap(), b"hello world");
        store.remove(upload).await;
        assert!(store.read(&id).await.is_err());
    }
}
