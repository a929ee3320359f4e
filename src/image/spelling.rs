//! Names and platforms as people write them → one spelling, for comparisons and for what a slip was
//! meant to be. Pure; it never says where anything is pushed.

use super::{HUB, LONGEST_PATH, Platform, is_host};

/// `NAME[:TAG][@DIGEST]`, taken apart as every program does: a colon before the last `/` belongs to
/// the registry's port or address. No part is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReferenceParts<'a> {
    pub name: &'a str,
    pub tag: Option<&'a str>,
    pub digest: Option<&'a str>,
}

impl<'a> ReferenceParts<'a> {
    pub fn of(text: &'a str) -> Self {
        let (tagged, digest) = match text.split_once('@') {
            Some((tagged, digest)) => (tagged, Some(digest)),
            None => (text, None),
        };
        let last = tagged.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match tagged[last..].split_once(':') {
            Some((_, tag)) => (&tagged[..tagged.len() - tag.len() - 1], Some(tag)),
            None => (tagged, None),
        };
        Self { name, tag, digest }
    }
}

/// What a reference names, however it is written: `App`, `docker.io/library/app:latest` and
/// `index.docker.io/library/app` are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedImage {
    pub registry: String,
    pub path: String,
    pub tag: String,
}

impl NamedImage {
    /// `None` for what can name nothing. What is no legal name all the same is compared as it
    /// stands.
    pub fn of(text: &str) -> Option<Self> {
        let text = without_scheme(text.trim());
        let ReferenceParts { name, tag, .. } = ReferenceParts::of(text);
        let (name, tag) = (name.to_lowercase(), tag.unwrap_or("latest"));
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if names_a_registry(host) => (registry(host), path.to_owned()),
            _ => (HUB.to_owned(), name),
        };
        let path =
            if registry == HUB && !path.contains('/') { format!("library/{path}") } else { path };
        let is_name = !path.is_empty() && !path.ends_with('/') && path.len() <= LONGEST_PATH;
        is_name.then(|| Self { registry, path, tag: tag.to_owned() })
    }

    /// Whether both lie in one repository.
    pub fn lies_beside(&self, other: &Self) -> bool {
        (&self.registry, &self.path) == (&other.registry, &other.path)
    }
}

fn without_scheme(text: &str) -> &str {
    ["https://", "http://", "docker://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text)
}

/// Whether the first part of a name is a registry, as Docker decides it.
pub fn names_a_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first.eq_ignore_ascii_case("localhost")
}

/// The registry in one spelling: Docker Hub has several names, and usual ports and this machine's
/// addresses say nothing.
pub fn registry(name: &str) -> String {
    let name = without_scheme(name.trim()).trim_end_matches('/').to_lowercase();
    let host = name.strip_suffix(":443").or_else(|| name.strip_suffix(":80")).unwrap_or(&name);
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            (host, Some(port))
        }
        _ => (host, None),
    };
    let host = match host {
        "index.docker.io"
        | "registry-1.docker.io"
        | "registry.hub.docker.com"
        | "index.docker.io/v1" => HUB,
        "127.0.0.1" | "[::1]" => "localhost",
        other => other,
    };
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Registries that many use: a word that is one of these is no tag.
const KNOWN_REGISTRIES: [&str; 9] = [
    "docker.io",
    "ghcr.io",
    "quay.io",
    "gcr.io",
    "lscr.io",
    "public.ecr.aws",
    "mcr.microsoft.com",
    "registry.gitlab.com",
    "registry.k8s.io",
];
const KNOWN_DOMAINS: [&str; 5] =
    [".azurecr.io", ".amazonaws.com", ".amazonaws.com.cn", ".pkg.dev", ".gcr.io"];

/// Whether a word is the name of a registry that many use.
pub fn is_known_registry(word: &str) -> bool {
    let word = registry(word);
    KNOWN_REGISTRIES.contains(&word.as_str())
        || KNOWN_DOMAINS.iter().any(|domain| word.ends_with(domain))
}

/// Whether a host without a tag behind its path is likely one, rather than the beginning of a
/// branch such as `v1.2/fix`.
pub fn is_likely_host(host: &str) -> bool {
    let host = host.to_lowercase();
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_word = last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_lowercase());
    is_host(&host)
        && (host == "localhost"
            || host.contains(':')
            || is_word
            || host.parse::<std::net::Ipv4Addr>().is_ok())
}

