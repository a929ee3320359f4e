//! What the search of one image came to, for those who read a summary or an output. It names no
//! value, and never says that there is nothing in what was not read.

use serde::Serialize;

use super::PlatformSearch;
use super::refused::{SearchVerdict, gaps, sentence};
use crate::secrets::weakness::Gravity;

/// Of one image, of all its platforms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SearchSummary {
    pub secrets: SecretCounts,
    pub misconfigurations: WeaknessCounts,
    /// Of the platform that has the most.
    pub own_layers: usize,
    pub base_layers_read: usize,
    pub base_layers_passed: usize,
    /// What could not be read or is not known, one sentence each.
    pub gaps: Vec<String>,
    /// For people: what was looked at.
    #[serde(skip)]
    pub sentence: String,
    /// Secrets that refuse nothing, a line each.
    #[serde(skip)]
    pub told: Vec<String>,
    /// What is set in an unwise way, a line each, the worst first.
    #[serde(skip)]
    pub weaknesses: Vec<String>,
}

/// How many secrets there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SecretCounts {
    pub refused: usize,
    pub accepted: usize,
    pub told: usize,
}

/// How many there are of each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WeaknessCounts {
    pub high: usize,
    pub medium: usize,
    pub low: usize,
    pub accepted: usize,
}

impl SearchSummary {
    pub fn of(platforms: &[PlatformSearch], verdict: &SearchVerdict) -> Self {
        let most = |of: fn(&PlatformSearch) -> usize| platforms.iter().map(of).max();
        let (refused, accepted) = (verdict.secrets.reasons.len(), verdict.secrets.accepted.len());
        let told = verdict.told();
        let mut misconfigurations =
            WeaknessCounts { accepted: verdict.accepted.len(), ..WeaknessCounts::default() };
        for weak in &verdict.weaknesses {
            *match weak.found.gravity {
                Gravity::Note => &mut misconfigurations.low,
                Gravity::Warning => &mut misconfigurations.medium,
                Gravity::Error => &mut misconfigurations.high,
            } += 1;
        }
        let searched: Vec<&PlatformSearch> = platforms.iter().collect();
        Self {
            secrets: SecretCounts { refused, accepted, told: told.len() - accepted },
            misconfigurations,
            own_layers: most(|it| it.own).unwrap_or_default(),
            base_layers_read: most(|it| it.of_base).unwrap_or_default(),
            base_layers_passed: most(|it| it.passed).unwrap_or_default(),
            gaps: gaps(&searched),
            sentence: sentence(platforms),
            told,
            weaknesses: verdict.weakness_lines(),
        }
    }
}
