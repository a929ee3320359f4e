//! A promotion from or to an OCI layout on disk, in a folder or in one archive: read as a registry
//! is, and put in its place only when it was verified there. It replaces nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::error::Remedy as _;
use crate::image::{Digest, ImageRef, Repository};
use crate::registry::Registry;
use crate::registry::closure::Closure;
use crate::registry::transfer::Copied;
use crate::summary::markdown;
use crate::summary::promoted::PromotedLayout;
use crate::text::plural;
use crate::verbs::archive;
use crate::verbs::layout::{self, WrittenFiles};
use crate::verbs::served_layout::ServedLayout;
use crate::verbs::verify::EvidenceJudge;
use crate::verify::VerifiedImage;

/// What the name of an archive ends with.
const ARCHIVE: &str = ".tar";

/// Whether a path names an archive, and not a folder.
fn is_archive(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(ARCHIVE))
}

/// Whether a layout can be put there: nothing is in its place, and no link leads elsewhere.
pub(super) fn may_write(to: &Path) -> anyhow::Result<()> {
    let shown = to.display();
    let mut above = PathBuf::new();
    for part in to.parent().into_iter().flat_map(Path::components) {
        above.push(part);
        // Of a path that begins at the root, whoever wrote it knows where it leads.
        if !to.is_absolute() && above.is_symlink() {
            return Err(anyhow::anyhow!(
                "`oci-layout:{shown}` leads through the link `{}`",
                above.display()
            ))
            .hint("name a path without a link: a checkout may hold one that leads anywhere");
        }
    }
    match fs::symlink_metadata(to) {
        Err(_) => Ok(()),
        Ok(_) => Err(anyhow::anyhow!("`oci-layout:{shown}` already exists"))
            .hint("name another path, or remove what is there: a layout is never added to"),
    }
}

/// A layout that was written, and is not in its place yet.
pub(super) struct WrittenLayout {
    folder: TempDir,
    to: PathBuf,
    pub(super) digest: Digest,
    names: Vec<String>,
    files: WrittenFiles,
}

impl WrittenLayout {
    /// Writes all of an image beside the place where it will be.
    pub(super) async fn write(
        registry: &Registry,
        image: &ImageRef,
        closure: &Closure,
        names: &[String],
        to: &Path,
    ) -> anyhow::Result<Self> {
        let beside = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        let beside = beside.unwrap_or(Path::new("."));
        fs::create_dir_all(beside)
            .with_context(|| format!("`{}` cannot be made", beside.display()))?;
        let folder = tempfile::Builder::new().prefix(".supply-action-").tempdir_in(beside);
        let folder =
            folder.with_context(|| format!("nothing can be written in `{}`", beside.display()))?;
        let files = layout::write_closure(registry, image, closure, names, folder.path()).await?;
        let (to, digest) = (to.to_owned(), image.digest.clone());
        Ok(Self { folder, to, digest, names: names.to_vec(), files })
    }

    /// Looks at it as somebody who has nothing else.
    pub(super) async fn verified(
        &self,
        registry: &Registry,
        judge: &EvidenceJudge<'_>,
        from: &Repository,
    ) -> anyhow::Result<VerifiedImage> {
        let served = ServedLayout::of(self.folder.path(), Some(self.digest.as_str())).await?;
        let judged = async {
            served.whole(registry).await?;
            judge.copy(registry, &served.image, from).await
        };
        let judged = judged.await;
        served.close().await;
        judged.with_context(|| format!("what was written for `{}`", self.shown()))
    }

    /// Puts it in its place.
    pub(super) fn place(self) -> anyhow::Result<PromotedLayout> {
        let WrittenFiles { manifests, blobs, bytes } = self.files;
        let shown = self.shown();
        let told = PromotedLayout {
            names: self.names.iter().map(|name| format!("{shown}:{name}")).collect(),
            shown,
            digest: self.digest.clone(),
            copied: Copied { manifests, blobs, bytes, ..Copied::default() },
        };
        let unplaced = || format!("`{}` cannot be put in its place", told.shown);
        // Somebody may have come before.
        may_write(&self.to)?;
        if is_archive(&self.to) {
            let beside = self.folder.path().join("archive");
            let mut file = fs::File::create_new(&beside).with_context(unplaced)?;
            archive::pack(self.folder.path(), &mut file).with_context(unplaced)?;
            // As a link, which takes the place of nothing; some file systems have none.
            match fs::hard_link(&beside, &self.to) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    fs::rename(&beside, &self.to)
                }
                outcome => outcome,
            }
            .with_context(unplaced)?;
        } else {
            readable(self.folder.path()).with_context(unplaced)?;
            fs::rename(self.folder.path(), &self.to).with_context(unplaced)?;
            let _ = self.folder.keep(); // it has another name now
        }
        Ok(told)
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        let WrittenFiles { manifests, blobs, bytes } = self.files;
        format!(
            "{} in {} and {}",
            markdown::bytes(bytes),
            plural(blobs, "blob"),
            plural(manifests, "manifest")
        )
    }

    pub(super) fn shown(&self) -> String {
        format!("oci-layout:{}", self.to.display())
    }
}

/// A private folder as others make theirs.
fn readable(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}
