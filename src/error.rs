//! How a failure is told: consequence, causes, remedy, exit code. It never decides what is a
//! failure.

use std::fmt;

use crate::page::RefusalPage;

/// Exit codes, as `--help` lists them.
pub mod exit {
    pub const FAILED: u8 = 1;
    pub const BAD_INPUT: u8 = 2;
    pub const PARTLY_PUBLISHED: u8 = 3;
    /// Of `verify`: what would have to be known could not be found out.
    pub const UNKNOWN: u8 = 4;
    /// 128 + SIGINT and 128 + SIGTERM, as shells report them.
    pub const INTERRUPTED: u8 = 130;
    pub const TERMINATED: u8 = 143;
}

/// What a failure comes to, for who reads it first; attached to an error as its outermost context.
/// No tag was set or moved in any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    NothingBuilt,
    NothingMerged,
    NothingTagged,
}

impl fmt::Display for Consequence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NothingBuilt => "nothing was built",
            Self::NothingMerged => "nothing was merged",
            Self::NothingTagged => "nothing was tagged",
        })
    }
}

/// What a failure comes to, where it says so.
pub fn consequence(error: &anyhow::Error) -> Option<Consequence> {
    error.downcast_ref().copied()
}

/// What to do about it; attached to an error as context and rendered as `hint: …`.
#[derive(Debug)]
struct Hint(String);

impl fmt::Display for Hint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{MARK}{}", self.0)
    }
}

const MARK: &str = "hint: ";

/// Which heading of `docs/troubleshooting.md` is about it; attached as context, rendered as its
/// address.
#[derive(Debug)]
struct PageOfRefusal(RefusalPage);

impl fmt::Display for PageOfRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SEE}{}", self.0.address())
    }
}

const SEE: &str = "see: ";

/// Adds a remedy to a failure.
pub trait Remedy<T> {
    fn hint(self, remedy: impl Into<String>) -> anyhow::Result<T>;
    /// Names the heading of `docs/troubleshooting.md` that is about it.
    fn see(self, page: RefusalPage) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Remedy<T> for Result<T, E> {
    fn hint(self, remedy: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| with_hint(error.into(), remedy))
    }

    fn see(self, page: RefusalPage) -> anyhow::Result<T> {
        self.map_err(|error| with_see(error.into(), page))
    }
}

/// Adds a remedy to an error at hand.
pub fn with_hint(error: anyhow::Error, remedy: impl Into<String>) -> anyhow::Error {
    error.context(Hint(remedy.into()))
}

/// Adds a heading of `docs/troubleshooting.md` to an error at hand.
pub fn with_see(error: anyhow::Error, page: RefusalPage) -> anyhow::Error {
    error.context(PageOfRefusal(page))
}

/// An error of a module that knows remedies for its own situations.
pub trait Remedied: std::error::Error + Send + Sync + 'static {
    fn remedy(&self) -> Option<String>;

    /// The heading of `docs/troubleshooting.md` that is about it.
    fn see(&self) -> Option<RefusalPage> {
        None
    }
}

/// Attaches `Remedied::remedy` where an error leaves the outside for a stage.
pub trait OrRemedy<T> {
    fn remedied(self) -> anyhow::Result<T>;
}

impl<T, E: Remedied> OrRemedy<T> for Result<T, E> {
    fn remedied(self) -> anyhow::Result<T> {
        self.map_err(remedied)
    }
}

/// As `OrRemedy`, for an error at hand.
pub fn remedied(error: impl Remedied) -> anyhow::Error {
    let (remedy, page) = (error.remedy(), error.see());
    let error = remedy.into_iter().fold(anyhow::Error::new(error), with_hint);
    page.into_iter().fold(error, with_see)
}

/// An error that knows the exit code it deserves; anything else exits with 1.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct WithExit {
    pub code: u8,
    pub message: String,
}

/// Several failures at once. Each keeps its remedies: they stand under it, in their order.
#[derive(Debug)]
pub struct SeveralFailures(Vec<anyhow::Error>);

impl SeveralFailures {
    /// The failures, those of a list among them one by one.
    pub fn of(errors: Vec<anyhow::Error>) -> Self {
        Self(
            errors
                .into_iter()
                .flat_map(|error| {
                    error.downcast::<Self>().map_or_else(|error| vec![error], |list| list.0)
                })
                .collect(),
        )
    }

    pub fn each(&self) -> &[anyhow::Error] {
        &self.0
    }
}

impl std::error::Error for SeveralFailures {}

