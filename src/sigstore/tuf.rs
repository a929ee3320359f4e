//! Trust material from a TUF repository: fetched, verified from a root that was trusted before, and
//! kept for the next run. It never gives bytes that signed metadata does not name, and never goes
//! back behind what it has seen.
//!
//! Specification: <https://theupdateframework.github.io/specification/latest/>.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sigstore_trust_root::SigstoreInstance;
use sigstore_tuf::{Error, FileStore, HttpRepository, Repository, StoreRepository, Updater};

use super::verifier::chain;
use crate::error::Remedy as _;
use crate::image::Digest;

/// What such repositories of Sigstore call these files.
pub const TRUSTED_ROOT: &str = sigstore_trust_root::tuf::TRUSTED_ROOT_TARGET;
pub const SIGNING_CONFIG: &str = sigstore_trust_root::tuf::SIGNING_CONFIG_TARGET;

const ATTEMPTS: u32 = 3;

/// A TUF repository, and where trust in it begins.
#[derive(Debug, Clone)]
pub struct TufMirror {
    pub url: String,
    /// Its first `root.json`; `None`: that of the public-good instance, which is part of this
    /// program.
    pub root: Option<PathBuf>,
}

/// Verified files, in the order in which they were asked for.
#[derive(Debug)]
pub struct TufFiles {
    pub files: Vec<PathBuf>,
    /// Why they come from the cache alone.
    pub unreachable: Option<String>,
}

impl TufMirror {
    fn first_root(&self) -> anyhow::Result<Vec<u8>> {
        match &self.root {
            None => Ok(SigstoreInstance::PublicGood.tuf_root().to_vec()),
            Some(file) => std::fs::read(file)
                .with_context(|| format!("input `tuf-root`: `{}` cannot be read", file.display())),
        }
    }

    /// Brings metadata up to date, and gives the named files. A mirror that cannot be reached is as
    /// it was the last time, until its metadata expires; one that answers wrongly is refused.
    pub async fn fetch(
        &self,
        http: &reqwest::Client,
        caches: &Path,
        names: &[&'static str],
        now: jiff::Timestamp,
    ) -> anyhow::Result<TufFiles> {
        let root = self.first_root()?;
        // A cache is of one repository and one beginning of trust: who changes either begins anew.
        let folder = caches.join(
            Digest::of(&[self.url.trim_end_matches('/').as_bytes(), b"\n", &root].concat()).hex(),
        );
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("the cache `{}` cannot be made", folder.display()))?;
        let store = FileStore::new(&folder);
        let mut attempt = 1;
        let silence = loop {
            let mirror = HttpRepository::new(&self.url)
                .map_err(|error| self.refused(&error, &folder))?
                .with_http_client(http.clone());
            match targets(mirror, &root, &store, names, now).await {
                Ok(found) => {
                    return Ok(TufFiles {
                        files: kept(&folder, names, &found)?,
                        unreachable: None,
                    });
                }
                Err(error) if !is_silence(&error) => {
                    return Err(self.refused(&error, &folder)).hint(remedy(&error, &folder));
                }
                Err(error) if attempt == ATTEMPTS => break chain(&error),
                Err(_) => tokio::time::sleep(crate::registry::backoff(attempt)).await,
            }
            attempt += 1;
        };
        match targets(StoreRepository::new(store.clone()), &root, &store, names, now).await {
            Ok(found) => Ok(TufFiles { files: kept(&folder, names, &found)?, unreachable: Some(silence) }),
            Err(error) => Err(anyhow::anyhow!(
                "TUF repository `{}` cannot be reached: {silence}; and the copy kept in `{}` cannot be used: {}",
                self.url,
                folder.display(),
                chain(&error)
            ))
            .hint("check `tuf-mirror`, and run the workflow again"),
        }
    }

    fn refused(&self, error: &Error, folder: &Path) -> anyhow::Error {
        let since = if matches!(error, Error::Rollback { .. }) {
            format!(", as kept in `{}`", folder.display())
        } else {
            String::new()
        };
        anyhow::anyhow!("TUF repository `{}` is refused: {}{since}", self.url, chain(error))
    }
}

/// The TUF workflow from the first root to the bytes of these targets.
async fn targets(
    repository: impl Repository + 'static,
    root: &[u8],
    store: &FileStore,
    names: &[&'static str],
    now: jiff::Timestamp,
) -> Result<Vec<Vec<u8>>, Error> {
    let mut updater = Updater::new(repository, root)?.with_store(store.clone());
    updater.refresh(now).await?;
    let mut found = Vec::new();
    for name in names {
        found.push(updater.get_target(name, now).await?);
    }
    Ok(found)
}

/// The files in the cache, which hold what was verified: the library goes on where it cannot write.
fn kept(folder: &Path, names: &[&'static str], found: &[Vec<u8>]) -> anyhow::Result<Vec<PathBuf>> {
    let files = names.iter().zip(found).map(|(name, verified)| {
        let file = folder.join("targets").join(name);
        let held = std::fs::read(&file)
            .with_context(|| format!("the cache `{}` cannot be used", file.display()))?;
        anyhow::ensure!(
            held == *verified,
            "the cache `{}` cannot be written, and holds another version",
            file.display()
        );
        Ok(file)
    });
    files.collect()
}

/// Whether nobody answered, or nobody who could: anything else is an answer. The library gives
/// statuses as text.
fn is_silence(error: &Error) -> bool {
    let passing = |message: &str| {
        ["status 5", "status 429", "status 408"].iter().any(|status| message.contains(status))
    };
    matches!(error, Error::Transport { source: Some(_), .. })
        || matches!(error, Error::Transport { message, .. } if passing(message))
}

fn remedy(error: &Error, folder: &Path) -> String {
    match error {
        Error::Rollback { .. } => {
            format!(
                "ask who runs the repository: it serves older metadata than before. If it was set up anew, remove `{}`",
                folder.display()
            )
        }
        Error::Expired { .. } => {
            "check this machine's clock, or ask who runs the repository: its metadata is out of \
             date"
                .to_owned()
        }
        Error::TargetNotFound(name) => {
            format!(
                "give a file with `{}` instead",
                if name == TRUSTED_ROOT { "trusted-root" } else { "signing-config" }
            )
        }
        Error::IntegrityMismatch(_) => {
            "ask who runs the repository: a file was changed after it was signed".to_owned()
        }
        Error::ThresholdNotMet { .. }
        | Error::Malformed(_)
        | Error::Json(_)
        | Error::BadRootVersion { .. } => {
            "give a `root.json` of this repository in `tuf-root`; get it over another channel"
                .to_owned()
        }
        _ => "check `tuf-mirror`: below it must be `timestamp.json` and `targets/`".to_owned(),
    }
}
