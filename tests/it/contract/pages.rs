//! The README and the pages of `docs`: short, complete, linked, in plain English, and true where
//! the program can say so.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use supply_action::sandbox::Claims;

use crate::markdown::{
    anchors, docs, documents, links, prose, quoted, read, root, rows, section, sentences, units,
};
use crate::support::World;

/// Pages that are made of other files, whose words are judged there.
const GENERATED: [&str; 3] =
    ["docs/reference/inputs.md", "docs/reference/outputs.md", "docs/reference/command-line.md"];
/// Words in a sentence.
const LONGEST: usize = 25;

#[test]
fn the_readme_is_read_in_a_minute_and_names_the_two_commands() {
    let readme = read("README.md");
    let (lines, bytes) = (readme.lines().count(), readme.len());
    assert!(lines <= 120 && bytes <= 7 * 1024, "{lines} lines, {bytes} bytes");
    assert!(readme.contains("make rehearse") && readme.contains("make test"));
    assert!(!readme.contains("| input |"), "inputs are listed in docs/reference/inputs.md");
}

/// For the next engineer: read in one go, beside the code, with a picture of what points where.
#[test]
fn the_architecture_is_short_and_narrow_and_has_a_picture() {
    let text = read("ARCHITECTURE.md");
    assert!(text.lines().count() <= 150, "{} lines", text.lines().count());
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    assert!(text.contains("```mermaid\nflowchart "));
    for what in ["an input", "a kind of evidence", "a stage", "a verb", "an ecosystem", "a habit"] {
        assert!(text.contains(&format!("- **{what}")), "nothing says how to add {what}");
    }
}

/// A page that no list shows is read by nobody; one that is gone is a dead end of the site.
#[test]
fn every_page_is_in_the_book_and_in_the_list_of_pages() {
    let book: BTreeSet<String> = links(&read("docs/SUMMARY.md")).into_iter().collect();
    let pages: BTreeSet<String> = docs()
        .into_iter()
        .map(|page| page.trim_start_matches("docs/").to_owned())
        .filter(|page| page != "SUMMARY.md")
        .collect();
    assert_eq!(book, pages);
    let listed: BTreeSet<String> = links(&read("docs/README.md")).into_iter().collect();
    let missing: Vec<&String> =
        pages.iter().filter(|page| *page != "README.md" && !listed.contains(*page)).collect();
    assert!(missing.is_empty(), "docs/README.md lists no {missing:?}");
    assert!(read("book.toml").contains("src = \"docs\""));
}

#[test]
fn every_example_is_in_the_list_of_workflows_to_copy() {
    let listed: BTreeSet<String> = rows(&section("docs/getting-started.md", "examples"))
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .collect();
    let there: BTreeSet<String> = std::fs::read_dir(root().join("examples/workflows"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(listed, there);
}

/// Every link to a file and to a heading, offline. Pages link to pages alone, so that the site has
/// no dead end.
#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for document in documents() {
        let folder = Path::new(&document).parent().unwrap();
        for link in links(&read(&document)) {
            if link.starts_with("https://") {
                continue;
            }
            count += 1;
            assert!(!link.contains("://"), "{document}: {link} is not reached over https");
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.clone(),
                path => normal(&folder.join(path)),
            };
            assert!(root().join(&target).exists(), "{document}: {link} leads nowhere");
            assert!(
                !document.starts_with("docs/") || target.starts_with("docs/"),
                "{document}: {link} leads out of the site"
            );
            assert!(
                anchor.is_empty() || anchors(&read(&target)).iter().any(|known| known == anchor),
                "{document}: {link}: {target} has no such heading: {:?}",
                anchors(&read(&target))
            );
        }
    }
    assert!(count > 100, "{count}");
}

