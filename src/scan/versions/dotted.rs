//! Versions that are lists of numbers: those of CRAN and Hackage. It never takes a missing number
//! for zero, as neither does.

use std::cmp::Ordering;

use super::numbers;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DottedVersion(Vec<String>);

impl DottedVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let numbers: Vec<String> = text.split(['.', '-']).map(str::to_owned).collect();
        numbers.iter().all(|number| numbers::is_number(number)).then_some(Self(numbers))
    }
}

impl Ord for DottedVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0).map(|(a, b)| numbers::compare(a, b));
        pairs
            .into_iter()
            .find(|order| order.is_ne())
            .unwrap_or_else(|| self.0.len().cmp(&other.0.len()))
    }
}

impl PartialOrd for DottedVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
