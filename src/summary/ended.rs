//! How a run ended that published nothing → its job summary: built only, pushed by digest, checked,
//! or failed, and then what stands in the registry. Pure. It lets no text of others become
//! Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use super::markdown::{code, fenced, plain, times};
use crate::error::{self, Consequence, SeveralFailures};
use crate::report::text::visible;
use crate::report::{Stage, seconds};

/// What a run did that published nothing.
pub struct EndedRun<'a> {
    pub title: &'a str,
    pub said: &'a str,
    /// Names and values, as they are known.
    pub rows: Vec<(&'a str, String)>,
}

/// The summary of a run that ended well.
pub fn done(done: &EndedRun<'_>, stages: &[Stage], elapsed: Duration) -> String {
    let mut text =
        format!("## {}\n\n{} It took {}.\n\n", done.title, plain(done.said), seconds(elapsed));
    for (at, (name, value)) in done.rows.iter().filter(|(_, value)| !value.is_empty()).enumerate() {
        let rule = if at == 0 { "|---|---|\n" } else { "" };
        // Writing into a string cannot fail.
        let _ = write!(text, "| {} | {} |\n{rule}", plain(name), code(value));
    }
    text.push('\n');
    text + &stages_of(stages)
}

/// The summary of a run that failed. `hidden` takes secrets out of a text.
pub fn failed(
    failure: &anyhow::Error,
    stages: &[Stage],
    stage: Option<&Stage>,
    hidden: &dyn Fn(&str) -> String,
) -> String {
    let message = error::message(failure);
    let (consequence, _) = message.split_once(": ").unwrap_or((&message, ""));
    let is_short = consequence.starts_with("nothing ") && !consequence.contains('\n');
    let title = if is_short { uppercased(consequence) } else { "Failed".to_owned() };
    let mut text = format!("## ❌ {}\n\n", plain(&hidden(&title)));
    if let Some(stage) = stage {
        let _ =
            writeln!(text, "It failed in stage `{}`, after {}.\n", stage.name, seconds(stage.took));
    }
    match failure.downcast_ref::<SeveralFailures>() {
        Some(several) => {
            for (at, error) in several.each().iter().enumerate() {
                text += &problem(&format!("{}. ", at + 1), error, &error::message(error), hidden);
            }
            text.push('\n');
        }
        None => text += &problem("", failure, &message, hidden),
    }
    if let Some(standing) = standing(failure, stages) {
        let _ = writeln!(text, "{standing}\n");
    }
    text + &stages_of(stages)
}

/// What went wrong: the sentence, the lines that go on below it, and then what to do about it.
fn problem(
    mark: &str,
    error: &anyhow::Error,
    message: &str,
    hidden: &dyn Fn(&str) -> String,
) -> String {
    let message = hidden(message);
    let mut lines = message.split("\n  ");
    let indent = " ".repeat(mark.len());
    let mut text = format!("{mark}{}\n", plain(lines.next().unwrap_or_default()));
    let below: String = lines.map(|line| format!("{}\n", visible(line))).collect();
    if !below.is_empty() {
        let _ = writeln!(
            text,
            "\n{indent}{}",
            fenced("text", &below).trim_end().replace('\n', &format!("\n{indent}"))
        );
    }
    for hint in error::hints(error) {
        let _ = writeln!(text, "\n{indent}💡 {}", plain(&hidden(&hint)));
    }
    if let Some(page) = error::see(error) {
        let _ = writeln!(text, "\n{indent}[More about this]({page})");
    }
    if mark.is_empty() {
        text.push('\n');
    }
    text
}

/// What of this run is in the registry, and under which names; what is not known is not said.
fn standing(failure: &anyhow::Error, stages: &[Stage]) -> Option<String> {
    let consequence = error::consequence(failure)?;
    let made = stages.iter().find(|stage| ["build", "merge"].contains(&stage.name));
    Some(match made {
        Some(made) if consequence == Consequence::NothingTagged => format!(
            "In the registry no tag was set or moved. The image is there under its digest alone ({}), and a later run may use it.",
            plain(&made.outcome)
        ),
        _ => "In the registry no tag was set or moved.".to_owned(),
    })
}

