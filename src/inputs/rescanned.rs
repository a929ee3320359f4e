//! The inputs of `scan` alone → which published images are scanned again, whose they must be, and
//! what becomes of the result. Pure; it asks no registry.

use super::promoted::{PolicyTexts, policy};
use super::source_images::source_images;
use super::texts::InputTexts;
use super::words::wish;
use super::{AutoSwitch, InputProblems, unique};
use crate::build::merge::claims::SourceImage;
use crate::text::age::Age;

/// What `scan` alone is told.
#[derive(Debug)]
pub struct RescanInputs {
    /// None: the newest image of the run's own repository.
    pub images: Vec<SourceImage>,
    pub verify: bool,
    pub policy: PolicyTexts,
    pub attest: AutoSwitch,
    pub max_scan_age: Age,
    pub upload_sarif: AutoSwitch,
    pub open_issue: bool,
}

impl RescanInputs {
    /// Of the actions that scan nothing that is published already.
    pub(super) fn nothing() -> Self {
        Self {
            images: Vec::new(),
            verify: false,
            policy: PolicyTexts::default(),
            attest: AutoSwitch::Never,
            max_scan_age: Age::WEEK,
            upload_sarif: AutoSwitch::Never,
            open_issue: false,
        }
    }

    pub(super) fn read(given: &InputTexts, problems: &mut InputProblems) -> Self {
        let max_scan_age = given.get("max-scan-age").map_or(Ok(Age::WEEK), str::parse);
        let read = Self {
            images: source_images("image", given.get("image").unwrap_or_default(), problems),
            verify: given.switch("verify", problems),
            policy: policy(given, &[], problems),
            attest: wish("attest", given, problems),
            max_scan_age: max_scan_age
                .map_err(|why: String| problems.say("max-scan-age", why))
                .unwrap_or(Age::WEEK),
            upload_sarif: wish("upload-sarif", given, problems),
            open_issue: given.switch("open-issue", problems),
        };
        if !read.verify && !read.policy.options.is_empty() {
            let listed: Vec<&str> = read.policy.names().collect();
            problems.say(
                "verify",
                format_args!(
                    "`false` beside `{}`, which says what is verified; leave one of them out",
                    listed.join("`, `")
                ),
            );
        }
        if !read.verify && read.attest == AutoSwitch::Always {
            problems.say(
                "attest",
                "`true` beside `verify: false`: the result of an image that is not verified is never signed",
            );
        }
        read
    }
}

/// The repositories of the images, as the logins know them.
pub(super) fn repositories(given: &InputTexts) -> Option<String> {
    let text = given.get("image")?;
    let mut unheard = InputProblems::default();
    let images = source_images("image", text, &mut unheard);
    Some(unique(images.iter().map(|it| it.repository.to_string()).collect()).join("\n"))
}
