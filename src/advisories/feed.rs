//! A file, or an address → its bytes, as many as are allowed; for lists that are read beside
//! advisories. It follows no redirect away from https.

use std::path::Path;
use std::time::Duration;

use reqwest::Client;

use super::call::Patience;
use super::place::{AdvisoryAddress, AdvisoryPlace};
use crate::github::network::Plain;
use crate::image::Digest;

/// For a whole list.
const WITHIN: Duration = Duration::from_secs(180);

/// Why a list beside the advisories cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FeedError(String);

impl FeedError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// The bytes of a file, or of what is at an address that begins with `https://` (`http://` where
/// that is allowed).
///
/// # Errors
/// When it cannot be read, is larger than `limit`, or does not have the hash that is asked for.
pub async fn bytes(
    place: &AdvisoryPlace,
    limit: usize,
    http: &Client,
    plain: &Plain,
) -> Result<Vec<u8>, FeedError> {
    match place {
        AdvisoryPlace::Path(path) => file(path, limit),
        AdvisoryPlace::Address(address) => fetched(address, limit, http, plain).await,
    }
}

async fn fetched(
    address: &AdvisoryAddress,
    limit: usize,
    http: &Client,
    plain: &Plain,
) -> Result<Vec<u8>, FeedError> {
    if !plain.is_safe(&address.url) {
        return Err(FeedError::new(format!("`{address}` is not an address with https://")));
    }
    let patience = Patience::new(WITHIN, WITHIN);
    let answer = patience.answer(limit, false, || http.get(address.url.clone()), Ok).await;
    let bytes = answer.map_err(|failure| {
        // The address in it may hold a login.
        let cause = failure.to_string().replace(address.url.as_str(), &address.to_string());
        FeedError::new(format!("`{address}`: {cause}"))
    })?;
    let found = Digest::of(&bytes);
    match address.sha256.as_deref().filter(|wanted| *wanted != found.hex()) {
        Some(wanted) => Err(FeedError::new(format!(
            "`{address}` is not taken: its SHA-256 is `{}`, and not `{wanted}`",
            found.hex()
        ))),
        None => Ok(bytes),
    }
}

fn file(path: &Path, limit: usize) -> Result<Vec<u8>, FeedError> {
    use std::io::Read as _;
    let unreadable = |error| FeedError::new(format!("`{}`: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > limit {
        let why = format!("`{}`: it is larger than {limit} bytes", path.display());
        return Err(FeedError::new(why));
    }
    Ok(bytes)
}

/// A name that can be a CVE's: `CVE-2021-44228`.
pub(super) fn cve(text: &str) -> Result<&str, FeedError> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_cve = text.strip_prefix("CVE-").and_then(|rest| rest.split_once('-')).is_some_and(
        |(year, number)| {
            year.len() == 4 && (4..=19).contains(&number.len()) && digits(year) && digits(number)
        },
    );
    is_cve.then_some(text).ok_or_else(|| FeedError::new("it has an entry that is no CVE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_up_to_its_limit_and_an_address_only_by_https() {
        let world = tempfile::tempdir().unwrap();
        let file = world.path().join("list");
        std::fs::write(&file, "12345").unwrap();
        let (http, plain, name) = (Client::new(), Plain::default(), file.display().to_string());
        let place = name.parse().unwrap();
        assert_eq!(bytes(&place, 5, &http, &plain).await.unwrap(), b"12345");
        let endless = crate::answer::bad::endless().await;
        for (given, limit, why) in [
            (name.as_str(), 4, "larger than 4 bytes"),
            ("/nowhere/list", 4, "No such file"),
            ("http://example.com/list?sig=s3cr3t", 4, "not an address with https://"),
            (endless.as_str(), 1 << 20, "larger than 1048576 bytes"),
        ] {
            let given = given.parse().unwrap();
            let error = bytes(&given, limit, &http, &plain).await.unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_cve_is_a_year_and_a_number() {
        assert!(cve("CVE-2021-44228").is_ok() && cve("CVE-2026-1234567").is_ok());
        for wrong in ["", "CVE-", "CVE-21-1234", "CVE-2021-123", "cve-2021-1234", "CVE-2021-12a4"] {
            assert!(cve(wrong).is_err(), "{wrong}");
        }
    }
}
