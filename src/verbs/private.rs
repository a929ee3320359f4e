//! A folder that only this user can enter, for what must not outlive a run; and what killed runs
//! left of theirs. It never follows a link, and nothing that goes wrong with what others left ends
//! a run.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::github::RunContext;

/// Begins the names of all such folders.
const PREFIX: &str = "supply-action-";
/// What is older was left by a run that was killed.
const OLD: Duration = Duration::from_hours(24);

/// Gone when the value is dropped.
pub(super) struct Private {
    folder: TempDir,
    /// Held as long as the run lives, however old it becomes.
    _lock: Option<File>,
}

impl Private {
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Where files of a run may lie that nobody else reads.
pub(super) fn temporary(context: &RunContext) -> PathBuf {
    context.temp.clone().filter(|folder| folder.is_dir()).unwrap_or_else(std::env::temp_dir)
}

/// Makes the folder, and removes those that killed runs left.
pub(super) fn private_folder(context: &RunContext) -> anyhow::Result<Private> {
    let parent = temporary(context);
    let folder = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(&parent)
        .with_context(|| format!("no private folder could be made in `{}`", parent.display()))?;
    let lock = locked(folder.path());
    remove_old(&parent, folder.path());
    Ok(Private { folder, _lock: lock })
}

fn locked(folder: &Path) -> Option<File> {
    let file = File::open(folder).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(file)
}

fn remove_old(parent: &Path, own: &Path) {
    let Ok(user) = fs::metadata(own).map(|own| own.uid()) else { return };
    for entry in fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) || path == own {
            continue;
        }
        // Of an entry, which is not followed.
        let Ok(found) = entry.metadata() else { continue };
        let is_old = found
            .modified()
            .ok()
            .and_then(|modified| modified.elapsed().ok())
            .is_some_and(|age| age > OLD);
        if found.is_dir() && found.uid() == user && is_old && locked(&path).is_some() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn aged(path: &Path, hours: u64) {
        let then = SystemTime::now() - Duration::from_hours(hours);
        File::open(path).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn what_killed_runs_left_is_removed_and_nothing_else() {
        let world = tempfile::tempdir().unwrap();
        let temp = world.path().join("temp");
        let context = RunContext { temp: Some(temp.clone()), ..RunContext::default() };
        for folder in [
            "temp/supply-action-killed/docker",
            "temp/supply-action-young",
            "temp/other",
            "outside",
        ] {
            fs::create_dir_all(world.path().join(folder)).unwrap();
            fs::write(world.path().join(folder).join("secret-0"), "s").unwrap();
        }
        fs::write(temp.join("supply-action-file"), "").unwrap();
        // What is behind a link is not ours, in the folder and in what is removed.
        std::os::unix::fs::symlink(world.path().join("outside"), temp.join("supply-action-link"))
            .unwrap();
        std::os::unix::fs::symlink(
            world.path().join("outside"),
            temp.join("supply-action-killed/link"),
        )
        .unwrap();
        for (name, hours) in [
            ("supply-action-killed", 25),
            ("supply-action-young", 23),
            ("other", 99),
            ("supply-action-file", 99),
            ("../outside", 99),
        ] {
            aged(&temp.join(name), hours);
        }
        let running = private_folder(&context).unwrap();
        aged(running.path(), 99);
        let second = private_folder(&context).unwrap();
        for (name, there) in [
            ("supply-action-killed", false),
            ("supply-action-young", true),
            ("other", true),
            ("supply-action-file", true),
        ] {
            assert_eq!(temp.join(name).exists(), there, "{name}");
        }
        assert!(
            world.path().join("outside/secret-0").exists() && running.path().exists(),
            "a run that still runs keeps its own"
        );
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }
}
