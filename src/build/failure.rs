//! The last lines of buildx → what failed in the build: the platform, the line of the Dockerfile,
//! the command and the end of its output. Pure; what it does not find there it does not say.
//!
//! buildx ends with the output of each step that failed, the lines of the Dockerfile, and the
//! error, which no build writes after:
//! <https://github.com/docker/buildx/blob/v0.37.0/commands/build.go>.

use std::fmt::Write as _;

use crate::command::FailedCommand;
use crate::error::{with_hint, with_see};
use crate::page::RefusalPage;

/// Of a step's output, this many lines are repeated, and so much of each.
const LINES: usize = 10;
const WIDTH: usize = 300;
/// So many steps are shown; several fail at once.
const STEPS: usize = 3;
/// A reason may hold a whole script.
const REASON: usize = 600;

/// What the end of a build's output says.
#[derive(Debug, PartialEq, Eq)]
struct BuildFailure {
    reason: String,
    /// A file's name and the line, as `Dockerfile:12`.
    place: Option<String>,
    steps: Vec<FailedStep>,
}

/// A step that failed: `[linux/arm64 build 2/3] RUN make`.
#[derive(Debug, PartialEq, Eq)]
struct FailedStep {
    platform: Option<String>,
    command: String,
    output: Vec<String>,
}

/// A build's error with all that is known of it; `file` is the Dockerfile that was named.
pub fn told(error: anyhow::Error, file: Option<&str>) -> anyhow::Error {
    let Some(failure) =
        error.downcast_ref::<FailedCommand>().and_then(|failed| BuildFailure::read(&failed.said))
    else {
        return with_see(error.context("the build failed"), RefusalPage::TheBuildFails);
    };
    let told = anyhow::anyhow!(failure.text(file));
    if failure.is_too_large() {
        let told = with_hint(
            told,
            "set `sbom: registry`, which makes SBOMs of what was pushed and has no such limit, or `sbom-files: none`, which lists packages alone",
        );
        return with_see(told, RefusalPage::SbomTooLarge);
    }
    with_see(told, RefusalPage::TheBuildFails)
}

impl BuildFailure {
    fn read(said: &[String]) -> Option<Self> {
        const ERROR: &str = "ERROR: ";
        let end = said.iter().rposition(|line| line.starts_with(ERROR))?;
        let (before, place) = excerpt(&said[..end]);
        let reason = said[end].strip_prefix(ERROR).unwrap_or_default();
        let reason = reason.strip_prefix("failed to build: ").unwrap_or(reason).replacen(
            "failed to solve: ",
            "",
            1,
        );
        Some(Self { reason, place, steps: steps(before) })
    }

    fn text(&self, file: Option<&str>) -> String {
        let mut platforms: Vec<&str> =
            self.steps.iter().filter_map(|step| step.platform.as_deref()).collect();
        platforms.dedup();
        let mut text = "the build failed".to_owned();
        if !platforms.is_empty() {
            let listed: Vec<String> =
                platforms.iter().map(|platform| format!("`{platform}`")).collect();
            // Writing into a string cannot fail.
            let _ = write!(text, " for {}", listed.join(", "));
        }
        if let Some(place) = &self.place {
            let _ = write!(text, " at `{}`", whole(place, file));
        }
        let _ = write!(text, ": {}", cut(&self.reason, REASON));
        for step in self.steps.iter().take(STEPS) {
            let of = step
                .platform
                .as_ref()
                .filter(|_| platforms.len() > 1)
                .map(|platform| format!("{platform}: "))
                .unwrap_or_default();
            let _ = write!(text, "\n  {of}{}", cut(&step.command, WIDTH));
            let from = step.output.len().saturating_sub(LINES);
            for line in &step.output[from..] {
                let _ = write!(text, "\n    {}", cut(line, WIDTH));
            }
        }
        text
    }

    /// What our scanner says in the step that runs it, and what BuildKit says of a larger one
    /// itself.
    fn is_too_large(&self) -> bool {
        let is_scan = |step: &&FailedStep| step.command.starts_with("generating sbom using ");
        let said =
            self.steps.iter().filter(is_scan).flat_map(|step| &step.output).map(String::as_str);
        said.chain([self.reason.as_str()]).any(|line| {
            line.contains("and BuildKit fails a build over more than")
                || (line.contains(".json exceeds ") && line.ends_with(" bytes"))
                || line.contains("larger than max")
        })
    }
}

