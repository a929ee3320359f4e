//! Secrets in the bytes of files and in the config of an image, and a config that is wrong: data in,
//! data out. It opens no file, asks no service, and no value of a secret leaves it.
//!
//! Who reads layers does this for each regular file, also for those that a later layer deletes:
//!
//! ```text
//! let found = detector::read(path, bytes)?;               // or Detector::new, feed, finish
//! leak.excused(excuses::excuse(path, owner)).in_layer(digest, is_base)
//! leaks.extend(RunConfig::read(config)?.leaks());
//! let verdict = verdict::judge_leaks(&leaks, &terms, today);
//! ```
//!
//! [`weakness`] judges config and entries of layers, and merges what BuildKit's checks say.
//! [`shown`] makes a table, [`sarif`] what GitHub shows.

mod anchors;
pub mod config;
pub mod detector;
pub mod excuses;
mod keys;
pub mod leak;
mod placeholder;
mod proofs;
pub mod rules;
pub mod sarif;
pub mod shown;
pub mod verdict;
pub mod weakness;

#[cfg(test)]
mod tests;
