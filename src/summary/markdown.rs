//! `Published` → the job summary: what was published, its evidence as a table, how to check it.
//! Pure. It lets no text of others become Markdown.

use crate::assess::Scanned;
use crate::assess::search::summary::{SearchSummary, WeaknessCounts};
use crate::evidence::EvidenceKind;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::commands::{Command, KEY_FILE};
use super::links::{self, linked};
use super::source::said;
use crate::evidence::EvidencePart;
use crate::image::ImageRef;
use crate::publish::Published;
use crate::report::{Stage, seconds};
use crate::scan::report::{ImageScan, LevelCounts};
use crate::scan::shown;
use crate::scan::tools::gate::ToolTally;
use crate::sigstore::key;
use crate::sigstore::verifier::Signer;
pub(super) use crate::text::markdown::{code, plain};
use crate::text::plural;
use crate::text::seen::visible;
use crate::verify::built::Built;
use crate::verify::{VerifiedEvidence, VerifiedStatement};

/// The run's own repository, where its attestations are kept.
pub struct SummaryRun<'a> {
    pub server: &'a str,
    pub repository: &'a str,
}

/// The summary that `GITHUB_STEP_SUMMARY` shows.
pub fn summary(
    published: &Published,
    commands: &[Command],
    run: &SummaryRun<'_>,
    stages: &[Stage],
    elapsed: Duration,
) -> String {
    let Some(image) = published.images.first() else { return String::new() };
    let head = format!(
        "## 📦 {}\n\nPublished with verified evidence in {}.\n\n",
        code(&image.repository),
        seconds(elapsed)
    );
    head + &section(published, commands, run) + &tools(&published.tools) + &times(stages)
}

/// The same for several targets, each with its name, image and commands.
pub fn of_targets(
    targets: &[(&str, &Published, Vec<Command>)],
    run: &SummaryRun<'_>,
    stages: &[Stage],
    elapsed: Duration,
) -> String {
    let mut text = format!(
        "## 📦 {} images\n\nPublished together, with verified evidence, in {}.\n\n",
        targets.len(),
        seconds(elapsed)
    );
    for (target, published, commands) in targets {
        let image =
            published.images.first().map(|image| image.repository.to_string()).unwrap_or_default();
        text += &format!(
            "### {}: {}\n\n{}\n",
            plain(target),
            code(&image),
            section(published, commands, run)
        );
    }
    for (_, published, _) in targets {
        text += &tools(&published.tools);
    }
    text + &times(stages)
}

/// What other tools found, a row for each of their files.
pub(super) fn tools(tallies: &[ToolTally]) -> String {
    if tallies.is_empty() {
        return String::new();
    }
    let mut text = "\n#### Findings of other tools\n\n| tool | file | critical | high | medium | low | without a severity | accepted | suppressed |\n|---|---|---|---|---|---|---|---|---|\n".to_owned();
    for tally in tallies {
        let LevelCounts { critical, high, medium, low, unknown } = tally.open;
        let mark = if tally.refused > 0 { "❌ " } else { "" };
        let _ = writeln!(
            text,
            "| {mark}{} | {} | {critical} | {high} | {medium} | {low} | {unknown} | {} | {} |",
            code(&cut(&tally.tool)),
            code(&cut(&tally.file)),
            tally.accepted,
            tally.suppressed
        );
    }
    text.push('\n');
    text
}

/// A job summary holds a mebibyte in all.
fn cut(text: &str) -> String {
    const MOST: usize = 120;
    let mut letters = text.chars();
    let kept: String = letters.by_ref().take(MOST).collect();
    if letters.next().is_some() { format!("{kept}…") } else { kept }
}

