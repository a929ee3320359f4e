//! Where advisories at hand are, or a list beside them: a folder, a file, or the address of one.
//! Pure; it shows no part of an address that may hold a login.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;

/// Where advisories at hand are, or a list that is read beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdvisoryPlace {
    Path(PathBuf),
    Address(AdvisoryAddress),
}

/// The address of a file, and what that must be.
#[derive(Clone, PartialEq, Eq)]
pub struct AdvisoryAddress {
    pub(super) url: Url,
    /// In lower case; `None` where whatever is there is taken.
    pub(super) sha256: Option<String>,
}

impl AdvisoryAddress {
    /// The ecosystem that it is all of, as `…/Go/all.zip` is; of another name only records tell.
    pub(super) fn ecosystem(&self) -> Option<String> {
        let mut parts = self.url.path_segments()?.rev();
        if parts.next() != Some(super::archive::ARCHIVE) {
            return None;
        }
        let name = parts.next().filter(|name| !name.is_empty())?;
        super::download::ecosystem(&name.replace("%20", " ")).ok()
    }
}

impl fmt::Display for AdvisoryAddress {
    /// Without a query, as that may be a login.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        url.set_query(None);
        url.fmt(formatter)
    }
}

impl fmt::Debug for AdvisoryAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}, {:?}", self.sha256)
    }
}

impl fmt::Display for AdvisoryPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(formatter),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

impl FromStr for AdvisoryPlace {
    type Err = String;

    /// Whether an address with `http://` may be asked depends on the network.
    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return Ok(Self::Path(PathBuf::from(text)));
        }
        // Nothing of it is quoted before it is known that no login is in it.
        let wrong = "it is neither a path nor an address with https://";
        let mut url = Url::parse(text).map_err(|_| wrong.to_owned())?;
        if !["https", "http"].contains(&url.scheme()) || url.host_str().is_none() {
            return Err(wrong.to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the address holds a login, which every log would show".to_owned());
        }
        let sha256 = url.fragment().map(|pin| {
            let hex = pin.strip_prefix("sha256=").map(str::to_lowercase);
            let is_hash = |hex: &String| {
                hex.len() == 64 && hex.bytes().all(|letter| letter.is_ascii_hexdigit())
            };
            hex.filter(is_hash).ok_or("what follows `#` is not `sha256=` with 64 digits")
        });
        let sha256 = sha256.transpose()?;
        url.set_fragment(None);
        Ok(Self::Address(AdvisoryAddress { url, sha256 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> AdvisoryAddress {
        match text.parse().unwrap() {
            AdvisoryPlace::Address(address) => address,
            AdvisoryPlace::Path(path) => panic!("{path:?}"),
        }
    }

    #[test]
    fn an_address_is_told_from_a_path_and_shown_without_a_login() {
        for path in ["advisories", "./a/all.zip", "/a#sha256=b", "c:/x"] {
            assert_eq!(path.parse(), Ok(AdvisoryPlace::Path(PathBuf::from(path))));
        }
        let pin = "A".repeat(64);
        let address =
            of(&format!("https://x.example/osv/Red%20Hat/all.zip?sig=s3cr3t#sha256={pin}"));
        assert_eq!(address.to_string(), "https://x.example/osv/Red%20Hat/all.zip");
        assert!(!format!("{address:?}").contains("s3cr3t"), "{address:?}");
        assert_eq!(address.sha256, Some("a".repeat(64)));
        assert_eq!(address.url.query(), Some("sig=s3cr3t"));
        assert_eq!(address.ecosystem().as_deref(), Some("Red Hat"));
        for (url, ecosystem) in [
            ("https://x.example/Go/all.zip", Some("Go")),
            ("https://x.example/all.zip", None),
            ("https://x.example/Go/", None),
            ("https://x.example/a/go.zip", None),
            ("https://x.example/%2e%2e%2fx/all.zip", None),
        ] {
            assert_eq!(of(url).ecosystem().as_deref(), ecosystem, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_fetched_as_it_is_written_is_refused_without_a_quote() {
        for (text, why) in [
            ("ftp://x.example/a", "neither a path nor an address"),
            ("file:///etc/passwd", "neither a path nor an address"),
            ("https://", "neither a path nor an address"),
            ("https://user:s3cr3t@x.example/a", "holds a login"),
            ("https://s3cr3t@x.example/a", "holds a login"),
            ("https://x.example/a#s3cr3t", "is not `sha256=`"),
            ("https://x.example/a#sha256=12", "is not `sha256=`"),
        ] {
            let error = text.parse::<AdvisoryPlace>().unwrap_err();
            assert!(error.contains(why) && !error.contains("s3cr3t"), "{text}: {error}");
        }
    }
}
