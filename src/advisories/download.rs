//! The archive of an ecosystem at an address → the same in a folder, whole and checked, or what was
//! there before. It fetches nothing twice, and puts nothing older in the place of what is newer.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::AdvisoryError;
use super::archive::{ARCHIVE, ArchiveError, Archives, Differences};
use super::call::{CallFailure, MissedAttempt, Patience};
use super::service::service_url;
use crate::error::Remedied;
use crate::files::{FileError, NewFile, OpenFolder};
use crate::github::network::{Plain, certificate_remedy, unreachable_page};
use crate::page::RefusalPage;

/// Where the public service keeps an archive of each ecosystem:
/// <https://google.github.io/osv.dev/data/#data-dumps>.
pub const PUBLIC: &str = "https://osv-vulnerabilities.storage.googleapis.com";
/// What is known of the archive that lies beside it.
const SOURCE: &str = "all.zip.source";

/// npm's has 1 GB, and is the largest.
const LARGEST: u64 = 8 << 30;
const WITHIN: Duration = Duration::from_secs(3600);

/// Why advisories were not fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error(transparent)]
    Address(#[from] AdvisoryError),
    #[error("`{url}` was not fetched: {cause}")]
    Unanswered { url: String, cause: String },
    #[error(
        "`{url}` is not used: its newest advisory is of {fetched}, but the newest at hand is of {known}"
    )]
    Older { url: String, fetched: Timestamp, known: Timestamp },
    #[error("`{url}` is not used")]
    Archive { url: String, source: ArchiveError },
    #[error(transparent)]
    File(#[from] FileError),
}

impl Remedied for DownloadError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Address(error) => error.remedy(),
            Self::Unanswered { cause, .. } => Some(
                certificate_remedy(cause)
                    .unwrap_or("run again later, or name a mirror with `--from`; ecosystems are written as OSV does: `PyPI`, `crates.io`")
                    .to_owned(),
            ),
            Self::Older { .. } => {
                Some("name a mirror that is up to date, or delete the advisories at hand".to_owned())
            }
            Self::Archive { .. } => Some("name another mirror with `--from`".to_owned()),
            Self::File(error) => error.remedy(),
        }
    }

    fn see(&self) -> Option<RefusalPage> {
        match self {
            Self::Unanswered { cause, .. } => Some(unreachable_page(cause)),
            Self::File(error) => error.see(),
            _ => None,
        }
    }
}

/// What became of an ecosystem's archive.
#[derive(Debug)]
pub struct Update {
    pub records: usize,
    pub newest: Option<Timestamp>,
    /// Of the archive.
    pub sha256: String,
    pub change: ArchiveChange,
}

#[derive(Debug, PartialEq, Eq)]
pub enum ArchiveChange {
    /// There was none before.
    New,
    /// It is as it was.
    Same,
    Different(Differences),
}

/// What is known of an archive at hand.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KnownArchive {
    url: String,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
}

/// A place that has `ECOSYSTEM/all.zip` for each.
pub struct AdvisoryMirror<'a> {
    http: &'a Client,
    base: Url,
    patience: Patience,
}

impl<'a> AdvisoryMirror<'a> {
    /// # Errors
    /// When the address is none to ask.
    pub fn new(http: &'a Client, address: &str, plain: &Plain) -> Result<Self, DownloadError> {
        let base = service_url(address, plain)?;
        Ok(Self { http, base, patience: Patience::new(WITHIN, WITHIN) })
    }

    /// Renews `ECOSYSTEM/all.zip` in a folder.
    ///
    /// # Errors
    /// Why it is as it was before.
    pub async fn renew(
        &self,
        ecosystem: &str,
        to: &OpenFolder,
        path: &Path,
        now: Timestamp,
    ) -> Result<Update, DownloadError> {
        let url = self.url(ecosystem);
        let (folder, path) = (to.below(Path::new(ecosystem), true)?, path.join(ecosystem));
        let path = path.join(ARCHIVE);
        let at_hand = at_hand(&folder)?;
        let earlier = match folder.file(Path::new(ARCHIVE))? {
            // One that cannot be used is as none.
            Some(file) => Archives::renewed(file, &path, ecosystem, now, None).ok(),
            None => None,
        };
        let earlier = earlier.map(|(archives, _)| archives);
        let known = at_hand.filter(|known| known.url == url.as_str() && earlier.is_some());
        let fetched = self.fetched(&url, known.as_ref(), &folder).await;
        let fetched = fetched.map_err(|failure| match failure {
            FetchFailure::File(error) => DownloadError::File(error),
            FetchFailure::Unanswered(failure) => {
                DownloadError::Unanswered { url: url.to_string(), cause: failure.to_string() }
            }
        })?;
        let Some((new, source)) = fetched else {
            let (archives, known) = (earlier.unwrap_or_default(), known.unwrap_or_default());
            return Ok(update(&archives, known.sha256, ArchiveChange::Same));
        };
        let file = new.reopened()?;
        let renewed = Archives::renewed(file, &path, ecosystem, now, earlier.as_ref());
        let (archives, differences) =
            renewed.map_err(|source| DownloadError::Archive { url: url.to_string(), source })?;
        let newest = |archives: &Archives| archives.newest().get(ecosystem).copied();
        if let (Some(fetched), Some(known)) = (newest(&archives), earlier.as_ref().and_then(newest))
            && fetched < known
        {
            return Err(DownloadError::Older { url: url.to_string(), fetched, known });
        }
        new.keep(Path::new(ARCHIVE))?;
        folder.write(Path::new(SOURCE), &serde_json::to_vec(&source).unwrap_or_default())?;
        let change = match differences {
            None => ArchiveChange::New,
            Some(differences) if differences == Differences::default() => ArchiveChange::Same,
            Some(differences) => ArchiveChange::Different(differences),
        };
        Ok(update(&archives, source.sha256, change))
    }

