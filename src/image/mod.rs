//! The words for what is published: repository, digest, tag, image reference, platform. Parsing
//! only; it never talks to a registry.

pub mod name;
pub mod spelling;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A word that could not be read, with the value and what is wrong with it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ImageError {
    #[error("`{0}` is not an image name: {1}")]
    Repository(String, String),
    #[error(
        "`{0}` is not a tag: a tag is 1 to 128 letters, digits, `_`, `.` or `-`, and starts with a letter, a digit or `_`"
    )]
    Tag(String),
    #[error("`{0}` is not a digest: expected `sha256:` and 64 lower-case hexadecimal digits")]
    Digest(String),
    #[error(
        "`{0}` is not a platform: expected `os/architecture` or `os/architecture/variant`, such as `linux/arm64`"
    )]
    Platform(String),
    #[error("`{0}` is not an image reference: expected `name@sha256:…`")]
    ImageRef(String),
}

/// A SHA-256 digest as registries write it: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("sha256:{}", hex::encode(Sha256::digest(bytes))))
    }

    /// The 64 hexadecimal digits without the algorithm.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

impl FromStr for Digest {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64);
        match digits {
            Some(digits)
                if digits
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(ImageError::Digest(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = ImageError;

    fn try_from(text: String) -> Result<Self, ImageError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A name in a registry, without tag or digest: `ghcr.io/octo/app`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    path: String,
}

impl Repository {
    /// The registry as it stands in the name, such as `ghcr.io`, `docker.io` or `127.0.0.1:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path under `/v2/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn at(&self, digest: &Digest) -> ImageRef {
        ImageRef { repository: self.clone(), digest: digest.clone() }
    }
}

impl FromStr for Repository {
    type Err = ImageError;

    /// Grammar: <https://github.com/distribution/reference>; Docker Hub's short names are completed
    /// as everywhere else.
    fn from_str(text: &str) -> Result<Self, ImageError> {
        let wrong = |why: &str| ImageError::Repository(text.to_owned(), why.to_owned());
        if text.contains('@') {
            return Err(wrong("it carries a digest; name the repository alone"));
        }
        let text = &with_lower_address(text);
        let path = text.rsplit_once('/').map_or(text.as_str(), |(_, last)| last);
        if path.contains(':') {
            return Err(wrong("it carries a tag; put the tag into `tags`"));
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(wrong("names are lower-case"));
        }
        let (registry, path) = completed(text).map_err(wrong)?;
        Ok(Self { registry, path })
    }
}

/// Registry and path of a name. By hand, as everybody else's regular expression takes longer to
/// prepare than a small image to read.
fn completed(text: &str) -> Result<(String, String), &'static str> {
    let (first, rest) = text.split_once('/').unwrap_or(("", text));
    let is_path = |path: &str| path.split('/').all(is_component);
    if text.is_empty() {
        return Err("repository name must have at least one component");
    }
    let is_name = is_path(text) || (is_host(first) && is_path(rest));
    if !is_name {
        return Err("invalid reference format");
    }
    let (registry, path) = match first {
        "index.docker.io" => (HUB, rest),
        "localhost" => (first, rest),
        _ if first.contains(['.', ':']) => (first, rest),
        _ => (HUB, text),
    };
    let path = if registry == HUB && !path.contains('/') {
        format!("library/{path}")
    } else {
        path.to_owned()
    };
    if path.len() > LONGEST_PATH {
        return Err("repository name must not be more than 255 characters");
    }
    Ok((registry.to_owned(), path))
}

/// An IPv6 address is the one thing of a name that may be written in capitals.
fn with_lower_address(text: &str) -> String {
    match text.split_once(']') {
        Some((address, rest)) if address.starts_with('[') => {
            format!("{}]{rest}", address.to_ascii_lowercase())
        }
        _ => text.to_owned(),
    }
}

const HUB: &str = "docker.io";
const LONGEST_PATH: usize = 255;

