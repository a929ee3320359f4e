//! What a tag points to, and what this run would set it on → whether it moves. A floating tag
//! moves only forward, compared with what it stands on now and with nothing else, so that a
//! rollback by hand holds. Pure.

use std::cmp::Ordering;

use crate::image::Tag;
use crate::metadata::line::{LineVersion, ReleaseLine, Scheme};
use crate::metadata::sanitised;
use crate::verify::standing::RunStanding;

/// What would get the name.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    pub line: &'a ReleaseLine,
    pub commit: &'a str,
    pub git_ref: &'a str,
    /// The branch gives its name because nobody wrote `tags`, and it is not the default branch.
    pub branch_by_default: bool,
}

/// What a name stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandingName {
    Nothing,
    /// An image without evidence of a run of this repository.
    Foreign,
    /// By each run that signed it; never empty.
    Ours(Vec<RunStanding>),
    /// Why it could not be read.
    Unread(String),
}

/// Whether a name moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardVerdict {
    Moves,
    /// It moves, and why that is worth a word.
    MovesWith(String),
    /// It stays where it is, and why.
    Stays(String),
}

/// What must be asked of the history before a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HistoryQuestion {
    /// The commit that the name stands on.
    pub from: String,
    /// The ref whose present head may have the name, whatever it stands on: after a force-push.
    pub head_of: Option<String>,
}

/// What the history says; `None` where nobody could.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NameHistory {
    /// Whether this run's commit descends from the one that the name stands on.
    pub descends: Option<bool>,
    /// Whether this run's commit is the present head of the ref.
    pub is_head: Option<bool>,
}

/// A verdict, or what it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weighed {
    Verdict(ForwardVerdict),
    Asks(HistoryQuestion),
}

/// Weighs one name against one run that signed what it stands on.
pub fn weigh(tag: &Tag, candidate: &Candidate<'_>, told: &RunStanding) -> Weighed {
    let stays = |why: String| Weighed::Verdict(ForwardVerdict::Stays(why));
    let moves = Weighed::Verdict(ForwardVerdict::Moves);
    let line = candidate.line;
    if *line == ReleaseLine::Free {
        return moves;
    }
    if let Some(git_tag) = git_tag(told)
        .filter(|git_tag| candidate.branch_by_default && names_release(tag, git_tag, told))
    {
        return stays(format!(
            "it is a tag of release `{}`, which a branch never takes by itself",
            sanitised(git_tag)
        ));
    }
    let is_latest = matches!(line, ReleaseLine::Latest(_));
    if let Some(ours) = line.version()
        && let Some(theirs) = version_beside(told, tag, ours)
        && let Some(order) = ours.compare(&theirs)
    {
        match (order, is_latest, ours.is_stable(), theirs.is_stable()) {
            (_, true, false, true) => {
                return stays(format!(
                    "it points to version `{theirs}`, and `{ours}` is a prerelease"
                ));
            }
            (_, true, true, false) | (Ordering::Greater, ..) => return moves,
            (Ordering::Less, ..) => {
                return stays(format!("it points to version `{theirs}`, and this is `{ours}`"));
            }
            (Ordering::Equal, ..) => {}
        }
    }
    match &told.commit {
        Some(commit) if commit == candidate.commit => moves,
        None => stays("its image names no commit to compare with".to_owned()),
        Some(commit) => {
            let is_own = matches!(line, ReleaseLine::Ref(_))
                || told.git_ref.as_deref() == Some(candidate.git_ref);
            Weighed::Asks(HistoryQuestion {
                from: commit.clone(),
                head_of: is_own.then(|| candidate.git_ref.to_owned()),
            })
        }
    }
}

/// Whether a name was given by the release of a Git tag.
fn names_release(tag: &Tag, git_tag: &str, told: &RunStanding) -> bool {
    sanitised(git_tag) == tag.as_str()
        || told.versions.contains_key(tag.as_str())
        || LineVersion::read(git_tag, Scheme::Any).is_some()
}