/// How a platform is spelt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlatformSpelling {
    Known,
    /// Nothing is called so; this was meant.
    Slip(String),
    /// Nothing that we know is called so.
    Unknown,
}

/// `go tool dist list` and what `go/build` knows besides, and WebAssembly's as Docker calls it.
const SYSTEMS: [&str; 19] = [
    "linux",
    "windows",
    "darwin",
    "freebsd",
    "aix",
    "android",
    "dragonfly",
    "hurd",
    "illumos",
    "ios",
    "js",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasi",
    "wasip1",
    "zos",
];
const ARCHITECTURES: [&str; 26] = [
    "amd64",
    "arm64",
    "arm",
    "386",
    "riscv64",
    "ppc64le",
    "s390x",
    "loong64",
    "mips64le",
    "mips64",
    "mipsle",
    "mips",
    "ppc64",
    "wasm",
    "amd64p32",
    "arm64be",
    "armbe",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "riscv",
    "s390",
    "sparc",
    "sparc64",
    "wasm32",
    "wasm64",
];
/// What others call them.
const FOREIGN: [(&str, &str); 15] = [
    ("x64", "amd64"),
    ("x86", "386"),
    ("x32", "386"),
    ("i686", "386"),
    ("aarch32", "arm/v7"),
    ("arm32", "arm/v7"),
    ("armv8", "arm64"),
    ("armv7", "arm/v7"),
    ("armv7l", "arm/v7"),
    ("armv6", "arm/v6"),
    ("arm64v8", "arm64"),
    ("arm32v7", "arm/v7"),
    ("arm32v6", "arm/v6"),
    ("ppc64el", "ppc64le"),
    ("loongarch64", "loong64"),
];
/// How alike two names must be for one to be a slip of the other.
const ALIKE: f64 = 0.8;

impl Platform {
    /// Whether anything is called so, and what was meant otherwise.
    pub fn spelling(&self) -> PlatformSpelling {
        let meant = |name: &str, known: &[&str]| {
            if known.contains(&name) {
                return Some(name.to_owned());
            }
            if let Some((_, ours)) = FOREIGN.iter().find(|(theirs, _)| *theirs == name) {
                return Some((*ours).to_owned());
            }
            let alike = known
                .iter()
                .map(|known| (strsim::jaro_winkler(name, known).max(turned(name, known)), known));
            // Of those that are alike, the first: those that are usual come first.
            let best = alike
                .filter(|(alike, _)| *alike >= ALIKE)
                .reduce(|best, next| if next.0 > best.0 { next } else { best });
            best.map(|(_, known)| (*known).to_owned())
        };
        let (Some(system), Some(architecture)) =
            (meant(&self.os, &SYSTEMS), meant(&self.architecture, &ARCHITECTURES))
        else {
            return PlatformSpelling::Unknown;
        };
        if (&system, &architecture) == (&self.os, &self.architecture) {
            let is_known =
                self.variant.as_deref().is_none_or(|variant| is_variant(&architecture, variant));
            return if is_known { PlatformSpelling::Known } else { PlatformSpelling::Unknown };
        }
        let variant = self
            .variant
            .as_ref()
            .filter(|_| !architecture.contains('/'))
            .map(|variant| format!("/{variant}"));
        PlatformSpelling::Slip(format!("{system}/{architecture}{}", variant.unwrap_or_default()))
    }
}

/// Whether an architecture has a variant; those of rare ones are not known here.
fn is_variant(architecture: &str, variant: &str) -> bool {
    let number = variant.strip_prefix('v').unwrap_or(variant);
    let major = number.split('.').next().unwrap_or_default();
    match architecture {
        "arm" => ["5", "6", "7", "8"].contains(&number),
        "arm64" => ["8", "9"].contains(&major),
        "amd64" => ["1", "2", "3", "4"].contains(&number),
        _ => true,
    }
}

