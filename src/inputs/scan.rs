//! The inputs about known vulnerabilities → `ScanInputs`. Pure; it reads no file and asks nobody.

use std::path::PathBuf;
use std::str::FromStr;

use super::texts::InputTexts;
use super::words::wish;
use super::{Action, AutoSwitch, InputProblems};
use crate::advisories::place::AdvisoryPlace;
use crate::assess::{ScanTerms, TermsAuthor};
use crate::evidence::{COSIGN_VULNERABILITIES, IN_TOTO_VULNERABILITIES};
use crate::scan::gate::GateRules;
use crate::scan::severity::SeverityLevel;
use crate::secrets::verdict::SecretsTerms;
use crate::secrets::weakness::Gravity;
use crate::text::age::Age;
use crate::text::lists;

/// Whether and how a release is scanned, and what becomes of the result.
#[derive(Debug, Clone)]
pub struct ScanInputs {
    pub scan: AutoSwitch,
    pub terms: ScanTerms,
    /// Whether only what the image does not have that a name points to now refuses.
    pub new_since_release: bool,
    pub on_scan_failure: OnScanFailure,
    /// The predicate types in which the result is signed.
    pub vuln_attestation: Vec<&'static str>,
    pub sarif_file: Option<PathBuf>,
    /// Of other tools.
    pub sarif_files: Vec<PathBuf>,
    /// Whether their results refuse an image.
    pub fail_on_sarif: bool,
    /// What refuses an image of the secrets in it; `None`: nobody looks for any.
    pub fail_on_secrets: Option<SecretsTerms>,
    /// The least that refuses an image, of what is set in an unwise way.
    pub fail_on_misconfig: Option<Gravity>,
    /// The inputs of this group that were set beside `scan`, by their names.
    pub given: Vec<&'static str>,
}

/// What happens where a question goes unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnScanFailure {
    Fail,
    /// The image is published without the result of a scan.
    Warn,
}

impl ScanInputs {
    /// `promote` has a policy about results in its place, which `verify` reads, unless it scans
    /// again.
    pub(super) fn read(action: Action, given: &InputTexts, problems: &mut InputProblems) -> Self {
        let nothing;
        let given = match action {
            Action::Promote if !given.switch("rescan", problems) => {
                nothing = InputTexts::none();
                &nothing
            }
            _ => given,
        };
        let files = |name: &str| -> Vec<PathBuf> {
            let lines = lists::lines(given.get(name).unwrap_or_default());
            lines.into_iter().map(PathBuf::from).collect()
        };
        let terms = ScanTerms {
            asker: TermsAuthor::Action,
            rules: GateRules {
                fail_on: match (action, given.get("fail-on")) {
                    // Without a word a policy asks for nothing, and a scan for this.
                    (Action::Promote, None) => Some(SeverityLevel::Critical),
                    _ => fail_on(given, problems),
                },
                only_fixed: given.switch("only-fixed", problems),
                fail_on_unassessed: given.switch("fail-on-unassessed", problems),
                fail_on_kev: given.switch("fail-on-kev", problems),
                fail_on_unknown: given.switch("fail-on-unknown", problems),
            },
            advisories: places("advisories", given, problems),
            osv_url: given.owned("osv-url").map(|url| url.trim().to_owned()),
            // What other jobs may write decides nothing that is signed.
            advisory_cache: None,
            max_advisory_age: parsed::<Age>("max-advisory-age", given, problems),
            ignore_files: files("ignore-file"),
            vex: places("vex", given, problems),
            kev: parsed("kev", given, problems),
            epss: parsed("epss", given, problems),
        };
        if terms.rules.fail_on_kev && given.get("kev").is_none() {
            problems.say("fail-on-kev", "it needs CISA's catalogue; name that with `kev`");
        }
        let set = given.set_of(super::table::InputGroup::Scan);
        if set.contains(&"max-advisory-age") && terms.advisories.is_empty() {
            problems.say(
                "max-advisory-age",
                "it has no effect without `advisories`: the answers of a service are always new",
            );
        }
        let new_since_release = new_since_release(&terms.rules, given, problems);
        let sarif_files = files("sarif-files");
        let fail_on_sarif = fail_on_sarif(&sarif_files, &terms.rules, given, problems);
        let fail_on_secrets = fail_on_secrets(given, problems);
        let fail_on_misconfig = fail_on_misconfig(given, problems);
        if fail_on_secrets.is_none() && fail_on_misconfig.is_some() {
            problems.say(
                "fail-on-misconfig",
                "it needs the layers, which `fail-on-secrets: skip` does not read; write \
                 `fail-on-secrets: none`",
            );
        }
        Self {
            fail_on_secrets,
            fail_on_misconfig,
            scan: wish("scan", given, problems),
            on_scan_failure: match given.get("on-scan-failure").map(str::trim) {
                None | Some("fail") => OnScanFailure::Fail,
                Some("warn") => OnScanFailure::Warn,
                Some(other) => {
                    problems.say(
                        "on-scan-failure",
                        format_args!("`{other}` is neither `fail` nor `warn`"),
                    );
                    OnScanFailure::Fail
                }
            },
            vuln_attestation: vuln_attestation(given, problems),
            new_since_release,
            sarif_file: given.path("sarif-file"),
            sarif_files,
            fail_on_sarif,
            given: set,
            terms,
        }
    }
}