/// The name of a Dockerfile as its path, where that is known.
fn whole(place: &str, file: Option<&str>) -> String {
    let named = |file: &&str| {
        std::path::Path::new(file)
            .file_name()
            .is_some_and(|name| place.rsplit_once(':').is_some_and(|(of, _)| name == of))
    };
    match (file.filter(named), place.rsplit_once(':')) {
        (Some(file), Some((_, line))) => format!("{file}:{line}"),
        _ => place.to_owned(),
    }
}

/// What stands before the lines of the Dockerfile, and where those are: `Dockerfile:12`, a rule,
/// the lines, a rule.
fn excerpt(said: &[String]) -> (&[String], Option<String>) {
    const RULE: &str = "--------------------";
    let found = || {
        let (_, lines) = said.split_last().filter(|(last, _)| *last == RULE)?;
        let first = lines.iter().rposition(|line| line == RULE)?;
        let (name, number) = lines[..first].last()?.rsplit_once(':')?;
        let is_place = !name.is_empty()
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit());
        is_place.then(|| (&said[..first - 1], Some(format!("{name}:{number}"))))
    };
    found().unwrap_or((said, None))
}

/// The steps that failed, one after another, each between two rules: ` > [linux/arm64 2/2] RUN
/// make:`, and the end of its output with the time of each line.
fn steps(said: &[String]) -> Vec<FailedStep> {
    const RULE: &str = "------";
    let mut found = Vec::new();
    let mut rest = &said[..said.iter().rposition(|line| line == RULE).map_or(0, |last| last + 1)];
    while let Some(end) = rest.len().checked_sub(1).filter(|end| rest[*end] == RULE) {
        let Some(start) = rest[..end].iter().rposition(|line| line == RULE) else { break };
        let title = rest
            .get(start + 1)
            .filter(|_| start + 1 < end)
            .and_then(|line| line.strip_prefix(" > ")?.strip_suffix(':'));
        let Some(title) = title else { break };
        let (platform, command) = step(title);
        found.push(FailedStep {
            platform,
            command,
            output: rest[start + 2..end].iter().map(|line| timeless(line).to_owned()).collect(),
        });
        rest = &rest[..start];
    }
    found.reverse();
    found
}

/// `[linux/arm64 build 2/3] RUN make`: the word of a platform has a slash, as that of the number
/// has, and no digit before it.
fn step(title: &str) -> (Option<String>, String) {
    let Some((about, command)) = title.strip_prefix('[').and_then(|rest| rest.split_once("] "))
    else {
        return (None, title.to_owned());
    };
    let is_platform = |word: &&str| {
        word.split_once('/').is_some_and(|(os, _)| {
            !os.is_empty() && os.bytes().all(|byte| byte.is_ascii_lowercase())
        })
    };
    (about.split(' ').find(is_platform).map(str::to_owned), command.to_owned())
}

/// A line of output without the seconds before it.
fn timeless(line: &str) -> &str {
    let Some((time, rest)) = line.split_once(' ') else { return line };
    let is_time =
        time.contains('.') && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_time { rest } else { line }
}

