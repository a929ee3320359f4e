//! Records that were fetched before, kept in a folder. It gives none back that is not what was
//! written, or not the change of it that is asked for.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::outline::RecordOutline;
use super::{AdvisoryError, RecordId};
use crate::files::OpenFolder;

/// How long a record serves for which no listing says when it changed.
const FRESH: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

pub(super) struct RecordCache(OpenFolder);

impl RecordCache {
    pub(super) fn open(folder: &Path) -> Result<Self, AdvisoryError> {
        let here = std::env::current_dir().unwrap_or_default();
        OpenFolder::make(folder, &here).map(Self).map_err(AdvisoryError::Cache)
    }

    /// The record, if it was changed last at `modified`, or where that is not known, if it was
    /// fetched within a day.
    pub(super) fn get(
        &self,
        id: &RecordId,
        modified: Option<&str>,
        now: Timestamp,
    ) -> Option<(Vec<u8>, RecordOutline)> {
        // What cannot be read is fetched again.
        let kept = self.0.read(&name(id)).ok()??;
        let end = kept.iter().position(|byte| *byte == b'\n')?;
        let (line, record) = kept.split_at(end);
        let (hash, fetched) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let record = record.get(1..)?;
        if hash != hex::encode(Sha256::digest(record)) {
            return None;
        }
        let outline = RecordOutline::of(record).filter(|outline| outline.id == id.as_str())?;
        let serves = match modified {
            Some(modified) => {
                modified.parse::<Timestamp>().is_ok_and(|modified| modified == outline.modified)
            }
            None => {
                let fetched: Timestamp = fetched.parse().ok()?;
                fetched <= now && now.duration_since(fetched) < FRESH
            }
        };
        serves.then(|| (record.to_vec(), outline))
    }

    pub(super) fn put(
        &self,
        id: &RecordId,
        record: &[u8],
        now: Timestamp,
    ) -> Result<(), AdvisoryError> {
        let mut kept = format!("{} {now}\n", hex::encode(Sha256::digest(record))).into_bytes();
        kept.extend_from_slice(record);
        self.0.write(&name(id), &kept).map_err(AdvisoryError::Cache)
    }
}

/// Colons are no part of file names everywhere that a cache is kept.
fn name(id: &RecordId) -> PathBuf {
    PathBuf::from(format!("{}.osv", id.as_str().replace(':', "=")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_and_is_still_asked_for_comes_back() {
        let world = tempfile::tempdir().unwrap();
        let cache = RecordCache::open(&world.path().join("a/records")).unwrap();
        let id = RecordId::of("ALSA-2022:1").unwrap();
        let record = br#"{"id":"ALSA-2022:1","modified":"2026-01-02T03:04:05Z"}"#;
        let now: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
        cache.put(&id, record, now).unwrap();
        let found = |modified, now| cache.get(&id, modified, now).map(|(record, _)| record);
        assert_eq!(found(Some("2026-01-02T03:04:05.000Z"), now).unwrap(), record);
        assert_eq!(found(Some("2026-01-02T03:04:06Z"), now), None);
        assert_eq!(found(Some("x"), now), None);
        assert_eq!(found(None, "2026-02-01T23:59:00Z".parse().unwrap()).unwrap(), record);
        assert_eq!(found(None, "2026-02-02T00:00:00Z".parse().unwrap()), None);
        assert_eq!(found(None, "2026-01-31T00:00:00Z".parse().unwrap()), None);
        let other = RecordId::of("ALSA-2022:2").unwrap();
        let file = world.path().join("a/records/ALSA-2022=1.osv");
        std::fs::copy(&file, world.path().join("a/records/ALSA-2022=2.osv")).unwrap();
        assert!(cache.get(&other, None, now).is_none(), "another record's file");
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(found(None, now), None, "a changed byte");
        for broken in ["", "\n", "x", "x y\n{}"] {
            std::fs::write(&file, broken).unwrap();
            assert_eq!(found(None, now), None, "{broken}");
        }
    }
}
