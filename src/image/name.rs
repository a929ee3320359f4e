//! A name that people pull: a tag in a repository. It puts none anywhere.

use std::fmt;

use serde::Serialize;

use super::{Repository, Tag};

/// One name: a tag in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ImageName {
    pub repository: Repository,
    pub tag: Tag,
}

impl ImageName {
    /// Every tag in every repository.
    pub fn all(repositories: &[Repository], tags: &[Tag]) -> Vec<Self> {
        tags.iter()
            .flat_map(|tag| {
                repositories
                    .iter()
                    .map(|repository| Self { repository: repository.clone(), tag: tag.clone() })
            })
            .collect()
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.repository, self.tag)
    }
}
