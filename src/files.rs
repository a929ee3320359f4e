//! Files in folders that a checkout may fill: written and read without following a link that lies
//! there. It never leaves the folder it was asked for.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use crate::page::RefusalPage;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

/// Why a file was neither written nor read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("`{0}` is a symbolic link, which could lead anywhere")]
    Link(PathBuf),
    #[error("`{0}` is neither a file nor a folder")]
    Kind(PathBuf),
    #[error("`{path}`: {source}")]
    Io { path: PathBuf, source: io::Error },
}

impl crate::error::Remedied for FileError {
    fn remedy(&self) -> Option<String> {
        matches!(self, Self::Link(_))
            .then(|| "remove the link from the checkout, or name its target".to_owned())
    }

    fn see(&self) -> Option<RefusalPage> {
        matches!(self, Self::Link(_)).then_some(RefusalPage::SymbolicLink)
    }
}

/// A folder, held open: what is done in it is done there, whatever its name stands for meanwhile.
pub struct OpenFolder {
    open: OwnedFd,
    path: PathBuf,
}

impl OpenFolder {
    /// Opens a folder. Below `trusted`, the workspace or where the program was started, no part of
    /// its path may be a link; above it is the machine's.
    pub fn open(path: &Path, trusted: &Path) -> Result<Self, FileError> {
        Self::walk(path, trusted, false)
    }

    /// As `open`, and makes what is not there.
    pub fn make(path: &Path, trusted: &Path) -> Result<Self, FileError> {
        Self::walk(path, trusted, true)
    }

    fn walk(path: &Path, trusted: &Path, make: bool) -> Result<Self, FileError> {
        let (start, below) = split(path, trusted);
        if make {
            std::fs::create_dir_all(&start)
                .map_err(|source| FileError::Io { path: start.clone(), source })?;
        }
        let open =
            rustix::fs::openat(CWD, &start, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let mut folder = Self { open: open.map_err(|error| failed(&start, error))?, path: start };
        for part in below {
            folder = folder.below(&part, make)?;
        }
        Ok(folder)
    }

    /// A folder in this one.
    pub fn below(&self, name: &Path, make: bool) -> Result<Self, FileError> {
        let path = self.path.join(name);
        if make {
            match rustix::fs::mkdirat(self.open.as_fd(), name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(failed(&path, error)),
            }
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(self.open.as_fd(), name, flags, Mode::empty()) {
            Ok(open) => Ok(Self { open, path }),
            // What is no folder is either.
            Err(Errno::NOTDIR | Errno::LOOP) if self.is_link(name) => Err(FileError::Link(path)),
            Err(error) => Err(failed(&path, error)),
        }
    }

    /// Writes a file, in the place of what has its name. Whoever reads meanwhile sees the old or the
    /// new.
    pub fn write(&self, name: &Path, bytes: &[u8]) -> Result<(), FileError> {
        // Of a link the user knows nothing, and what is behind it would not change.
        if self.is_link(name) {
            return Err(FileError::Link(self.path.join(name)));
        }
        let mut new = self.new_file()?;
        new.write(bytes)?;
        new.keep(name)
    }

    /// A file that gets its name when it is whole, and is gone unless it gets one.
    pub fn new_file(&self) -> Result<NewFile<'_>, FileError> {
        let part = PathBuf::from(format!(".supply-action-{:016x}", rand::random::<u64>()));
        let path = self.path.join(&part);
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = rustix::fs::openat(self.open.as_fd(), &part, flags, Mode::from_raw_mode(0o666))
            .map_err(|error| failed(&path, error))?;
        Ok(NewFile { folder: self, part, file: File::from(open) })
    }

    /// Reads a file; `None` when there is none.
    pub fn read(&self, name: &Path) -> Result<Option<Vec<u8>>, FileError> {
        let Some(mut file) = self.file(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|source| FileError::Io { path: self.path.join(name), source })?;
        Ok(Some(bytes))
    }

    /// Opens a file to read it; `None` when there is none.
    pub fn file(&self, name: &Path) -> Result<Option<File>, FileError> {
        let path = self.path.join(name);
        // A pipe would wait for who writes.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(self.open.as_fd(), name, flags, Mode::empty()) {
            Ok(open) => File::from(open),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(FileError::Link(path)),
            Err(error) => return Err(failed(&path, error)),
        };
        match file.metadata() {
            Ok(found) if found.is_file() => Ok(Some(file)),
            Ok(_) => Err(FileError::Kind(path)),
            Err(source) => Err(FileError::Io { path, source }),
        }
    }