/// 1 where both have the same letters in another order (`amd46`).
fn turned(one: &str, other: &str) -> f64 {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    if sorted(one) == sorted(other) { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_taken_apart_as_every_program_does() {
        for (text, name, tag, digest) in [
            ("app", "app", None, None),
            ("localhost:5000/app", "localhost:5000/app", None, None),
            ("localhost:5000/app:v1", "localhost:5000/app", Some("v1"), None),
            ("[::1]:5000/a/b:v1@sha256:x", "[::1]:5000/a/b", Some("v1"), Some("sha256:x")),
            ("[::1]:5000/a@sha256:x", "[::1]:5000/a", None, Some("sha256:x")),
            // What is no reference stays whole, for whoever parses the parts to refuse.
            ("r.io/a:b:c", "r.io/a", Some("b:c"), None),
            ("r.io/a@b@c", "r.io/a", None, Some("b@c")),
            ("", "", None, None),
        ] {
            assert_eq!(ReferenceParts::of(text), ReferenceParts { name, tag, digest }, "{text}");
        }
    }

    #[test]
    fn one_thing_has_one_spelling_however_it_is_written() {
        for (one, other) in [
            ("app", "docker.io/library/app:latest"),
            ("octo/app", "index.docker.io/octo/app"),
            ("octo/app:1", "registry-1.docker.io/octo/app:1"),
            ("GHCR.io/Octo/App", "ghcr.io/octo/app:latest"),
            ("ghcr.io:443/octo/app:v1", "https://ghcr.io/octo/app:v1"),
            ("localhost:5000/app", "127.0.0.1:5000/app:latest"),
            ("ghcr.io/octo/app:v1@sha256:00", "ghcr.io/octo/app:v1"),
            (" ghcr.io/octo/app ", "ghcr.io/octo/app:latest"),
        ] {
            assert_eq!(
                NamedImage::of(one).unwrap(),
                NamedImage::of(other).unwrap(),
                "{one} {other}"
            );
        }
        for (one, other) in [
            ("ghcr.io/octo/app:V1", "ghcr.io/octo/app:v1"),
            ("ghcr.io/octo/app", "octo/app"),
            ("ghcr.io/octo/app:buildcache", "ghcr.io/octo/app"),
            ("localhost:5000/app", "localhost:5001/app"),
            ("r.io:5000/a", "r.io/a"),
        ] {
            assert_ne!(
                NamedImage::of(one).unwrap(),
                NamedImage::of(other).unwrap(),
                "{one} {other}"
            );
        }
        assert_eq!(NamedImage::of("ghcr.io/"), None);
        assert_eq!(registry("https://index.docker.io/v1/"), "docker.io");
    }

    #[test]
    fn a_platform_that_nothing_is_called_has_a_likely_meaning() {
        let spelling = |text: &str| text.parse::<Platform>().unwrap().spelling();
        for known in [
            "linux/amd64",
            "linux/arm/v7",
            "windows/amd64",
            "linux/riscv64",
            "linux/mips64le",
            "freebsd/arm64",
            "wasi/wasm",
            "darwin/arm64",
            "linux/x86_64",
            "linux/aarch64",
            "linux/386",
            "linux/loong64",
            "linux/arm/7",
            "linux/arm64/v8",
            "linux/arm64/v9.2",
            "linux/amd64/v3",
        ] {
            assert_eq!(spelling(known), PlatformSpelling::Known, "{known}");
        }
        for (given, meant) in [
            ("linux/amd46", "linux/amd64"),
            ("linux/adm64", "linux/amd64"),
            ("linux/amd6", "linux/amd64"),
            ("linux/arm46", "linux/arm64"),
            ("linux/arm46/v8", "linux/arm64/v8"),
            ("linux/arm65", "linux/arm64"),
            ("linxu/amd64", "linux/amd64"),
            ("lunix/arm64", "linux/arm64"),
            ("windwos/amd64", "windows/amd64"),
            ("linux/x64", "linux/amd64"),
            ("linux/armv7", "linux/arm/v7"),
            ("linux/ppc64el", "linux/ppc64le"),
            ("linux/risc64", "linux/riscv64"),
            ("linux/s930x", "linux/s390x"),
        ] {
            assert_eq!(spelling(given), PlatformSpelling::Slip(meant.to_owned()), "{given}");
        }
        for unknown in ["linux/e2k", "uefi/amd64", "linux/arm/v17", "linux/amd64/v5"] {
            assert_eq!(spelling(unknown), PlatformSpelling::Unknown, "{unknown}");
        }
    }
}