fn stages_of(stages: &[Stage]) -> String {
    if stages.is_empty() { String::new() } else { times(stages) }
}

fn uppercased(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Remedy as _, WithExit, exit};
    use anyhow::anyhow;

    fn told(failure: &anyhow::Error, stages: &[Stage]) -> String {
        let stage =
            Stage { name: "build", took: Duration::from_secs(2), outcome: "failed".to_owned() };
        failed(failure, stages, Some(&stage), &|text| text.replace("s3cr3t", "***"))
    }

    fn built() -> Stage {
        Stage {
            name: "build",
            took: Duration::from_secs(1),
            outcome: "sha256:0 for 2 platforms".to_owned(),
        }
    }

    #[test]
    fn a_failed_run_says_what_failed_where_and_what_to_do() {
        let error = Err::<(), _>(anyhow!(
            "the build failed for `linux/arm64` at `Dockerfile:8`: exit code: 9\n  RUN make\n    no <b> s3cr3t ```"
        ));
        let error = error.hint("read *this*").unwrap_err().context(Consequence::NothingTagged);
        let text = told(&error, &[]);
        for part in [
            "## ❌ Nothing was tagged\n\nIt failed in stage `build`, after 2.00 s.\n\n",
            "nothing was tagged\\: the build failed for `linux/arm64` at `Dockerfile:8`\\: exit code\\: 9\n\n",
            "\n````text\nRUN make\n  no <b> *** ```\n````\n",
            "\n💡 read \\*this\\*\n",
            "In the registry no tag was set or moved.\n",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains("under its digest"));
        assert!(
            told(&error, &[built()])
                .contains("is there under its digest alone (sha256\\:0 for 2 platforms)")
        );
    }

    #[test]
    fn several_problems_are_a_list_and_each_hint_stands_under_its_own() {
        let one = Err::<(), _>(anyhow!("no a")).hint("add a").unwrap_err();
        let two = Err::<(), _>(anyhow!("no b\n  below")).hint("add b").unwrap_err();
        let text = told(
            &anyhow::Error::new(SeveralFailures::of(vec![one, two]))
                .context(Consequence::NothingTagged),
            &[],
        );
        assert!(
            text.contains(
                "1. no a\n\n   💡 add a\n2. no b\n\n   ```text\n   below\n   ```\n\n   💡 add b\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_known_of_the_registry_is_not_said() {
        let partly = anyhow::Error::new(WithExit {
            code: exit::PARTLY_PUBLISHED,
            message: "some tags are set: a\n  b".to_owned(),
        });
        let text = told(&partly, &[built()]);
        assert!(text.starts_with("## ❌ Failed\n") && !text.contains("no tag was set"), "{text}");
        for other in [
            "`r.io/a@sha256:0` is not verified: x",
            "nothing was verified: x",
            "the image is published: x",
        ] {
            assert!(!told(&anyhow!(other), &[]).contains("no tag was set"), "{other}");
        }
    }

    #[test]
    fn a_run_that_published_nothing_says_what_it_did() {
        let rows = vec![
            ("platforms", "linux/amd64".to_owned()),
            ("version", String::new()),
            ("why", "a|b".to_owned()),
        ];
        let text = done(
            &EndedRun { title: "🔨 Built, not published", said: "All built.", rows },
            &[built()],
            Duration::from_secs(3),
        );
        let rows = "| platforms | `linux/amd64` |\n|---|---|\n| why | `a\\u{7c}b` |\n";
        assert!(
            text.starts_with("## 🔨 Built, not published\n\nAll built. It took 3.00 s.\n\n")
                && text.contains(rows),
            "{text}"
        );
        assert!(text.contains("<summary>Stages"));
    }
}
