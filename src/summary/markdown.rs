//! `Published` → the job summary: what was published, its evidence as a table, how to check it. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use super::commands::{Command, KEY_FILE};
use super::source::said;
use crate::publish::Published;
use crate::report::{Stage, seconds};
use crate::sigstore::key;
use crate::sigstore::verifier::Signer;
use crate::verify::Statement;
use crate::verify::policy::{CYCLONEDX, SLSA_PROVENANCE, SPDX};

/// The summary that `GITHUB_STEP_SUMMARY` shows.
pub fn summary(published: &Published, commands: &[Command], stages: &[Stage], elapsed: Duration) -> String {
    let Some(image) = published.images.first() else { return String::new() };
    let head = format!("## 📦 `{}`\n\nPublished with verified evidence in {}.\n\n", image.repository, seconds(elapsed));
    head + &section(published, commands) + &times(stages)
}

/// The same for several targets, each with its name, image and commands.
pub fn of_targets(targets: &[(&str, &Published, Vec<Command>)], stages: &[Stage], elapsed: Duration) -> String {
    let mut text = format!("## 📦 {} images\n\nPublished together, with verified evidence, in {}.\n\n", targets.len(), seconds(elapsed));
    for (target, published, commands) in targets {
        let image = published.images.first().map(|image| image.repository.to_string()).unwrap_or_default();
        text += &format!("### {target}: `{image}`\n\n{}\n", section(published, commands));
    }
    text + &times(stages)
}

/// Digest, names, signer, evidence, and how to check it.
fn section(published: &Published, commands: &[Command]) -> String {
    let mut text = String::new();
    let Some(image) = published.images.first() else { return text };
    // Writing into a string cannot fail.
    let _ = writeln!(text, "| | |\n|---|---|\n| digest | `{}` |", image.digest);
    for name in &published.names {
        let _ = writeln!(text, "| tag | `{name}` |");
    }
    let _ = match &published.evidence.signer {
        Signer::Keyless { identity, issuer } => writeln!(text, "| signed by | `{identity}` |\n| issuer | `{issuer}` |"),
        Signer::Key(public) => writeln!(text, "| signed with key | `{}` |", key::name(public)),
    };
    for (name, value) in published.evidence.sources.iter().flat_map(|source| said(source, &published.evidence)) {
        let _ = writeln!(text, "| {name} | `{value}` |");
    }
    text.push('\n');
    let _ = writeln!(text, "| part | digest | signature | SBOM | provenance | log entries |\n|---|---|---|---|---|---|");
    for subject in &published.evidence.subjects {
        let part = super::part_name(subject);
        let mark = |present: bool| if present { "✅" } else { "–" };
        let has = |kind: &str| subject.attestations.iter().any(|statement| statement.predicate_type == kind);
        let log: Vec<String> = subject.signatures.iter().chain(&subject.attestations).filter_map(log_entry).collect();
        let _ = writeln!(
            text,
            "| {part} | `{}` | {} | {} | {} | {} |",
            subject.digest.short(),
            mark(!subject.signatures.is_empty()),
            mark(has(SPDX) || has(CYCLONEDX)),
            mark(has(SLSA_PROVENANCE)),
            if log.is_empty() { "–".to_owned() } else { log.join(", ") },
        );
    }
    let _ = writeln!(text, "\n<details><summary>Check it yourself</summary>\n\n```sh");
    if let Signer::Key(public) = &published.evidence.signer {
        let pem = key::public_pem(public);
        let _ = writeln!(text, "# the key; compare it with what its owner tells elsewhere\ncat > {KEY_FILE} <<'END'\n{pem}END");
    }
    for command in commands {
        let _ = writeln!(text, "# {}\n{}", command.checks, command.text);
    }
    let _ = writeln!(text, "```\n\n</details>\n");
    text
}

fn times(stages: &[Stage]) -> String {
    let mut text = "<details><summary>Stages</summary>\n\n| stage | time | |\n|---|---|---|\n".to_owned();
    for stage in stages {
        let _ = writeln!(text, "| {} | {} | {} |", stage.name, seconds(stage.took), stage.outcome);
    }
    let _ = writeln!(text, "\n</details>\n");
    text
}

fn log_entry(statement: &Statement) -> Option<String> {
    statement.log_index.map(|index| index.to_string())
}
