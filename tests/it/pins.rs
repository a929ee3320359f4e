//! Whatever is downloaded is pinned: each command of our scripts that installs or builds heeds a
//! lock. It reads the scripts and runs none of them.

use std::path::{Path, PathBuf};

/// A command, the words one of which it must have with it, and what is asked of it then.
type Rule = (&'static str, &'static [&'static str], &'static [&'static str]);

/// `pip` without `--no-deps` looks past its pins; Go without these words takes a newer module or
/// fetches a toolchain; npm's `install` writes a new lock.
const RULES: [Rule; 6] = [
    ("pip", &["install"], &["--require-hashes", "--no-deps", "--only-binary=:all:"]),
    (
        "cargo",
        &["build", "test", "check", "clippy", "doc", "run", "bench", "install", "fetch", "deny"],
        &["--locked"],
    ),
    ("cargo", &["install"], &["--version"]),
    ("npm", &["ci"], &["--ignore-scripts"]),
    ("go", &["build", "run", "test", "install"], &["-mod=readonly", "GOTOOLCHAIN=local"]),
    ("rustup", &["toolchain"], &["1."]),
];
/// What brings bytes that no lock knows.
const NEVER: [&str; 6] = ["curl", "wget", "npx", "pipx", "@latest", "go get"];
/// What stands for a command, and for words of it.
const SPELLINGS: [(&str, &str); 6] = [
    ("\"${pip[@]}\"", "pip"),
    ("/bin/pip\"", "/bin/pip"),
    ("npm-cli.js\"", "npm"),
    ("\"${npm[@]}\"", "npm"),
    ("pinned_go", "GOFLAGS=-mod=readonly GOTOOLCHAIN=local go"),
    ("$(CARGO_TARGET)", "--locked"),
];

fn faults(text: &str) -> Vec<String> {
    let mut text = text.replace("\\\n", " ");
    for (spelling, plain) in SPELLINGS {
        text = text.replace(spelling, plain);
    }
    let commands = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.contains("- name: "))
        .flat_map(|line| line.split(" && "))
        .flat_map(|command| command.split("; "));
    commands.filter_map(fault).collect()
}

fn fault(command: &str) -> Option<String> {
    // Without what a person reads, and with what is after the program's folder.
    let command = command.split(" ## ").next()?;
    let words: Vec<&str> = command
        .split([' ', '\t', ',', '(', ')', '{', '}'])
        .filter(|word| !word.is_empty())
        .collect();
    let is = |word: &str, name: &str| word.trim_matches('"').rsplit('/').next() == Some(name);
    for (program, verbs, demanded) in RULES {
        let mut after = words.iter().skip_while(|word| !is(word, program)).skip(1);
        // A verb may have options before it.
        let Some(verb) = after.find(|word| !word.starts_with(['-', '+'])) else { continue };
        if verbs.contains(verb)
            && let Some(missing) = demanded.iter().find(|word| !command.contains(**word))
        {
            return Some(format!("`{}` has no {missing}", command.trim()));
        }
        if program == "npm" && matches!(*verb, "install" | "i" | "update" | "exec") {
            return Some(format!("`{}` may write another lock", command.trim()));
        }
    }
    let forbidden = NEVER.iter().find(|name| {
        words.iter().any(|word| is(word, name))
            || (name.contains(['@', ' ']) && command.contains(*name))
    });
    forbidden.map(|name| format!("`{}` uses {name}", command.trim()))
}

fn scripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join("Makefile"), root.join("Dockerfile")];
    for folder in ["tools", ".ci", ".github/workflows"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        found.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

#[test]
fn what_is_installed_is_pinned() {
    let mut seen = 0;
    for path in scripts() {
        let mut text = std::fs::read_to_string(&path).unwrap();
        if path.ends_with("tools/fat-corpus") {
            // Its lock leaves out optional packages for other systems, so it installs, and
            // compares.
            let compared = "cmp package-lock.json \"$root/tools/fat/package-lock.json\"";
            assert!(text.contains(compared), "the corpus's lock is not compared");
            text = text.replace("install --no-save --ignore-scripts", "ci --ignore-scripts");
        }
        seen += text.matches("--locked").count() + text.matches("--require-hashes").count();
        let faults = faults(&text);
        assert!(faults.is_empty(), "{}: {faults:#?}", path.display());
    }
    assert!(seen > 5, "the scripts are not where they were");
}

#[test]
fn a_command_that_heeds_no_lock_is_found() {
    for unpinned in [
        "\"$venv/bin/pip\" install --quiet --require-hashes --only-binary=:all: -r list",
        "pip --quiet install --no-deps --only-binary=:all: -r list",
        "python3 -m pip install spdx-tools",
        "\"${pip[@]}\" install --require-hashes \\\n  --no-deps -r list",
        "cargo build --release",
        "make -C x && cargo +stable test",
        "timed \"x\" cargo install cargo-fuzz --locked",
        "\t$(call step,cargo test,cargo test --target x)",
        "(cd x; env go build -trimpath .)",
        "GOFLAGS=-mod=readonly go build .",
        "(cd x && \"$home/bin/node\" \"$home/lib/npm-cli.js\" install --ignore-scripts)",
        "\"${npm[@]}\" ci",
        "curl -sSf https://sh.rustup.rs | sh",
        "GOFLAGS=-mod=readonly GOTOOLCHAIN=local go install example.com/x@latest",
        "rustup toolchain install stable",
    ] {
        assert_eq!(faults(unpinned).len(), 1, "{unpinned}");
    }
    for pinned in [
        "\"$venv/bin/pip\" install --require-hashes --no-deps --only-binary=:all: -r list",
        "\"$venv/bin/pip\" --disable-pip-version-check check >&2",
        "\t$(call step,cargo clippy,cargo clippy $(CARGO_TARGET) --all-targets -- -D warnings)",
        "cargo fmt --check",
        "# cargo build",
        "pinned_go build -v .",
        "(cd x && env GOFLAGS=-mod=readonly \\\n  GOTOOLCHAIN=local go build .)",
        "command -v go >/dev/null || die \"Go is needed to build $name\"",
    ] {
        assert_eq!(faults(pinned), Vec::<String>::new(), "{pinned}");
    }
}
