//! What can be known to fail before anything is built, as one list: a user mends everything in one
//! go. The checks that need no service are pure.

use crate::build::outputs;
use crate::error::{Remedy as _, WithExit, exit};
use crate::github::facts::Visibility;
use crate::image::spelling::NamedImage;
use crate::image::{Repository, Tag};
use crate::page::RefusalPage;
use crate::sigstore::Services;

/// What is written beside each signature.
const TOLD_BY_CERTIFICATE: &str =
    "the names of repository and workflow, the commit and the digests";
const TOLD_BY_KEY: &str = "the public key and the digests";

/// What signing by these services would tell the world about a repository that is private, or is not
/// known to be public.
pub fn told_by_signing(
    repository: &str,
    services: &Services,
    visibility: Visibility,
    by_key: bool,
    allowed: bool,
) -> anyhow::Result<()> {
    let rekor = services.rekor.iter().map(|rekor| rekor.url.as_str());
    // A certificate authority keeps a log too.
    let logs = rekor.chain(services.fulcio.as_deref().filter(|_| !by_key)).collect::<Vec<_>>();
    let told = if by_key { TOLD_BY_KEY } else { TOLD_BY_CERTIFICATE };
    public_log(repository, visibility, &logs, told, allowed)
}

/// The same, of services that write to these logs.
fn public_log(
    repository: &str,
    visibility: Visibility,
    services: &[&str],
    told: &str,
    allowed: bool,
) -> anyhow::Result<()> {
    let Some(log) = services.iter().find(|url| is_public(url)) else { return Ok(()) };
    let private = match visibility {
        Visibility::Public => return Ok(()),
        _ if allowed => return Ok(()),
        Visibility::Private => format!("repository `{repository}` is private"),
        Visibility::Unknown if repository.is_empty() => {
            "the repository is not known, so it counts as private".to_owned()
        }
        Visibility::Unknown => {
            format!(
                "neither the event nor GitHub says whether repository `{repository}` is private, so it counts as private"
            )
        }
    };
    Err(anyhow::anyhow!("{private}, and signing writes to the public log of `{log}`: {told} would be public for ever"))
        .hint("set `allow-public-log: true` if they may be public, or give a `signing-config` of a private instance, or one without a log")
        .see(RefusalPage::PrivateRepository)
}

/// Whether what a service logs is for everybody to read.
fn is_public(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| {
        ["sigstore.dev", "sigstage.dev"]
            .iter()
            .any(|public| host.trim_end_matches('.').ends_with(public))
    })
}

/// Names of build arguments that hold secrets more often than not, as whole words of the name.
const SECRET_WORDS: [&str; 9] =
    ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASS", "APIKEY", "CREDENTIAL", "CREDENTIALS", "PAT"];
const SECRET_PAIRS: [(&str, &str); 3] = [("API", "KEY"), ("PRIVATE", "KEY"), ("ACCESS", "KEY")];
/// Names whose values build tools write into pages that everybody gets.
const PUBLIC: [&str; 10] = [
    "NEXT_PUBLIC_",
    "NUXT_PUBLIC_",
    "EXPO_PUBLIC_",
    "PUBLIC_",
    "VITE_",
    "REACT_APP_",
    "VUE_APP_",
    "NG_APP_",
    "GATSBY_",
    "STORYBOOK_",
];
/// How well-known tokens begin.
const SECRET_VALUES: [&str; 10] = [
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "npm_",
    "xoxb-",
    "AKIA",
    "-----BEGIN ",
];

/// Refuses build arguments that look like secrets: a provenance with `mode=max` publishes every one
/// of them.
pub fn secret_build_args(place: &str, build_args: &[String]) -> anyhow::Result<()> {
    let suspicious: Vec<&str> = build_args
        .iter()
        .filter_map(|argument| argument.split_once('='))
        .filter(|(name, value)| looks_secret(name, value))
        .map(|(name, _)| name)
        .collect();
    if suspicious.is_empty() {
        return Ok(());
    }
    // The values are not shown.
    let listed: Vec<String> = suspicious.iter().map(|name| format!("`{name}`")).collect();
    Err(anyhow::anyhow!("{place}: {} looks like a secret, and the provenance (`mode=max`) publishes build arguments", listed.join(", ")))
        .hint("pass it with `secrets` and `RUN --mount=type=secret`, or set `provenance: mode=min`")
        .see(RefusalPage::SecretInABuildArgument)
}