/// Digest, names, signer, evidence, and how to check it.
pub(super) fn section(published: &Published, commands: &[Command], run: &SummaryRun<'_>) -> String {
    let mut text = String::new();
    let Some(image) = published.images.first() else { return text };
    // Writing into a string cannot fail.
    let _ = writeln!(text, "| digest | {} |\n|---|---|", code(&image.digest));
    for name in &published.names {
        let _ = writeln!(text, "| tag | {} |", code(name));
    }
    for (repository, page) in published
        .images
        .iter()
        .filter_map(|image| Some((&image.repository, links::package(&image.repository)?)))
    {
        let _ = writeln!(text, "| package | {} |", linked(code(repository), Some(page)));
    }
    for name in named_by_builds(&published.evidence, |build| &build.taken) {
        let _ = writeln!(text, "| taken from | {} |", code(name));
    }
    for source in named_by_builds(&published.evidence, |build| &build.foreign) {
        let _ = writeln!(text, "| ⚠️ built from elsewhere | {} |", code(source));
    }
    for kept in &published.kept {
        let _ = writeln!(
            text,
            "| kept | {} stays on {}: {} |",
            code(&kept.name),
            code(&kept.digest.short()),
            plain(&kept.why)
        );
    }
    if published.reused {
        let _ = writeln!(
            text,
            "| reused | an earlier run of this commit published this image; nothing was built |"
        );
    }
    text += &signer(&published.evidence);
    let page = |id: &u64| {
        linked(id.to_string(), Some(links::attestation(run.server, run.repository, *id)))
    };
    let pages: Vec<String> = published.stored.iter().map(page).collect();
    if !pages.is_empty() {
        let _ = writeln!(text, "| attestations at GitHub | {} |", pages.join(", "));
    }
    text += &parts(&published.evidence);
    text += &platforms(published);
    text += &scanned(&published.scanned);
    text += &published.searched.as_ref().map(searched).unwrap_or_default();
    let _ = writeln!(
        text,
        "\n<details><summary>Check it yourself</summary>\n\n{}\n</details>\n",
        fenced("sh", &script(published, commands))
    );
    text
}

/// What is known about the packages, or that nobody was asked.
fn scanned(scanned: &Scanned) -> String {
    /// A job summary holds a mebibyte in all.
    const MOST: usize = 100;
    let not = |why: &str| match why.is_empty() {
        // An earlier run scanned it, or somebody else.
        true => String::new(),
        false => format!("\n⚠️ Known vulnerabilities were not scanned: {}\n", plain(why)),
    };
    match scanned {
        Scanned::Not(why) | Scanned::Unanswered(why) => not(why),
        Scanned::Done(assessed) => {
            let scans: Vec<&ImageScan> = assessed.iter().map(|it| &it.scan).collect();
            shown::markdown(&scans, MOST)
        }
    }
}

/// What layers and config hold, as far as they were read.
fn searched(searched: &SearchSummary) -> String {
    const MOST: usize = 50;
    let SearchSummary { secrets, misconfigurations, .. } = searched;
    let mut text = format!(
        "\n**Secrets**: {}; {} only listed, {} accepted\n",
        plain(&searched.sentence),
        secrets.told,
        secrets.accepted
    );
    for gap in &searched.gaps {
        let _ = writeln!(text, "\n⚠️ {}", plain(gap));
    }
    let mut list = |title: String, lines: &[String]| {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n<details><summary>{title}</summary>\n");
        for line in lines.iter().take(MOST) {
            let _ = writeln!(text, "- {}", plain(line));
        }
        if lines.len() > MOST {
            let _ = writeln!(text, "- and {} more", lines.len() - MOST);
        }
        let _ = writeln!(text, "\n</details>");
    };
    list(plural(searched.told.len(), "secret that refuses nothing"), &searched.told);
    let WeaknessCounts { high, medium, low, .. } = misconfigurations;
    list(
        format!("Misconfiguration: {high} high, {medium} medium, {low} low"),
        &searched.weaknesses,
    );
    text
}

/// What provenances of builds name, each once.
fn named_by_builds(
    evidence: &VerifiedEvidence,
    of: impl Fn(&Built) -> &Vec<String>,
) -> BTreeSet<&String> {
    let statements = evidence.subjects.iter().flat_map(|subject| &subject.attestations);
    statements.filter_map(|statement| statement.build.as_ref()).flat_map(of).collect()
}

/// What `verify` found of an image.
pub fn verified(image: &ImageRef, evidence: &VerifiedEvidence) -> String {
    format!(
        "## ✅ Verified\n\n| image | {} |\n|---|---|\n{}{}\n",
        code(image),
        signer(evidence),
        parts(evidence)
    )
}

/// Who signed, and for whose run: rows of a table that has begun.
fn signer(evidence: &VerifiedEvidence) -> String {
    let mut text = match &evidence.signer {
        Signer::Keyless { identity, issuer } => {
            format!("| signed by | {} |\n| issuer | {} |\n", code(identity), code(issuer))
        }
        Signer::Key(public) => format!("| signed with key | {} |\n", code(&key::name(public))),
    };
    let of = |source| {
        said(source, evidence)
            .into_iter()
            .map(move |(name, value)| (name, value, links::of_source(name, source)))
    };
    for (name, value, address) in evidence.sources.iter().flat_map(of) {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "| {} | {} |", plain(name), linked(code(&value), address));
    }
    text
}