fn new_since_release(rules: &GateRules, given: &InputTexts, problems: &mut InputProblems) -> bool {
    let is_set = given.switch("new-since-release", problems);
    let refuses = rules.fail_on.is_some() || rules.fail_on_unknown || rules.fail_on_kev;
    if is_set && !refuses {
        problems.say(
            "new-since-release",
            "`true` beside `fail-on: none`, by which no finding refuses an image",
        );
    }
    is_set
}

/// Whether these files of other tools are judged.
fn fail_on_sarif(
    files: &[PathBuf],
    rules: &GateRules,
    given: &InputTexts,
    problems: &mut InputProblems,
) -> bool {
    let is_set = given.switch("fail-on-sarif", problems);
    if let Some(file) = given.path("sarif-file").filter(|file| files.contains(file)) {
        problems
            .say("sarif-files", format_args!("`{}` is what `sarif-file` writes", file.display()));
    }
    if is_set && files.is_empty() {
        problems.say("fail-on-sarif", "there is no file to judge; name it with `sarif-files`");
    }
    if is_set && rules.fail_on.is_none() && !rules.fail_on_unknown {
        problems.say(
            "fail-on-sarif",
            "`true` beside `fail-on: none`, by which no result refuses an image",
        );
    }
    is_set
}

fn places(
    name: &'static str,
    given: &InputTexts,
    problems: &mut InputProblems,
) -> Vec<AdvisoryPlace> {
    let mut places: Vec<AdvisoryPlace> = Vec::new();
    for line in lists::lines(given.get(name).unwrap_or_default()) {
        match line.parse() {
            Ok(place @ AdvisoryPlace::Address(_)) if places.contains(&place) => {
                problems.say(name, format_args!("`{place}` is there twice"));
            }
            Ok(place) => places.push(place),
            Err(why) => problems.say(name, why),
        }
    }
    places
}

fn fail_on(given: &InputTexts, problems: &mut InputProblems) -> Option<SeverityLevel> {
    match given.get("fail-on").map(str::trim)? {
        "none" => None,
        word => match word.parse() {
            Ok(level) => Some(level),
            Err(_) => {
                problems.say(
                    "fail-on",
                    format_args!("`{word}` is none of `critical`, `high`, `medium`, `low`, `none`"),
                );
                Some(SeverityLevel::Critical)
            }
        },
    }
}

fn fail_on_secrets(given: &InputTexts, problems: &mut InputProblems) -> Option<SecretsTerms> {
    match given.get("fail-on-secrets").map(str::trim) {
        None | Some("verifiable") => Some(SecretsTerms::Verifiable),
        Some("any") => Some(SecretsTerms::Any),
        Some("none") => Some(SecretsTerms::Never),
        Some("skip") => None,
        Some(other) => {
            problems.say(
                "fail-on-secrets",
                format_args!("`{other}` is none of `verifiable`, `any`, `none`, `skip`"),
            );
            Some(SecretsTerms::Verifiable)
        }
    }
}

fn fail_on_misconfig(given: &InputTexts, problems: &mut InputProblems) -> Option<Gravity> {
    match given.get("fail-on-misconfig").map(str::trim) {
        None | Some("none") => None,
        Some("high") => Some(Gravity::Error),
        Some("medium") => Some(Gravity::Warning),
        Some("low") => Some(Gravity::Note),
        Some(other) => {
            problems.say(
                "fail-on-misconfig",
                format_args!("`{other}` is none of `high`, `medium`, `low`, `none`"),
            );
            None
        }
    }
}

fn vuln_attestation(given: &InputTexts, problems: &mut InputProblems) -> Vec<&'static str> {
    match given.get("vuln-attestation").map(str::trim) {
        None | Some("both") => vec![COSIGN_VULNERABILITIES, IN_TOTO_VULNERABILITIES],
        Some("cosign") => vec![COSIGN_VULNERABILITIES],
        Some("in-toto") => vec![IN_TOTO_VULNERABILITIES],
        Some(other) => {
            problems.say(
                "vuln-attestation",
                format_args!("`{other}` is none of `cosign`, `in-toto`, `both`"),
            );
            Vec::new()
        }
    }
}