/// Whether a build argument looks like a secret, by its name or by how its value begins.
pub(crate) fn looks_secret(name: &str, value: &str) -> bool {
    let value = value.trim();
    let words: Vec<String> = name.split(['_', '-', '.']).map(str::to_uppercase).collect();
    let named = words.iter().any(|word| SECRET_WORDS.contains(&word.as_str()))
        || words
            .windows(2)
            .any(|pair| SECRET_PAIRS.contains(&(pair[0].as_str(), pair[1].as_str())));
    // A URL, a path, a switch or a number beside such a name is about a secret rather than one.
    let harmless = PUBLIC.iter().any(|prefix| name.starts_with(prefix))
        || value.len() < 8
        || value.contains("://")
        || value.starts_with('/')
        || value.starts_with("./")
        || value.bytes().all(|byte| byte.is_ascii_digit());
    SECRET_VALUES.iter().any(|start| value.starts_with(start)) || (named && !harmless)
}

/// Refuses a cache that would be written under a name that people pull: a cache is no image, and
/// carries no proof. References are compared as registries read them. In a repository of ours
/// `latest` is such a name, whatever this run publishes.
pub fn cache_under_a_name<C: AsRef<str>>(
    caches: &[C],
    images: &[Repository],
    names: &[String],
) -> anyhow::Result<()> {
    let latest = images.iter().map(|image| format!("{image}:latest"));
    let known: Vec<String> = names.iter().cloned().chain(latest).collect();
    for written in caches.iter().filter_map(|cache| cache_reference(cache.as_ref())) {
        let named = NamedImage::of(&written);
        let Some(name) = known.iter().find(|name| named.is_some() && NamedImage::of(name) == named)
        else {
            continue;
        };
        let is_tagged = written.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let message = match is_tagged {
            true if written == *name => {
                format!("`cache-to`: `{name}` is one of the tags to publish")
            }
            true => format!(
                "`cache-to`: `{written}` writes the cache under `{name}`, a tag of the image"
            ),
            false => format!(
                "`cache-to`: `{written}`, which has no tag, writes the cache under `{name}`, a tag of the image"
            ),
        };
        let place = name.rsplit_once(':').map_or(name.as_str(), |(place, _)| place);
        return Err(WithExit { code: exit::BAD_INPUT, message })
            .hint(format!("write the cache to a tag of its own, such as `ref={place}:buildcache`"))
            .see(RefusalPage::CacheUnderATagOfTheImage);
    }
    Ok(())
}

/// What a cache in a registry is called; a name alone is one, too.
pub fn cache_reference(cache: &str) -> Option<String> {
    match outputs::kind(cache) {
        None => Some(cache.trim().to_owned()),
        Some(kind) if kind == "registry" => {
            outputs::value(cache, "ref").map(|name| name.trim().to_owned())
        }
        Some(_) => None,
    }
}

