//! A workflow step that publishes an image which lies in a registry already: from its variables to
//! the evidence, in the functions that `publish` runs. It sets no tag.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use supply_action::attest::AttestedImage;
use supply_action::attest::sboms::Sboms;
use supply_action::build::BuiltImage;
use supply_action::build::buildx::{BuildFolder, Buildx};
use supply_action::environment::Environment;
use supply_action::evidence::{EvidenceFormat, EvidencePart, SPDX};
use supply_action::github::RunContext;
use supply_action::github::facts::GitHubFacts;
use supply_action::github::network::Network;
use supply_action::image::{Digest, Repository};
use supply_action::inputs::Inputs;
use supply_action::plan::{self, Publish, PublishPlan};
use supply_action::registry::{Credentials, Registry};
use supply_action::sandbox::Sandbox;
use supply_action::sigstore::identity;
use supply_action::sigstore::settled::{SettledTrust, TrustFile};
use supply_action::sigstore::verifier::Signer;
use supply_action::verbs::outside::Outside;
use supply_action::verbs::scanning::Scanning;
use supply_action::verbs::searching::Searching;
use supply_action::verbs::{prove, publish, release};
use supply_action::verify::policy::{EvidencePolicy, Requirements};

use crate::image::{PLATFORMS, Pushed};

/// Where a step finds its services, and what it may write.
pub(crate) struct StepPlace<'a> {
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) folder: &'a Path,
    pub(crate) signing_config: &'a Path,
    pub(crate) trusted_root: &'a Path,
}

/// A step that knows its image, and has signed nothing yet.
pub(crate) struct PublishingStep {
    context: RunContext,
    plan: Publish,
    built: BuiltImage,
    outside: Outside,
    http: reqwest::Client,
}

/// What all of an image must have, by this signer.
pub(crate) fn policy(
    identity: String,
    issuer: String,
    formats: &[EvidenceFormat],
) -> EvidencePolicy {
    let platforms = PLATFORMS.map(|platform| platform.parse().unwrap());
    let parts = [EvidencePart::Index, EvidencePart::Platform, EvidencePart::Attestations];
    EvidencePolicy {
        signer: Signer::Keyless { identity, issuer }.into(),
        requirements: Requirements::new(&platforms, &[SPDX], true, &parts, formats),
    }
}

impl StepPlace<'_> {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The variables of a step that publishes to `repository` with a buildx that only says what was
    /// pushed.
    fn variables(&self, repository: &Repository, pushed: &Pushed) -> Environment {
        let buildx = self.folder.join("buildx");
        std::fs::write(&buildx, format!("#!/bin/sh\ncase $1 in\ninspect) echo 'Driver: remote\nPlatforms: {}' ;;\nbuild) while [ \"$1\" != --metadata-file ]; do shift; done; echo '{{\"containerimage.digest\":\"{}\"}}' >\"$2\" ;;\nesac\n", PLATFORMS.join(", "), pushed.root)).unwrap();
        std::fs::set_permissions(&buildx, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut env: Environment = self.sandbox.environment().into_iter().collect();
        for (name, value) in [
            ("RUNNER_TEMP", self.path("")),
            ("BUILDX", buildx.display().to_string()),
            ("SUPPLY_ACTION_SCANNER", repository.at(&Digest::of(b"scanner")).to_string()),
            ("INPUT_IMAGES", repository.to_string()),
            ("INPUT_TAGS", "v1.2.3".to_owned()),
            ("INPUT_PLATFORMS", PLATFORMS.join(",")),
            ("INPUT_CONTEXT", self.path("context")),
            ("INPUT_BUILDER-ENDPOINT", "unix:///nowhere".to_owned()),
            ("INPUT_SIGNING-CONFIG", self.signing_config.display().to_string()),
            ("INPUT_TRUSTED-ROOT", self.trusted_root.display().to_string()),
        ] {
            env.insert(name.to_owned(), value);
        }
        env
    }

    /// Plans the step, and takes the image for built.
    pub(crate) async fn built(
        &self,
        registry: &Registry,
        repository: &Repository,
        pushed: &Pushed,
    ) -> PublishingStep {
        let env = self.variables(repository, pushed);
        let context = RunContext::new(&env);
        let inputs = Inputs::read(&env, &context).unwrap();
        let file =
            |path: &Option<PathBuf>| TrustFile { path: path.clone(), ..TrustFile::default() };
        let (root, config) = (&inputs.trust.trusted_root, &inputs.trust.signing_config);
        let trust = SettledTrust::read(file(root), file(config), false).unwrap();
        let PublishPlan::Publish(plan) =
            plan::plan(&inputs, &context, &env, &GitHubFacts::default(), Some(&trust)).unwrap()
        else {
            panic!("the step does not publish")
        };
        let outside = Outside::new(
            &inputs.network,
            &trust,
            &inputs.signing.signature_annotations,
            &Credentials::default(),
        )
        .unwrap();
        let place = BuildFolder {
            env: &env,
            named: &[],
            private: self.folder,
            network: &inputs.network,
            terminal: false,
        };
        let (builder, platforms) = (&inputs.builder.builder, &plan.build.platforms);
        let buildx =
            Buildx::set_up(&place, &Credentials::default(), builder, platforms, &|_| {}).await;
        let (build, images) = (&plan.build, plan.release.images());
        let built =
            publish::build(&env, build, (&images, false), registry, buildx.unwrap(), &|_| {}).await;
        let ((built, _), _) = built.unwrap();
        let http = Network::default().client().unwrap();
        PublishingStep { context, plan, built, outside, http }
    }
}

impl PublishingStep {
    /// Signs and attests, from the OIDC token on.
    pub(crate) async fn proven(self, policy: &EvidencePolicy) -> (Outside, Vec<AttestedImage>) {
        let Self { context, plan, built, outside, http } = self;
        let token = identity::token(&http, &context, &[]).await.unwrap();
        let means = prove::EvidenceMeans {
            sboms: &Sboms::Build,
            targets: &plan.release.targets,
            scanning: &Scanning::Not(String::new()),
            searching: &Searching::Not(String::new()),
            layers: Arc::default(),
            known: &[],
        };
        let authority = release::SigningAuthority::Oidc(token);
        let policies = std::slice::from_ref(policy);
        let proving = prove::prove(&outside, &context, authority, vec![built], policies, &means);
        let (proven, _) = proving.await.unwrap();
        (outside, proven.into_iter().map(|proven| proven.attested).collect())
    }
}