/// Without `..`.
fn normal(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.iter().map(|part| part.to_str().unwrap()) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

#[test]
fn sentences_are_short() {
    let mut long = Vec::new();
    for page in docs().into_iter().chain(["README.md".to_owned()]) {
        if GENERATED.contains(&page.as_str()) {
            continue;
        }
        for sentence in units(&read(&page)).iter().flat_map(|unit| sentences(unit)) {
            let words = sentence.split_whitespace().filter(|word| *word != "|").count();
            if words > LONGEST {
                long.push(format!("{page}: {words} words: {sentence}"));
            }
        }
    }
    assert!(long.is_empty(), "{}:\n{}", long.len(), long.join("\n"));
}

/// What stands on the right of the word list of CONTRIBUTING.
fn never_written() -> Vec<String> {
    let list: Vec<Vec<String>> = rows(&section("CONTRIBUTING.md", "words"));
    let never: Vec<String> = list.iter().flat_map(|row| quoted(&row[1])).collect();
    assert!(never.len() > 5, "{never:?}");
    never
}

/// The first of these that stands in a text as words of its own.
fn written<'a>(never: &'a [String], text: &str) -> Option<&'a String> {
    let text = format!(" {} ", text.to_lowercase());
    never.iter().find(|word| {
        let ends = [" ", ",", ".", ":", ";", ")"];
        ends.iter().any(|end| text.contains(&format!(" {word}{end}")))
    })
}

/// The word list of CONTRIBUTING: what stands on its right is written nowhere in the pages.
#[test]
fn pages_keep_to_the_word_list() {
    let never = never_written();
    for page in docs().into_iter().chain(["README.md".to_owned()]) {
        for unit in units(&read(&page)) {
            assert_eq!(written(&never, &unit), None, "{page}: {unit}");
        }
    }
}

/// Nor is it in what the program says: its sources' texts, cut at the tests.
#[test]
fn messages_keep_to_the_word_list() {
    let never = never_written();
    let mut texts = 0;
    for (path, source) in crate::tidy::sources() {
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        // Comments would hide where a text begins.
        let code: String = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .fold(String::new(), |all, line| all + line.trim() + " ");
        let code = code.replace("\\ ", "").replace("\\\"", "'");
        for text in code.split('"').filter(|text| text.contains(' ')) {
            texts += 1;
            assert_eq!(written(&never, text), None, "{}: {text}", path.display());
        }
    }
    assert!(texts > 5000, "{texts}");
}

#[test]
fn every_exit_code_is_listed() {
    use supply_action::error::exit;
    let table = rows(&read("docs/reference/exit-codes.md"));
    let mut listed: Vec<u8> = table
        .iter()
        .flat_map(|row| row[0].split(", ").map(|code| code.parse().unwrap()).collect::<Vec<u8>>())
        .collect();
    listed.sort_unstable();
    assert_eq!(
        listed,
        [
            0,
            exit::FAILED,
            exit::BAD_INPUT,
            exit::PARTLY_PUBLISHED,
            exit::UNKNOWN,
            exit::INTERRUPTED,
            exit::TERMINATED
        ]
    );
}

/// Names of variables that sources hold as a text of their own.
fn variables_of(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            variables_of(&entry, found);
        } else {
            let text = std::fs::read_to_string(&entry).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let is_name = |word: &&str| {
                word.len() > 3
                    && word.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'_')
            };
            found.extend(code.split('"').filter(is_name).map(str::to_owned));
        }
    }
}

/// Both ways for what is ours: what is listed is read, and what is read is listed.
#[test]
fn every_variable_is_listed_and_read() {
    let listed: BTreeSet<String> = rows(&section("docs/reference/environment.md", "variables"))
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .collect();
    let mut read_somewhere = BTreeSet::new();
    variables_of(&root().join("src"), &mut read_somewhere);
    // The logger reads it by a constant of its own.
    let unread: Vec<&String> = listed.difference(&read_somewhere).collect();
    assert!(unread.is_empty(), "listed, and read nowhere: {unread:?}");
    let own = ["SUPPLY_ACTION_", "COSIGN_", "SIGSTORE_ID", "DOCKER_METADATA_"];
    let unlisted: Vec<&String> = read_somewhere
        .difference(&listed)
        .filter(|name| {
            own.iter().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix))
        })
        .collect();
    assert!(unlisted.is_empty(), "read, and listed nowhere: {unlisted:?}");
}

