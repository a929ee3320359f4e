//! What is wrong with the inputs, collected; it decides nothing.

use super::lists;
use crate::error::{WithExit, exit, with_hint};

/// Collects what is wrong, so that a user mends everything in one go.
#[derive(Default)]
pub(super) struct Problems {
    pub(super) said: Vec<String>,
    hints: Vec<String>,
}

impl Problems {
    pub(super) fn say(&mut self, input: &str, what: impl std::fmt::Display) {
        self.said.push(format!("input `{input}`: {what}"));
    }

    pub(super) fn hint(&mut self, remedy: impl Into<String>) {
        self.hints.push(remedy.into());
    }

    pub(super) fn variable(&mut self, name: &str, what: impl std::fmt::Display) {
        self.said.push(format!("environment variable `{name}`: {what}"));
    }

    /// All of them as one error.
    pub(super) fn into_result(self) -> anyhow::Result<()> {
        let message = match self.said.as_slice() {
            [] => return Ok(()),
            [only] => only.clone(),
            several => format!("{} inputs are wrong:\n  {}", several.len(), several.join("\n  ")),
        };
        let error = WithExit { code: exit::BAD_INPUT, message }.into();
        Err(self.hints.into_iter().rev().fold(error, with_hint))
    }

    pub(super) fn each<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, input: &str, texts: &[String]) -> Vec<T> {
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
    pub(super) fn some<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, input: &str, text: &str) -> Vec<T> {
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
