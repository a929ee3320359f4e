//! Scans → what people and programs read: a table for terminals, Markdown for the job summary, JSON.
//! It never says that there are no vulnerabilities: none are known in what was assessed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::report::{EarlierState, ImageScan, JudgedFinding, ScannedBase, gaps};
use super::rows::{FindingRow, rows, summary};
use super::severity::SeverityLevel;
use crate::text::markdown::{code, plain};
use crate::text::plural;
use crate::text::seen::inert;

/// What one scan comes to, in a sentence without its full stop.
pub fn sentence(scan: &ImageScan) -> String {
    told(&[scan])
}

/// What the scans of all platforms come to, as one sentence without its full stop: a flaw of
/// several counts once, and packages count for each.
pub fn told(scans: &[&ImageScan]) -> String {
    let summary = summary(scans);
    let unassessed: usize = scans.iter().map(|scan| scan.unassessed.len()).sum();
    let assessed: usize = scans.iter().map(|scan| scan.assessed).sum();
    let finished = scans.iter().map(|scan| scan.finished).min().unwrap_or_default();
    let date = finished.to_zoned(TimeZone::UTC).date();
    let not_assessed = format!("{} not assessed", plural(unassessed, "package"));
    if assessed == 0 {
        return format!("nothing was assessed on {date}; {not_assessed}");
    }
    let counts = &summary.tally.counts;
    let known = match counts.total() {
        0 => "none known".to_owned(),
        total => format!(
            "{} known ({}), {} with a fix,",
            plural(usize::try_from(total).unwrap_or(usize::MAX), "vulnerability"),
            counts.told(),
            summary.tally.fixable.total()
        ),
    };
    let accepted = match summary.tally.accepted {
        0 => String::new(),
        accepted => format!("; {accepted} accepted"),
    };
    format!(
        "{known} in {} of {} on {date}{accepted}; {not_assessed}",
        plural(assessed, "package"),
        plural(summary.ecosystems.len(), "ecosystem"),
    )
}

/// The same with what was scanned before it.
pub fn labelled(scan: &ImageScan) -> String {
    format!("{}: {}", scan.label(), sentence(scan))
}

/// The sentence of each scan, with its image's name where there are several.
fn sentences(scans: &[&ImageScan]) -> Vec<String> {
    match scans {
        [scan] => vec![sentence(scan)],
        scans => scans.iter().map(|it| format!("{}: {}", it.label(), sentence(it))).collect(),
    }
}

