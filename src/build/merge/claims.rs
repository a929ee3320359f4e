//! What is to be merged, as people and jobs name it. It believes no claim: `build::merge` checks
//! them.

use std::fmt;

use crate::image::{Digest, ImageRef, Platform, Repository, Tag};

/// One job's word for a digest that it pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobClaim {
    pub digest: Digest,
    /// What the digest is said to hold; `None` where only the digest was told.
    pub platform: Option<Platform>,
    /// Where it is said to lie, if that was told.
    pub repository: Option<Repository>,
    /// Who says so.
    pub by: String,
}

/// An image to be merged, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceImage {
    pub repository: Repository,
    /// What it is called; beside a digest it is only told.
    pub tag: Option<Tag>,
    /// Without one, the tag says which image it is, at the start of the run.
    pub digest: Option<Digest>,
}

impl SourceImage {
    pub fn at(&self, digest: &Digest) -> ImageRef {
        self.repository.at(digest)
    }
}

impl fmt::Display for SourceImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(formatter, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(formatter, "@{digest}"))
    }
}
