//! A disk that can be full.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// More than a test ever writes.
const ROOMY: &str = "size=4g";

/// A file system of its own, in memory, whose size can be changed. Dropping it unmounts it.
#[derive(Debug)]
pub struct BoundedDisk {
    folder: TempDir,
}

impl BoundedDisk {
    /// A new one with room enough; `None` where we may not mount anything.
    pub fn mount() -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("outbox-disk-").tempdir().ok()?;
        let disk = Self { folder };
        mount(
            &["-t", "tmpfs", "-o", &format!("{ROOMY},mode=755"), "tmpfs"],
            disk.path(),
        )
        .then_some(disk)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes the disk as small as what is on it: not a page more can be written.
    pub fn fill(&self) {
        let used = || {
            let stat = rustix::fs::statvfs(self.path()).expect("a mounted disk has a size");
            (stat.f_blocks - stat.f_bfree) * stat.f_frsize
        };
        // While others write, what is used may have become more than the new size.
        let filled = (0..20).any(|_| self.remount(&format!("size={}", used())));
        if !filled {
            eprintln!("{} could not be made small", self.path().display());
        }
    }

    /// Makes room again.
    pub fn free(&self) {
        assert!(self.remount(ROOMY), "a disk can be made larger");
    }

    fn remount(&self, size: &str) -> bool {
        mount(&["-o", &format!("remount,{size}")], self.path())
    }
}

impl Drop for BoundedDisk {
    fn drop(&mut self) {
        let unmount = Command::new("umount").arg("--lazy").arg(self.path()).output();
        if !unmount.is_ok_and(|unmount| unmount.status.success()) {
            eprintln!("{} is still mounted", self.path().display());
        }
    }
}

fn mount(arguments: &[&str], path: &Path) -> bool {
    let mount = Command::new("mount").args(arguments).arg(path).output();
    mount.is_ok_and(|mount| mount.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_until_there_is_room_again() {
        let Some(disk) = BoundedDisk::mount() else {
            eprintln!("no file system can be mounted here");
            return;
        };
        let file = disk.path().join("file");
        std::fs::write(&file, vec![0; 1 << 20]).unwrap();
        disk.fill();
        let error = std::fs::write(disk.path().join("more"), vec![0; 1 << 20]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        disk.free();
        std::fs::write(disk.path().join("more"), vec![0; 1 << 20]).unwrap();
    }
}
