//! A disk that is full: a server's data on a small file system of its own. That takes root; who is not root is told.

use std::path::{Path, PathBuf};
use std::process::Command;

use splitrail::sandbox::Server;

/// Beyond what the data take at first, in MiB.
const ROOM: u64 = 48;
const MIB: u64 = 1 << 20;

/// Why disks cannot be full here.
pub fn obstacle() -> Option<&'static str> {
    (!rustix::process::geteuid().is_root()).then_some("only root may mount a small file system")
}

/// A server's data directory on a small file system. It is taken down when this is dropped.
pub struct SmallDisk(PathBuf);

// === impl SmallDisk ===

impl SmallDisk {
    /// Moves the data of a running server, which is down meanwhile.
    pub async fn under(server: &Server) -> SmallDisk {
        server.stop().await.unwrap();
        let aside = server.datadir.with_extension("aside");
        std::fs::rename(&server.datadir, &aside).unwrap();
        std::fs::create_dir(&server.datadir).unwrap();
        let size = size(&aside) / MIB + ROOM;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}m"), "tmpfs"])
            .arg(&server.datadir));
        let disk = SmallDisk(server.datadir.clone());
        run(Command::new("cp")
            .arg("-a")
            .arg(aside.join("."))
            .arg(&server.datadir));
        server.start().await.unwrap();
        disk
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still has a file there keeps it until the end.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Takes all the room that is left.
pub fn fill(server: &Server) {
    let filler = std::fs::File::create(ballast(server)).unwrap();
    let block = vec![1; 64 << 10];
    while std::io::Write::write_all(&mut &filler, &block).is_ok() {}
    while std::io::Write::write_all(&mut &filler, &[1]).is_ok() {}
}

pub fn empty(server: &Server) {
    let _ = std::fs::remove_file(ballast(server));
}

/// Beside the data that the server knows.
fn ballast(server: &Server) -> PathBuf {
    server.datadir.join("ballast")
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn size(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return std::fs::metadata(path).map_or(0, |file| file.len());
    };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}
