//! Our SBOM scanner as an image: `FROM scratch` and this very program, pushed by digest beside the
//! image it will look at, so that BuildKit pulls it with the same login and nothing has to be
//! published, trusted or kept up to date apart.

use std::io::Read as _;

use anyhow::{Context as _, bail};
use flate2::{Compression, GzBuilder};
use object::Object as _;

use crate::error::{OrRemedy as _, Remedy as _};
use crate::image::{Digest, ImageRef, Platform, Repository};
use crate::registry::Registry;
use crate::registry::manifest::{Descriptor, OCI_MANIFEST, RegistryManifest};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The verb that speaks BuildKit's scanner protocol.
pub const VERB: &str = "sbom-scanner";
/// Tells the image from others that have no name, so that `prune` knows it; the value is the
/// processor it runs on.
pub const ANNOTATION: &str = "supply-action.sbom-scanner";

/// The scanner image; the same program gives the same bytes, so that it is pushed once and then
/// found.
pub struct ScannerImage {
    layer: bytes::Bytes,
    config: bytes::Bytes,
    manifest: RegistryManifest,
}

impl ScannerImage {
    /// Makes the image from the running program.
    pub fn of_this_program() -> anyhow::Result<Self> {
        let path = std::env::current_exe().context("the path of this program")?;
        let program =
            std::fs::read(&path).with_context(|| format!("`{}` cannot be read", path.display()))?;
        if is_dynamic(&program) {
            return Err(anyhow::anyhow!(
                "`{}` is linked dynamically and cannot run in an empty image, so there would be no SBOM",
                path.display()
            ))
            .hint("build it for a musl target (`make build`), or set `sbom: false`");
        }
        Self::new(&program)
    }

    fn new(program: &[u8]) -> anyhow::Result<Self> {
        let tar = tar_of(program)?;
        let mut layer = Vec::new();
        // No name and no time in the header: equal programs give equal layers.
        GzBuilder::new()
            .mtime(0)
            .read(tar.as_slice(), Compression::fast())
            .read_to_end(&mut layer)?;
        let config = serde_json::json!({
            "architecture": goarch()?,
            "os": "linux",
            "config": { "Entrypoint": ["/supply-action", VERB] },
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(&tar)] },
        })
        .to_string();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": Descriptor::of(config.as_bytes(), CONFIG),
            "layers": [Descriptor::of(&layer, LAYER)],
            "annotations": { ANNOTATION: goarch()? },
        });
        Ok(Self {
            layer: layer.into(),
            config: config.into(),
            manifest: RegistryManifest::new(manifest.to_string().into_bytes(), OCI_MANIFEST),
        })
    }

    /// Makes sure that the image lies in this repository, and names it by digest.
    pub async fn ensure(
        &self,
        registry: &Registry,
        repository: &Repository,
    ) -> anyhow::Result<ImageRef> {
        let image = repository.at(&self.manifest.descriptor.digest);
        if registry.manifest(&image).await.remedied()?.is_some() {
            return Ok(image);
        }
        let (layer, config) =
            (Descriptor::of(&self.layer, LAYER), Descriptor::of(&self.config, CONFIG));
        futures_util::try_join!(
            registry.ensure_blob(repository, &self.layer, &layer),
            registry.ensure_blob(repository, &self.config, &config)
        )
        .remedied()?;
        registry.put_manifest(repository, &self.manifest).await.remedied()?;
        Ok(image)
    }
}

/// An interpreter (`ld.so`) is what an empty image lacks.
fn is_dynamic(program: &[u8]) -> bool {
    object::File::parse(program).is_ok_and(|file| file.section_by_name(".interp").is_some())
}

/// What the scanner image is for.
pub fn platform() -> anyhow::Result<Platform> {
    Ok(Platform { os: "linux".to_owned(), architecture: goarch()?.to_owned(), variant: None })
}

fn goarch() -> anyhow::Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("this program runs on `{other}`, for which there is no scanner image"),
    }
}

fn tar_of(program: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::with_capacity(program.len() + 4096));
    // BuildKit mounts over these; in an empty image they must be there.
    for folder in ["run/", "tmp/"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        archive.append_data(&mut header, folder, std::io::empty())?;
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(program.len() as u64);
    archive.append_data(&mut header, "supply-action", program)?;
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::ObjectSection as _;

    #[test]
    fn the_same_program_gives_the_same_image() {
        let (one, two) =
            (ScannerImage::new(b"program").unwrap(), ScannerImage::new(b"program").unwrap());
        assert_eq!(one.manifest.descriptor.digest, two.manifest.descriptor.digest);
        assert_ne!(
            one.manifest.descriptor.digest,
            ScannerImage::new(b"another").unwrap().manifest.descriptor.digest
        );
    }

    #[test]
    fn tells_a_static_program_from_a_dynamic_one() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let interpreted = object::File::parse(&*this)
            .unwrap()
            .sections()
            .any(|section| section.name() == Ok(".interp"));
        assert_eq!(is_dynamic(&this), interpreted);
        assert!(!is_dynamic(b"not a program"));
    }
}
