//! What is wrong with the inputs, collected; it decides nothing.

use crate::error::{WithExit, exit, with_hint, with_see};
use crate::page::RefusalPage;
use crate::text::lists;

/// Collects what is wrong, so that a user mends everything in one go.
#[derive(Default)]
pub(super) struct InputProblems {
    pub(super) said: Vec<String>,
    /// Each with the place of what it mends.
    hints: Vec<(usize, String)>,
    /// The heading of `docs/troubleshooting.md` for one that stands alone.
    page: Option<RefusalPage>,
}

impl InputProblems {
    pub(super) fn say(&mut self, input: &str, what: impl std::fmt::Display) {
        self.said.push(format!("input `{input}`: {what}"));
    }

    /// Mends what was said last.
    pub(super) fn hint(&mut self, remedy: impl Into<String>) {
        self.hints.push((self.said.len().saturating_sub(1), remedy.into()));
    }

    /// Names the heading of `docs/troubleshooting.md` that is about what was said last.
    pub(super) fn see(&mut self, page: RefusalPage) {
        self.page = Some(page);
    }

    pub(super) fn variable(&mut self, name: &str, what: impl std::fmt::Display) {
        self.said.push(format!("environment variable `{name}`: {what}"));
    }

    /// All of them as one error.
    pub(super) fn into_result(self) -> anyhow::Result<()> {
        let message = match self.said.as_slice() {
            [] => return Ok(()),
            [only] => {
                let error = WithExit { code: exit::BAD_INPUT, message: only.clone() }.into();
                let hints = self.hints.into_iter().rev();
                let error = hints.fold(error, |error, (_, hint)| with_hint(error, hint));
                return Err(self.page.into_iter().fold(error, with_see));
            }
            several => several.iter().enumerate().fold(
                format!("{} inputs are wrong:", several.len()),
                |text, (at, said)| {
                    let hints = self
                        .hints
                        .iter()
                        .filter(|(of, _)| *of == at)
                        .map(|(_, hint)| format!("\n      hint: {hint}"));
                    format!("{text}\n  {said}{}", hints.collect::<String>())
                },
            ),
        };
        Err(WithExit { code: exit::BAD_INPUT, message }.into())
    }

    pub(super) fn each<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        input: &str,
        texts: &[String],
    ) -> Vec<T> {
        let mut values = Vec::new();
        for text in texts {
            match text.parse() {
                Ok(value) => values.push(value),
                Err(error) => self.say(input, error),
            }
        }
        values
    }

    /// As `each`, for a list that may not be empty.
    pub(super) fn some<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        input: &str,
        text: &str,
    ) -> Vec<T> {
        let words = lists::words(text);
        if words.is_empty() {
            self.say(input, format_args!("`{}` lists nothing", text.trim()));
        }
        self.each(input, &words)
    }

    pub(super) fn switch(&mut self, input: &str, text: Option<&str>, default: bool) -> bool {
        text.map_or(default, |text| {
            lists::boolean(text).unwrap_or_else(|| {
                self.say(input, format_args!("`{text}` is neither `true` nor `false`"));
                default
            })
        })
    }
}
