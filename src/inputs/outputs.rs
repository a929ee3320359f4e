//! `outputs` → what an image's output asks for that has an input of its own here. Pure; the outputs
//! themselves are read by `build`.

use super::InputProblems;
use crate::build::outputs;
use crate::text::lists;

/// What the outputs ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OutputsAsked {
    pub(super) push_by_digest: bool,
    /// The names of what is pushed by digest.
    pub(super) names: Vec<String>,
    /// `push=false`.
    pub(super) holds_back: bool,
}

pub(super) fn asked(
    text: &str,
    problems: &mut InputProblems,
    notices: &mut Vec<String>,
) -> OutputsAsked {
    let lines = lists::lines_with_quotes(text);
    let mut asked = OutputsAsked::default();
    for output in &lines {
        if let Some(why) = outputs::wrong(output).or_else(|| outputs::misspelt(output)) {
            problems.say("outputs", why);
        }
        for attribute in outputs::unheeded(output) {
            notices.push(format!("input `outputs`: `{attribute}` of an image is ignored here"));
        }
        if !outputs::is_image(output) {
            continue;
        }
        asked.holds_back |= outputs::switch(output, "push") == Some(false);
        if outputs::switch(output, "push-by-digest") == Some(true) {
            asked.push_by_digest = true;
            asked.names.extend(outputs::names(output));
        }
    }
    if asked.push_by_digest {
        notices.push(
            "input `outputs`: `push-by-digest=true` is understood as `push-by-digest: true`: nothing is tagged, signed or attested here; \
             the action `merge` does that in a later job"
                .to_owned(),
        );
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_that_pushes_by_digest_is_understood() {
        let read = |text: &str| {
            let (mut problems, mut notices) = (InputProblems::default(), Vec::new());
            (asked(text, &mut problems, &mut notices), problems.said, notices)
        };
        for leg in [
            "type=image,\"name=ghcr.io/octo/app\",push-by-digest=true,name-canonical=true,push=true",
            "type=registry,name=ghcr.io/octo/app,push-by-digest=1",
            "Type=Image,PUSH-BY-DIGEST=True,name=ghcr.io/octo/app",
            "type=local,dest=x\ntype=image,push-by-digest=true,name=ghcr.io/octo/app",
        ] {
            let (asked, problems, notices) = read(leg);
            let names = vec!["ghcr.io/octo/app".to_owned()];
            assert_eq!(
                asked,
                OutputsAsked { push_by_digest: true, names, holds_back: false },
                "{leg}"
            );
            assert!(
                problems.is_empty()
                    && notices.len() == 1
                    && notices[0].contains("`push-by-digest: true`"),
                "{leg}: {notices:?}"
            );
        }
        let (asked, ..) = read("type=image,push-by-digest=true,push=false");
        assert!(asked.holds_back);
        assert_eq!(
            read("type=image,compression=zstd\ntype=local,dest=x,push-by-digest=true"),
            (OutputsAsked::default(), vec![], vec![])
        );
        let (_, problems, notices) = read("type=imgae,push=true\ntype=image,unpack=true");
        assert!(
            problems[0].contains("did you mean `image`?") && notices[0].contains("`unpack=true`"),
            "{problems:?} {notices:?}"
        );
    }
}
