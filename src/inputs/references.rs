//! One item of `tags` → a tag, or a whole reference, or what stands in the way of taking it for
//! either. Pure; it never takes a slash for Docker Hub.

use crate::image::spelling::{is_known_registry, is_likely_host, names_a_registry};
use crate::image::{Repository, Tag};
use crate::metadata::{TagReference, sanitised};

/// What an item that is no rule was meant to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReferenceItem {
    /// A tag, or an expression that gives one.
    Tag,
    Reference(TagReference),
    /// It could be a tag or an image of Docker Hub; `image` is its name there, if it is one.
    Either {
        tag: String,
        image: Option<String>,
    },
    Wrong(String),
}

pub(super) fn item(text: &str) -> ReferenceItem {
    let shape = without_expressions(text);
    if !shape.contains(['/', ':']) {
        return match is_known_registry(&shape) {
            true => ReferenceItem::Wrong(format!(
                "`{text}` is a registry without an image; write for example `{text}/octo/app:latest`"
            )),
            false => ReferenceItem::Tag,
        };
    }
    if shape.contains('@') {
        return ReferenceItem::Wrong(format!(
            "`{text}` carries a digest; tags are set on what this run builds, so write a tag"
        ));
    }
    if let Some((_, rest)) = text.split_once("://") {
        return ReferenceItem::Wrong(format!("`{text}` is an address; write `{rest}`"));
    }
    // In `host:port/name` the first colon is no tag's, nor is one of an address in brackets.
    let is_host = |host: &str| {
        host.ends_with(']') || host.rsplit_once(':').is_none_or(|(_, port)| is_port(port))
    };
    let path = shape.find('/').filter(|at| is_host(&shape[..*at])).map_or(0, |at| at + 1);
    match shape[path..].find(':').map(|at| path + at) {
        Some(at) => tagged(text, &shape, at),
        None => untagged(text, &shape),
    }
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `name:tag`, with its colon at `at`.
fn tagged(text: &str, shape: &str, at: usize) -> ReferenceItem {
    let (name, tag) = (&text[..at], &text[at + 1..]);
    if name.is_empty() {
        return ReferenceItem::Wrong(format!("`{text}` has no image before its colon"));
    }
    if tag.is_empty() {
        return ReferenceItem::Wrong(format!("`{text}` has no tag after its colon"));
    }
    if is_known_registry(name) {
        return ReferenceItem::Wrong(format!(
            "`{name}` is a registry without an image, in `{text}`"
        ));
    }
    if shape[at + 1..].parse::<Tag>().is_err() {
        return ReferenceItem::Wrong(format!(
            "`{tag}` is not a legal tag, in `{text}`; write `{}:{}`",
            name.to_lowercase(),
            sanitised(tag)
        ));
    }
    match repository(name) {
        Ok(image) => ReferenceItem::Reference(TagReference {
            text: text.to_owned(),
            image,
            tag: tag.to_owned(),
        }),
        Err(why) => ReferenceItem::Wrong(why),
    }
}

/// A name with a slash.
fn untagged(text: &str, shape: &str) -> ReferenceItem {
    let host = shape.split('/').next().unwrap_or_default();
    let image = repository(text);
    if names_a_registry(host) && is_likely_host(host) {
        return match image {
            Ok(image) => ReferenceItem::Reference(TagReference {
                text: text.to_owned(),
                image,
                tag: "latest".to_owned(),
            }),
            Err(why) => ReferenceItem::Wrong(why),
        };
    }
    ReferenceItem::Either {
        tag: sanitised(text),
        image: image.ok().filter(|_| !names_a_registry(host)),
    }
}

/// A repository's full name; people write owners as GitHub shows them, and registries know small
/// letters alone.
fn repository(name: &str) -> Result<String, String> {
    if name.contains("{{") {
        return Err(format!(
            "`{name}` is not the name of an image: expressions are filled in behind its colon alone"
        ));
    }
    name.to_lowercase()
        .parse::<Repository>()
        .map(|repository| repository.to_string())
        .map_err(|error| error.to_string())
}

/// The text with other letters in place of each `{{…}}`, byte for byte: what stands in there is no
/// part of a name.
fn without_expressions(text: &str) -> String {
    let mut shape = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let Some(end) = rest[start..].find("}}") else { break };
        let mut end = start + end + 2;
        while rest[end..].starts_with('}') {
            end += 1;
        }
        shape.push_str(&rest[..start]);
        shape.push_str(&"x".repeat(end - start));
        rest = &rest[end..];
    }
    shape + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str, image: &str, tag: &str) {
        let expected =
            TagReference { text: text.to_owned(), image: image.to_owned(), tag: tag.to_owned() };
        assert_eq!(item(text), ReferenceItem::Reference(expected), "{text}");
    }

    #[test]
    fn what_names_a_registry_or_has_a_tag_is_a_reference() {
        for (text, image, tag) in [
            ("ghcr.io/octo/app:v1", "ghcr.io/octo/app", "v1"),
            ("ghcr.io/Octo/App:Latest", "ghcr.io/octo/app", "Latest"),
            ("GHCR.io/octo/app", "ghcr.io/octo/app", "latest"),
            ("registry:8443/team/app", "registry:8443/team/app", "latest"),
            ("registry.example.com:8443/team/app", "registry.example.com:8443/team/app", "latest"),
            ("registry:8443/team/app:1", "registry:8443/team/app", "1"),
            ("localhost/app", "localhost/app", "latest"),
            ("10.0.0.5:5000/app", "10.0.0.5:5000/app", "latest"),
            ("10.0.0.5/app", "10.0.0.5/app", "latest"),
            ("octo/app:v1", "docker.io/octo/app", "v1"),
            ("docker.io/app", "docker.io/library/app", "latest"),
            ("app:latest", "docker.io/library/app", "latest"),
            ("r.io/a:{{branch}}", "r.io/a", "{{branch}}"),
            ("r.io/a:{{date 'YYYY/MM'}}", "r.io/a", "{{date 'YYYY/MM'}}"),
        ] {
            reference(text, image, tag);
        }
    }

    #[test]
    fn what_could_be_a_tag_or_an_image_is_neither() {
        for (text, tag, image) in [
            ("feature/x", "feature-x", Some("docker.io/feature/x")),
            ("octo/app", "octo-app", Some("docker.io/octo/app")),
            ("Octo/App", "Octo-App", Some("docker.io/octo/app")),
            ("a/b/c", "a-b-c", Some("docker.io/a/b/c")),
            ("v1.2/hotfix", "v1.2-hotfix", None),
            ("release/1.2 x", "release-1.2-x", None),
            ("/x", "-x", None),
        ] {
            assert_eq!(
                item(text),
                ReferenceItem::Either { tag: tag.to_owned(), image: image.map(str::to_owned) },
                "{text}"
            );
        }
    }

    #[test]
    fn what_can_be_neither_says_why() {
        for (text, why) in [
            (
                "r.io/a:feature/x",
                "`feature/x` is not a legal tag, in `r.io/a:feature/x`; write `r.io/a:feature-x`",
            ),
            ("app:feature/x", "write `app:feature-x`"),
            ("a:b:c", "`b:c` is not a legal tag"),
            ("r.io/a:", "has no tag after its colon"),
            (":latest", "has no image before its colon"),
            ("ghcr.io", "is a registry without an image"),
            ("ghcr.io:latest", "is a registry without an image"),
            ("octo.azurecr.io", "is a registry"),
            ("ghcr.io/o/a@sha256:00", "carries a digest"),
            ("https://ghcr.io/o/a:1", "write `ghcr.io/o/a:1`"),
            ("ghcr.io/{{branch}}:1", "expressions are filled in behind its colon alone"),
            ("ghcr.io//a:1", "is not an image name"),
            ("r.io/a:1 r.io/b:1", "is not a legal tag"),
            ("ghcr.io/", "is not an image name"),
            ("r.io/a:-x", "`-x` is not a legal tag"),
        ] {
            let item = item(text);
            assert!(
                matches!(&item, ReferenceItem::Wrong(said) if said.contains(why)),
                "{text}: {item:?}"
            );
        }
    }

    #[test]
    fn a_tag_is_a_tag() {
        for text in [
            "v1.2.3",
            "latest",
            "{{branch}}",
            "{{date 'YYYY/MM'}}",
            "v1 2",
            "1.2",
            "sha-{{sha}}",
            "{{& branch}}",
            "app@1",
        ] {
            assert_eq!(item(text), ReferenceItem::Tag, "{text}");
        }
    }
}