/// Whether a tag names one version for ever: `v1.2.3`, `1.2.3-rc.1`.
pub fn is_immutable(tag: &Tag) -> bool {
    let text = tag.as_str();
    semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error;

    #[test]
    fn a_private_repository_needs_consent_for_a_public_log() {
        let (rekor, fulcio) = (
            ["https://rekor.sigstore.dev"],
            ["http://127.0.0.1:3000", "https://FULCIO.sigstore.dev:443/x"],
        );
        for (visibility, services, allowed, refused) in [
            (Visibility::Private, rekor.as_slice(), false, Some("repository `o/r` is private")),
            (
                Visibility::Unknown,
                &rekor,
                false,
                Some("neither the event nor GitHub says whether repository `o/r` is private"),
            ),
            (Visibility::Private, &fulcio, false, Some("would be public for ever")),
            (Visibility::Private, &rekor, true, None),
            (Visibility::Unknown, &rekor, true, None),
            (Visibility::Public, &rekor, false, None),
            (Visibility::Private, &[], false, None),
            (Visibility::Unknown, &["http://127.0.0.1:3000"], false, None),
        ] {
            let outcome = public_log("o/r", visibility, services, TOLD_BY_KEY, allowed);
            let message = outcome.err().map(|error| error::message(&error)).unwrap_or_default();
            assert_eq!(
                message.is_empty(),
                refused.is_none(),
                "{visibility:?} {services:?}: {message}"
            );
            assert!(message.contains(refused.unwrap_or_default()), "{message}");
        }
    }

    #[test]
    fn secrets_among_build_arguments_are_found_and_not_shown() {
        for (argument, found) in [
            ("NPM_TOKEN=npm_0123456789", true),
            ("API_KEY=0123456789abcdef", true),
            ("ANYTHING=ghs_0123456789abcdef", true),
            ("DB_PASSWORD=correct horse", true),
            ("TOKEN_URL=https://auth.example.com/token", false),
            ("SECRET_PATH=/run/secrets/x", false),
            ("COMPASS=north-northwest", false),
            ("PASSES=12345678901", false),
            ("VERSION=1.2.3-rc.1+build", false),
            ("TOKEN=", false),
            ("NEXT_PUBLIC_API_KEY=0123456789abcdef", false),
            ("VITE_MAPBOX_TOKEN=pk.0123456789abcdef", false),
            ("REACT_APP_SECRET=0123456789abcdef", false),
            ("MY_VITE_TOKEN=0123456789abcdef", true),
            // In a page it is no less lost.
            ("NEXT_PUBLIC_TOKEN=ghp_0123456789abcdef", true),
        ] {
            let outcome = secret_build_args("input `build-args`", &[argument.to_owned()]);
            assert_eq!(outcome.is_err(), found, "{argument}");
            if let Err(error) = outcome {
                let (name, value) = argument.split_once('=').unwrap();
                assert!(
                    error::message(&error).contains(name) && !format!("{error:?}").contains(value)
                );
            }
        }
    }

    #[test]
    fn a_cache_has_a_name_of_its_own() {
        let names = ["ghcr.io/o/a:1.0".to_owned(), "docker.io/o/a:1.0".to_owned()];
        let images = ["ghcr.io/o/a".parse().unwrap(), "o/a".parse().unwrap()];
        for (cache, written) in [
            ("type=registry,mode=max,ref=ghcr.io/o/a:1.0", "ghcr.io/o/a:1.0"),
            ("type=registry,mode=max,ref=ghcr.io/o/a", "ghcr.io/o/a:latest"),
            ("TYPE=registry,REF=ghcr.io/o/a:latest", "ghcr.io/o/a:latest"),
            ("\"type=registry\",\"ref=GHCR.IO/O/A\"", "ghcr.io/o/a:latest"),
            ("type=registry,ref=ghcr.io:443/o/a:1.0", "ghcr.io/o/a:1.0"),
            ("type=registry,ref=o/a", "docker.io/o/a:latest"),
            ("type=registry,ref=index.docker.io/o/a:1.0", "docker.io/o/a:1.0"),
            ("o/a:1.0", "docker.io/o/a:1.0"),
        ] {
            let error = cache_under_a_name(&[cache], &images, &names).unwrap_err();
            assert!(
                error::message(&error).contains(&format!(" `{written}`")),
                "{cache}: {error:?}"
            );
        }
        for cache in [
            "type=registry,ref=ghcr.io/o/a:buildcache,mode=max",
            "type=gha",
            "type=registry,ref=ghcr.io/o/b",
            "type=local,dest=ghcr.io/o/a",
            "type=inline",
        ] {
            cache_under_a_name(&[cache], &images, &names).unwrap();
        }
    }

    #[test]
    fn full_versions_are_names_for_ever() {
        for (tag, immutable) in [
            ("v1.2.3", true),
            ("1.2.3-rc.1", true),
            ("v1.2", false),
            ("latest", false),
            ("sha-0f1e", false),
        ] {
            assert_eq!(is_immutable(&tag.parse().unwrap()), immutable, "{tag}");
        }
    }
}
