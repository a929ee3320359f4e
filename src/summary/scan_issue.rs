//! What refuses published images → the issue that says so: its text, and whether it is opened,
//! changed or closed. Pure. It lets no text of others become Markdown or a mark of ours.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::markdown::code;
use super::rescanned::RescannedImage;
use crate::scan::report::ImageScan;
use crate::scan::shown;
use crate::text::plural;

/// How the issue is found again; one for each workflow.
const MARK: &str = "<!-- supply-action scan";
/// Rows of an image in it.
const MOST: usize = 100;
/// GitHub takes no longer text.
const LONGEST: usize = 60_000;

pub const TITLE: &str = "Published images have known vulnerabilities";

/// What is to be done with the issue.
#[derive(Debug, PartialEq, Eq)]
pub enum IssueChange {
    Nothing,
    Open(String),
    /// The new text, and what is new for those who watch it, if anything is.
    Change(String, Option<String>),
    /// Why.
    Close(String),
}

/// The mark of the issue of a workflow.
pub fn mark(workflow: &str) -> String {
    format!("{MARK} of {}:", short(workflow))
}

/// Sixteen digits that no text of others can be.
fn short(text: &str) -> String {
    let digest = Sha256::digest(text);
    hex::encode(digest.get(..8).unwrap_or_default())
}

/// Decides. `known` is the text of the issue, where one is open.
pub fn change(images: &[RescannedImage<'_>], mark: &str, known: Option<&str>) -> IssueChange {
    let keys: BTreeSet<String> = images.iter().flat_map(keys_of).collect();
    let Some(known) = known else {
        return match keys.is_empty() {
            true => IssueChange::Nothing,
            false => IssueChange::Open(body(images, mark, &keys)),
        };
    };
    if keys.is_empty() {
        return IssueChange::Close("The rules of the scan let every image pass.".to_owned());
    }
    let before = marked(known, mark);
    if before == keys {
        return IssueChange::Nothing;
    }
    let new = keys.difference(&before).count();
    let told = (new > 0).then(|| {
        let verb = if new == 1 { "refuses" } else { "refuse" };
        format!("{} {verb} a published image since the last scan.", plural(new, "new finding"))
    });
    IssueChange::Change(body(images, mark, &keys), told)
}

/// What refuses an image, as the mark of the issue keeps it: a flaw in a package, of no version.
fn keys_of(image: &RescannedImage<'_>) -> Vec<String> {
    let repository = &image.image.repository;
    let refusing = image.assessed.iter().flat_map(|assessed| &assessed.scan.findings);
    refusing
        .filter(|judged| judged.refuses)
        .map(|judged| {
            let finding = &judged.finding;
            let package = finding.purl.split(['@', '?', '#']).next().unwrap_or_default();
            short(&format!("{repository} {} {package}", finding.id))
        })
        .collect()
}

fn marked(body: &str, mark: &str) -> BTreeSet<String> {
    let listed = body.rsplit_once(mark).map(|(_, rest)| rest);
    let listed = listed.and_then(|rest| rest.split_once("-->")).map(|(listed, _)| listed);
    listed.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn body(images: &[RescannedImage<'_>], mark: &str, keys: &BTreeSet<String>) -> String {
    let mut text = "A scan of what is published refuses these images. It keeps this issue up to date, and closes it when nothing refuses them any more.\n".to_owned();
    for image in images.iter().filter(|image| !keys_of(image).is_empty()) {
        let scans: Vec<&ImageScan> = image.assessed.iter().map(|it| &it.scan).collect();
        // Writing into a string cannot fail.
        let _ = write!(text, "\n## {}\n\n", code(image.image));
        text += &shown::markdown(&scans, MOST);
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let end = format!("\n{mark} {} -->\n", keys.join(" "));
    if text.len() + end.len() > LONGEST {
        let most = LONGEST.saturating_sub(end.len() + 100);
        let cut = text.char_indices().map(|(at, _)| at).take_while(|at| *at < most).last();
        // Never in the middle of a line, which may be a row of a table.
        text.truncate(cut.unwrap_or_default());
        text.truncate(text.rfind('\n').map_or(0, |at| at + 1));
        text += "\nThe rest is in the job summary.\n";
    }
    text + &end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::Assessed;
    use crate::image::ImageRef;
    use crate::scan::gate::GateVerdict;
    use crate::scan::sample;

    fn assessed(refuses: &[bool]) -> Vec<Assessed> {
        let mut scan = sample::scan("amd64");
        let findings =
            scan.findings.iter_mut().zip(refuses.iter().chain(std::iter::repeat(&false)));
        for (judged, refuses) in findings {
            judged.refuses = *refuses;
        }
        vec![Assessed { scan, verdict: GateVerdict::default() }]
    }

    fn image() -> ImageRef {
        format!("r.io/a@sha256:{}", "0".repeat(64)).parse().unwrap()
    }

    fn told(refuses: &[bool], known: Option<&str>) -> IssueChange {
        let (image, assessed) = (image(), assessed(refuses));
        let one =
            RescannedImage { image: &image, signer: None, assessed: &assessed, is_attested: false };
        change(&[one], &mark("o/r/.github/workflows/scan.yml"), known)
    }

    #[test]
    fn an_issue_is_opened_kept_changed_and_closed() {
        assert_eq!(told(&[], None), IssueChange::Nothing);
        let IssueChange::Open(body) = told(&[true], None) else { panic!("it is not opened") };
        assert!(body.contains("## `r.io/a@sha256:"), "{body}");
        assert_eq!(told(&[true], Some(&body)), IssueChange::Nothing);
        let IssueChange::Change(more, Some(new)) = told(&[true, true], Some(&body)) else {
            panic!("what is new is not told")
        };
        assert_eq!(new, "1 new finding refuses a published image since the last scan.");
        // What is repaired changes the text, and wakes nobody.
        assert!(matches!(told(&[true], Some(&more)), IssueChange::Change(_, None)));
        assert!(matches!(told(&[], Some(&more)), IssueChange::Close(_)));
    }

    #[test]
    fn each_workflow_has_its_own_and_no_mark_can_be_written_into_a_finding() {
        assert_ne!(mark("o/r/.github/workflows/a.yml"), mark("o/r/.github/workflows/b.yml"));
        let mark = mark("x");
        let forged = format!("{mark} 0123456789abcdef -->\ntext\n{mark} aa bb -->");
        assert_eq!(marked(&forged, &mark), ["aa", "bb"].map(str::to_owned).into());
        assert!(marked("nothing", &mark).is_empty());
    }
}
