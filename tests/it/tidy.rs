//! House rules as tests: imports point down, the sandbox judges alone, every file says what it is.

use std::path::{Path, PathBuf};

/// The floors of the house, one module each, lowest first; a module imports from those before it
/// alone, so none waits for itself. ARCHITECTURE.md has them in this order.
const FLOORS: &[&str] = &[
    "page",
    "text",
    "image",
    "evidence",
    "answer",
    "environment",
    "error",
    "oci",
    "sbom",
    "scan",
    "secrets",
    "files",
    "sandbox",
    "metadata",
    "trigger",
    "github",
    "provenance",
    "report",
    "command",
    "registry",
    "advisories",
    "assess",
    "problems",
    "sigstore",
    "verify",
    "build",
    "preflight",
    "publish",
    "retention",
    "sign",
    "attest",
    "inputs",
    "login",
    "plan",
    "summary",
    "verbs",
    "cli",
    "main",
];
/// These use nothing of the program, but for what they may.
const APART: [(&str, &[&str]); 4] = [
    ("sandbox", &["files"]),
    ("sbom", &["evidence", "oci"]),
    ("scan", &["error", "evidence", "image", "sbom", "text"]),
    ("secrets", &["text"]),
];

/// Every file below `src`, with its text.
pub(crate) fn sources() -> Vec<(PathBuf, String)> {
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

/// A source without the tests that end it: they may take their inputs from anywhere.
fn without_tests(text: &str) -> &str {
    let mut from = 0;
    while let Some(at) = text[from..].find("#[cfg(test)]\n").map(|at| from + at) {
        let mut rest = text[at..].lines().skip_while(|line| line.starts_with("#["));
        if rest.next().is_some_and(|line| line.starts_with("mod ") && line.ends_with('{')) {
            return &text[..at];
        }
        from = at + 1;
    }
    text
}

fn is_test(file: &Path) -> bool {
    let names = ["tests", "conformance"];
    file.iter().any(|part| names.contains(&part.to_string_lossy().trim_end_matches(".rs")))
}

#[test]
fn imports_point_down() {
    let floor = |name: &str| FLOORS.iter().position(|floor| *floor == name);
    for (file, text) in sources() {
        let name = module(&file);
        if is_test(&file) || name == "lib" {
            continue;
        }
        let own = floor(&name).unwrap_or_else(|| panic!("{} has no floor", file.display()));
        for used in uses(without_tests(&text)) {
            let used_floor = floor(used)
                .unwrap_or_else(|| panic!("{} names unknown module `{used}`", file.display()));
            assert!(used_floor <= own, "{} reaches up to `{used}`", file.display());
        }
    }
}

/// Whoever looks for a thing reads the map from the ground up.
#[test]
fn the_code_map_has_every_floor_in_its_order() {
    let page = include_str!("../../ARCHITECTURE.md");
    let map = page.split("## Code map").nth(1).unwrap().split("\n## ").next().unwrap();
    let told: Vec<&str> = map
        .lines()
        .filter_map(|line| line.strip_prefix("- ")?.split(':').next())
        .flat_map(|names| names.split(", ").map(|name| name.trim_matches('`')))
        .collect();
    assert_eq!(told, FLOORS[..FLOORS.len() - 1]);
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

/// A kind of evidence that is spelt twice is soon two kinds.
#[test]
fn predicate_types_are_spelt_in_one_table() {
    let types = evidence_types();
    for (file, text) in sources() {
        // The judge spells them for itself, and BuildKit's scanner writes what BuildKit reads.
        // Pages for people name them as well.
        let is_apart =
            file.starts_with("sandbox") || file.starts_with("inputs/table") || is_test(&file);
        if is_apart || file == Path::new("evidence.rs") {
            continue;
        }
        let code = without_tests(&text).lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let spelt = types.iter().find(|kind| line.contains(kind.as_str()));
            assert!(spelt.is_none(), "{} spells `{}`", file.display(), spelt.unwrap());
        }
    }
}

fn evidence_types() -> Vec<String> {
    let words =
        ["signature", "sbom", "provenance", "vuln", "vex", "test-result", "verification-summary"];
    let kinds = words.map(|word| word.parse::<supply_action::evidence::EvidenceKind>().unwrap());
    kinds.iter().flat_map(|kind| kind.types()).map(str::to_owned).collect()
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

/// The name of the type that a line defines, outside of a trait or an `impl`.
fn defined(line: &str) -> Option<&str> {
    let is_member = line.starts_with(' ') && line.trim_start().starts_with("type ");
    let mut rest = line.trim_start();
    if let Some(after) = rest.strip_prefix("pub") {
        rest = match after.strip_prefix('(') {
            Some(scope) => scope.split_once(") ")?.1,
            None => after.strip_prefix(' ')?,
        };
    }
    let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
    let name = kinds.iter().find_map(|kind| rest.strip_prefix(kind)).filter(|_| !is_member)?;
    let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    Some(&name[..end.unwrap_or(name.len())]).filter(|name| name.starts_with(char::is_uppercase))
}

#[test]
fn a_types_name_has_one_definition() {
    let mut defined_in: std::collections::BTreeMap<String, Vec<PathBuf>> = Default::default();
    for (file, text) in sources() {
        for name in text.lines().filter_map(defined) {
            defined_in.entry(name.to_owned()).or_default().push(file.clone());
        }
    }
    assert!(defined_in.len() > 900, "{}", defined_in.len());
    let several: Vec<_> = defined_in.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(several.is_empty(), "a search for these finds several types: {several:#?}");
}

#[test]
fn a_definition_is_told_from_a_member() {
    assert_eq!(defined("pub(in crate::sbom) struct TarEntry<'a> {"), Some("TarEntry"));
    assert_eq!(
        defined("type ExchangeResult<T> = Result<T, ExchangeError>;"),
        Some("ExchangeResult")
    );
    assert_eq!(defined("    pub enum Inner {"), Some("Inner"));
    assert_eq!(defined("    type Err = ImageError;"), None);
    assert_eq!(defined("structure of"), None);
}

#[test]
fn behind_a_plan_nobody_reads_inputs() {
    let may = [
        "verbs/beginning.rs",
        "verbs/plan.rs",
        "verbs/bake.rs", // before its plan: where the bake files lie
        "verbs/rehearse/offline.rs",
        "verbs/rehearse/play.rs",
    ];
    let reads = |text: &str| {
        let word = |letter: char| !letter.is_alphanumeric() && letter != '_';
        text.lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .any(|line| line.split(word).any(|word| word == "Inputs"))
    };
    let floor = |module: &str| FLOORS.iter().position(|known| *known == module);
    let behind: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|(file, text)| floor(&module(file)) > floor("plan") && reads(text))
        .map(|(file, _)| file)
        .filter(|file| !may.iter().any(|known| file == Path::new(known)))
        .collect();
    assert!(behind.is_empty(), "{behind:?} decide by inputs, which is for the plan to do");
}