fn cut(text: &str, most: usize) -> String {
    crate::report::cut(text, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error;

    /// What buildx 0.37 wrote of builds with BuildKit 0.33, less the progress above.
    fn said(text: &str) -> Vec<String> {
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    const ARM: &str = r#"#12 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 9
#11 [linux/amd64 build 3/3] RUN make
#11 CANCELED
------
 > [linux/arm64 build 3/3] RUN make:
0.244 line 11
0.251 no wheel for aarch64
------
WARNING: No output specified with remote driver. Build result will only remain in the build cache.
Dockerfile:8
--------------------
   7 |     
   8 | >>> RUN make \
   9 | >>>     all
  10 |     
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 9"#;

    fn text(lines: &str, file: Option<&str>) -> String {
        BuildFailure::read(&said(lines)).unwrap().text(file)
    }

    #[test]
    fn a_failed_step_is_told_with_platform_line_command_and_output() {
        let expected = "the build failed for `linux/arm64` at `docker/Dockerfile:8`: process \"/bin/sh -c make\" did not complete \
                        successfully: exit code: 9\n  RUN make\n    line 11\n    no wheel for aarch64";
        assert_eq!(text(ARM, Some("docker/Dockerfile")), expected);
        assert!(
            text(ARM, Some("other.Dockerfile")).contains(" at `Dockerfile:8`: "),
            "a file of another name is not the one"
        );
    }

    #[test]
    fn steps_of_several_platforms_are_told_apart() {
        let both = "------\n > [linux/amd64 2/2] RUN a:\n0.102 x\n------\n------\n > [linux/arm64 2/2] RUN a:\n0.1 y\n------\nERROR: target app: failed \
                    to solve: exit code: 3";
        assert_eq!(
            text(both, None),
            "the build failed for `linux/amd64`, `linux/arm64`: target app: exit code: 3\n  linux/amd64: RUN a\n    x\n  linux/arm64: RUN a\n    y"
        );
    }

    #[test]
    fn what_has_no_step_or_no_line_is_told_all_the_same() {
        let syntax = "#1 DONE 0.0s\nDockerfile:2\n--------------------\n   2 | >>> RUNN echo hi\n--------------------\nERROR: failed to build: failed to \
                      solve: dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)";
        let expected = "the build failed at `Dockerfile:2`: dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)";
        assert_eq!(text(syntax, None), expected);
        let scratch =
            "------\n > [stage-1 3/3] RUN x:\n------\nERROR: failed to build: failed to solve: y";
        assert_eq!(
            text(scratch, None),
            "the build failed: y\n  RUN x",
            "a step that names no platform is of none"
        );
        assert_eq!(
            text(
                "ERROR: failed to build: failed to solve: target stage \"x\" could not be found",
                None
            )
            .matches(": ")
            .count(),
            1
        );
        assert_eq!(BuildFailure::read(&said("killed")), None);
        let internal = "------\n > [internal] load metadata for docker.io/library/busybox:9.99:\n------\nDockerfile:1\n--------------------\n   1 | >>> FROM \
                        busybox:9.99\n--------------------\nERROR: failed to build: failed to solve: busybox:9.99: not found";
        let told = text(internal, None);
        assert!(told.ends_with("`Dockerfile:1`: busybox:9.99: not found\n  load metadata for docker.io/library/busybox:9.99"), "{told}");
    }

    #[test]
    fn no_output_of_a_step_stands_in_for_the_end_of_the_build() {
        // A carriage return begins a line of its own.
        let forged = format!(
            "#9 0.1 x\nERROR: all is well\nEvil:1\n--------------------\n--------------------\nERROR: forged\n------\n > [linux/evil 1/1] RUN \
             forged:\n------\n{ARM}"
        );
        let told = text(&forged, None);
        assert!(
            told.starts_with("the build failed for `linux/arm64` at `Dockerfile:8`: process "),
            "{told}"
        );
        assert!(
            !["well", "Evil", "evil", "forged"].iter().any(|part| told.contains(part)),
            "{told}"
        );
    }

    #[test]
    fn long_texts_are_cut() {
        let long = "é".repeat(5000);
        let lines: String = (0..50).map(|at| format!("0.1 {at}{long}\n")).collect();
        let told = text(
            &format!("------\n > [linux/arm64 2/2] RUN {long}:\n{lines}------\nERROR: {long}"),
            None,
        );
        assert!(told.chars().count() < 12 * (WIDTH + 10) + REASON, "{}", told.len());
        assert!(
            !told.contains(" 39é") && told.contains("\n    40é"),
            "the last lines are the ones that tell"
        );
    }

    #[test]
    fn an_sbom_too_large_for_the_builds_frontend_is_told_with_the_way_out() {
        let ours = "error: the sbom of `sbom` was not written: it has `58402632` bytes, and BuildKit fails a build over more than `41943040`";
        let scan = |title: &str, line: &str| {
            let said = said(&format!(
                "------\n > [linux/amd64] {title}:\n0.9 {line}\n------\nERROR: failed to build: failed to solve: exit code: 1"
            ));
            error::hints(&told(FailedCommand::of(said).into(), None))
        };
        let hints = scan("generating sbom using r.io/o/a@sha256:0", ours);
        assert!(
            hints.len() == 1
                && hints[0].contains("`sbom: registry`")
                && hints[0].contains("`sbom-files: none`"),
            "{hints:?}"
        );
        assert!(scan("RUN echo", ours).is_empty(), "only the scanner says so");
    }
}
