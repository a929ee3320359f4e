//! Leaks and weaknesses → lines for people: what it is, which rule, where, in which layer. No name
//! of a hostile image reaches a terminal as a command.

use super::leak::{Confidence, Leak};
use super::weakness::Weakness;
use crate::text::seen::visible;

const LONGEST_CELL: usize = 120;

/// A heading and a line for each leak, those that refuse first; empty for none.
pub fn leaks_table(leaks: &[Leak]) -> String {
    let mut sorted: Vec<&Leak> = leaks.iter().collect();
    sorted.sort_by(|a, b| b.confidence.cmp(&a.confidence).then_with(|| a.place.cmp(&b.place)));
    let rows = sorted.into_iter().map(|leak| {
        let told = match (&leak.excuse, leak.confidence) {
            (Some(excuse), _) => format!("listed: {excuse}"),
            (None, Confidence::Told) => "listed".to_owned(),
            (None, Confidence::Verifiable) => "refused".to_owned(),
        };
        let layer = leak.layer.clone().unwrap_or_else(|| "-".to_owned());
        [
            format!("{} {}", leak.rule.what, leak.shown),
            leak.rule.id.to_owned(),
            leak.place.to_string(),
            layer,
            told,
        ]
    });
    table(["SECRET", "RULE", "PLACE", "LAYER", "VERDICT"], rows.collect())
}

/// Likewise, the worst first.
pub fn weaknesses_table(weaknesses: &[Weakness]) -> String {
    let mut sorted: Vec<&Weakness> = weaknesses.iter().collect();
    sorted.sort_by(|a, b| b.gravity.cmp(&a.gravity).then_with(|| a.place.cmp(&b.place)));
    let rows = sorted.into_iter().map(|weakness| {
        [
            weakness.gravity.severity().to_owned(),
            weakness.rule.to_string(),
            weakness.place.to_string(),
            weakness.message.clone(),
        ]
    });
    table(["LEVEL", "RULE", "PLACE", "WHAT"], rows.collect())
}

fn table<const COLUMNS: usize>(heading: [&str; COLUMNS], rows: Vec<[String; COLUMNS]>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut lines = vec![heading.map(str::to_owned)];
    lines.extend(rows.into_iter().map(|row| row.map(|cell| cut(&cell))));
    let mut widths = [0; COLUMNS];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let written = lines.iter().map(|line| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let cells: Vec<String> = cells.collect();
        format!("{}\n", cells.join("  ").trim_end())
    });
    written.collect()
}

/// Ends of paths tell more than their starts.
fn cut(cell: &str) -> String {
    let seen = visible(cell);
    let length = seen.chars().count();
    match length > LONGEST_CELL {
        true => format!("…{}", seen.chars().skip(length - LONGEST_CELL).collect::<String>()),
        false => seen,
    }
}