impl fmt::Display for SeveralFailures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} problems:", self.0.len())?;
        for (at, error) in self.0.iter().enumerate() {
            write!(formatter, "\n  ({}) {}", at + 1, below(&message(error)))?;
            hints(error)
                .iter()
                .try_for_each(|hint| write!(formatter, "\n      {MARK}{}", below(hint)))?;
            see(error).iter().try_for_each(|page| write!(formatter, "\n      {SEE}{page}"))?;
        }
        Ok(())
    }
}

/// The lines that go on, further in.
fn below(text: &str) -> String {
    text.replace("\n  ", "\n      ")
}

/// The exit code of a failure; of several, the one that all of them have.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(several) = error.downcast_ref::<SeveralFailures>() {
        let mut codes = several.each().iter().map(exit_code);
        let first = codes.next().unwrap_or(exit::FAILED);
        return if codes.all(|code| code == first) { first } else { exit::FAILED };
    }
    error.downcast_ref::<WithExit>().map_or(exit::FAILED, |known| known.code)
}

/// The message of a failure: its chain on one line, most general first.
pub fn message(error: &anyhow::Error) -> String {
    let mut links: Vec<String> = Vec::new();
    let is_said = |link: &String| !link.starts_with(MARK) && !link.starts_with(SEE);
    for link in error.chain().map(ToString::to_string).filter(is_said) {
        // Some libraries paste their cause into their own text; say it once.
        if !links.iter().any(|said| said.contains(&link)) {
            links.push(link);
        }
    }
    links.join(": ")
}

/// The page that is about a failure, or about what caused it.
pub fn see(error: &anyhow::Error) -> Option<String> {
    let headings = error.chain().map(ToString::to_string);
    headings.filter_map(|link| link.strip_prefix(SEE).map(str::to_owned)).last()
}

/// The remedies of a failure, nearest to the cause first.
pub fn hints(error: &anyhow::Error) -> Vec<String> {
    let mut hints: Vec<String> = Vec::new();
    for link in error.chain() {
        if let Some(hint) = link.to_string().strip_prefix(MARK)
            && !hints.iter().any(|said| said == hint)
        {
            hints.push(hint.to_owned());
        }
    }
    hints.reverse();
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn a_failure_reads_consequence_cause_remedy() {
        let error = Err::<(), _>(anyhow!("`GET /v2/` answered 503"))
            .hint("try again later")
            .context("the registry did not answer")
            .context(Consequence::NothingTagged)
            .unwrap_err();
        assert_eq!(consequence(&error), Some(Consequence::NothingTagged));
        assert_eq!(consequence(&anyhow!("nothing was tagged: x")), None);
        assert_eq!(
            message(&error),
            "nothing was tagged: the registry did not answer: `GET /v2/` answered 503"
        );
        assert_eq!(hints(&error), ["try again later"]);
        assert_eq!(exit_code(&error), exit::FAILED);
    }

    #[test]
    fn of_several_failures_each_has_its_own_remedies_below_it() {
        let one = Err::<(), _>(anyhow!("the tail:\n  one\n  two"))
            .hint("second")
            .hint("first")
            .unwrap_err();
        let two = Err::<(), _>(anyhow!("no push")).hint("log in").unwrap_err();
        let inner = anyhow::Error::new(SeveralFailures::of(vec![one, two]));
        let error = anyhow::Error::new(SeveralFailures::of(vec![inner, anyhow!("no `id-token`")]))
            .context("nothing was tagged");
        assert_eq!(
            message(&error),
            "nothing was tagged: 3 problems:\n  (1) the tail:\n      one\n      two\n      hint: second\n      hint: first\n  \
             (2) no push\n      hint: log in\n  (3) no `id-token`"
        );
        assert_eq!(hints(&error), Vec::<String>::new());
        assert_eq!(
            error.downcast_ref::<SeveralFailures>().map(|several| several.each().len()),
            Some(3)
        );
    }

    #[test]
    fn several_failures_have_an_exit_code_of_their_own_only_together() {
        let of = |codes: &[u8]| {
            let errors = codes
                .iter()
                .map(|code| anyhow::Error::new(WithExit { code: *code, message: "x".to_owned() }));
            let several = anyhow::Error::new(SeveralFailures::of(errors.collect()));
            exit_code(&several.context("nothing was tagged"))
        };
        assert_eq!(of(&[exit::UNKNOWN, exit::UNKNOWN]), exit::UNKNOWN);
        assert_eq!(of(&[exit::UNKNOWN, exit::BAD_INPUT]), exit::FAILED);
    }

    #[test]
    fn the_exit_code_survives_context() {
        let error = anyhow::Error::new(WithExit { code: exit::BAD_INPUT, message: "bad".into() })
            .context("nothing was built");
        assert_eq!(exit_code(&error), exit::BAD_INPUT);
    }
}
