//! `source-images` → images that others built, or that jobs before gave a tag. Pure; it asks no
//! registry what a tag names.

use crate::build::merge::claims::SourceImage;

use super::InputProblems;
use crate::image::Repository;
use crate::image::spelling::{ReferenceParts, names_a_registry};
use crate::text::lists;

/// Each reference of an input once, in their order.
pub(super) fn source_images(
    input: &str,
    text: &str,
    problems: &mut InputProblems,
) -> Vec<SourceImage> {
    let mut images: Vec<SourceImage> = Vec::new();
    for word in lists::words(text) {
        match read(&word) {
            Ok(image) if !images.contains(&image) => images.push(image),
            Ok(_) => {}
            Err(why) => problems.say(input, why),
        }
    }
    images
}

/// Owners are written as GitHub shows them, and registries know small letters alone.
fn read(text: &str) -> Result<SourceImage, String> {
    if let Some((_, rest)) = text.split_once("://") {
        return Err(format!("`{text}` is an address; write `{rest}`"));
    }
    let ReferenceParts { name, tag, digest } = ReferenceParts::of(text);
    // A word alone is as likely a tag of what is published, and Docker Hub would be asked for it.
    let Some((first, _)) = name.split_once('/') else {
        return Err(format!(
            "`{text}` names no repository; write for example `ghcr.io/octo/app:{}`",
            tag.unwrap_or(name)
        ));
    };
    let repository: Repository =
        name.to_lowercase().parse().map_err(|error: crate::image::ImageError| error.to_string())?;
    if !names_a_registry(first) && digest.is_none() && tag.is_none() {
        return Err(format!(
            "`{text}` has neither a registry nor a tag; write `{repository}:latest`, or `ghcr.io/{}:latest`",
            name.to_lowercase()
        ));
    }
    let tag = match (tag, digest) {
        (Some(tag), _) => {
            Some(tag.parse().map_err(|error: crate::image::ImageError| error.to_string())?)
        }
        (None, Some(_)) => None,
        (None, None) => "latest".parse().ok(),
    };
    let digest = digest
        .map(|digest| digest.parse().map_err(|error: crate::image::ImageError| error.to_string()))
        .transpose()?;
    Ok(SourceImage { repository, tag, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_as_people_name_them() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, read) in [
            ("ghcr.io/octo/app:v1-amd64", "ghcr.io/octo/app:v1-amd64".to_owned()),
            ("ghcr.io/Octo/App:V1", "ghcr.io/octo/app:V1".to_owned()),
            ("GHCR.io/octo/app", "ghcr.io/octo/app:latest".to_owned()),
            ("octo/app:v1", "docker.io/octo/app:v1".to_owned()),
            ("registry:5000/app:v1", "registry:5000/app:v1".to_owned()),
            ("[::1]:5000/a/b:v1", "[::1]:5000/a/b:v1".to_owned()),
            (&format!("ghcr.io/o/a@{digest}"), format!("ghcr.io/o/a@{digest}")),
            (&format!("ghcr.io/o/a:v1@{digest}"), format!("ghcr.io/o/a:v1@{digest}")),
        ] {
            let mut problems = InputProblems::default();
            let images = source_images("source-images", text, &mut problems);
            assert_eq!(problems.said, Vec::<String>::new(), "{text}");
            assert_eq!(images.iter().map(ToString::to_string).collect::<Vec<_>>(), [read]);
        }
        let several = source_images(
            "source-images",
            "r.io/a:1, r.io/a:1\n# no\nr.io/b:1,",
            &mut InputProblems::default(),
        );
        assert_eq!(several.len(), 2);
    }

    #[test]
    fn what_could_be_something_else_is_refused() {
        for (text, why) in [
            ("v1-amd64", "names no repository; write for example `ghcr.io/octo/app:v1-amd64`"),
            ("app:v1-amd64", "names no repository; write for example `ghcr.io/octo/app:v1-amd64`"),
            ("octo/app", "neither a registry nor a tag; write `docker.io/octo/app:latest`"),
            ("docker://ghcr.io/o/a:1", "is an address; write `ghcr.io/o/a:1`"),
            ("ghcr.io/o/a:", "is not a tag"),
            ("ghcr.io/o/a:-x", "is not a tag"),
            ("ghcr.io/o/a@sha256:00", "is not a digest"),
            ("ghcr.io/o/a@v1", "is not a digest"),
            ("ghcr.io//a:1", "is not an image name"),
            ("linux/arm64=ghcr.io/o/a:1", "is not an image name"),
        ] {
            let mut problems = InputProblems::default();
            let images = source_images("source-images", text, &mut problems);
            assert!(
                images.is_empty() && problems.said.iter().any(|said| said.contains(why)),
                "{text}: {:?}",
                problems.said
            );
        }
    }
}
