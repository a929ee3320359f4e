//! The progress that buildx writes → for each platform how many steps there were, how many of them
//! the cache had, and how long the others took. Pure; it is for people alone, since a build may
//! print what looks like it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::image::Platform;

/// So many steps are counted.
const MOST: usize = 10_000;

/// What a build did for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformWork {
    pub platform: Platform,
    pub steps: usize,
    pub cached: usize,
    /// Of all steps together; some ran beside each other.
    pub took: Duration,
}

#[derive(Debug, Default)]
pub struct BuildProgress(BTreeMap<u32, BuildStep>);

#[derive(Debug, Default)]
struct BuildStep {
    /// The words in brackets before the number: target of a bake file, platform, stage.
    about: Vec<String>,
    cached: bool,
    took: Duration,
}

impl BuildProgress {
    /// `#7 [linux/arm64 build 2/3] RUN make`, `#7 CACHED`, `#7 DONE 12.3s`.
    pub fn line(&mut self, line: &str) {
        let Some((number, rest)) = line.strip_prefix('#').and_then(|line| line.split_once(' '))
        else {
            return;
        };
        let Ok(number) = number.parse() else { return };
        if let Some(about) = rest
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("] "))
            .and_then(|(about, _)| numbered(about))
        {
            if self.0.len() < MOST {
                self.0.entry(number).or_insert_with(|| BuildStep { about, ..BuildStep::default() });
            }
            return;
        }
        let Some(step) = self.0.get_mut(&number) else { return };
        match rest.strip_prefix("DONE ").and_then(|time| time.strip_suffix('s')?.parse().ok()) {
            Some(seconds) => step.took = Duration::try_from_secs_f64(seconds).unwrap_or_default(),
            None => step.cached = step.cached || rest == "CACHED",
        }
    }

    /// What was done for each platform, of one target of a bake file where it is named. A step that
    /// names no platform is of the only one, if there is only one; what nothing is known of is left
    /// out.
    pub fn work(&self, platforms: &[Platform], target: Option<&str>) -> Vec<PlatformWork> {
        let is_of = |step: &BuildStep, platform: &Platform| {
            let named = step.about.iter().find_map(|word| of_platform(word));
            named.map_or(platforms.len() == 1, |named| platform.is(&named))
        };
        let is_of_target = |step: &&BuildStep| {
            target.is_none_or(|target| step.about.first().is_some_and(|first| first == target))
        };
        let of = |platform: &Platform| {
            let steps: Vec<&BuildStep> =
                self.0.values().filter(is_of_target).filter(|step| is_of(step, platform)).collect();
            let cached = steps.iter().filter(|step| step.cached).count();
            let took = steps.iter().map(|step| step.took).sum();
            (!steps.is_empty()).then(|| PlatformWork {
                platform: platform.clone(),
                steps: steps.len(),
                cached,
                took,
            })
        };
        platforms.iter().filter_map(of).collect()
    }
}

/// The words before `2/3`; what has no such number is no step of a Dockerfile.
fn numbered(about: &str) -> Option<Vec<String>> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut words: Vec<String> = about.split_whitespace().map(str::to_owned).collect();
    let number = words.pop()?;
    number.split_once('/').filter(|(step, of)| is_number(step) && is_number(of)).map(|_| words)
}

/// `linux/arm64`, or `linux/amd64->arm64` for what one makes for another.
fn of_platform(word: &str) -> Option<Platform> {
    let (runs, made) = word.split_once("->").unwrap_or((word, ""));
    let (os, _) = runs.split_once('/')?;
    match made {
        "" => runs.parse().ok(),
        made if made.contains('/') => made.parse().ok(),
        made => format!("{os}/{made}").parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> BuildProgress {
        let mut progress = BuildProgress::default();
        text.lines().for_each(|line| progress.line(line));
        progress
    }

    fn told(work: &[PlatformWork]) -> Vec<String> {
        work.iter()
            .map(|work| {
                format!(
                    "{} {}/{} {} ms",
                    work.platform,
                    work.cached,
                    work.steps,
                    work.took.as_millis()
                )
            })
            .collect()
    }

    #[test]
    fn steps_are_counted_for_the_platform_they_name() {
        let progress = seen(
            "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.1s\n#5 [linux/amd64 base 1/2] ADD root /\n#5 CACHED\n\
             #6 [linux/arm64 base 1/2] ADD root /\n#6 DONE 0.2s\n#7 [linux/amd64->arm64 build  2/12] RUN make\n#7 0.1 CACHED\n#7 ...\n\n\
             #7 [linux/amd64->arm64 build  2/12] RUN make\n#7 DONE 1.5s\n#8 [stage-1 2/2] RUN x\n#8 DONE 9.0s\n#9 exporting\n#9 DONE 7.0s\n#x\n#",
        );
        let platforms = ["linux/amd64", "linux/arm64", "linux/riscv64"]
            .map(|platform| platform.parse().unwrap());
        assert_eq!(
            told(&progress.work(&platforms, None)),
            ["linux/amd64 1/1 0 ms", "linux/arm64 0/2 1700 ms"]
        );
        assert_eq!(told(&progress.work(&platforms[..1], None)), ["linux/amd64 1/2 9000 ms"]);
    }

    #[test]
    fn targets_are_told_apart() {
        let progress = seen(
            "#4 [app linux/arm64 1/1] COPY a /\n#4 DONE 0.5s\n#5 [web 1/1] COPY b /\n#5 CACHED",
        );
        let arm = ["linux/arm64".parse().unwrap()];
        assert_eq!(told(&progress.work(&arm, Some("app"))), ["linux/arm64 0/1 500 ms"]);
        assert_eq!(told(&progress.work(&arm, Some("web"))), ["linux/arm64 1/1 0 ms"]);
        assert_eq!(told(&progress.work(&arm, Some("other"))), Vec::<String>::new());
    }
}