    /// The names in it, sorted.
    pub fn names(&self) -> Result<Vec<PathBuf>, FileError> {
        let told = |error| failed(&self.path, error);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.open).map_err(told)? {
            let name = entry.map_err(told)?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(PathBuf::from(name));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Whether a name in it is a folder's; a link is refused, wherever it leads.
    pub fn is_folder(&self, name: &Path) -> Result<bool, FileError> {
        let path = self.path.join(name);
        let found = rustix::fs::statat(self.open.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed(&path, error))?;
        match rustix::fs::FileType::from_raw_mode(found.st_mode) {
            rustix::fs::FileType::Symlink => Err(FileError::Link(path)),
            kind => Ok(kind == rustix::fs::FileType::Directory),
        }
    }

    fn is_link(&self, name: &Path) -> bool {
        let found = rustix::fs::statat(self.open.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| {
            rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::Symlink
        })
    }
}

/// A file in a folder, under a name that nobody looks for.
pub struct NewFile<'folder> {
    folder: &'folder OpenFolder,
    part: PathBuf,
    file: File,
}

impl NewFile<'_> {
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// What was written, to be read from its start.
    pub fn reopened(&self) -> Result<File, FileError> {
        let mut file = self.file.try_clone().map_err(|source| self.failed(source))?;
        file.rewind().map_err(|source| self.failed(source))?;
        Ok(file)
    }

    /// Gives it its name, in the place of what has that name.
    pub fn keep(self, name: &Path) -> Result<(), FileError> {
        let (folder, path) = (self.folder.open.as_fd(), self.folder.path.join(name));
        if self.folder.is_link(name) {
            return Err(FileError::Link(path));
        }
        rustix::fs::renameat(folder, &self.part, folder, name).map_err(|error| failed(&path, error))
    }

    fn failed(&self, source: io::Error) -> FileError {
        FileError::Io { path: self.folder.path.join(&self.part), source }
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        // Of a file that was kept nothing has this name any more.
        let _ = rustix::fs::unlinkat(self.folder.open.as_fd(), &self.part, AtFlags::empty());
    }
}

/// Writes a file that a user names: below the folder where the program was started, as `write`;
/// elsewhere as it is, which may be a pipe.
pub fn write_named(file: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let here = std::env::current_dir().unwrap_or_default();
    if below(&plain(&here.join(file)), &here).is_some() {
        return write(file, &here, bytes);
    }
    std::fs::write(file, bytes).map_err(|source| FileError::Io { path: file.to_owned(), source })
}

/// Writes one file by its path.
pub fn write(file: &Path, trusted: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let folder = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let Some(name) = file.file_name() else { return Err(FileError::Kind(file.to_owned())) };
    OpenFolder::open(folder, trusted)?.write(Path::new(name), bytes)
}

/// The part of a path that is trusted, and the names below it, which may be a checkout's.
fn split(path: &Path, trusted: &Path) -> (PathBuf, Vec<PathBuf>) {
    let here = std::env::current_dir().unwrap_or_default();
    let (path, trusted) = (plain(&here.join(path)), plain(&here.join(trusted)));
    if let Some((root, below)) = below(&path, &trusted).or_else(|| below(&path, &plain(&here))) {
        return (root, below.components().map(|part| PathBuf::from(part.as_os_str())).collect());
    }
    // Elsewhere all but the folder itself is the machine's.
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => (parent.to_owned(), vec![PathBuf::from(name)]),
        _ => (path, Vec::new()),
    }
}