/// What the answer of the history comes to.
pub fn settle(
    question: &HistoryQuestion,
    candidate: &Candidate<'_>,
    history: NameHistory,
) -> ForwardVerdict {
    let shown = |commit: &str| commit.chars().take(12).collect::<String>();
    let (from, ours) = (shown(&question.from), shown(candidate.commit));
    let asked_head = question.head_of.is_some();
    match (history.descends, history.is_head) {
        (Some(true), _) => ForwardVerdict::Moves,
        (_, Some(true)) if asked_head => ForwardVerdict::Moves,
        (None, _) => ForwardVerdict::Stays(format!(
            "it points to commit `{from}`, and neither GitHub nor the checkout says whether `{ours}` comes after it"
        )),
        (Some(false), None) if asked_head => ForwardVerdict::Stays(format!(
            "it points to commit `{from}`, which `{ours}` does not come after, and GitHub does not say what `{}` is now",
            candidate.git_ref.replace('`', "'")
        )),
        (Some(false), _) => ForwardVerdict::Stays(format!(
            "it points to commit `{from}`, which `{ours}` does not come after"
        )),
    }
}

/// What a name does that stands on nothing that can be compared; `None` where it can.
pub fn without_comparison(line: &ReleaseLine, stands: &StandingName) -> Option<ForwardVerdict> {
    match (line, stands) {
        (ReleaseLine::Free, _) | (_, StandingName::Nothing) => Some(ForwardVerdict::Moves),
        (_, StandingName::Foreign) => Some(ForwardVerdict::MovesWith(
            "it points to an image without evidence of this repository, so nothing is compared"
                .to_owned(),
        )),
        (_, StandingName::Unread(why)) => {
            Some(ForwardVerdict::Stays(format!("its image cannot be compared: {why}")))
        }
        (_, StandingName::Ours(_)) => None,
    }
}

/// The verdict of several runs that signed one image: it moves where it may by each.
pub fn all(verdicts: impl IntoIterator<Item = ForwardVerdict>) -> ForwardVerdict {
    let rank = |verdict: &ForwardVerdict| match verdict {
        ForwardVerdict::Moves => 0,
        ForwardVerdict::MovesWith(_) => 1,
        ForwardVerdict::Stays(_) => 2,
    };
    verdicts.into_iter().fold(ForwardVerdict::Moves, |worst, next| {
        if rank(&next) > rank(&worst) { next } else { worst }
    })
}

/// What becomes of a verdict where the user insists.
pub fn insisted(verdict: ForwardVerdict) -> ForwardVerdict {
    match verdict {
        ForwardVerdict::Stays(why) => {
            ForwardVerdict::MovesWith(format!("{why}, and `on-tag-conflict: overwrite` insists"))
        }
        other => other,
    }
}

fn git_tag(told: &RunStanding) -> Option<&str> {
    told.git_ref.as_deref()?.strip_prefix("refs/tags/")
}

