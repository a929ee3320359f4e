//! House rules as tests: imports point down, the sandbox judges alone, every file says what it is.

use std::path::{Path, PathBuf};

/// Lowest first; a module may use its own layer and those before it.
const LAYERS: [&[&str]; 5] = [
    &["answer", "error", "image", "oci", "page"],
    &["command", "files", "github", "provenance", "registry", "report", "sigstore"],
    &[
        "inputs",
        "login",
        "trigger",
        "metadata",
        "plan",
        "preflight",
        "build",
        "sign",
        "attest",
        "verify",
        "publish",
        "retention",
        "summary",
    ],
    &["verbs"],
    &["cli", "main", "lib"],
];
/// These use nothing of the program, but for what they may.
const APART: [(&str, &[&str]); 3] =
    [("sandbox", &["files"]), ("sbom", &["oci"]), ("scan", &["sbom", "image", "error"])];

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut waiting = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                waiting.push(entry);
            } else if entry.extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(&entry).unwrap();
                found.push((entry.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 40);
    found
}

fn module(file: &Path) -> String {
    file.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The top modules that a source names as `crate::x`, in imports or in paths.
fn uses(text: &str) -> Vec<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap()
        })
        .collect()
}

#[test]
fn imports_point_down() {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    for (file, text) in sources() {
        let name = module(&file);
        if APART.iter().any(|(apart, _)| *apart == name) {
            continue;
        }
        let own = layer(&name).unwrap_or_else(|| panic!("{} belongs to no layer", file.display()));
        for used in
            uses(&text).into_iter().filter(|used| !APART.iter().any(|(apart, _)| apart == used))
        {
            // `Stage` types of `verify` and `publish` are read by `summary` beside them.
            let used_layer = layer(used)
                .unwrap_or_else(|| panic!("{} names unknown module `{used}`", file.display()));
            assert!(used_layer <= own, "{} reaches up to `{used}`", file.display());
        }
    }
}

#[test]
fn the_sandbox_the_cataloger_and_the_matcher_stand_apart() {
    for (file, text) in sources() {
        let name = module(&file);
        if let Some((apart, may)) = APART.iter().find(|(apart, _)| *apart == name) {
            assert!(
                uses(&text).iter().all(|used| used == apart || may.contains(used)),
                "{} uses the rest of the program: {:?}",
                file.display(),
                uses(&text)
            );
            assert!(!text.contains("supply_action::"), "{}", file.display());
        }
    }
}

#[test]
fn every_file_says_first_what_it_is() {
    for (file, text) in sources() {
        if file.file_name().unwrap() != "tests.rs" {
            assert!(text.starts_with("//! "), "{} does not begin with `//! `", file.display());
        }
    }
}

#[test]
fn functions_and_files_stay_small() {
    for (file, text) in sources() {
        assert!(text.lines().count() <= 600, "{} has over 600 lines", file.display());
    }
}