/// What a firewall has to let through: the services that the program knows by itself.
#[test]
fn every_host_that_the_program_knows_is_listed() {
    let listed = section("docs/faq.md", "hosts");
    let services = supply_action::sigstore::Services::load(None).unwrap();
    let rekor = services.rekor.map(|rekor| rekor.url);
    let known: Vec<String> =
        services.fulcio.into_iter().chain(rekor).chain(services.timestamp).collect();
    assert_eq!(known.len(), 3, "{known:?}");
    for url in known {
        let host = url.split("://").nth(1).unwrap().split('/').next().unwrap();
        assert!(listed.contains(&format!("`{host}`")), "{host}");
    }
    let endpoints = supply_action::registry::exchange::Endpoints::default();
    for url in [
        endpoints.sts_aws,
        endpoints.ecr,
        endpoints.google_sts,
        endpoints.iamcredentials,
        endpoints.microsoft,
        supply_action::advisories::service::PUBLIC.to_owned(),
    ] {
        let host = url
            .trim_start_matches("https://")
            .replace("{region}", "REGION")
            .replace("{domain}", "amazonaws.com");
        assert!(listed.contains(&format!("`{host}`")), "{host}");
    }
}

/// The table of events, each row asked of `plan`.
#[tokio::test]
async fn every_event_does_what_its_row_says() {
    let mut world = World::new().await;
    world.unset("INPUT_TAGS");
    let table = rows(&section("docs/events-and-tags.md", "events"));
    assert!(table.len() > 10);
    for row in table {
        let example = quoted(&row[1]);
        let [event, git_ref] = example.as_slice() else { panic!("{row:?}") };
        world.act_as(Claims::of("example/hello", git_ref, event));
        let payload = world.folder.path().join("payload.json");
        let about = json!({
            "action": "published", "repository": { "default_branch": "main", "private": false },
        });
        std::fs::write(&payload, about.to_string()).unwrap();
        let output = world
            .command()
            .args(["plan", "--json", "--event", payload.to_str().unwrap()])
            .args(["--event-name", event, "--ref", git_ref])
            .output()
            .await
            .unwrap();
        let plan: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{row:?}: {}", String::from_utf8_lossy(&output.stderr)));
        let result = if plan["decision"] == "publish" { "published" } else { "built only" };
        assert_eq!(row[2], result, "{row:?}");
        let mut expected: Vec<String> = quoted(&row[3])
            .into_iter()
            .map(|tag| tag.replace("<commit>", &Claims::default().sha))
            .collect();
        let mut tags: Vec<String> = serde_json::from_value(plan["tag_names"].clone()).unwrap();
        if result == "built only" {
            tags.clear();
        }
        expected.sort();
        tags.sort();
        assert_eq!(tags, expected, "{row:?}");
    }
}

/// `tools/summary-picture` drew it of a rehearsal: what every summary has is in the picture.
#[tokio::test]
async fn the_picture_of_the_job_summary_shows_what_the_program_writes() {
    let world = World::new().await;
    let run = world.publish().await;
    let (picture, shown) = (read("docs/summary.svg"), run.summary.split("<details>").next());
    assert!(picture.contains("prefers-color-scheme:dark") && picture.len() < 16 * 1024);
    let heads = shown
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| part") || line.starts_with("| platform"));
    let names =
        shown.unwrap().lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let words: BTreeSet<&str> = heads
        .flat_map(|line| line.trim_matches(['|', ' ']).split(" | "))
        .chain(names.filter(|name| !name.starts_with("---")))
        .collect();
    assert!(words.len() > 15, "{words:?}");
    for word in words {
        assert!(picture.contains(&format!(">{word}</text>")), "`{word}` is not in the picture");
    }
}

/// Members of a value, as the page writes them.
fn members(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let dot = if prefix.is_empty() { "" } else { "." };
                members(&format!("{prefix}{dot}{name}"), value, found);
            }
        }
        Value::Array(list) => {
            let inner = format!("{prefix}[]");
            if list.first().is_none_or(|first| !first.is_object()) {
                found.insert(inner.clone());
            }
            list.iter().for_each(|value| members(&inner, value, found));
        }
        _ => drop(found.insert(prefix.to_owned())),
    }
}

