//! The address of an archive → its advisories, fetched once into a file without a name. It takes no
//! refusal, no half of an archive and no other archive for "nothing is known".

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Client;
use sha2::{Digest as _, Sha256};

use super::archive::{ArchiveError, Archives};
use super::call::{CallFailure, MissedAttempt, Patience};
use super::place::AdvisoryAddress;
use crate::error::Remedied;
use crate::github::network::{Plain, certificate_remedy, unreachable_page};
use crate::page::RefusalPage;

/// npm's has 1 GB, and is the largest.
const LARGEST: u64 = 8 << 30;
const WITHIN: Duration = Duration::from_secs(1800);

/// Why the advisories at an address are not at hand.
#[derive(Debug, thiserror::Error)]
pub enum FetchedError {
    #[error("`{0}` is no address with https://")]
    Address(String),
    #[error("`{address}` was not fetched: {cause}")]
    Unanswered { address: String, cause: String },
    #[error("`{address}` is not taken: its SHA-256 is `{found}`, and not `{wanted}`")]
    OtherHash { address: String, found: String, wanted: String },
    #[error("`{address}` was not kept in `{}`: {source}", folder.display())]
    Kept { address: String, folder: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl Remedied for FetchedError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Address(_) => Some("write it with https://".to_owned()),
            Self::Unanswered { cause, .. } => Some(
                certificate_remedy(cause)
                    .unwrap_or("run again later, or give the advisories as a file")
                    .to_owned(),
            ),
            Self::OtherHash { .. } => Some(
                "compare it with whoever makes the archive, and change what follows `#sha256=`"
                    .to_owned(),
            ),
            Self::Kept { .. } => None,
            Self::Archive(error) => error.remedy(),
        }
    }

    fn see(&self) -> Option<RefusalPage> {
        match self {
            Self::Unanswered { cause, .. } => Some(unreachable_page(cause)),
            Self::Archive(error) => error.see(),
            Self::Address(_) | Self::OtherHash { .. } | Self::Kept { .. } => None,
        }
    }
}

/// Fetches it; `folder` is where large files of the run may lie.
///
/// # Errors
/// Why they are not at hand.
pub async fn fetched(
    address: &AdvisoryAddress,
    http: &Client,
    plain: &Plain,
    folder: &Path,
    now: Timestamp,
) -> Result<Archives, FetchedError> {
    let shown = address.to_string();
    if !plain.is_safe(&address.url) {
        return Err(FetchedError::Address(shown));
    }
    let kept =
        |source| FetchedError::Kept { address: shown.clone(), folder: folder.to_owned(), source };
    let (mut file, found) = match received(address, http, folder).await {
        Ok(received) => received.map_err(kept)?,
        Err(failure) => {
            // The address in it may hold a login.
            let cause = failure.to_string().replace(address.url.as_str(), &shown);
            return Err(FetchedError::Unanswered { address: shown, cause });
        }
    };
    if let Some(wanted) = address.sha256.clone().filter(|wanted| *wanted != found) {
        return Err(FetchedError::OtherHash { address: shown, found, wanted });
    }
    file.rewind().map_err(kept)?;
    let (path, ecosystem) = (PathBuf::from(&shown), address.ecosystem());
    let read = move || Archives::of_file(file, &path, ecosystem.as_deref(), now);
    match tokio::task::spawn_blocking(read).await {
        Ok(archives) => Ok(archives?),
        Err(error) => Err(kept(std::io::Error::other(error))),
    }
}

/// The file and its SHA-256.
async fn received(
    address: &AdvisoryAddress,
    http: &Client,
    folder: &Path,
) -> Result<std::io::Result<(File, String)>, CallFailure> {
    let patience = Patience::new(WITHIN, WITHIN);
    let outcome = patience.tried(false, async |attempt| {
        let mut response = patience.sent(http.get(address.url.clone()), attempt).await?;
        if !response.status().is_success() {
            let failure = CallFailure::Refused(response.status().as_u16(), String::new());
            return Err(MissedAttempt { failure, pause: None });
        }
        let mut file = match tempfile::tempfile_in(folder) {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        let (mut hash, mut length) = (Sha256::new(), 0);
        while let Some(chunk) = patience.chunk(&mut response, attempt).await? {
            length += chunk.len() as u64;
            if length > LARGEST {
                let failure = CallFailure::Other(format!("it is larger than {LARGEST} bytes"));
                return Err(MissedAttempt { failure, pause: None });
            }
            hash.update(&chunk);
            if let Err(error) = file.write_all(&chunk) {
                return Ok(Err(error));
            }
        }
        Ok(Ok((file, hex::encode(hash.finalize()))))
    });
    outcome.await
}