/// What comes from the base image of each scan, once where platforms agree.
pub fn of_base(scans: &[&ImageScan]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for scan in scans {
        let Some(base) = &scan.base else { continue };
        let open: Vec<&JudgedFinding> = scan.findings.iter().filter(|it| it.is_open()).collect();
        let is_base =
            |it: &&&JudgedFinding| it.origin.as_ref().is_some_and(|origin| origin.is_base);
        let count = open.iter().filter(is_base).count();
        if count == 0 {
            continue;
        }
        let name = &base.name;
        let newer = match &base.newer {
            None => String::new(),
            Some(newer) if newer.repairs == 0 => {
                "; the newer image behind that name repairs none of them".to_owned()
            }
            Some(newer) => {
                format!("; the newer image behind that name repairs {} of them", newer.repairs)
            }
        };
        let all = plural(open.len(), "open finding");
        let line = format!("the base image {name} brings {count} of {all}{newer}");
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// Between two columns.
const GAP: usize = 2;
/// What a column keeps however narrow the terminal is.
const NARROWEST: usize = 10;
const HEADINGS: [&str; 6] =
    ["SEVERITY", "VULNERABILITY", "PACKAGE", "INSTALLED", "FIXED IN", "WHERE"];

/// Open findings as lines of at most `width` letters where that can be, and below them what was
/// accepted, what was not assessed, and what it comes to.
pub fn table(scans: &[&ImageScan], width: usize, is_coloured: bool) -> String {
    let all = rows(scans);
    let (open, apart): (Vec<_>, Vec<_>) = all.iter().partition(|row| row.judged.is_open());
    let mut text = lines_of(&open, scans.len(), width, is_coloured).concat();
    if !open.is_empty() {
        text.push('\n');
    }
    for told in below(&apart, scans).into_iter().chain(of_base(scans)) {
        text += &inert(&told);
        text.push('\n');
    }
    text
}

/// A heading and a line each; nothing where there are none.
fn lines_of(
    open: &[&FindingRow<'_>],
    scans: usize,
    width: usize,
    is_coloured: bool,
) -> Vec<String> {
    if open.is_empty() {
        return Vec::new();
    }
    let mut cells: Vec<[String; 6]> = vec![HEADINGS.map(str::to_owned)];
    cells.extend(open.iter().map(|row| cells_of(row, scans).map(|cell| inert(&cell))));
    let widths = fitting(&cells, width);
    let levels = open.iter().map(|row| Some(row.judged.finding.severity.level));
    let levels = std::iter::once(None).chain(levels);
    cells
        .iter()
        .zip(levels)
        .map(|(row, level)| line(row, widths, level.filter(|_| is_coloured)))
        .collect()
}

/// The first findings of all platforms of an image, for a log: those that are open, then those that
/// were accepted.
pub fn first_lines(scans: &[&ImageScan], most: usize, width: usize) -> Vec<String> {
    let all = rows(scans);
    let open: Vec<&FindingRow<'_>> = all.iter().filter(|row| row.judged.is_open()).collect();
    let accepted: Vec<String> = all.iter().filter_map(accepted_line).collect();
    let more = |all: usize| match all.saturating_sub(most) {
        0 => None,
        more => Some(format!("and {more} more")),
    };
    let shown: Vec<&FindingRow<'_>> = open.iter().take(most).copied().collect();
    let mut lines: Vec<String> = lines_of(&shown, scans.len(), width, false);
    lines.iter_mut().for_each(|line| line.truncate(line.trim_end().len()));
    lines.extend(more(open.len()));
    lines.extend(accepted.iter().take(most).map(|line| inert(line)));
    lines.extend(more(accepted.len()));
    lines
}

fn accepted_line(row: &FindingRow<'_>) -> Option<String> {
    let (finding, acceptance) = (&row.judged.finding, row.judged.acceptance.as_ref()?);
    let (id, name, version) = (&finding.id, &finding.name, &finding.version);
    Some(format!("accepted: {id} in {name} {version}: {}", acceptance.told()))
}

fn cells_of(row: &FindingRow<'_>, scans: usize) -> [String; 6] {
    let finding = &row.judged.finding;
    let exploited = if finding.kev.is_some() { " (exploited)" } else { "" };
    [
        finding.severity.level.to_string(),
        format!("{}{exploited}", finding.id),
        finding.name.clone(),
        finding.version.clone(),
        finding.fixed.clone().unwrap_or_else(|| "-".to_owned()),
        wheres(row, scans),
    ]
}

/// `base image, usr/lib/x (linux/amd64)`.
fn wheres(row: &FindingRow<'_>, scans: usize) -> String {
    let is_base = row.judged.origin.as_ref().is_some_and(|origin| origin.is_base);
    let mut places: Vec<String> = is_base.then(|| "base image".to_owned()).into_iter().collect();
    places.extend(row.paths.first().map(|path| (*path).to_owned()));
    if row.paths.len() > 1 {
        places.push(format!("{} more", row.paths.len() - 1));
    }
    places.extend(row.judged.known_since.as_ref().map(known_since));
    let mut told = places.join(", ");
    if !row.platforms.is_empty() && row.platforms.len() < scans {
        let platforms: Vec<&str> = row.platforms.iter().map(String::as_str).collect();
        let _ = write!(told, " ({})", platforms.join(", "));
    }
    told
}

/// `known since sha256:0123456789ab`.
pub(super) fn known_since(since: &EarlierState) -> String {
    match since {
        EarlierState::Image(digest) => format!("known since sha256:{}", digest.short()),
        EarlierState::Named(_) => format!("known since {since}"),
    }
}

/// What refuses nothing because the state before has it: how much, and which state.
pub fn known(scan: &ImageScan) -> Option<(usize, &EarlierState)> {
    let known = || scan.findings.iter().filter_map(|judged| judged.known_since.as_ref());
    Some((known().count(), known().next()?))
}

/// What is not in the table.
fn below(apart: &[&FindingRow<'_>], scans: &[&ImageScan]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for row in apart {
        match accepted_line(row) {
            Some(accepted) => lines.push(accepted),
            None => *others.entry(row.judged.kind()).or_default() += 1,
        }
    }
    if !others.is_empty() {
        let told = others.iter().map(|(kind, count)| format!("{count} {kind}"));
        let told: Vec<String> = told.collect();
        lines.push(format!("refuses no image: {}", told.join(", ")));
    }
    for scan in scans {
        let of = if scans.len() > 1 { format!("{}: ", scan.label()) } else { String::new() };
        lines.extend(gaps(scan).iter().map(|(gap, packages)| {
            let names: Vec<&str> =
                packages.iter().take(MOST_NAMES).map(|it| it.name.as_str()).collect();
            let more = if packages.len() > names.len() { ", …" } else { "" };
            let count = plural(packages.len(), "package");
            format!("{of}not assessed: {count}: {gap}: {}{more}", names.join(", "))
        }));
    }
    lines.extend(without_code(scans));
    lines.extend(sentences(scans));
    lines
}

/// Of packages in one line.
const MOST_NAMES: usize = 5;

/// What is known of Go packages that no program was built with, in one sentence.
fn without_code(scans: &[&ImageScan]) -> Option<String> {
    let absent: BTreeSet<&str> =
        scans.iter().flat_map(|scan| &scan.absent).map(|it| it.id.as_str()).collect();
    let names: Vec<&str> = absent.iter().take(MOST_NAMES).copied().collect();
    let more = if absent.len() > names.len() { ", …" } else { "" };
    (!absent.is_empty()).then(|| {
        let count = plural(absent.len(), "known vulnerability");
        format!("{count} in Go packages that no program has: {}{more}", names.join(", "))
    })
}

/// The widest cell of each column, less what would not fit: the widest gives way first.
fn fitting(rows: &[[String; 6]], width: usize) -> [usize; 6] {
    let mut widths = [0; 6];
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = cell.chars().count().max(*widest);
        }
    }
    loop {
        let over = (widths.iter().sum::<usize>() + 5 * GAP).saturating_sub(width);
        // The severity is never cut, and the vulnerability last.
        let [_, id, others @ ..] = &mut widths;
        let widest = others.iter_mut().max().filter(|widest| **widest > NARROWEST);
        match widest.or(Some(id).filter(|id| **id > NARROWEST)).filter(|_| over > 0) {
            Some(widest) => *widest -= 1,
            None => return widths,
        }
    }
}

fn line(cells: &[String; 6], widths: [usize; 6], level: Option<SeverityLevel>) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cut(cell, width);
        let room = " ".repeat(width.saturating_sub(cell.chars().count()) + GAP);
        match level.filter(|_| column == 0) {
            Some(level) => {
                let _ = write!(text, "\x1b[{}m{cell}\x1b[0m{room}", colour(level));
            }
            None => text += &format!("{cell}{room}"),
        }
    }
    format!("{}\n", text.trim_end())
}

