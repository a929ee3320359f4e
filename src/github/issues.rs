//! The issue that a scan keeps up to date: found, opened, changed, closed. It never touches an issue
//! that somebody without a role in the repository wrote, whatever that says.
//!
//! Reference: <https://docs.github.com/rest/issues/issues>.

use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, ApiRefusal};

/// Of a list of issues.
const PAGES: usize = 10;
/// Who may have written the issue that is kept up to date, beside programs.
const TRUSTED: [&str; 3] = ["OWNER", "MEMBER", "COLLABORATOR"];

/// An open issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIssue {
    pub number: u64,
    pub body: String,
}

/// Why GitHub does not take it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("GitHub does not accept the issue: {said}")]
pub struct IssueRefusal {
    is_forbidden: bool,
    said: String,
}

impl IssueRefusal {
    fn of(refusal: ApiRefusal) -> Self {
        Self { is_forbidden: [403, 404].contains(&refusal.status), said: refusal.said }
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        self.is_forbidden.then_some(
            "add \"permissions: issues: write\", and see that issues are on in this repository",
        )
    }
}

impl Api {
    /// The open issue whose text has this mark, the oldest of several.
    ///
    /// # Errors
    /// Why nobody knows.
    pub async fn issue_with(&self, mark: &str) -> Result<Option<OpenIssue>, IssueRefusal> {
        for page in 1..=PAGES {
            let path =
                format!("/issues?state=open&sort=created&direction=asc&per_page=100&page={page}");
            let answer = self
                .answered(Method::GET, &self.of_repository(&path), None)
                .await
                .map_err(IssueRefusal::of)?;
            let Some(listed) = answer.as_array() else {
                let said = "its answer is not a list of issues".to_owned();
                return Err(IssueRefusal { is_forbidden: false, said });
            };
            if let Some(found) = listed.iter().find_map(|issue| trusted(issue, mark)) {
                return Ok(Some(found));
            }
            if listed.len() < 100 {
                return Ok(None);
            }
        }
        let said = format!("it has more than {} open issues", PAGES * 100);
        Err(IssueRefusal { is_forbidden: false, said })
    }

    /// Opens one; its number.
    ///
    /// # Errors
    /// Why GitHub does not take it.
    pub async fn open_issue(&self, title: &str, body: &str) -> Result<u64, IssueRefusal> {
        let issue = json!({ "title": title, "body": body });
        let answer = self
            .answered(Method::POST, &self.of_repository("/issues"), Some(&issue))
            .await
            .map_err(IssueRefusal::of)?;
        answer["number"].as_u64().ok_or_else(|| IssueRefusal {
            is_forbidden: false,
            said: "its answer has no number of the issue".to_owned(),
        })
    }

    /// Changes its text, or closes it.
    ///
    /// # Errors
    /// Why GitHub does not take it.
    pub async fn change_issue(&self, number: u64, change: &Value) -> Result<(), IssueRefusal> {
        let route = self.of_repository(&format!("/issues/{number}"));
        let changed = self.answered(Method::PATCH, &route, Some(change)).await;
        changed.map(drop).map_err(IssueRefusal::of)
    }

    /// Adds a comment, which tells those who watch it.
    ///
    /// # Errors
    /// Why GitHub does not take it.
    pub async fn comment(&self, number: u64, body: &str) -> Result<(), IssueRefusal> {
        let route = self.of_repository(&format!("/issues/{number}/comments"));
        let comment = json!({ "body": body });
        let added = self.answered(Method::POST, &route, Some(&comment)).await;
        added.map(drop).map_err(IssueRefusal::of)
    }
}

/// An issue with the mark, by a program or somebody with a role here: anybody may write a mark.
fn trusted(issue: &Value, mark: &str) -> Option<OpenIssue> {
    let body = issue["body"].as_str().filter(|body| body.contains(mark))?;
    let is_ours = issue["user"]["type"] == "Bot"
        || issue["author_association"].as_str().is_some_and(|role| TRUSTED.contains(&role));
    let is_issue = issue.get("pull_request").is_none();
    let number = issue["number"].as_u64().filter(|_| is_ours && is_issue)?;
    Some(OpenIssue { number, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issue_of_a_stranger_is_none_of_ours() {
        let issue = |user: &str, role: &str| json!({ "number": 7, "body": "x <!-- mark --> y", "user": { "type": user }, "author_association": role });
        let found = |issue: &Value| trusted(issue, "<!-- mark -->").map(|issue| issue.number);
        assert_eq!(found(&issue("Bot", "NONE")), Some(7));
        for role in TRUSTED {
            assert_eq!(found(&issue("User", role)), Some(7), "{role}");
        }
        for role in ["NONE", "CONTRIBUTOR", "FIRST_TIMER", "MANNEQUIN"] {
            assert_eq!(found(&issue("User", role)), None, "{role}");
        }
        let mut request = issue("Bot", "NONE");
        request["pull_request"] = json!({});
        assert_eq!(found(&request), None);
        assert_eq!(trusted(&issue("Bot", "NONE"), "<!-- other -->"), None);
    }
}