/// What of a path is below a folder, by either of its names; of the root of all nothing is.
fn below<'a>(path: &'a Path, folder: &Path) -> Option<(PathBuf, &'a Path)> {
    let names = [Some(folder.to_owned()), folder.canonicalize().ok()];
    let root = names
        .into_iter()
        .flatten()
        .filter(|root| root.parent().is_some())
        .find(|root| path.starts_with(root))?;
    let rest = path.strip_prefix(&root).ok()?;
    Some((root, rest))
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

fn failed(path: &Path, error: Errno) -> FileError {
    FileError::Io { path: path.to_owned(), source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_of_a_checkout_is_followed() {
        let world = tempfile::tempdir().unwrap();
        let (outside, workspace) = (world.path().join("outside"), world.path().join("workspace"));
        std::fs::create_dir_all(outside.join("deep")).unwrap();
        std::fs::create_dir_all(workspace.join("real")).unwrap();
        std::fs::write(outside.join("victim"), "precious").unwrap();
        symlink(outside.join("victim"), workspace.join("file")).unwrap();
        symlink(outside.join("new"), workspace.join("dangling")).unwrap();
        symlink(&outside, workspace.join("folder")).unwrap();
        symlink("../../outside", workspace.join("real/up")).unwrap();
        symlink("/proc/self/environ", workspace.join("environ")).unwrap();
        let is_link = |outcome: Result<(), FileError>| matches!(outcome, Err(FileError::Link(_)));
        for file in [
            "file",
            "dangling",
            "folder/victim",
            "folder/new",
            "real/up/victim",
            "real/../folder/new",
        ] {
            assert!(is_link(write(&workspace.join(file), &workspace, b"evil")), "{file}");
        }
        for folder in ["folder", "folder/deep", "folder/more", "real/up", "real/up/more"] {
            assert!(
                is_link(OpenFolder::make(&workspace.join(folder), &workspace).map(drop)),
                "{folder}"
            );
            assert!(
                is_link(OpenFolder::open(&workspace.join(folder), &workspace).map(drop)),
                "{folder}"
            );
        }
        // A folder that is not below is no link itself.
        assert!(is_link(OpenFolder::make(&workspace.join("folder"), &outside).map(drop)));
        let folder = OpenFolder::open(&workspace, &workspace).unwrap();
        assert!(
            is_link(folder.read(Path::new("environ")).map(drop))
                && is_link(folder.is_folder(Path::new("folder")).map(drop))
        );
        assert_eq!(std::fs::read_to_string(outside.join("victim")).unwrap(), "precious");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 2);
    }

    #[test]
    fn files_and_folders_are_written_and_read() {
        let world = tempfile::tempdir().unwrap();
        let folder = OpenFolder::make(&world.path().join("a/b"), world.path()).unwrap();
        folder.write(Path::new("x"), b"1").unwrap();
        folder.write(Path::new("x"), b"2").unwrap();
        assert_eq!(folder.read(Path::new("x")).unwrap().unwrap(), b"2");
        assert!(folder.read(Path::new("y")).unwrap().is_none());
        folder.below(Path::new("c"), true).unwrap();
        let mut given_up = folder.new_file().unwrap();
        given_up.write(b"half").unwrap();
        drop(given_up);
        assert_eq!(folder.names().unwrap(), [PathBuf::from("c"), PathBuf::from("x")]);
        assert!(
            folder.is_folder(Path::new("c")).unwrap() && !folder.is_folder(Path::new("x")).unwrap()
        );
        // The workspace itself may be reached by a link of the machine's.
        symlink(world.path(), world.path().join("link")).unwrap();
        write(&world.path().join("link/a/z"), &world.path().join("link"), b"3").unwrap();
        assert_eq!(std::fs::read(world.path().join("a/z")).unwrap(), b"3");
    }
}
