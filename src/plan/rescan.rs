//! Inputs and run → what `scan` will do: which published images, whose they must be, and whether the
//! new result is signed. Pure; it asks no registry what a tag points to.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::scanning::{ScanPlan, unused};
use super::shown::Words;
use super::trusted::PlannedTrust;
use super::{refuse, tools};
use crate::assess::tools::ToolTerms;
use crate::build::merge::claims::SourceImage;
use crate::error::Remedy as _;
use crate::github::RunContext;
use crate::github::facts::{GitHubFacts, Visibility};
use crate::github::server::Server;
use crate::inputs::{AutoSwitch, Inputs, PolicyTexts};
use crate::oci::Allowed;
use crate::sigstore::settled::SettledTrust;

/// What this run will do.
#[derive(Debug)]
pub struct RescanPlan {
    /// Never empty.
    pub images: Vec<SourceImage>,
    /// What must be proven of each; `None`: nothing is verified.
    pub policy: Option<PolicyTexts>,
    /// How they are scanned: never `Not`.
    pub scan: ScanPlan,
    /// What becomes of SARIF files of other tools.
    pub tools: Option<ToolTerms>,
    pub attestation: ResultAttestation,
    pub upload: AutoSwitch,
    /// Whether an issue is kept about what is refused.
    pub keeps_issue: bool,
    pub allowed: Allowed,
    pub allow_public_log: bool,
    /// What event and GitHub say of the run's own repository.
    pub visibility: Visibility,
    pub notices: Vec<String>,
    event: String,
    git_ref: String,
    trust: Option<PlannedTrust>,
}

/// What becomes of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultAttestation {
    /// It is signed, unless one that says the same is younger than this.
    Attest(SignedDuration),
    /// Why it is not.
    Not(String),
}

/// Decides.
///
/// # Errors
/// When there is no image, or a result must be signed and cannot be.
pub fn plan(
    inputs: &Inputs,
    context: &RunContext,
    facts: &GitHubFacts,
    trust: Option<&SettledTrust>,
) -> anyhow::Result<RescanPlan> {
    let rescan = &inputs.rescan;
    let attestation = attestation(inputs, context)?;
    let mut notices = inputs.notices.clone();
    if let ResultAttestation::Not(why) = &attestation {
        let given = inputs.scan.given.iter().copied().filter(|name| *name == "vuln-attestation");
        let given: Vec<&str> = given.collect();
        notices.extend(unused(&given, &format!("the result is not signed ({why})")));
    }
    let merges = inputs.scan.sarif_file.is_some() || rescan.upload_sarif != AutoSwitch::Never;
    let (tools, of_tools) = tools::of(&inputs.scan, merges);
    notices.extend(of_tools);
    Ok(RescanPlan {
        tools,
        images: images(inputs, context)?,
        policy: rescan.verify.then(|| rescan.policy.clone()),
        scan: ScanPlan::Scan(Box::new(inputs.scan.clone())),
        attestation,
        upload: rescan.upload_sarif,
        keeps_issue: rescan.open_issue,
        allowed: inputs.build.allowed.clone(),
        allow_public_log: inputs.signing.allow_public_log,
        visibility: facts.visibility,
        notices,
        event: context.event_name.clone(),
        git_ref: context.git_ref.clone(),
        trust: trust.map(PlannedTrust::of),
    })
}

/// The images that are named, or the newest of the run's own repository.
fn images(inputs: &Inputs, context: &RunContext) -> anyhow::Result<Vec<SourceImage>> {
    if !inputs.rescan.images.is_empty() {
        return Ok(inputs.rescan.images.clone());
    }
    let registry = Server::of(&context.server_url).registry();
    let (Some(repository), Some(registry)) = (&context.repository, registry) else {
        return refuse("input `image`: not set, and no workflow run says which repository it is")
            .hint("write for example `image: ghcr.io/octo/app:latest`");
    };
    let repository = format!("{registry}/{}", repository.to_lowercase()).parse()?;
    Ok(vec![SourceImage { repository, tag: Some("latest".parse()?), digest: None }])
}

