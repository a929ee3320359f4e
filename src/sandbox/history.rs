//! Makes the history that the GitHub API of the sandbox tells: commits with their parents, branches
//! and tags. Where nobody wrote one, two commits are in the order in which they were first named;
//! it never makes up a branch or a tag.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

#[derive(Default)]
pub struct CommitHistory {
    /// By commit.
    parents: HashMap<String, Vec<String>>,
    /// `refs/heads/main` and its commit.
    refs: BTreeMap<String, String>,
    /// Commits in the order in which somebody first named them.
    named: Vec<String>,
}

impl CommitHistory {
    /// A commit on these parents.
    pub fn commit(&mut self, commit: &str, parents: &[&str]) {
        self.parents
            .insert(commit.to_owned(), parents.iter().map(|parent| (*parent).to_owned()).collect());
    }

    /// Where a branch or a tag points from now on.
    pub fn point(&mut self, git_ref: &str, commit: &str) {
        self.refs.insert(git_ref.to_owned(), commit.to_owned());
    }

    fn is_written(&self) -> bool {
        !self.parents.is_empty() || !self.refs.is_empty()
    }

    fn ancestors(&self, commit: &str) -> HashSet<String> {
        let (mut found, mut waiting) = (HashSet::new(), vec![commit.to_owned()]);
        while let Some(commit) = waiting.pop() {
            if found.insert(commit.clone()) {
                waiting.extend(self.parents.get(&commit).cloned().unwrap_or_default());
            }
        }
        found
    }

    /// The `status` of `base...head`, as GitHub words it; `None` where one of both is not known.
    pub(super) fn compared(&mut self, base: &str, head: &str) -> Option<&'static str> {
        let is_commit =
            |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !self.is_written() {
            if !is_commit(base) || !is_commit(head) {
                return None;
            }
            let (base, head) = (self.place(base), self.place(head));
            return Some(match head.cmp(&base) {
                std::cmp::Ordering::Less => "behind",
                std::cmp::Ordering::Equal => "identical",
                std::cmp::Ordering::Greater => "ahead",
            });
        }
        let known = |name: &str| {
            let branch = self.refs.get(&format!("refs/heads/{name}")).cloned();
            branch
                .or_else(|| Some(name.to_owned()))
                .filter(|commit| self.parents.contains_key(commit))
        };
        let (base, head) = (known(base)?, known(head)?);
        Some(match (self.ancestors(&head).contains(&base), self.ancestors(&base).contains(&head)) {
            (true, true) => "identical",
            (true, false) => "ahead",
            (false, true) => "behind",
            (false, false) => "diverged",
        })
    }

    fn place(&mut self, commit: &str) -> usize {
        let known = self.named.iter().position(|named| named == commit);
        known.unwrap_or_else(|| {
            self.named.push(commit.to_owned());
            self.named.len() - 1
        })
    }

    /// The commit of `heads/main` or `tags/v1`.
    pub(super) fn head(&self, name: &str) -> Option<Value> {
        self.refs.get(&format!("refs/{name}")).map(|commit| json!({ "sha": commit }))
    }

    /// The refs that begin so, where there is a history.
    pub(super) fn matching(&self, start: &str) -> Option<Value> {
        let start = format!("refs/{start}");
        let found = self.refs.iter().filter(|(name, _)| name.starts_with(&start));
        let told = found.map(
            |(name, commit)| json!({ "ref": name, "object": { "type": "commit", "sha": commit } }),
        );
        self.is_written().then(|| told.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_compare_as_they_were_made() {
        let mut history = CommitHistory::default();
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        assert_eq!(
            history.compared(&a, &b),
            Some("ahead"),
            "in the order in which they were named"
        );
        assert_eq!(
            (history.compared(&b, &a), history.compared(&a, "main")),
            (Some("behind"), None)
        );
        history.commit("1", &[]);
        history.commit("2", &["1"]);
        history.commit("3", &["1"]);
        history.point("refs/heads/main", "2");
        for (base, head, status) in [
            ("1", "2", Some("ahead")),
            ("2", "1", Some("behind")),
            ("2", "3", Some("diverged")),
            ("2", "main", Some("identical")),
            ("2", "4", None),
        ] {
            assert_eq!(history.compared(base, head), status, "{base} {head}");
        }
        assert_eq!(
            (history.head("heads/main").unwrap()["sha"].as_str(), history.head("heads/x")),
            (Some("2"), None)
        );
        assert_eq!(history.matching("heads/m").unwrap().as_array().unwrap().len(), 1);
    }
}