/// Each part of the image and its evidence, as a table of its own.
fn parts(evidence: &VerifiedEvidence) -> String {
    let mut text = "\n| part | digest | signature | SBOM | provenance | scan | log entries |\n|---|---|---|---|---|---|---|\n".to_owned();
    for subject in &evidence.subjects {
        let part = super::part_name(subject);
        let mark = |present: bool| if present { "✅" } else { "–" };
        let has = |kind: EvidenceKind| {
            subject.attestations.iter().any(|statement| kind.is(&statement.predicate_type))
        };
        let mut log: Vec<String> = Vec::new();
        for entry in subject.signatures.iter().chain(&subject.attestations).filter_map(log_entry) {
            // Both formats share an entry.
            if !log.contains(&entry) {
                log.push(entry);
            }
        }
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            plain(&part),
            code(&subject.digest.short()),
            mark(!subject.signatures.is_empty()),
            mark(has(EvidenceKind::Sbom)),
            mark(has(EvidenceKind::Provenance)),
            mark(has(EvidenceKind::Vulnerabilities)),
            if log.is_empty() { "–".to_owned() } else { log.join(", ") },
        );
    }
    text
}

/// What is known of the image of each platform beside its evidence.
fn platforms(published: &Published) -> String {
    let mut text = "\n| platform | size | packages | steps from the cache | time of all steps |\n|---|---|---|---|---|\n".to_owned();
    for subject in published
        .evidence
        .subjects
        .iter()
        .filter(|subject| subject.platform.is_some() && subject.kind == EvidencePart::Platform)
    {
        let Some(platform) = &subject.platform else { continue };
        let size = published
            .sizes
            .iter()
            .find(|(digest, _)| *digest == subject.digest)
            .map(|(_, size)| bytes(*size));
        let packages = subject
            .attestations
            .iter()
            .find_map(|statement| statement.packages)
            .map(|count| count.to_string());
        let work = published.work.iter().find(|work| work.platform == *platform);
        let cached = work.map(|work| format!("{} of {}", work.cached, work.steps));
        let row = [size, packages, cached, work.map(|work| seconds(work.took))]
            .map(|cell| cell.unwrap_or_else(|| "–".to_owned()));
        let _ = writeln!(text, "| {} | {} |", plain(&platform.to_string()), row.join(" | "));
    }
    text
}

/// `812 B`, `3.4 MB`: as registries count.
pub fn bytes(count: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let unit = units.iter().find(|(size, _)| count >= *size);
    unit.map_or_else(
        || format!("{count} B"),
        |(size, name)| format!("{:.1} {name}", count as f64 / *size as f64),
    )
}

fn script(published: &Published, commands: &[Command]) -> String {
    let mut text = String::new();
    if let Signer::Key(public) = &published.evidence.signer {
        let pem = key::public_pem(public);
        let _ = writeln!(
            text,
            "# the key; compare it with the one that its owner publishes elsewhere\ncat > {KEY_FILE} <<'END'\n{pem}END"
        );
    }
    for command in commands {
        let _ = writeln!(text, "# {}\n{}", visible(&command.checks), visible(&command.text));
    }
    text
}

/// Lines in a fence that none of them closes.
pub(super) fn fenced(language: &str, script: &str) -> String {
    let longest = script.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}{language}\n{script}{fence}\n")
}

pub(super) fn times(stages: &[Stage]) -> String {
    let mut text =
        "<details><summary>Stages</summary>\n\n| stage | time | |\n|---|---|---|\n".to_owned();
    for stage in stages {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            stage.name,
            seconds(stage.took),
            plain(&stage.outcome)
        );
    }
    let _ = writeln!(text, "\n</details>\n");
    text
}

fn log_entry(statement: &VerifiedStatement) -> Option<String> {
    let index = statement.log_index?;
    Some(linked(index.to_string(), statement.is_public.then(|| links::log_entry(index))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_script_closes_its_fence() {
        assert_eq!(fenced("sh", "a\n"), "```sh\na\n```\n");
        assert_eq!(fenced("sh", "a ```\n````\n"), "`````sh\na ```\n````\n`````\n");
    }
}