fn colour(level: SeverityLevel) -> &'static str {
    match level {
        SeverityLevel::Critical => "1;31",
        SeverityLevel::High => "31",
        SeverityLevel::Medium => "33",
        SeverityLevel::Low => "36",
        SeverityLevel::Unknown => "2",
    }
}

fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Of a cell of Markdown: a summary holds a mebibyte in all.
const MOST_LETTERS: usize = 120;

/// A section of the job summary with at most `most` findings, and how many are not shown.
pub fn markdown(scans: &[&ImageScan], most: usize) -> String {
    let all = rows(scans);
    let open: Vec<&FindingRow<'_>> = all.iter().filter(|row| row.judged.is_open()).collect();
    let accepted: Vec<&FindingRow<'_>> =
        all.iter().filter(|row| row.judged.acceptance.is_some()).collect();
    let mut text = "\n#### Known vulnerabilities\n\n".to_owned();
    for sentence in sentences(scans) {
        let _ = writeln!(text, "- {}", plain(&sentence));
    }
    for line in of_base(scans).into_iter().chain(without_code(scans)) {
        let _ = writeln!(text, "- {}", plain(&line));
    }
    if !open.is_empty() {
        text += "\n| severity | vulnerability | package | installed | fixed in | where |\n|---|---|---|---|---|---|\n";
        for row in open.iter().take(most) {
            let cells = cells_of(row, scans.len()).map(|cell| code(&cut(&cell, MOST_LETTERS)));
            let [_, cells @ ..] = cells;
            let level = row.judged.finding.severity.level;
            let mark = if row.refuses { "❌ " } else { "" };
            let _ = writeln!(text, "| {mark}{level} | {} |", cells.join(" | "));
        }
        text += &not_shown(open.len(), most);
    }
    if !accepted.is_empty() {
        text += "\n<details><summary>Accepted</summary>\n\n| vulnerability | package | reason | until | says |\n|---|---|---|---|---|\n";
        for row in accepted.iter().take(most) {
            let (finding, Some(acceptance)) = (&row.judged.finding, &row.judged.acceptance) else {
                continue;
            };
            let until = acceptance.until.map(|until| until.to_string()).unwrap_or_default();
            let written = |text: &str| code(&cut(text, MOST_LETTERS));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {until} | {} |",
                written(&finding.id),
                written(&finding.name),
                plain(&cut(&acceptance.reason, MOST_LETTERS)),
                written(&acceptance.by)
            );
        }
        text += &not_shown(accepted.len(), most);
        text += "\n</details>\n";
    }
    text + &not_assessed(scans, most)
}