fn attestation(inputs: &Inputs, context: &RunContext) -> anyhow::Result<ResultAttestation> {
    let rescan = &inputs.rescan;
    let why = match rescan.attest {
        AutoSwitch::Never => "`attest: false`",
        _ if !rescan.verify => {
            "`verify: false`: the result of an image that is not verified is \
            never signed"
        }
        _ if inputs.signing.signing_key.is_some() || context.id_token.is_some() => {
            match (rescan.attest, context.event_name.as_str()) {
                (AutoSwitch::Auto, "pull_request") => "a pull request never signs",
                _ => {
                    // Half of it, so that the next scheduled run is in time.
                    let fresh = rescan.max_scan_age.duration() / 2;
                    return Ok(ResultAttestation::Attest(fresh));
                }
            }
        }
        AutoSwitch::Always => {
            return refuse(
                "input `attest`: `true`, and this job has no permission to ask for an \
                OIDC token",
            )
            .hint("add \"permissions: id-token: write\", or sign with a key");
        }
        AutoSwitch::Auto => {
            "this job has no permission to ask for an OIDC token, and there is no \
            key"
        }
    };
    Ok(ResultAttestation::Not(why.to_owned()))
}

impl RescanPlan {
    /// The plan for machines.
    pub fn json(&self) -> Value {
        let (attests, why) = match &self.attestation {
            ResultAttestation::Attest(_) => (true, None),
            ResultAttestation::Not(why) => (false, Some(why)),
        };
        json!({
            "decision": "scan",
            "event": { "name": self.event, "ref": self.git_ref },
            "images": self.images.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "verify": self.policy.is_some(),
            "policy": self.policy.as_ref().map(|policy| &policy.options),
            "scan": self.scan.json(),
            "sarif": tools::json(self.tools.as_ref()),
            "attest": attests,
            "whyNotAttested": why,
            "permissions": self.permissions(),
            "trust": self.trust.as_ref().map(PlannedTrust::json),
        })
    }

    /// The plan for people.
    pub fn words(&self) -> Words {
        let event = match self.event.is_empty() {
            true => "none".to_owned(),
            false => format!("{} ({})", self.event, self.git_ref),
        };
        let images: Vec<String> = self.images.iter().map(ToString::to_string).collect();
        let verified = match &self.policy {
            None => "no: the signatures of the images are not checked".to_owned(),
            Some(policy) if policy.options.is_empty() => {
                "signed by a workflow of this repository".to_owned()
            }
            Some(policy) => policy.options.join(" "),
        };
        let signed = match &self.attestation {
            ResultAttestation::Attest(fresh) => format!(
                "signed if it says something new, or if the last is older than {} h",
                fresh.as_hours()
            ),
            ResultAttestation::Not(why) => format!("not signed: {why}"),
        };
        Words {
            short: vec![
                "Plan:       scan published images".to_owned(),
                format!("Event:      {event}"),
                format!("Images:     {}", images.join(", ")),
                format!("Verify:     {verified}"),
                format!("Scan:       {}", self.scan.words()),
                format!("Result:     {signed}"),
            ],
            rest: self
                .tools
                .iter()
                .map(|terms| format!("SARIF:      {}", tools::words(terms)))
                .chain(self.trust.iter().flat_map(PlannedTrust::lines))
                .collect(),
        }
    }

    /// What the workflow must grant.
    fn permissions(&self) -> Vec<&'static str> {
        let signs = matches!(self.attestation, ResultAttestation::Attest(_));
        let mut permissions = vec!["contents: read"];
        permissions.push(if signs { "packages: write" } else { "packages: read" });
        permissions.extend(signs.then_some("id-token: write"));
        let uploads = self.upload != AutoSwitch::Never;
        permissions.extend(uploads.then_some("security-events: write"));
        permissions.extend(self.keeps_issue.then_some("issues: write"));
        permissions
    }
}
