//! What the names of an image stand for: by the rules that gave them, or, where a bake file lists
//! them, by what they read as. Pure.

use std::collections::BTreeMap;

use crate::image::Tag;
use crate::image::name::ImageName;
use crate::metadata::line::{LineVersion, ReleaseLine, Scheme};
use crate::metadata::{ImageMetadata, sanitised};
use crate::preflight::is_immutable;
use crate::trigger::TriggerAnswer;

/// By tag; what is missing is free.
#[derive(Debug, Clone, Default)]
pub struct LinesByTag(BTreeMap<Tag, ReleaseLine>);

impl LinesByTag {
    /// By the rules of `tags`, or by the event's, where nobody wrote any.
    pub(super) fn by_rules(metadata: &ImageMetadata, ours: Option<&TriggerAnswer>) -> Self {
        let line = |made: &crate::metadata::TagOrigin| match (ours, made.entry) {
            (Some(answer), Some(entry)) => {
                answer.rules.get(entry).map(|rule| rule.line.clone()).unwrap_or_default()
            }
            (Some(answer), None) => ReleaseLine::Latest(answer.version.clone()),
            (None, _) => made.line.clone(),
        };
        let names = metadata.tag_names.iter().zip(&metadata.made);
        Self(names.filter_map(|(name, made)| Some((name.parse().ok()?, line(made)))).collect())
    }

    /// By what the names of one target read as: the version in full, lines of it, `latest`, and the
    /// branch that the run is of.
    pub(super) fn by_reading(names: &[ImageName], git_ref: &str) -> Self {
        let tags: Vec<&Tag> = names.iter().map(|name| &name.tag).collect();
        let whole: Vec<(&str, LineVersion)> = tags
            .iter()
            .filter(|tag| is_immutable(tag))
            .filter_map(|tag| Some((tag.as_str(), LineVersion::read(tag.as_str(), Scheme::Any)?)))
            .collect();
        let branch = git_ref.strip_prefix("refs/heads/").map(sanitised);
        let read = |tag: &Tag| {
            let text = tag.as_str();
            if let Some((name, version)) =
                whole.iter().find(|(name, _)| *name == text || is_line_of(text, name))
            {
                return ReleaseLine::Version { version: version.clone(), whole: *name == text };
            }
            if text == "latest" || text.starts_with("latest-") {
                let suffix = text.trim_start_matches("latest");
                let of = whole.iter().find(|(name, _)| name.ends_with(suffix)).or(whole.first());
                return ReleaseLine::Latest(of.map(|(_, version)| version.clone()));
            }
            if branch.as_deref() == Some(text) {
                ReleaseLine::Ref(git_ref.to_owned())
            } else {
                ReleaseLine::Free
            }
        };
        Self(tags.into_iter().map(|tag| (tag.clone(), read(tag))).collect())
    }

    pub fn of(&self, tag: &Tag) -> &ReleaseLine {
        self.0.get(tag).unwrap_or(&ReleaseLine::Free)
    }

    /// Whether a name is that of one whole version.
    pub fn is_whole(&self, tag: &Tag) -> bool {
        is_immutable(tag) || self.of(tag).is_whole()
    }

    /// The names that move forward only.
    pub fn forward(&self) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(tag, line)| **line != ReleaseLine::Free && !self.is_whole(tag))
            .map(|(tag, _)| tag.as_str())
            .collect()
    }

    /// The version that each name has, for the provenance to say.
    pub fn versions(&self) -> BTreeMap<String, LineVersion> {
        let versions = self
            .0
            .iter()
            .filter_map(|(tag, line)| Some((tag.to_string(), line.version()?.clone())));
        versions.collect()
    }
}

/// Whether `v1.2` or `1-alpine` is a line of `v1.2.3` or `1.2.3-alpine`.
fn is_line_of(line: &str, whole: &str) -> bool {
    let halves = |text: &str| -> (String, String) {
        let (core, suffix) =
            text.split_once('-').map_or((text, ""), |(core, suffix)| (core, suffix));
        (core.to_owned(), suffix.to_owned())
    };
    let ((core, suffix), (of, its)) = (halves(line), halves(whole));
    suffix == its
        && of.strip_prefix(&core).is_some_and(|rest| rest.starts_with('.'))
        && core.ends_with(|letter: char| letter.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_bake_file_are_read() {
        let name = |tag: &str| ImageName {
            repository: "r.io/a".parse().unwrap(),
            tag: tag.parse().unwrap(),
        };
        let names = [
            "v1.2.3",
            "v1.2",
            "v1",
            "v2",
            "latest",
            "main",
            "1.2.3-alpine",
            "1-alpine",
            "latest-alpine",
            "edge",
        ]
        .map(name);
        let lines = LinesByTag::by_reading(&names, "refs/heads/main");
        let of = |tag: &str| lines.of(&tag.parse().unwrap()).clone();
        for (tag, version) in [
            ("v1.2.3", "1.2.3"),
            ("v1.2", "1.2.3"),
            ("v1", "1.2.3"),
            ("latest", "1.2.3"),
            ("1-alpine", "1.2.3-alpine"),
        ] {
            assert_eq!(of(tag).version().map(LineVersion::text), Some(version), "{tag}");
        }
        assert_eq!(
            (of("main"), of("v2"), of("edge")),
            (ReleaseLine::Ref("refs/heads/main".into()), ReleaseLine::Free, ReleaseLine::Free)
        );
        assert_eq!(of("latest-alpine").version().map(LineVersion::text), Some("1.2.3-alpine"));
        assert!(
            lines.is_whole(&"v1.2.3".parse().unwrap()) && !lines.is_whole(&"v1.2".parse().unwrap())
        );
        assert_eq!(
            LinesByTag::by_reading(&names[4..6], "").of(&"latest".parse().unwrap()),
            &ReleaseLine::Latest(None)
        );
    }
}
