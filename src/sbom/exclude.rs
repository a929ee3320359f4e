//! Files that a user leaves out, by patterns. It reads nothing, and without patterns costs nothing.

use regex::Regex;

/// Patterns of paths from the root: `*` stands for anything but `/`, `**` for anything, `?` for one
/// letter; a directory stands for all that is in it.
#[derive(Debug, Clone, Default)]
pub struct Exclude {
    patterns: Vec<String>,
    compiled: Option<Regex>,
}

/// Why a pattern is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a pattern of files")]
pub struct BadPattern(String);

impl Exclude {
    pub fn new(patterns: &[String]) -> Result<Self, BadPattern> {
        let mut patterns = patterns.to_vec();
        patterns.sort();
        patterns.dedup();
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        let parts =
            patterns.iter().map(|pattern| written(pattern)).collect::<Result<Vec<_>, _>>()?;
        let all = format!("^(?:{})(?:/|$)", parts.join("|"));
        let compiled = Regex::new(&all).map_err(|_| BadPattern(patterns.join(" ")))?;
        Ok(Self { patterns, compiled: Some(compiled) })
    }

    pub fn matches(&self, path: &str) -> bool {
        self.compiled.as_ref().is_some_and(|compiled| compiled.is_match(path))
    }

    /// As they were given, in order.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }
}

/// One pattern as a regular expression.
fn written(pattern: &str) -> Result<String, BadPattern> {
    let rooted = pattern.strip_prefix("./").unwrap_or(pattern).trim_matches('/');
    if rooted.is_empty() || pattern.len() > 4096 {
        return Err(BadPattern(pattern.to_owned()));
    }
    let mut written = String::new();
    let mut rest = rooted;
    while let Some(letter) = rest.chars().next() {
        let (taken, part) = match rest {
            _ if rest.starts_with("**/") => (3, "(?:.*/)?".to_owned()),
            _ if rest.starts_with("**") => (2, ".*".to_owned()),
            _ if letter == '*' => (1, "[^/]*".to_owned()),
            _ if letter == '?' => (1, "[^/]".to_owned()),
            _ => (letter.len_utf8(), regex::escape(&letter.to_string())),
        };
        written.push_str(&part);
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_start_at_the_root_and_take_what_is_inside() {
        let check = |pattern: &str, path: &str, expected: bool| {
            let exclude = Exclude::new(&[pattern.to_owned()]).unwrap();
            assert_eq!(exclude.matches(path), expected, "{pattern} {path}");
        };
        check("**/testdata", "go/pkg/testdata/var/lib/rpm/Packages", true);
        check("**/testdata/**", "testdata/a", true);
        check("/opt/*.jar", "opt/a.jar", true);
        check("opt/*.jar", "opt/x/a.jar", false);
        check("opt", "opt/x/a.jar", true);
        check("./opt/", "opt/x/a.jar", true);
        check("opt", "optional/a", false);
        check("opt", "a/opt", false);
        check("a?c", "aéc", true);
        check("a.c", "abc", false);
        check("**", "a", true);
        assert!(!Exclude::default().matches("a"));
        for bad in ["", "/", "./"] {
            assert!(Exclude::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
