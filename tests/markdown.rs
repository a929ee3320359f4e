//! Markdown as the pages use it: code blocks, headings and their anchors, links, tables, prose. For
//! the tests that hold pages to the program; it judges nothing.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};

/// A fenced block of code.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) line: usize,
    /// What stands behind the fence: `yaml`, `sh`.
    pub(crate) language: String,
    /// The file of which the comment right before the fence says that the block is its copy.
    pub(crate) file: Option<String>,
    pub(crate) text: String,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The pages of `docs`, as paths below the root.
pub(crate) fn docs() -> Vec<String> {
    let mut waiting: Vec<PathBuf> = vec![root().join("docs")];
    let mut pages = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                waiting.push(entry);
            } else if entry.extension().is_some_and(|kind| kind == "md") {
                pages.push(entry.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    pages.sort();
    assert!(pages.len() > 20, "{pages:?}");
    pages
}

/// Every document, as paths below the root.
pub(crate) fn documents() -> Vec<String> {
    let top = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut found: Vec<String> = top
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".md"))
        .chain(docs())
        .collect();
    found.sort();
    found
}

pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut open, mut mark): (Option<(Block, usize)>, Option<String>) = (None, None);
    for (at, line) in text.lines().enumerate() {
        let inner = line.trim_start();
        match &mut open {
            Some(_) if inner == "```" => blocks.extend(open.take().map(|(block, _)| block)),
            Some((block, indent)) => {
                block.text += line.get(*indent..).unwrap_or_default();
                block.text.push('\n');
            }
            None => {
                if let Some(language) = inner.strip_prefix("```") {
                    let (language, file) = (language.to_owned(), mark.take());
                    let block = Block { line: at + 1, language, file, text: String::new() };
                    open = Some((block, line.len() - inner.len()));
                }
                let named = inner.strip_prefix("<!-- file: ");
                mark = named.and_then(|rest| rest.strip_suffix(" -->")).map(str::to_owned);
            }
        }
    }
    assert!(open.is_none(), "a block of code is not closed");
    blocks
}

/// The text with the lines of code blocks empty.
pub(crate) fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        if !is_code && !is_fence {
            prose += line;
        }
        is_code ^= is_fence;
        prose.push('\n');
    }
    prose
}

/// What headings are called in addresses, as GitHub makes it.
pub(crate) fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for heading in prose(text).lines().filter(|line| line.starts_with('#')) {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept =
            title.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        let anchor: String = kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect();
        let same = anchors.iter().filter(|known| **known == anchor).count();
        anchors.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
    }
    anchors
}

/// Where links point to.
pub(crate) fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// The text between `<!-- NAME -->` and `<!-- /NAME -->`.
pub(crate) fn section(page: &str, name: &str) -> String {
    let text = read(page);
    let after = text
        .split(&format!("<!-- {name} -->\n"))
        .nth(1)
        .unwrap_or_else(|| panic!("{page} has no section {name}"));
    after.split(&format!("<!-- /{name} -->")).next().unwrap().to_owned()
}

/// The cells of every row of tables, heads and rules left out.
pub(crate) fn rows(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_rule = |line: &str| line.starts_with("|--");
    let rows = lines.iter().enumerate().filter(|(at, line)| {
        let is_head = lines.get(at + 1).is_some_and(|next| is_rule(next));
        line.starts_with('|') && !is_rule(line) && !is_head
    });
    rows.map(|(_, line)| cells(line)).collect()
}

fn cells(row: &str) -> Vec<String> {
    let inner = row.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

/// What stands in backticks.
pub(crate) fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What is read as one piece: paragraphs, entries of lists, cells of tables. Code in it is one word.
pub(crate) fn units(text: &str) -> Vec<String> {
    let mut units: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in prose(text).lines().map(str::trim) {
        let is_entry = line.starts_with("- ")
            || line.split_once(". ").is_some_and(|(number, _)| number.parse::<u8>().is_ok());
        if line.is_empty() || line.starts_with('#') || line.starts_with("<!--") {
            is_open = false;
            continue;
        }
        if line.starts_with('|') {
            is_open = false;
            units.extend(cells(line).into_iter().filter(|cell| !cell.starts_with("---")));
            continue;
        }
        match units.last_mut() {
            Some(unit) if is_open && !is_entry => {
                unit.push(' ');
                unit.push_str(line);
            }
            _ => units.push(line.trim_start_matches("- ").to_owned()),
        }
        is_open = true;
    }
    units.iter().map(|unit| plain(unit)).collect()
}

/// Without marks: code is the word `code`, of links the text is left.
fn plain(unit: &str) -> String {
    let mut text = String::new();
    for (at, part) in unit.split('`').enumerate() {
        text += if at % 2 == 0 { part } else { "code" };
    }
    let mut read = String::new();
    for (at, part) in text.split("](").enumerate() {
        read += if at == 0 { part } else { part.split_once(')').map_or(part, |(_, rest)| rest) };
    }
    read.replace(['[', '*'], "")
}

/// The sentences of a unit, by the words of each.
pub(crate) fn sentences(unit: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    for word in unit.split_whitespace() {
        let sentence = sentences.last_mut().unwrap();
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence.push_str(word);
        let end = word.trim_end_matches([')', '"']);
        if end.ends_with(['.', '?', '!']) && !end.ends_with("…") {
            sentences.push(String::new());
        }
    }
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}