/// Letters and digits, between which may stand one `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let mut between =
        text.split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    let starts_and_ends = between.next() == Some("") && between.next_back() == Some("");
    starts_and_ends
        && between.all(|between| {
            matches!(between, "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
        })
}

/// A host's name or address, and a port.
fn is_host(text: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        // Without a zone and without dots, as the grammar has it.
        let is_plain = address.bytes().all(|byte| byte == b':' || byte.is_ascii_hexdigit());
        let is_address = is_plain && address.parse::<std::net::Ipv6Addr>().is_ok();
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    let is_label = |label: &str| {
        let is_written = label
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        is_written && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    host.split('.').all(is_label) && is_port(port)
}

impl fmt::Display for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.path)
    }
}

/// A name that people pull.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Tag(String);

impl Tag {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How likely the tag is to move, 0 for names of one version: such names go up first, so that
    /// a publication that stops half-way has moved as few floating names as possible.
    pub fn floats(&self) -> u8 {
        let version = self.0.strip_prefix('v').unwrap_or(&self.0);
        let parts: Vec<&str> = version.split('.').collect();
        let numeric = parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        match (self.0.as_str(), numeric, parts.len()) {
            ("latest", ..) => 4,
            (_, true, 1) => 2,
            (_, true, 2) => 1,
            (name, false, _) if !name.bytes().any(|byte| byte.is_ascii_digit()) => 3,
            _ => 0,
        }
    }
}

impl FromStr for Tag {
    type Err = ImageError;

    /// Grammar: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>.
    fn from_str(text: &str) -> Result<Self, ImageError> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let mut bytes = text.bytes();
        let legal = text.len() <= 128
            && bytes.next().is_some_and(word)
            && bytes.all(|byte| word(byte) || byte == b'.' || byte == b'-');
        if legal { Ok(Self(text.to_owned())) } else { Err(ImageError::Tag(text.to_owned())) }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One image, named by its digest and never by a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    pub repository: Repository,
    pub digest: Digest,
}

impl FromStr for ImageRef {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let (name, digest) =
            text.split_once('@').ok_or_else(|| ImageError::ImageRef(text.to_owned()))?;
        Ok(Self { repository: name.parse()?, digest: digest.parse()? })
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.repository, self.digest)
    }
}

/// An operating system and an architecture, as in `linux/arm64` or `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
}

impl Platform {
    /// Whether both are one platform, however its variant is spelled: `linux/amd64` and
    /// `linux/amd64/v3` are two.
    pub fn is(&self, other: &Self) -> bool {
        self.normalised() == other.normalised()
    }

    /// Whether a builder of platform `built` can do what was asked for.
    pub fn is_met_by(&self, built: &Self) -> bool {
        self.os == built.os
            && self.architecture == built.architecture
            && (self.variant.is_none() || self.variant == built.variant || built.variant.is_none())
    }

    /// The platform as BuildKit writes it beside an image: the usual variant is left out, or on
    /// 32-bit ARM put in. Reference: <https://github.com/containerd/platforms>.
    pub fn normalised(&self) -> Self {
        let variant = match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", Some("8" | "v8" | "v8.0")) | ("amd64", Some("v1")) => None,
            ("arm64", Some("9" | "9.0" | "v9.0")) => Some("v9".to_owned()),
            ("arm", None | Some("7")) => Some("v7".to_owned()),
            ("arm", Some(number @ ("5" | "6" | "8"))) => Some(format!("v{number}")),
            (_, variant) => variant.map(str::to_owned),
        };
        Self { variant, ..self.clone() }
    }
}

/// Of platforms of which one has a variant and one has none, both or neither are to be named: who
/// names `linux/amd64` may well be given
/// `linux/amd64/v3`. Gives the one that is named and the one that is not.
pub fn half_named<'a>(
    named: &[Platform],
    there: &[&'a Platform],
) -> Option<(&'a Platform, &'a Platform)> {
    let plain = there.iter().filter(|platform| platform.normalised().variant.is_none());
    plain.into_iter().find_map(|plain| {
        let alike = there
            .iter()
            .filter(|other| (&other.os, &other.architecture) == (&plain.os, &plain.architecture));
        let (said, unsaid): (Vec<&&Platform>, Vec<&&Platform>) =
            alike.partition(|one| named.iter().any(|named| named.is(one)));
        Some((*said.first()?, *unsaid.first()?)).map(|(said, unsaid)| (*said, *unsaid))
    })
}

