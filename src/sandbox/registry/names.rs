//! Makes repository names, digests and tags out of request paths; it never lets one through that
//! could leave the registry's folder.

use super::errors::ServedError;
use crate::sandbox::keys;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServedName(String);

impl ServedName {
    /// The distribution specification's grammar: lower-case components joined by slashes.
    pub(super) fn parse(text: &str) -> Result<Self, ServedError> {
        let valid = text.len() <= 255 && text.split('/').all(is_component);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(ServedError::NameInvalid { name: text.to_owned() })
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_well =
        bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric);
    let separators: Vec<&[u8]> =
        bytes.split(alphanumeric).filter(|separator| !separator.is_empty()).collect();
    let separated_well = separators.iter().all(|separator| {
        matches!(*separator, b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-')
    });
    ends_well && separated_well
}

/// A SHA-256 digest; `as_str` is `sha256:<hex>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServedDigest(String);

impl ServedDigest {
    pub(super) fn parse(text: &str) -> Result<Self, ServedError> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let valid = hex.len() == 64 && hex.bytes().all(lower_hex);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(ServedError::DigestInvalid { digest: text.to_owned() })
        }
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(format!("sha256:{}", hex::encode(keys::sha256(bytes))))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or_default()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServedReference {
    Tag(String),
    Digest(ServedDigest),
}

impl ServedReference {
    pub(super) fn parse(text: &str) -> Result<Self, ServedError> {
        if text.contains(':') {
            return ServedDigest::parse(text).map(Self::Digest);
        }
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let valid = text.len() <= 128
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-');
        if valid {
            Ok(Self::Tag(text.to_owned()))
        } else {
            Err(ServedError::TagInvalid { tag: text.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        let check =
            |text: &str, valid: bool| assert_eq!(ServedName::parse(text).is_ok(), valid, "{text}");
        for valid in ["a", "example/hello", "a.b/c_d/e__f/g---h", "0/1"] {
            check(valid, true);
        }
        let long = "a".repeat(256);
        for wrong in [
            "", "/", "a//b", "../a", "a/..", "A", "a___b", "a.", "-a", "a..b", "a/./b", "a\\b",
            "a%2f", "a\0", &long,
        ] {
            check(wrong, false);
        }
    }

    #[test]
    fn references_are_tags_or_whole_digests() {
        let hex = "0".repeat(64);
        assert_eq!(
            ServedReference::parse("v1.2-rc_3"),
            Ok(ServedReference::Tag("v1.2-rc_3".to_owned()))
        );
        assert!(matches!(
            ServedReference::parse(&format!("sha256:{hex}")),
            Ok(ServedReference::Digest(_))
        ));
        for wrong in
            ["..", ".a", "", "a/b", "sha256:00", "sha512:00", &format!("sha256:{}", "A".repeat(64))]
        {
            assert!(ServedReference::parse(wrong).is_err(), "{wrong}");
        }
    }
}
