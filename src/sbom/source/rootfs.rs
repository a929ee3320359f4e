//! A directory that is the root of an image. It never leaves that directory, never follows a link
//! while walking and never skips what it cannot read.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{
    FileContents, FileSource, LARGEST_PAIRED, Links, Pair, SourceFile, Visitor, printable,
};
use crate::sbom::SbomError;

/// File systems of a running machine; in an image they are mount points, and on a host they never
/// end.
pub(in crate::sbom) const NOT_FILES: [&str; 3] = ["proc", "sys", "dev"];

/// A mounted or unpacked root file system.
#[derive(Debug)]
pub struct Rootfs {
    root: PathBuf,
}

impl Rootfs {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl FileSource for Rootfs {
    fn visit(&self, visitor: &mut dyn Visitor) -> Result<(), SbomError> {
        let mut links = Links::default();
        let mut directories = vec![PathBuf::new()];
        while let Some(directory) = directories.pop() {
            for entry in self.entries(&directory)? {
                let relative = directory.join(entry.file_name());
                let path = printable(relative.as_os_str().as_bytes());
                let kind =
                    entry.file_type().map_err(|source| self.unreadable(&relative, source))?;
                if kind.is_symlink() {
                    let target = fs::read_link(entry.path())
                        .map_err(|source| self.unreadable(&relative, source))?;
                    let target = printable(target.as_os_str().as_bytes());
                    visitor.link(&path, &target);
                    links.insert(&path, &target);
                } else if kind.is_dir() {
                    if !NOT_FILES.contains(&path.as_str()) {
                        directories.push(relative);
                    }
                } else if kind.is_file() {
                    self.tell(visitor, &path, &relative)?;
                }
            }
        }
        self.visit_links(&links, visitor)?;
        self.visit_directories(&links, visitor)?;
        for (journal, database) in visitor.journals() {
            let pair = Pair {
                database: self.whole(&links, &database)?,
                journal: self.whole(&links, &journal)?,
            };
            visitor.database(&database, pair)?;
        }
        Ok(())
    }
}

impl Rootfs {
    /// A file's bytes, if there is one.
    fn whole(&self, links: &Links, path: &str) -> Result<Option<Vec<u8>>, SbomError> {
        let Some(real) = links.resolve(path) else { return Ok(None) };
        let unreadable = |source| self.unreadable(Path::new(&real), source);
        let file = match fs::File::open(self.root.join(&real)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let mut bytes = Vec::new();
        file.take(LARGEST_PAIRED).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(Some(bytes))
    }

    /// A directory's entries by name, so that two scans agree.
    fn entries(&self, directory: &Path) -> Result<Vec<fs::DirEntry>, SbomError> {
        let unreadable = |source| self.unreadable(directory, source);
        let entries = fs::read_dir(self.root.join(directory)).map_err(unreadable)?;
        let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        Ok(entries)
    }

    /// `path` is what the file is called, `real` where it is; they differ only where a link leads
    /// to it.
    fn tell(&self, visitor: &mut dyn Visitor, path: &str, real: &Path) -> Result<(), SbomError> {
        let full = self.root.join(real);
        let metadata =
            fs::symlink_metadata(&full).map_err(|source| self.unreadable(real, source))?;
        let mut open = || {
            fs::File::open(&full)
                .map(|file| Box::new(io::BufReader::new(file)) as Box<dyn FileContents>)
        };
        visitor.file(SourceFile {
            path,
            size: metadata.len(),
            modified: metadata.mtime(),
            open: &mut open,
            scanned: None,
        })
    }

    /// A database that is itself a link to a file with another name.
    fn visit_links(&self, links: &Links, visitor: &mut dyn Visitor) -> Result<(), SbomError> {
        for (path, _) in links.iter().filter(|(path, _)| visitor.wants(path)).collect::<Vec<_>>() {
            if let Some(real) = links.resolve(path).filter(|real| !visitor.wants(real)) {
                self.tell_if_file(visitor, path, &real)?;
            }
        }
        Ok(())
    }

    /// Databases in a directory that is reached through a link from its usual place.
    fn visit_directories(&self, links: &Links, visitor: &mut dyn Visitor) -> Result<(), SbomError> {
        for directory in visitor.directories() {
            let Some(real) = links.resolve(directory).filter(|real| real != directory) else {
                continue;
            };
            if !fs::symlink_metadata(self.root.join(&real)).is_ok_and(|metadata| metadata.is_dir())
            {
                continue;
            }
            for entry in self.entries(Path::new(&real))? {
                let name = printable(entry.file_name().as_bytes());
                let (path, real) = (format!("{directory}/{name}"), format!("{real}/{name}"));
                if visitor.wants(&path) && !visitor.wants(&real) {
                    self.tell_if_file(visitor, &path, &real)?;
                }
            }
        }
        Ok(())
    }

    /// `real` is resolved, so no part of it is a link.
    fn tell_if_file(
        &self,
        visitor: &mut dyn Visitor,
        path: &str,
        real: &str,
    ) -> Result<(), SbomError> {
        match fs::symlink_metadata(self.root.join(real)) {
            Ok(metadata) if metadata.is_file() => self.tell(visitor, path, Path::new(real)),
            Ok(_) => Ok(()),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(self.unreadable(Path::new(real), error)),
        }
    }

    fn unreadable(&self, relative: &Path, source: io::Error) -> SbomError {
        SbomError::Unreadable {
            path: printable(self.root.join(relative).as_os_str().as_bytes()),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::fs::symlink;

    #[derive(Default)]
    struct SeenFolders {
        files: Vec<String>,
        links: Vec<(String, String)>,
    }

    impl Visitor for SeenFolders {
        fn wants(&self, path: &str) -> bool {
            path.ends_with("lib/dpkg/status")
        }
        fn directories(&self) -> &'static [&'static str] {
            &["var/lib/dpkg"]
        }
        fn link(&mut self, path: &str, target: &str) {
            self.links.push((path.into(), target.into()));
        }
        fn file(&mut self, file: SourceFile<'_>) -> Result<(), SbomError> {
            let mut text = String::new();
            (file.open)().unwrap().read_to_string(&mut text).unwrap();
            self.files.push(format!("{}={text}", file.path));
            Ok(())
        }
    }

    fn write(root: &Path, path: impl AsRef<Path>, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn seen(root: &Path) -> SeenFolders {
        let mut seen = SeenFolders::default();
        Rootfs::new(root).visit(&mut seen).unwrap();
        seen.files.sort();
        seen
    }

    #[test]
    fn walks_everything_but_running_file_systems_and_leaves_nowhere() {
        let outside = tempfile::tempdir().unwrap();
        write(outside.path(), "secret", "x");
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "etc/a", "1");
        write(root.path(), "proc/b", "2");
        write(root.path(), "opt/proc/c", "3");
        write(root.path(), OsStr::from_bytes(b"bad\xff\xc3name"), "4");
        symlink(outside.path(), root.path().join("out")).unwrap();
        symlink("../etc", root.path().join("etc/self")).unwrap();
        let seen = seen(root.path());
        assert_eq!(seen.files, ["bad\\xff\\xc3name=4", "etc/a=1", "opt/proc/c=3"]);
        assert_eq!(seen.links.len(), 2);
    }

    #[test]
    fn databases_behind_links_are_told_under_their_usual_name_once() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "usr/share/state/status", "moved");
        fs::create_dir_all(root.path().join("var/lib")).unwrap();
        symlink("/usr/share/state", root.path().join("var/lib/dpkg")).unwrap();
        assert_eq!(
            seen(root.path()).files,
            ["usr/share/state/status=moved", "var/lib/dpkg/status=moved"]
        );

        let root = tempfile::tempdir().unwrap();
        write(root.path(), "var/lib/dpkg/status-real", "here");
        symlink("status-real", root.path().join("var/lib/dpkg/status")).unwrap();
        assert_eq!(
            seen(root.path()).files,
            ["var/lib/dpkg/status-real=here", "var/lib/dpkg/status=here"]
        );

        let root = tempfile::tempdir().unwrap();
        write(root.path(), "x/lib/dpkg/status", "own");
        symlink("x", root.path().join("var")).unwrap();
        assert_eq!(seen(root.path()).files, ["x/lib/dpkg/status=own"], "it has a name of its own");
    }

    #[test]
    fn a_link_out_of_the_root_reaches_nothing() {
        let outside = tempfile::tempdir().unwrap();
        write(outside.path(), "status", "secret");
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/lib/dpkg")).unwrap();
        symlink(outside.path().join("status"), root.path().join("var/lib/dpkg/status")).unwrap();
        assert!(seen(root.path()).files.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_it() {
        let mut seen = SeenFolders::default();
        let error = Rootfs::new("/nonexistent/root").visit(&mut seen).unwrap_err();
        assert_eq!(error.to_string(), "no sbom was written: `/nonexistent/root/` cannot be read");
    }
}