impl FromStr for Platform {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let wrong = || ImageError::Platform(text.to_owned());
        let word = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(|part| word(part)) {
            return Err(wrong());
        }
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] => (*os, *architecture, None),
            [os, architecture, variant] => (*os, *architecture, Some((*variant).to_owned())),
            _ => return Err(wrong()),
        };
        Ok(Self { os: os.to_lowercase(), architecture: normal_architecture(architecture), variant })
    }
}

/// The names `uname -m` gives, as Docker reads them: <https://github.com/containerd/platforms>.
fn normal_architecture(name: &str) -> String {
    match name.to_lowercase().as_str() {
        "x86_64" | "x86-64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        "i386" => "386".to_owned(),
        other => other.to_owned(),
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(formatter, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// Serialised as its text.
macro_rules! text_in_json {
    ($($word:ty),+) => {$(
        impl Serialize for $word {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )+};
}
text_in_json!(Repository, ImageRef, Platform);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, max_global_rejects: 20_000, ..ProptestConfig::default() })]

        #[test]
        fn names_are_read_as_by_the_grammars_own_expression(
            text in prop_oneof![
                "[ab1._:/-]{0,12}",
                r"(docker\.io/|index\.docker\.io/|localhost/|localhost:1/|r-1\.io/|r\.io:50/|a/|a_b\.c/|-/|:1/|é/)?[a-z0-9]{1,2}([._/-]{0,3}[a-z0-9]{0,2}){0,3}",
                r"r\.io/[a-z]{250,260}",
                "(library/)?[a-z]{245,257}",
            ]
        ) {
            let last = text.rsplit('/').next().unwrap_or_default();
            prop_assume!(!last.contains(':'));
            let theirs = text.parse::<oci_client::Reference>();
            let theirs = theirs.map(|name| (name.registry().to_owned(), name.repository().to_owned())).map_err(|error| error.to_string());
            prop_assert_eq!(completed(&text).map_err(str::to_owned), theirs);
        }
    }

    #[test]
    fn names_are_completed_as_docker_does() {
        for (text, full) in [
            ("alpine", "docker.io/library/alpine"),
            ("octo/app", "docker.io/octo/app"),
            ("ghcr.io/octo/app", "ghcr.io/octo/app"),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app"),
            ("localhost:5000/a/b/c", "localhost:5000/a/b/c"),
            ("[::1]:5000/a/b", "[::1]:5000/a/b"),
            ("[::1]/a", "[::1]/a"),
            ("[2001:DB8::1]:5000/octo/app", "[2001:db8::1]:5000/octo/app"),
        ] {
            assert_eq!(text.parse::<Repository>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn refuses_names_that_carry_more_or_are_illegal() {
        for (text, why) in [
            ("ghcr.io/Octo/app", "lower-case"),
            ("ghcr.io/octo/app:v1", "carries a tag"),
            ("ghcr.io/octo/app@sha256:00", "carries a digest"),
            ("ghcr.io/octo//app", "not an image name"),
            ("", "not an image name"),
            ("[::1]:5000/Octo/app", "lower-case"),
            ("[::1]:5000/octo/app:v1", "carries a tag"),
            ("[::1]:/a", "not an image name"),
            ("[::1]5000/a", "not an image name"),
            ("[::1:5000/a", "not an image name"),
            ("::1/a", "not an image name"),
            ("[]/a", "not an image name"),
            ("[::g]/a", "not an image name"),
            ("[fe80::1%eth0]/a", "not an image name"),
            ("[::1]x/a", "not an image name"),
            ("[1:2:3:4:5:6:7:8:9]/a", "not an image name"),
            ("[::1]@evil.example/a", "carries a digest"),
        ] {
            let message = text.parse::<Repository>().unwrap_err().to_string();
            assert!(message.contains(why), "{text}: {message}");
        }
    }

    #[test]
    fn tags_follow_the_distribution_grammar() {
        for legal in ["latest", "v1.2.3", "_x", "sha-0123", &"a".repeat(128)] {
            legal.parse::<Tag>().unwrap();
        }
        for illegal in ["", ".x", "-x", "a/b", "a b", "v1:2", "é", &"a".repeat(129)] {
            illegal.parse::<Tag>().unwrap_err();
        }
    }

    #[test]
    fn floating_tags_come_last() {
        let mut tags: Vec<Tag> =
            ["latest", "v1", "main", "v1.2.3", "v1.2", "sha-0af3", "1.2.3-rc.1"]
                .map(|tag| tag.parse().unwrap())
                .to_vec();
        tags.sort_by_key(Tag::floats);
        let order: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        assert_eq!(order, ["v1.2.3", "sha-0af3", "1.2.3-rc.1", "v1.2", "v1", "main", "latest"]);
    }

    #[test]
    fn a_platform_and_its_variant_are_named_both_or_neither() {
        let all = |names: &[&str]| {
            names.iter().map(|name| name.parse().unwrap()).collect::<Vec<Platform>>()
        };
        for (named, there, half) in [
            (&["linux/amd64"][..], &["linux/amd64", "linux/amd64/v3"][..], true),
            (&["linux/amd64/v3"], &["linux/amd64", "linux/amd64/v3"], true),
            (&["linux/amd64", "linux/amd64/v3"], &["linux/amd64", "linux/amd64/v3"], false),
            (&[], &["linux/amd64", "linux/amd64/v3"], false),
            (&["linux/arm64"], &["linux/amd64", "linux/amd64/v3", "linux/arm64/v8"], false),
            (&["linux/arm64/v8"], &["linux/arm64", "linux/arm64/v9"], true),
            (&["linux/arm/v7"], &["linux/arm/v6", "linux/arm/v7"], false),
        ] {
            let there = all(there);
            assert_eq!(
                half_named(&all(named), &there.iter().collect::<Vec<_>>()).is_some(),
                half,
                "{named:?} of {there:?}"
            );
        }
        let is =
            |one: &str, other: &str| one.parse::<Platform>().unwrap().is(&other.parse().unwrap());
        assert!(
            is("linux/arm", "linux/arm/v7")
                && is("linux/amd64", "linux/amd64/v1")
                && is("linux/arm64/9", "linux/arm64/v9")
        );
        assert!(!is("linux/amd64", "linux/amd64/v3") && !is("linux/arm/v6", "linux/arm"));
    }

    #[test]
    fn platforms_are_normalised_and_matched() {
        let arm: Platform = "linux/aarch64".parse().unwrap();
        assert_eq!(arm.to_string(), "linux/arm64");
        assert!(
            arm.is_met_by(&"linux/arm64/v8".parse().unwrap())
                && arm.is(&"linux/arm64/v8".parse().unwrap())
        );
        assert!(
            !"linux/arm/v7"
                .parse::<Platform>()
                .unwrap()
                .is_met_by(&"linux/arm/v6".parse().unwrap())
        );
        for illegal in ["linux", "linux/", "linux/arm/v7/x", "linux arm64", ""] {
            illegal.parse::<Platform>().unwrap_err();
        }
    }

    #[test]
    fn the_usual_variant_is_written_as_buildkit_does() {
        for (given, written) in [
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/amd64/v3", "linux/amd64/v3"),
        ] {
            assert_eq!(given.parse::<Platform>().unwrap().normalised().to_string(), written);
        }
    }

    #[test]
    fn digests_are_lower_case_sha256_only() {
        let digest = Digest::of(b"");
        assert_eq!(
            digest.as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(digest.as_str().parse::<Digest>().unwrap(), digest);
        for illegal in ["sha256:E3", "sha512:00", "e3b0", "sha256:"] {
            illegal.parse::<Digest>().unwrap_err();
        }
    }
}