/// The version that an image has under this name, or as one of the same thing: by what its run
/// signed, else by its Git tag.
fn version_beside(told: &RunStanding, tag: &Tag, ours: &LineVersion) -> Option<LineVersion> {
    let named = told.versions.get(tag.as_str()).filter(|theirs| theirs.is_beside(ours));
    let others = || told.versions.values().filter(|theirs| theirs.is_beside(ours));
    let highest = || others().max_by(|one, other| one.compare(other).unwrap_or(Ordering::Equal));
    let signed = named.or_else(highest).cloned();
    signed.or_else(|| {
        LineVersion::read(git_tag(told)?, Scheme::Any).filter(|theirs| theirs.is_beside(ours))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SILENT: NameHistory = NameHistory { descends: None, is_head: None };
    const AFTER: NameHistory = NameHistory { descends: Some(true), is_head: None };
    const APART: NameHistory = NameHistory { descends: Some(false), is_head: Some(false) };
    const HEAD: NameHistory = NameHistory { descends: Some(false), is_head: Some(true) };
    const LOST_HEAD: NameHistory = NameHistory { descends: None, is_head: Some(true) };
    const NO_HEAD: NameHistory = NameHistory { descends: Some(false), is_head: None };

    fn version(text: &str) -> LineVersion {
        LineVersion::read(text, Scheme::Any).unwrap()
    }

    fn line(text: &str) -> ReleaseLine {
        ReleaseLine::Version { version: version(text), whole: false }
    }

    fn python(text: &str) -> ReleaseLine {
        ReleaseLine::Version {
            version: LineVersion::read(text, Scheme::Pep440).unwrap(),
            whole: false,
        }
    }

    fn told(git_ref: &str, commit: &str) -> RunStanding {
        RunStanding {
            commit: Some(commit.to_owned()),
            git_ref: Some(git_ref.to_owned()),
            ..RunStanding::default()
        }
    }

    /// `+` moves, `-` stays.
    fn verdict(
        tag: &str,
        line: &ReleaseLine,
        git_ref: &str,
        told: &RunStanding,
        history: NameHistory,
    ) -> char {
        let candidate = Candidate { line, commit: "ours", git_ref, branch_by_default: false };
        outcome(tag, &candidate, told, history)
    }

    fn outcome(
        tag: &str,
        candidate: &Candidate<'_>,
        told: &RunStanding,
        history: NameHistory,
    ) -> char {
        let verdict = match weigh(&tag.parse().unwrap(), candidate, told) {
            Weighed::Verdict(verdict) => verdict,
            Weighed::Asks(question) => settle(&question, candidate, history),
        };
        match verdict {
            ForwardVerdict::Stays(_) => '-',
            _ => '+',
        }
    }

    #[test]
    fn a_line_of_versions_moves_to_a_higher_one() {
        let latest = |text: &str| ReleaseLine::Latest(Some(version(text)));
        for (name, ours, stands_on, expected) in [
            ("v1", line("v1.2.3"), "v1.3.0", '-'),
            ("v1", line("v1.4.0"), "v1.3.0", '+'),
            ("v1", line("v1.10.0"), "v1.9.0", '+'),
            ("1", line("1.2.4"), "1.3.0", '-'),
            ("v1.2", line("v1.2.4"), "v1.2.3", '+'),
            ("v1.2", line("v1.2.3"), "v1.2.4", '-'),
            ("1.2-alpine", line("v1.2.4"), "v1.2.3", '+'),
            ("1.2-alpine", line("v1.2.2"), "v1.2.3", '-'),
            ("web-2", line("web/v2.1.0"), "web/v2.2.0", '-'),
            ("web-2", line("web/v2.3.0"), "web/v2.2.0", '+'),
            ("v1", line("1.2.3"), "v1.3.0", '-'),
            ("v1", line("v1.3.0+b2"), "v1.2.0+b9", '+'),
            ("2024", line("2024.1"), "2023.12", '+'),
            ("2024", line("2024.1.5"), "2024.01.15", '-'),
            ("v1", line("v1.2.3-rc.1"), "v1.2.3", '-'),
            ("v1", line("v1.2.3"), "v1.2.3-rc.1", '+'),
            ("1", python("1.2.post1"), "1.2", '+'),
            ("1", python("1.2rc1"), "1.2", '-'),
            ("nightly", line("20240115"), "20240114", '+'),
            ("latest", latest("v2.0.0"), "v1.9.9", '+'),
            ("latest", latest("v1.2.4"), "v2.0.0", '-'),
            ("latest", latest("v1.2.4"), "v1.2.3", '+'),
            ("latest", latest("v2.0.0-rc.1"), "v1.2.3", '-'),
            ("latest", latest("v2.0.0-rc.2"), "v2.0.0-rc.1", '+'),
            ("latest", latest("v1.2.3"), "v2.0.0-rc.1", '+'),
            ("latest", latest("web/v9.0.0"), "api/v1.0.0", '-'),
            ("latest-alpine", latest("v1.2.4"), "v1.3.0", '-'),
        ] {
            let stands = told(&format!("refs/tags/{stands_on}"), "theirs");
            assert_eq!(
                verdict(name, &ours, "refs/tags/x", &stands, SILENT),
                expected,
                "{name} {ours:?} {stands_on}"
            );
            // What the run signed of its names counts before its Git tag, and without one.
            let versions = BTreeMap::from([(name.to_owned(), version(stands_on))]);
            for git_ref in ["refs/heads/main", "refs/tags/v99.0.0"] {
                let signed = RunStanding { versions: versions.clone(), ..told(git_ref, "theirs") };
                assert_eq!(
                    verdict(name, &ours, "refs/tags/x", &signed, SILENT),
                    expected,
                    "{name} {ours:?} {stands_on} {git_ref}"
                );
            }
        }
    }

    #[test]
    fn one_version_of_two_commits_goes_by_their_order() {
        let (ours, stands) = (line("v1.2.3"), told("refs/tags/v1.2.3", "theirs"));
        for (history, expected) in [(AFTER, '+'), (APART, '-'), (SILENT, '-')] {
            assert_eq!(
                verdict("v1", &ours, "refs/tags/v1.2.3", &stands, history),
                expected,
                "{history:?}"
            );
        }
        assert_eq!(
            verdict("v1", &ours, "refs/tags/v1.2.3", &told("refs/tags/v1.2.3", "ours"), SILENT),
            '+'
        );
        // The same commit may have two versions; then they count.
        assert_eq!(
            verdict("v1", &ours, "refs/tags/v1.2.3", &told("refs/tags/v1.3.0", "ours"), AFTER),
            '-'
        );
    }

    #[test]
    fn a_branch_moves_its_names_to_a_descendant_or_to_its_present_head() {
        let main = "refs/heads/main";
        for of in [ReleaseLine::Ref(main.to_owned()), ReleaseLine::Latest(None)] {
            for (git_ref, commit, history, expected) in [
                (main, "ours", SILENT, '+'),
                (main, "theirs", AFTER, '+'),
                (main, "theirs", APART, '-'),
                (main, "theirs", HEAD, '+'),
                (main, "theirs", LOST_HEAD, '+'),
                (main, "theirs", NO_HEAD, '-'),
                (main, "theirs", SILENT, '-'),
                ("refs/tags/v1.2.3", "theirs", AFTER, '+'),
                ("refs/tags/v1.2.3", "theirs", APART, '-'),
                ("refs/tags/v1.2.3", "theirs", SILENT, '-'),
            ] {
                assert_eq!(
                    verdict("main", &of, main, &told(git_ref, commit), history),
                    expected,
                    "{of:?} {git_ref} {commit} {history:?}"
                );
            }
        }
        // A version stands there, and this is no version: the head alone is no reason.
        assert_eq!(
            verdict(
                "latest",
                &ReleaseLine::Latest(None),
                main,
                &told("refs/tags/v1.2.3", "theirs"),
                HEAD
            ),
            '-'
        );
        // And the other way round.
        let latest = ReleaseLine::Latest(Some(version("v1.3.0")));
        for (history, expected) in [(AFTER, '+'), (APART, '-'), (SILENT, '-')] {
            assert_eq!(
                verdict("latest", &latest, "refs/tags/v1.3.0", &told(main, "theirs"), history),
                expected
            );
        }
        assert_eq!(
            verdict(
                "main",
                &ReleaseLine::Ref(main.to_owned()),
                main,
                &RunStanding::default(),
                AFTER
            ),
            '-',
            "nothing tells the commit"
        );
        assert_eq!(verdict("main", &ReleaseLine::Free, main, &told(main, "theirs"), APART), '+');
    }

    #[test]
    fn a_branch_takes_no_release_name_by_itself() {
        let branch = ReleaseLine::Ref("refs/heads/v1".to_owned());
        let by_default = Candidate {
            line: &branch,
            commit: "ours",
            git_ref: "refs/heads/v1",
            branch_by_default: true,
        };
        let signed = RunStanding {
            versions: BTreeMap::from([("v1".to_owned(), version("1.2.3"))]),
            ..told("refs/tags/x", "theirs")
        };
        for stands in [told("refs/tags/v1.2.3", "theirs"), told("refs/tags/v1", "theirs"), signed] {
            assert_eq!(outcome("v1", &by_default, &stands, AFTER), '-', "{stands:?}");
            let asked_for = Candidate { branch_by_default: false, ..by_default.clone() };
            assert_eq!(outcome("v1", &asked_for, &stands, AFTER), '+', "{stands:?}");
        }
        assert_eq!(outcome("v1", &by_default, &told("refs/heads/v1", "theirs"), AFTER), '+');
    }

    #[test]
    fn what_cannot_be_compared_stays_and_what_is_not_ours_moves_with_a_word() {
        let of = ReleaseLine::Ref("refs/heads/main".to_owned());
        assert_eq!(without_comparison(&of, &StandingName::Nothing), Some(ForwardVerdict::Moves));
        assert!(matches!(
            without_comparison(&of, &StandingName::Foreign),
            Some(ForwardVerdict::MovesWith(_))
        ));
        let unread = StandingName::Unread("x".into());
        assert!(
            matches!(without_comparison(&of, &unread), Some(ForwardVerdict::Stays(why)) if why.ends_with(": x"))
        );
        assert_eq!(without_comparison(&ReleaseLine::Free, &unread), Some(ForwardVerdict::Moves));
        assert_eq!(
            without_comparison(&of, &StandingName::Ours(vec![RunStanding::default()])),
            None
        );
        let stays = ForwardVerdict::Stays("x".into());
        assert_eq!(
            all([ForwardVerdict::Moves, stays.clone(), ForwardVerdict::MovesWith("y".into())]),
            stays
        );
        assert!(
            matches!(insisted(stays), ForwardVerdict::MovesWith(why) if why.contains("`on-tag-conflict: overwrite` insists"))
        );
    }
}
