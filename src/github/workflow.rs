//! What a step says to its runner: masks, groups, annotations, outputs. It never decides what is
//! said.
//!
//! Reference: <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>.

use std::collections::hash_map::RandomState;
use std::fs::OpenOptions;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Write};
use std::path::Path;

/// `::add-mask::` for a line of a secret: the runner replaces it in every log from here on.
pub fn mask(secret: &str) -> String {
    format!("::add-mask::{}", escape_data(secret))
}

/// `::group::`, under which the lines up to `END_GROUP` are folded.
pub fn group(name: &str) -> String {
    format!("::group::{}", escape_data(name))
}

pub const END_GROUP: &str = "::endgroup::";

/// `::error title=…::message`.
pub fn annotation(level: &str, title: &str, message: &str) -> String {
    format!("::{level} title={}::{}", escape_property(title), escape_data(message))
}

fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Appends one output to the file that `GITHUB_OUTPUT` names. The delimiter is random, so that no
/// value can end its own block and set another output.
pub fn write_output(file: &Path, name: &str, value: &str) -> io::Result<()> {
    let mut delimiter = random_delimiter();
    while value.contains(&delimiter) {
        delimiter = random_delimiter();
    }
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    write!(file, "{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

fn random_delimiter() -> String {
    // `RandomState` is seeded by the operating system; two of them make 128 bits.
    let word = || RandomState::new().build_hasher().finish();
    format!("ghadelimiter_{:016x}{:016x}", word(), word())
}

/// Appends an image to the file that `GITHUB_ARTIFACTS` names, a line of `oci://name@digest`.
pub fn append_artifact(file: &Path, image: &str) -> io::Result<()> {
    writeln!(OpenOptions::new().create(true).append(true).open(file)?, "oci://{image}")
}

/// Appends Markdown to the job summary that `GITHUB_STEP_SUMMARY` names.
pub fn append_summary(file: &Path, markdown: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(file)?.write_all(markdown.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_set_another_output() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write_output(file.path(), "tags", "a\nEOF\ndigest=evil").unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let delimiter = text.lines().next().unwrap().strip_prefix("tags<<").unwrap();
        assert_eq!(text, format!("tags<<{delimiter}\na\nEOF\ndigest=evil\n{delimiter}\n"));
        assert_eq!(text.matches(delimiter).count(), 2);
    }

    #[test]
    fn a_secret_reaches_the_runner_as_it_is() {
        assert_eq!(mask("100%::x"), "::add-mask::100%25::x");
    }

    #[test]
    fn annotations_stay_on_one_line() {
        assert_eq!(annotation("error", "a: b, c", "x\ny"), "::error title=a%3A b%2C c::x%0Ay");
    }
}