fn parsed<T: FromStr<Err = String>>(
    name: &'static str,
    given: &InputTexts,
    problems: &mut InputProblems,
) -> Option<T> {
    let read = given.get(name)?.trim().parse();
    read.map_err(|why| problems.say(name, why)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inputs: &[(&str, &str)]) -> (ScanInputs, Vec<String>) {
        let env = inputs
            .iter()
            .map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), (*value).to_owned()))
            .collect();
        let given = InputTexts::of(Action::Publish, &env).unwrap();
        let mut problems = InputProblems::default();
        let read = ScanInputs::read(Action::Publish, &given, &mut problems);
        (read, problems.said.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn without_a_word_critical_ones_with_a_fix_refuse() {
        let (inputs, said) = read(&[]);
        assert!(said.is_empty() && inputs.given.is_empty(), "{said:?}");
        assert_eq!(inputs.terms.rules, GateRules::default());
        assert_eq!(inputs.scan, AutoSwitch::Auto);
        assert_eq!(inputs.terms.max_advisory_age, Some(Age::WEEK));
        assert_eq!(inputs.vuln_attestation.len(), 2);
        assert_eq!(inputs.on_scan_failure, OnScanFailure::Fail);
    }

    #[test]
    fn words_are_read_and_wrong_ones_named() {
        let (inputs, said) = read(&[
            ("fail-on", "high"),
            ("ignore-file", "a.yaml\n.trivyignore\n"),
            ("advisories", "osv"),
            ("max-advisory-age", "36h"),
            ("vuln-attestation", "in-toto"),
        ]);
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(inputs.terms.rules.fail_on, Some(SeverityLevel::High));
        assert_eq!(inputs.terms.ignore_files.len(), 2);
        assert_eq!(inputs.vuln_attestation, [IN_TOTO_VULNERABILITIES]);
        assert_eq!(
            inputs.given,
            ["fail-on", "ignore-file", "advisories", "max-advisory-age", "vuln-attestation"]
        );
        for (input, value) in [
            ("scan", "maybe"),
            ("fail-on", "severe"),
            ("only-fixed", "often"),
            ("fail-on-kev", "true"),
            ("max-advisory-age", "a week"),
            ("on-scan-failure", "ignore"),
            ("vuln-attestation", "sarif"),
            ("fail-on-secrets", "often"),
            ("fail-on-misconfig", "critical"),
            ("advisories", "https://octo:s3cr3t@x.example/all.zip"),
            ("advisories", "https://x.example/all.zip\nhttps://x.example/all.zip"),
        ] {
            let (_, said) = read(&[("advisories", "osv"), (input, value)]);
            assert_eq!(said.len(), 1, "{input}: {said:?}");
            assert!(said[0].contains(input) && !said[0].contains("s3cr3t"), "{said:?}");
        }
        let (inputs, said) = read(&[("fail-on-secrets", "none"), ("fail-on-misconfig", "medium")]);
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(inputs.fail_on_secrets, Some(SecretsTerms::Never));
        assert_eq!(inputs.fail_on_misconfig, Some(Gravity::Warning));
        let (inputs, said) = read(&[("fail-on-secrets", "skip"), ("fail-on-misconfig", "low")]);
        assert_eq!(inputs.fail_on_secrets, None);
        assert!(said[0].contains("`fail-on-secrets: skip`"), "{said:?}");
        let (_, said) = read(&[("max-advisory-age", "36h")]);
        assert!(said[0].contains("without `advisories`"), "{said:?}");
    }

    #[test]
    fn files_of_other_tools_are_read_and_judged_where_there_are_some() {
        let (inputs, said) = read(&[("sarif-files", "a.sarif\n\nb/c.sarif\n")]);
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(inputs.sarif_files, ["a.sarif", "b/c.sarif"].map(PathBuf::from));
        assert!(!inputs.fail_on_sarif);
        let since = ("new-since-release", "true");
        assert!(read(&[since]).0.new_since_release);
        let files = ("sarif-files", "a.sarif");
        for (given, why) in [
            (vec![("fail-on-sarif", "true")], "name it with `sarif-files`"),
            (vec![files, ("fail-on-sarif", "often")], "`often` is neither"),
            (vec![files, ("fail-on-sarif", "true"), ("fail-on", "none")], "`fail-on: none`"),
            (vec![files, ("sarif-file", "a.sarif")], "`a.sarif` is what `sarif-file` writes"),
            (vec![since, ("fail-on", "none")], "by which no finding refuses"),
        ] {
            let (_, said) = read(&given);
            assert!(said.len() == 1 && said[0].contains(why), "{why}: {said:?}");
        }
        let unknown = ("fail-on-unknown", "true");
        let (inputs, said) =
            read(&[files, ("fail-on-sarif", "true"), ("fail-on", "none"), unknown]);
        assert!(said.is_empty() && inputs.fail_on_sarif, "{said:?}");
    }
}
