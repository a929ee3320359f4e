//! `tools/cold` around a Makefile of our own: a fresh clone, empty caches, the table, and what it
//! leaves. Neither of README's commands runs here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A repository with the tool and a Makefile, and folders that stand for home's caches.
struct Checkout {
    folder: tempfile::TempDir,
}

impl Checkout {
    fn new(rehearse: &str) -> Self {
        // Beside what cargo builds, where there is room.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let checkout = Self { folder };
        std::fs::create_dir_all(checkout.path("repo/tools")).unwrap();
        std::fs::create_dir(checkout.path("tmp")).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["tools/cold", "tools/lib.sh"] {
            std::fs::copy(root.join(name), checkout.path("repo").join(name)).unwrap();
        }
        let makefile = format!("SHELL := bash\nrehearse:\n\t{rehearse}\n");
        std::fs::write(checkout.path("repo/Makefile"), makefile).unwrap();
        for arguments in [
            &["init", "--quiet", "-b", "main"][..],
            &["add", "."],
            &["-c", "user.name=o", "-c", "user.email=o@o.o", "commit", "--quiet", "-m", "all"],
        ] {
            let mut git = Command::new("git");
            assert!(
                git.current_dir(checkout.path("repo")).args(arguments).status().unwrap().success()
            );
        }
        checkout
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, command: &str) -> Command {
        let mut cold = Command::new(self.path("repo/tools/cold"));
        cold.arg(command)
            .env("TMPDIR", self.path("tmp"))
            .env("XDG_CACHE_HOME", self.path("warm"))
            .env("GOMODCACHE", self.path("warm"))
            .env("CARGO_TARGET_DIR", self.path("warm"))
            .env("SUPPLY_ACTION_FRESH", self.path("warm"))
            .env("RUSTC_WRAPPER", "a-cache")
            .env("MAKEFLAGS", "n");
        cold
    }

    fn cold(&self, command: &str) -> (Output, String) {
        let output = self.command(command).output().unwrap();
        let table = String::from_utf8(output.stdout.clone()).unwrap();
        (output, table)
    }

    fn left(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn a_cold_run_has_a_fresh_clone_and_empty_caches_and_tells_the_time_of_each_part() {
    let notes = "printf '7\\tsetting up\\n' >>$$SUPPLY_ACTION_TIMES";
    let says =
        "printf 'is %s\\n' \"$$PWD\" \"$$RUSTC_WRAPPER\" \"$$SUPPLY_ACTION_FRESH\" \"$$MAKEFLAGS\"";
    let caches = "printf 'cache %s\\n' $$XDG_CACHE_HOME $$CARGO_HOME $$CARGO_TARGET_DIR $$GOCACHE \
                  $$GOMODCACHE $$GOPATH $$PIP_CACHE_DIR $$npm_config_cache";
    // As Go keeps its modules.
    let readonly = "mkdir -p $$GOMODCACHE/x; touch $$GOMODCACHE/x/y; chmod -R a-w $$GOMODCACHE";
    let committed = "! grep -q later tools/cold";
    let checkout = Checkout::new(&format!("@{notes}; {says}; {caches}; {readonly}; {committed}"));
    let tool = std::fs::read_to_string(checkout.path("repo/tools/cold")).unwrap();
    std::fs::write(checkout.path("repo/tools/cold"), format!("{tool}\n# later\n")).unwrap();
    let (output, said) = checkout.cold("rehearse");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{log}");
    assert!(log.contains("what is not committed is left out"), "{log}");
    let private: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("cache ")).collect();
    assert_eq!(private.len(), 16, "{said}");
    let place = checkout.path("tmp/supply-action-cold.");
    for cache in private {
        assert!(cache.starts_with(place.to_str().unwrap()), "{cache} is not private");
    }
    let of_outside: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("is ")).collect();
    assert!(of_outside[0].ends_with("/clone"), "{said}");
    assert!(
        of_outside[1..4].iter().all(|value| ["", "--no-print-directory"].contains(&value.trim())),
        "{said}"
    );
    assert!(said.contains("make rehearse: within 480 s\n     7    setting up\n"), "{said}");
    assert!(said.contains("make rehearse, again: within 15 s\n     7    setting up\n"), "{said}");
    assert_eq!(checkout.left(), Vec::<PathBuf>::new());
}

#[test]
fn a_cold_run_that_fails_says_so_and_keeps_what_is_there() {
    let checkout = Checkout::new("@false");
    let (output, said) = checkout.cold("rehearse");
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("make rehearse: FAILED after these parts"), "{said}{log}");
    assert!(!said.contains("again"), "{said}");
    let left = checkout.left();
    assert_eq!(left.len(), 1);
    assert!(log.contains(&format!("kept: {}", left[0].display())), "{log}");
    let (output, _) = checkout.cold("install");
    assert_eq!((output.status.code(), checkout.left().len()), (Some(1), 1));
}

#[test]
fn a_cold_run_that_is_ended_leaves_neither_folder_nor_process() {
    let checkout = Checkout::new("@echo $$$$ >$$XDG_CACHE_HOME.pid; sleep 600");
    let mut running =
        checkout.command("rehearse").stderr(std::process::Stdio::null()).spawn().unwrap();
    let pid = loop {
        let file = checkout.left().first().map(|folder| folder.join("cache.pid"));
        let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        if text.ends_with('\n') {
            break text.trim().to_owned();
        }
        assert_eq!(running.try_wait().unwrap(), None, "it ended too soon");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    let ended = Command::new("kill").arg(running.id().to_string()).status().unwrap();
    assert!(ended.success() && running.wait().unwrap().code() == Some(143));
    assert!(!Path::new("/proc").join(pid).exists());
    assert_eq!(checkout.left(), Vec::<PathBuf>::new());
}
