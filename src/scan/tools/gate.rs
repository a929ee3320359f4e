//! Runs of other tools and rules → which results refuse an image, which somebody accepts, and how
//! many there are of each. It knows no clock, and hides no result.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{ResultStanding, ToolResult, ToolRun};
use crate::scan::accepted::{AcceptedRisk, AcceptedRisks};
use crate::scan::report::LevelCounts;
use crate::scan::severity::SeverityLevel;
use crate::text::plural;
use crate::text::seen::visible;

/// What of other tools refuses an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolRules {
    /// The lowest level that does; `None` for none.
    pub fail_on: Option<SeverityLevel>,
    /// What nobody rates.
    pub fail_on_unknown: bool,
}

/// What a tool found in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolTally {
    pub tool: String,
    pub file: String,
    /// Neither suppressed nor accepted.
    pub open: LevelCounts,
    pub refused: u64,
    pub accepted: u64,
    pub suppressed: u64,
}

/// What the rules say. Its lists are in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolsVerdict {
    pub tallies: Vec<ToolTally>,
    /// Why an image is refused; `None` where it passes.
    pub refusal: Option<ToolRefusal>,
    /// Results that nobody rates, and that refuse nothing.
    pub unrated: u64,
    /// The places of rules that meet a result.
    pub met: BTreeSet<String>,
    /// Those of them that no longer hold.
    pub expired: Vec<AcceptedRisk>,
    /// Rules that meet no result.
    pub unused: Vec<AcceptedRisk>,
}

/// Why an image is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolRefusal {
    /// ``1 critical finding of `CodeQL`, 2 high findings of `Semgrep` ``.
    pub sentence: String,
    /// The worst first.
    pub lines: Vec<String>,
}

/// Without `rules` nothing refuses, and results are counted alone.
pub fn judge(
    runs: &[ToolRun],
    rules: Option<&ToolRules>,
    accepted: &AcceptedRisks,
    today: Date,
) -> ToolsVerdict {
    let holds = |risk: &AcceptedRisk| risk.expires.is_none_or(|last| today <= last);
    let mut verdict = ToolsVerdict::default();
    let mut is_used = vec![false; accepted.risks().len()];
    let mut refused: Vec<(&ToolRun, &ToolResult)> = Vec::new();
    for run in runs {
        let at = verdict.tallies.iter().position(|it| it.tool == run.tool && it.file == run.file);
        let at = at.unwrap_or_else(|| {
            let (tool, file) = (run.tool.clone(), run.file.clone());
            verdict.tallies.push(ToolTally { tool, file, ..ToolTally::default() });
            verdict.tallies.len() - 1
        });
        let Some(tally) = verdict.tallies.get_mut(at) else { continue };
        for result in &run.results {
            match result.standing {
                ResultStanding::Passed => continue,
                ResultStanding::Suppressed => {
                    tally.suppressed += 1;
                    continue;
                }
                ResultStanding::Found => {}
            }
            let mut is_accepted = false;
            // What nobody judges nobody accepts.
            let of_rules = accepted.risks().iter().zip(&mut is_used).filter(|_| rules.is_some());
            for (risk, used) in of_rules.filter(|(risk, _)| risk.is_about_result(&result.ids)) {
                *used = true;
                is_accepted |= holds(risk);
            }
            if is_accepted {
                tally.accepted += 1;
                continue;
            }
            tally.open.add(result.rating.level);
            let is_refused = rules.is_some_and(|rules| rules.refuse(result.rating.level));
            if is_refused {
                tally.refused += 1;
                refused.push((run, result));
            } else if result.rating.level == SeverityLevel::Unknown {
                verdict.unrated += 1;
            }
        }
    }
    for (risk, used) in accepted.risks().iter().zip(is_used).filter(|_| rules.is_some()) {
        if used {
            verdict.met.insert(risk.place.clone());
        }
        match (used, holds(risk)) {
            (true, false) => verdict.expired.push(risk.clone()),
            (false, _) => verdict.unused.push(risk.clone()),
            (true, true) => {}
        }
    }
    verdict.refusal = refusal(refused);
    verdict
}

impl ToolRules {
    fn refuse(&self, level: SeverityLevel) -> bool {
        match level {
            SeverityLevel::Unknown => self.fail_on_unknown,
            level => self.fail_on.is_some_and(|lowest| level >= lowest),
        }
    }
}

fn refusal(mut refused: Vec<(&ToolRun, &ToolResult)>) -> Option<ToolRefusal> {
    if refused.is_empty() {
        return None;
    }
    refused.sort_by_key(|(_, result)| std::cmp::Reverse(result.rating.level));
    let mut counts: BTreeMap<(std::cmp::Reverse<SeverityLevel>, &str), usize> = BTreeMap::new();
    for (run, result) in &refused {
        *counts.entry((std::cmp::Reverse(result.rating.level), run.tool.as_str())).or_default() +=
            1;
    }
    let parts = counts.iter().map(|((std::cmp::Reverse(level), tool), count)| {
        let tool = inline(tool);
        let counted = plural(*count, "finding");
        match (level, counted.split_once(' ')) {
            (SeverityLevel::Unknown, _) | (_, None) => {
                format!("{counted} of `{tool}` without a severity")
            }
            (level, Some((number, noun))) => format!("{number} {level} {noun} of `{tool}`"),
        }
    });
    Some(ToolRefusal {
        sentence: parts.collect::<Vec<_>>().join(", "),
        lines: refused.iter().map(|(run, result)| line(run, result)).collect(),
    })
}

/// `Semgrep: rules.xss (high, 8.1) in src/a.js:12: …`.
fn line(run: &ToolRun, result: &ToolResult) -> String {
    let rule = match result.rule.as_str() {
        "" => "no rule".to_owned(),
        rule => inline(rule),
    };
    let place = match &result.place {
        Some(place) => format!(" in {}", inline(place)),
        None => format!(", which has no place, in {}", inline(&run.file)),
    };
    let message = match result.message.trim() {
        "" => String::new(),
        message => format!(": {}", inline(message)),
    };
    format!("{}: {rule} ({}){place}{message}", inline(&run.tool), result.rating.word)
}

/// Text of others within a line of ours.
fn inline(text: &str) -> String {
    const MOST: usize = 160;
    let text = visible(text).replace('`', "\\u{60}");
    let mut letters = text.chars();
    let kept: String = letters.by_ref().take(MOST).collect();
    if letters.next().is_some() { format!("{kept}…") } else { kept }
}

impl ToolTally {
    /// `Semgrep: 3 findings (1 high, 2 low), 1 accepted, 2 suppressed`.
    pub fn told(&self) -> String {
        let count = usize::try_from(self.open.total()).unwrap_or(usize::MAX);
        let levels = match self.open.told() {
            levels if levels.is_empty() => String::new(),
            levels => format!(" ({levels})"),
        };
        let mut told = format!("{}: {}{levels}", inline(&self.tool), plural(count, "finding"));
        for (count, what) in [(self.accepted, "accepted"), (self.suppressed, "suppressed")] {
            if count > 0 {
                told.push_str(&format!(", {count} {what}"));
            }
        }
        told
    }
}
