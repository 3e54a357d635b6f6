//! A server's folder and the user that it belongs to.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The user that a server runs as, where it refuses to run as the superuser.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl ServerUser {
    /// Somebody else if we are the superuser, else nobody else.
    pub(crate) fn unprivileged() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let users = fs::read_to_string("/etc/passwd").expect("the list of users can be read");
        let find = |name: &str| users.lines().find_map(|line| Self::parse(line, name));
        Some(
            find("postgres")
                .or_else(|| find("nobody"))
                .expect("there is a user postgres or nobody"),
        )
    }

    fn parse(line: &str, name: &str) -> Option<Self> {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let mut number = fields.skip(1).map_while(|field| field.parse().ok());
        Some(Self {
            uid: number.next()?,
            gid: number.next()?,
        })
    }
}

/// A new temporary folder that is removed with this value.
#[derive(Debug)]
pub(crate) struct ServerFolder {
    folder: TempDir,
}

impl ServerFolder {
    pub(crate) fn new(name: &str, owner: Option<ServerUser>) -> Self {
        Self::within(&std::env::temp_dir(), name, owner)
    }

    /// The same below a folder of somebody's choice.
    pub(crate) fn within(parent: &Path, name: &str, owner: Option<ServerUser>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&format!("outbox-{name}-"))
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(parent)
            .expect("a temporary folder can be made");
        if let Some(owner) = owner {
            chown(folder.path(), Some(owner.uid), Some(owner.gid)).expect("the folder can be given away");
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_name() {
        let line = "postgres:x:101:103:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        let user = ServerUser::parse(line, "postgres").unwrap();
        assert_eq!((user.uid, user.gid), (101, 103));
        assert!(ServerUser::parse(line, "post").is_none());
    }
}
