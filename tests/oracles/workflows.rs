//! What two linters of workflows find in ours: zizmor at its most pedantic, and actionlint. Neither
//! may find anything; they change nothing.

use std::path::{Path, PathBuf};

use crate::markdown;
use crate::support::{accepts, judge, tool, world};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every workflow, of ours, of the examples and of the pages.
fn workflows() -> Vec<PathBuf> {
    let folders = [".github/workflows", "examples/workflows"];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap());
    let mut files: Vec<PathBuf> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "yml"))
        .collect();
    files.extend(of_pages());
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    files
}

/// The whole workflows in the pages that are no copies of files.
fn of_pages() -> Vec<PathBuf> {
    let folder = world().folder.join("pages/.github/workflows");
    std::fs::create_dir_all(&folder).unwrap();
    let (mut files, mut whole) = (Vec::new(), 0);
    for page in markdown::documents() {
        for block in markdown::blocks(&markdown::read(&page)) {
            let has = |key: &str| block.text.lines().any(|line| line.starts_with(key));
            let is_whole = block.language == "yaml" && has("on:") && has("jobs:");
            whole += usize::from(is_whole);
            if is_whole && block.file.is_none() {
                let name = format!("{}-{}.yml", page.replace(['/', '.'], "-"), block.line);
                std::fs::write(folder.join(&name), &block.text).unwrap();
                files.push(folder.join(name));
            }
        }
    }
    // The others are copies of examples, as tests/it/contract/snippets.rs holds them, and read there.
    assert!(whole >= 9 && files.len() >= 3, "{whole} workflows, of their own {files:?}");
    files
}

/// Every action of this repository.
fn actions() -> Vec<PathBuf> {
    let mut found = vec![root().join("action.yml")];
    let folders = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    found.extend(folders.map(|folder| folder.join("action.yml")).filter(|file| file.exists()));
    found
}

fn zizmor<'a>(config: &'a str, files: &'a [String]) -> Vec<&'a str> {
    let options = [
        "--offline",
        "--persona=pedantic",
        "--strict-collection",
        "--no-progress",
        "--color=never",
        "--config",
        config,
    ];
    options.into_iter().chain(files.iter().map(String::as_str)).collect()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn zizmor_finds_nothing_in_workflows_and_actions() {
    let files: Vec<String> = workflows().iter().chain(&actions()).map(|path| text(path)).collect();
    let config = text(&root().join(".github/zizmor.yml"));
    let said = accepts(&tool("ZIZMOR"), &zizmor(&config, &files));
    assert!(said.contains("No findings to report"), "{said}");
    for file in &files {
        let name = file.strip_prefix(&format!("{}/", text(root()))).unwrap_or(file);
        assert!(
            said.lines().any(|line| line.contains("completed") && line.ends_with(name)),
            "{name} was not looked at: {said}"
        );
    }
}

/// The same call, so that a run that looks at nothing does not pass for one that finds nothing.
#[test]
fn zizmor_would_find_an_injection_and_a_floating_action() {
    let (name, said) = spoiled("zizmor", |file, config| {
        judge(&tool("ZIZMOR"), &zizmor(config, &[file.to_owned()]))
    });
    assert!(
        said.contains("template-injection") && said.contains("unpinned-uses"),
        "{name}: {said}"
    );
}

#[test]
fn actionlint_finds_nothing_in_workflows() {
    let files: Vec<String> = workflows().iter().map(|path| text(path)).collect();
    let said = accepts(&tool("ACTIONLINT"), &actionlint(&files));
    assert_eq!(said, "");
}

#[test]
fn actionlint_would_find_an_output_that_nobody_writes() {
    let (name, said) = spoiled("actionlint", |file, _| {
        judge(&tool("ACTIONLINT"), &actionlint(&[file.to_owned()]))
    });
    assert!(said.contains("\"digset\" is not defined"), "{name}: {said}");
}

/// Without shellcheck and pyflakes, which the machine may or may not have.
fn actionlint(files: &[String]) -> Vec<&str> {
    ["-no-color", "-shellcheck=", "-pyflakes="]
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect()
}

/// An example with three mistakes in it; gives its name and what the judge, which must refuse it,
/// said.
fn spoiled(judged_by: &str, judged: impl Fn(&str, &str) -> (bool, String)) -> (String, String) {
    let example = std::fs::read_to_string(root().join("examples/workflows/tag.yml")).unwrap();
    let spoiled = example
        .replace("steps.publish.outputs.digest", "steps.publsh.outputs.digest")
        .replace("needs.publish.outputs.digest", "needs.publish.outputs.digset")
        .replace("echo \"released $VERSION as", "echo \"released ${{ github.head_ref }} as")
        .replace("@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "@v5");
    assert_ne!(example, spoiled);
    let folder = world().folder.join(format!("spoiled-{judged_by}/.github/workflows"));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("tag.yml");
    std::fs::write(&file, spoiled).unwrap();
    let (found_nothing, said) = judged(&text(&file), &text(&root().join(".github/zizmor.yml")));
    assert!(!found_nothing, "{said}");
    (text(&file), said)
}
