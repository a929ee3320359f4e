//! An OCI layout on disk as a registry on loopback, so that whatever reads registries reads a
//! layout the same way. It changes nothing in the layout, and believes nothing in it that does not
//! hash to its digest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use super::archive;
use crate::assess::search::image_error;
use crate::error::{OrRemedy as _, Remedy as _, WithExit, exit};
use crate::image::{Digest, ImageRef, Repository};
use crate::registry::Registry;
use crate::registry::closure::{self, ClosureKind};
use crate::sandbox::{self, Sandbox};
use crate::sbom::image::images_of;

/// The repository by which the layout's image is read.
const NAME: &str = "layout/image";

/// A layout while it is served.
pub(super) struct ServedLayout {
    world: Sandbox,
    /// As it was named, with the image's digest.
    pub(super) shown: String,
    pub(super) image: ImageRef,
    // What the servers use, so they go last.
    _state: TempDir,
    _unpacked: Option<TempDir>,
}

impl ServedLayout {
    /// `PATH`, which holds one image, or `PATH:NAME` or `PATH@sha256:…`; the path is a folder or an
    /// archive.
    pub(super) async fn open(text: &str) -> anyhow::Result<Self> {
        let (path, name) = split(text);
        let is_there = path.try_exists();
        if !is_there.with_context(|| format!("layout `{}` cannot be read", path.display()))? {
            let message = format!("layout `{}` is not there", path.display());
            return Err(WithExit { code: exit::BAD_INPUT, message }.into());
        }
        if !path.is_file() {
            return Self::of(&path, name.as_deref()).await;
        }
        let folder = tempfile::Builder::new().prefix("supply-action-unpacked-").tempdir();
        let folder = folder.context("no folder to unpack into")?;
        archive::unpack(&path, folder.path())?;
        let served = Self::of(folder.path(), name.as_deref()).await?;
        let shown = format!("{}@{}", path.display(), served.image.digest);
        Ok(Self { shown, _unpacked: Some(folder), ..served })
    }

    /// The image of a folder that has this name or digest, or the only one.
    pub(super) async fn of(folder: &Path, name: Option<&str>) -> anyhow::Result<Self> {
        let images = images_of(folder, name).map_err(image_error);
        let images = images.with_context(|| format!("layout `{}`", folder.display()))?;
        let digest: Digest = match images.as_slice() {
            [only] => only.descriptor.digest.clone(),
            several => {
                let listed: Vec<String> =
                    several.iter().map(|image| format!("`{}`", image.shown())).collect();
                return Err(anyhow::anyhow!(
                    "layout `{}` holds several images: {}",
                    folder.display(),
                    listed.join(", ")
                ))
                .hint(format!("name one: `{0}:NAME` or `{0}@sha256:…`", folder.display()));
            }
        };
        let state = tempfile::Builder::new()
            .prefix("supply-action-layout-")
            .tempdir()
            .context("no folder to serve the layout from")?;
        let mut config = sandbox::SandboxConfig::new(state.path().to_owned());
        config.layouts.push((folder.to_owned(), NAME.to_owned()));
        let world = sandbox::start(config).await.context("the layout cannot be served")?;
        let repository: Repository = format!("{}/{NAME}", world.registry()).parse()?;
        let shown = format!("{}@{digest}", folder.display());
        Ok(Self { image: repository.at(&digest), shown, world, _state: state, _unpacked: None })
    }

    /// Fetches and hashes every blob of the image, as somebody who pulls it does; says how many
    /// there are.
    pub(super) async fn whole(&self, registry: &Registry) -> anyhow::Result<usize> {
        let repository = &self.image.repository;
        let closure =
            closure::walk(registry, repository, [self.image.digest.clone()], &BTreeSet::new())
                .await
                .remedied()?;
        if let Some(missing) = closure.missing.iter().next() {
            anyhow::bail!("the layout lacks `{missing}`");
        }
        let mut seen = BTreeSet::new();
        for part in closure
            .parts
            .iter()
            .filter(|part| matches!(part.kind, ClosureKind::Config | ClosureKind::Layer))
        {
            if part.descriptor.urls.is_empty() && seen.insert(&part.descriptor.digest) {
                registry
                    .stream_blob(repository, &part.descriptor, &mut std::io::sink())
                    .await
                    .remedied()?;
            }
        }
        Ok(seen.len())
    }

    pub(super) async fn close(self) {
        self.world.stop().await;
    }
}

/// A path and what of it is meant. What is there under a name with a colon is meant whole.
pub(super) fn split(text: &str) -> (PathBuf, Option<String>) {
    if Path::new(text).exists() {
        return (text.into(), None);
    }
    match text.split_once('@').or_else(|| text.rsplit_once(':')) {
        Some((folder, name)) if !folder.is_empty() => (folder.into(), Some(name.to_owned())),
        _ => (text.into(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_say_which_image_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("a:b");
        std::fs::create_dir(&odd).unwrap();
        let odd = odd.display().to_string();
        assert_eq!(split(&odd), (odd.clone().into(), None));
        assert_eq!(split(&format!("{odd}:v1")), (odd.into(), Some("v1".to_owned())));
        assert_eq!(split("x/y@sha256:ab"), ("x/y".into(), Some("sha256:ab".to_owned())));
        assert_eq!(split("x/y"), ("x/y".into(), None));
    }
}