fn not_shown(count: usize, most: usize) -> String {
    match count.saturating_sub(most) {
        0 => String::new(),
        more => format!("\n{more} more are not shown here.\n"),
    }
}

fn not_assessed(scans: &[&ImageScan], most: usize) -> String {
    let mut lines = Vec::new();
    for scan in scans {
        let platform = scan.platform.as_ref().filter(|_| scans.len() > 1);
        let platform = platform.map(code).unwrap_or_default();
        for (gap, packages) in gaps(scan) {
            let names: Vec<String> = packages
                .iter()
                .take(MOST_NAMES)
                .map(|it| code(&cut(&it.name, MOST_LETTERS)))
                .collect();
            let more = if packages.len() > names.len() { ", …" } else { "" };
            lines.push(format!(
                "| {platform} | {} | {}{more} | {} |",
                packages.len(),
                names.join(", "),
                plain(&gap)
            ));
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    let shown: Vec<&str> = lines.iter().take(most).map(String::as_str).collect();
    format!(
        "\n<details><summary>Not assessed</summary>\n\n| platform | count | packages | why |\n|---|---|---|---|\n{}\n{}\n</details>\n",
        shown.join("\n"),
        not_shown(lines.len(), most)
    )
}

fn base(base: &ScannedBase) -> Value {
    let newer = base
        .newer
        .as_ref()
        .map(|newer| json!({ "digest": newer.digest, "repairs": newer.repairs, "of": newer.of }));
    json!({ "name": base.name, "newer": newer })
}

/// Everything, for other programs.
pub fn json(scans: &[&ImageScan]) -> Value {
    let rows = rows(scans);
    let images: Vec<Value> = scans
        .iter()
        .map(|scan| {
            let unassessed = scan.unassessed.iter().map(|it| {
                let (package, name, version) = (&it.purl, &it.name, &it.version);
                json!({ "package": package, "name": name, "version": version, "why": it.gap.to_string() })
            });
            let absent = scan.absent.iter().map(|it| json!({ "package": it.purl, "id": it.id }));
            json!({
                "image": scan.image,
                "digest": scan.digest,
                "platform": scan.platform.as_ref().map(ToString::to_string),
                "startedOn": scan.started.to_string(),
                "finishedOn": scan.finished.to_string(),
                "newestAdvisory": scan.newest().map(|newest| newest.to_string()),
                "summary": summary(&[*scan]),
                "notAssessed": unassessed.collect::<Vec<_>>(),
                "codeNotPresent": absent.collect::<Vec<_>>(),
                "base": scan.base.as_ref().map(base),
                "says": sentence(scan),
            })
        })
        .collect();
    let results: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut result = row.json();
            result["refuses"] = Value::from(row.refuses);
            result
        })
        .collect();
    json!({ "images": images, "summary": summary(scans), "results": results })
}

#[cfg(test)]
mod tests;