    /// `Red Hat/all.zip` has a space in it.
    fn url(&self, ecosystem: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([ecosystem, ARCHIVE]);
        }
        url
    }

    /// The archive in a new file; `None` when it is the one that is known.
    async fn fetched<'f>(
        &self,
        url: &Url,
        known: Option<&KnownArchive>,
        folder: &'f OpenFolder,
    ) -> Result<Option<(NewFile<'f>, KnownArchive)>, FetchFailure> {
        let conditions = known.map(conditions).unwrap_or_default();
        let outcome = self.patience.tried(false, async |attempt| {
            let request = self.http.get(url.clone()).headers(conditions.clone());
            let mut response = self.patience.sent(request, attempt).await?;
            if response.status() == StatusCode::NOT_MODIFIED && !conditions.is_empty() {
                return Ok(Ok(None));
            }
            if !response.status().is_success() {
                let failure = CallFailure::Refused(response.status().as_u16(), String::new());
                return Err(MissedAttempt { failure, pause: None });
            }
            let of = |name: HeaderName| {
                response
                    .headers()
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned)
            };
            let (etag, last_modified) = (of(ETAG), of(LAST_MODIFIED));
            let mut new = match folder.new_file() {
                Ok(new) => new,
                Err(error) => return Ok(Err(error)),
            };
            let (mut hash, mut length) = (Sha256::new(), 0);
            while let Some(chunk) = self.patience.chunk(&mut response, attempt).await? {
                length += chunk.len() as u64;
                if length > LARGEST {
                    let failure = CallFailure::Other(format!("it is larger than {LARGEST} bytes"));
                    return Err(MissedAttempt { failure, pause: None });
                }
                hash.update(&chunk);
                if let Err(error) = new.write(&chunk) {
                    return Ok(Err(error));
                }
            }
            let (url, sha256) = (url.to_string(), hex::encode(hash.finalize()));
            Ok(Ok(Some((new, KnownArchive { url, sha256, etag, last_modified }))))
        });
        outcome.await.map_err(FetchFailure::Unanswered)?.map_err(FetchFailure::File)
    }
}

enum FetchFailure {
    Unanswered(CallFailure),
    File(FileError),
}

fn update(archives: &Archives, sha256: String, change: ArchiveChange) -> Update {
    let newest = archives.newest().values().max().copied();
    Update { records: archives.records_at_hand(), newest, sha256, change }
}

/// A server that knows the tag looks at nothing else.
fn conditions(known: &KnownArchive) -> HeaderMap {
    let values = [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)];
    let each = values
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?.parse().ok()?)));
    each.collect()
}

/// What is known of the archive in a folder, if it is still that archive.
fn at_hand(folder: &OpenFolder) -> Result<Option<KnownArchive>, FileError> {
    let Some(source) = folder.read(Path::new(SOURCE))? else { return Ok(None) };
    let Ok(known) = serde_json::from_slice::<KnownArchive>(&source) else { return Ok(None) };
    let Some(mut file) = folder.file(Path::new(ARCHIVE))? else { return Ok(None) };
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => hash.update(&piece[..length]),
            // It is fetched again.
            Err(_) => return Ok(None),
        }
    }
    Ok((hex::encode(hash.finalize()) == known.sha256).then_some(known))
}

/// An ecosystem as the schema writes it, without its release.
///
/// # Errors
/// When it cannot be one.
pub fn ecosystem(text: &str) -> Result<String, String> {
    let name = text.split(':').next().unwrap_or_default().trim();
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b" ._-".contains(&byte);
    let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts_well && name.len() <= 64 && name.bytes().all(is_known) && name != "GIT" {
        Ok(name.to_owned())
    } else {
        Err(format!("`{text}` is not an ecosystem, such as `npm`, `Go` or `Debian`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ecosystem_is_one_folder_below() {
        for (text, name) in [
            ("npm", "npm"),
            ("Debian:12", "Debian"),
            (" Red Hat ", "Red Hat"),
            ("crates.io", "crates.io"),
        ] {
            assert_eq!(ecosystem(text).as_deref(), Ok(name));
        }
        for wrong in ["", ":12", "..", ".x", "a/b", "a\\b", "a\nb", "GIT", "osv%2f"] {
            assert!(ecosystem(wrong).is_err(), "{wrong}");
        }
        let http = Client::new();
        for (base, url) in [
            ("https://x.example", "https://x.example/Red%20Hat/all.zip"),
            ("https://x.example/osv/", "https://x.example/osv/Red%20Hat/all.zip"),
        ] {
            let mirror = AdvisoryMirror::new(&http, base, &Plain::default()).unwrap();
            assert_eq!(mirror.url("Red Hat").as_str(), url);
        }
    }
}