#[tokio::test]
async fn evidence_json_has_the_members_that_its_page_lists() {
    const NOT_HERE: [&str; 6] = [
        "signer.key",
        "sources[].environment",
        "build.foreign[]",
        "build.taken[]",
        "build.builder",
        "commit",
    ];
    let world = World::new().await;
    let run = world.publish().await;
    let evidence: Value = serde_json::from_str(&run.outputs["evidence"]).unwrap();
    let mut found = BTreeSet::new();
    members("", &evidence, &mut found);
    let found: BTreeSet<String> = found
        .into_iter()
        .map(|name| {
            ["subjects[].signatures[].", "subjects[].attestations[]."]
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix))
                .map_or(name.clone(), str::to_owned)
        })
        .collect();
    let mut listed: BTreeSet<String> = rows(&section("docs/reference/evidence-json.md", "members"))
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .collect();
    for list in ["subjects[].signatures[]", "subjects[].attestations[]"] {
        assert!(listed.remove(list), "{list}");
    }
    // The index has no SBOM and others no provenance, so an empty list shows as itself.
    let unlisted: Vec<&String> = found
        .difference(&listed)
        .filter(|name| !name.ends_with("signatures[]") && !name.ends_with("attestations[]"))
        .collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");
    let gone: Vec<&String> =
        listed.difference(&found).filter(|name| !NOT_HERE.contains(&name.as_str())).collect();
    assert!(gone.is_empty(), "{gone:?}");
}

/// The sources without the breaks that long texts have in them.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            sources(&entry, text);
            continue;
        }
        let mut lines = std::fs::read_to_string(entry).unwrap();
        while let Some(at) = lines.find("\\\n") {
            let rest = lines[at + 2..].trim_start().to_owned();
            lines.truncate(at);
            lines += &rest;
        }
        *text += &lines;
    }
}

/// A refusal that is quoted is one that the program still says: what stands between values is in
/// its sources.
#[test]
fn every_refusal_that_is_quoted_is_in_the_program() {
    let mut program = String::new();
    sources(&root().join("src"), &mut program);
    let mut count = 0;
    for page in ["docs/troubleshooting.md", "docs/getting-started.md", "docs/verify.md"] {
        let blocks = crate::markdown::blocks(&read(page));
        for block in blocks.iter().filter(|block| block.language == "text") {
            // `POST https://…` stands in backticks whole, as other values do.
            for (at, part) in block.text.trim().split('`').enumerate() {
                let pieces = part.split(['…', '\n']).flat_map(|piece| piece.split([':', ',']));
                for piece in pieces.map(str::trim).filter(|piece| at % 2 == 0 && piece.len() > 8) {
                    let piece = piece.trim_start_matches("hint: ").trim_matches([',', ':']);
                    count += 1;
                    assert!(
                        program.contains(piece) || program.contains(&piece.replace('"', "\\\"")),
                        "{page}: `{piece}` is said nowhere"
                    );
                }
            }
        }
    }
    assert!(count > 40, "{count}");
}

/// Headings below the parts of the page that no refusal of ours leads to.
const OF_OTHERS: [&str; 7] = [
    "Tag stayed where it is",
    "Signed by a reusable workflow",
    "No matching attestations",
    "Attestation not found right after the push",
    "The image is mutable",
    "Unknown flag platform",
    "Pull request without provenance",
];

/// Both ways: what a refusal leads to is there, and nothing is there that no refusal leads to.
#[test]
fn every_refusal_leads_to_its_heading_and_every_heading_has_one() {
    use supply_action::page::RefusalPage;
    let page = read("docs/troubleshooting.md");
    let headings: Vec<String> = prose(&page)
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .filter(|title| !OF_OTHERS.contains(title))
        .flat_map(|title| anchors(&format!("# {title}")))
        .collect();
    assert_eq!(headings, RefusalPage::ALL.map(RefusalPage::anchor));
    let known: BTreeSet<String> = anchors(&page).into_iter().collect();
    assert!(headings.iter().all(|heading| known.contains(heading)), "two headings are alike");
    let mut program = String::new();
    sources(&root().join("src"), &mut program);
    for page in RefusalPage::ALL {
        let uses = program.matches(&format!("Page::{page:?}")).count();
        assert!(uses > 0, "no refusal leads to `{}`", page.anchor());
    }
    assert!(RefusalPage::NoLogin.address().ends_with("/docs/troubleshooting.md#no-login"));
}

/// What is said of a part of the documents that only people read.
#[test]
fn no_page_promises_what_is_not_there() {
    for page in docs() {
        let text = prose(&read(&page));
        let absent = "scan/action.yml";
        assert!(!text.contains(absent), "{page} names `{absent}`, which does not exist");
    }
}
