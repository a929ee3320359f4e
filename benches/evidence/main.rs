//! The evidence stage beside the seven cosign commands that do the same: same image, same services,
//! same run. It fails when a bar is missed, and never compares with figures of another day.
//!
//! Ours is timed from the OIDC token to the last check of what was read back, in the functions
//! `publish` runs. cosign signs and attests, and is not asked to verify; one token serves all its
//! commands, where a workflow would ask for one each. Afterwards, and not timed, our verification
//! judges what cosign left, so that both have done the whole work.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints, starts its own peers, and fails by panicking"
)]

mod image;
mod rekor2;
mod step;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use image::{PLATFORMS, Pushed};
use rekor2::Rekor2;
use secrecy::ExposeSecret as _;
use step::StepPlace;
use supply_action::attest::provenance;
use supply_action::command::{ChildOutput, Program, Variables};
use supply_action::environment::{self, Environment};
use supply_action::evidence::EvidenceFormat;
use supply_action::github::RunContext;
use supply_action::image::{Digest, ImageRef, Repository};
use supply_action::registry::{Credentials, Registry};
use supply_action::sandbox::{self, Claims, Request, Sandbox, SandboxConfig, SandboxService};
use supply_action::sigstore::identity;
use supply_action::sigstore::verifier::BundleVerifier;
use supply_action::verbs::prove;
use supply_action::verify::policy::EvidencePolicy;
use supply_action::{sigstore, verify};

/// How often each side runs at each latency; the median counts.
const RUNS: (usize, usize) = (7, 3);
const RUNS_OF_REKOR2: usize = 3;
const LATENCY: Duration = Duration::from_millis(50);
/// Ours takes at most one part in `FASTER` of cosign's time at `LATENCY`.
const FASTER: f64 = 10.0;
/// No more requests than these may wait for one another.
const CHAIN: f64 = 16.0;

/// One run of one side.
struct Run {
    took: Duration,
    /// The part of it that reads back and verifies.
    verifying: Duration,
    requests: Vec<Request>,
}

impl Run {
    fn count(&self, service: SandboxService) -> usize {
        self.requests.iter().filter(|request| request.service == service).count()
    }

    fn certificates(&self) -> usize {
        self.requests
            .iter()
            .filter(|request| request.service == SandboxService::Fulcio && request.method == "POST")
            .count()
    }
}

/// Both sides' runs at one latency, each in order of time.
struct Round {
    ours: Vec<Run>,
    cosign: Vec<Run>,
}

fn median(runs: &[Run]) -> &Run {
    &runs[runs.len() / 2]
}

#[tokio::main]
async fn main() -> ExitCode {
    let env = environment::captured();
    let Some(cosign) = env.get("SUPPLY_ACTION_TOOLS_COSIGN3").map(PathBuf::from) else {
        println!("SUPPLY_ACTION_TOOLS_COSIGN3 is not set: run this with `make bench`");
        return ExitCode::FAILURE;
    };
    let Some(rekor2) = env.get("SUPPLY_ACTION_TOOLS_REKOR2").map(PathBuf::from) else {
        println!("SUPPLY_ACTION_TOOLS_REKOR2 is not set: run this with `make bench`");
        return ExitCode::FAILURE;
    };
    let near = round(Duration::ZERO, &cosign).await;
    let far = round(LATENCY, &cosign).await;
    let met = tell(&near, &far);
    if patience(&cosign, &rekor2).await && met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn round(latency: Duration, cosign: &Path) -> Round {
    let world = World::new(latency).await;
    let mut round = Round { ours: Vec::new(), cosign: Vec::new() };
    for number in 0..RUNS.0.max(RUNS.1) {
        if number < RUNS.0 {
            round.ours.push(world.ours(&format!("ours-{number}")).await);
        }
        if number < RUNS.1 {
            round.cosign.push(world.cosign(&format!("cosign-{number}"), cosign).await);
        }
    }
    round.ours.sort_by_key(|run| run.took);
    round.cosign.sort_by_key(|run| run.took);
    world.sandbox.stop().await;
    round
}

/// Both sides with a log that answers once a second, at no latency. Says whether ours waited for it
/// once.
async fn patience(cosign: &Path, program: &Path) -> bool {
    let mut world = World::new(Duration::ZERO).await;
    world.log = Some(Rekor2::start(program, cosign, &world.sandbox, world.folder.path()));
    let (mut ours, mut most) = (Vec::new(), 0);
    for number in 0..RUNS_OF_REKOR2 {
        let name = format!("rekor2-{number}");
        ours.push(world.ours(&name).await);
        let (bundles, checkpoints) = rekor2::checkpoints(
            &world.registry,
            &world.repository(&name),
            &world.subjects(&name).await,
        )
        .await;
        assert!(bundles >= 11, "{bundles} bundles are logged");
        most = most.max(checkpoints.len());
    }
    ours.sort_by_key(|run| run.took);
    let theirs = world.cosign("rekor2-cosign", cosign).await;
    let (own, their) = (median(&ours).took.as_secs_f64(), theirs.took.as_secs_f64());
    println!(
        "\n{:<34} {:>10} {:>10} {:>7.1} ×",
        "Rekor 2, a checkpoint a second",
        format!("{own:.2} s"),
        format!("{their:.2} s"),
        their / own
    );
    // Entries that are sent in one moment can fall on both sides of a checkpoint.
    println!(
        "{} at most {most} checkpoints vouch for all entries of a run; the bar is 2, where one entry after another has eleven",
        if most <= 2 { "✓" } else { "✗" }
    );
    world.sandbox.stop().await;
    most <= 2
}

/// One sandbox; every run gets a repository of its own, so that none finds what another left.
struct World {
    sandbox: Sandbox,
    folder: tempfile::TempDir,
    claims: Claims,
    registry: Registry,
    /// In place of the sandbox's.
    log: Option<Rekor2>,
}

impl World {
    async fn new(latency: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let claims = Claims::default();
        let sandbox = sandbox::start(SandboxConfig {
            latency,
            claims: claims.clone(),
            ..SandboxConfig::new(folder.path().join("sandbox"))
        })
        .await
        .unwrap();
        std::fs::create_dir(folder.path().join("context")).unwrap();
        Self {
            sandbox,
            folder,
            claims,
            registry: Registry::new(
                supply_action::github::network::Network::default().client().unwrap(),
                Credentials::default(),
            ),
            log: None,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn policy(&self) -> EvidencePolicy {
        let issuer = self
            .sandbox
            .environment()
            .into_iter()
            .find(|(name, _)| name == "SIGSTORE_ISSUER")
            .unwrap()
            .1;
        let formats: &[EvidenceFormat] = match self.log {
            Some(_) => &[EvidenceFormat::Bundle],
            None => &[EvidenceFormat::Bundle, EvidenceFormat::Legacy],
        };
        step::policy(self.claims.identity(), issuer, formats)
    }

    fn signing_config(&self) -> &Path {
        self.log.as_ref().map_or(self.sandbox.signing_config(), |log| &log.signing_config)
    }

    fn trusted_root(&self) -> &Path {
        self.log.as_ref().map_or(self.sandbox.trusted_root(), |log| &log.trusted_root)
    }

    /// Everything that is signed of the image in this repository.
    async fn subjects(&self, name: &str) -> Vec<Digest> {
        let pushed = image::push(&self.registry, &self.repository(name)).await;
        let index =
            self.registry.expect_manifest(&self.repository(name).at(&pushed.root)).await.unwrap();
        let parts = index.document().unwrap().index().unwrap().manifests;
        [pushed.root].into_iter().chain(parts.into_iter().map(|part| part.digest)).collect()
    }

    fn repository(&self, name: &str) -> Repository {
        format!("{}/{name}", self.sandbox.registry()).parse().unwrap()
    }

    async fn ours(&self, name: &str) -> Run {
        let repository = self.repository(name);
        let pushed = image::push(&self.registry, &repository).await;
        let place = StepPlace {
            sandbox: &self.sandbox,
            folder: self.folder.path(),
            signing_config: self.signing_config(),
            trusted_root: self.trusted_root(),
        };
        let step = place.built(&self.registry, &repository, &pushed).await;
        let policy = self.policy();
        let before = self.sandbox.requests().len();
        let began = Instant::now();
        let (outside, attested) = step.proven(&policy).await;
        let proven = began.elapsed();
        let _ =
            prove::verify_all(&outside, &attested, std::slice::from_ref(&policy)).await.unwrap();
        let took = began.elapsed();
        Run { took, verifying: took - proven, requests: self.sandbox.requests().split_off(before) }
    }

    /// The commands as workflows run them, one after another.
    async fn cosign(&self, name: &str, program: &Path) -> Run {
        let repository = self.repository(name);
        let pushed = image::push(&self.registry, &repository).await;
        let context = RunContext::new(&self.sandbox.environment().into_iter().collect());
        let commands = self.commands(&repository, &pushed, &context);
        let env = Environment::from([
            ("HOME".to_owned(), self.path("")),
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
        ]);
        let program = Program::new(program.to_owned(), &[], Variables::of(&env));
        let http = supply_action::github::network::Network::default().client().unwrap();
        let before = self.sandbox.requests().len();
        let began = Instant::now();
        let token = identity::token(&http, &context, &[]).await.unwrap();
        for command in commands {
            let token = ["--identity-token".to_owned(), token.jwt.expose_secret().to_owned()];
            program.run(&[command, token.to_vec()].concat(), ChildOutput::Kept).await.unwrap();
        }
        let took = began.elapsed();
        let requests = self.sandbox.requests().split_off(before);
        let root = sigstore::load_trusted_root(Some(self.trusted_root())).unwrap();
        let image = repository.at(&pushed.root);
        // Its commands sign index and platforms, and write bundles alone.
        let mut policy = self.policy();
        (policy.requirements.formats, policy.requirements.attestations) =
            (vec![EvidenceFormat::Bundle], Vec::new());
        verify::verify(&self.registry, &BundleVerifier::new(&root).unwrap(), &image, &policy)
            .await
            .unwrap();
        Run { took, verifying: Duration::ZERO, requests }
    }

    fn commands(
        &self,
        repository: &Repository,
        pushed: &Pushed,
        context: &RunContext,
    ) -> Vec<Vec<String>> {
        let common = [
            "-y".to_owned(),
            "--allow-http-registry".to_owned(),
            format!("--signing-config={}", self.signing_config().display()),
            format!("--trusted-root={}", self.trusted_root().display()),
        ];
        let command = |words: &[&str], image: ImageRef| {
            let words = words.iter().map(|&word| word.to_owned());
            words.chain(common.clone()).chain([image.to_string()]).collect::<Vec<_>>()
        };
        let attest = |kind: &str, predicate: serde_json::Value, subject: &Digest| {
            let file = self.path(&format!("{kind}-{}.json", subject.short()));
            std::fs::write(&file, predicate.to_string()).unwrap();
            command(&["attest", "--type", kind, "--predicate", &file], repository.at(subject))
        };
        let workflow = provenance::WorkflowOfRun::new(context, &self.claims.job_workflow_ref);
        let mut commands = vec![command(&["sign", "-r"], repository.at(&pushed.root))];
        for (platform, digest) in PLATFORMS.into_iter().zip(&pushed.platforms) {
            commands.push(attest("spdxjson", image::sbom(platform), digest));
            commands.push(attest("slsaprovenance1", image::provenance(platform), digest));
        }
        let of_index = image::sbom_of_index(repository, pushed);
        commands.push(attest("spdxjson", of_index, &pushed.root));
        commands.push(attest(
            "slsaprovenance1",
            provenance::predicate(&workflow, &[], &[]),
            &pushed.root,
        ));
        commands
    }
}

/// Prints everything, and says whether every bar is met.
#[expect(clippy::too_many_lines, reason = "one measured round, from its beginning to its end")]
fn tell(near: &Round, far: &Round) -> bool {
    let (kilobytes, provenance) = (
        image::sbom(PLATFORMS[0]).to_string().len() / 1000,
        image::provenance(PLATFORMS[0]).to_string().len() / 1000,
    );
    println!(
        "Evidence of an image for {} platforms, {kilobytes} kB of SPDX and {provenance} kB of provenance each. Medians of {} runs of ours, {} of cosign's.\n",
        PLATFORMS.len(),
        RUNS.0,
        RUNS.1
    );
    let row = |what: &str, ours: String, cosign: String, ratio: Option<f64>| {
        println!(
            "{what:<34} {ours:>10} {cosign:>10} {}",
            ratio.map(|ratio| format!("{ratio:>7.1} ×")).unwrap_or_default()
        );
    };
    let seconds = |took: Duration| format!("{:.2} s", took.as_secs_f64());
    row("", "ours".into(), "cosign 3".into(), None);
    let mut faster = 0.0;
    for (latency, round) in [(Duration::ZERO, near), (LATENCY, far)] {
        let (ours, cosign) = (median(&round.ours), median(&round.cosign));
        faster = cosign.took.as_secs_f64() / ours.took.as_secs_f64();
        row(
            &format!("{} ms a request", latency.as_millis()),
            seconds(ours.took),
            seconds(cosign.took),
            Some(faster),
        );
        let (first, last) = (&round.ours[0], &round.ours[round.ours.len() - 1]);
        row(
            "  fastest, slowest",
            format!("{}, {}", seconds(first.took), seconds(last.took)),
            String::new(),
            None,
        );
        row("  of which reading back, verifying", seconds(ours.verifying), "not done".into(), None);
    }
    let (ours, cosign) = (median(&far.ours), median(&far.cosign));
    let count = |what: &str, count: &dyn Fn(&Run) -> usize| {
        row(what, count(ours).to_string(), count(cosign).to_string(), None)
    };
    count("requests", &|run| run.requests.len());
    for (name, service) in [
        ("  registry", SandboxService::Registry),
        ("  OIDC tokens", SandboxService::Oidc),
        ("  Fulcio", SandboxService::Fulcio),
        ("  Rekor", SandboxService::Rekor),
        ("  timestamps", SandboxService::Timestamp),
    ] {
        count(name, &|run| run.count(service));
    }
    count("certificates", &Run::certificates);
    // A wait for nothing but requests grows by the latency for each one in a row, and by nothing
    // else.
    let chain = |near: &Run, far: &Run| {
        (far.took.as_secs_f64() - near.took.as_secs_f64()) / LATENCY.as_secs_f64()
    };
    let (own, theirs) = (chain(median(&near.ours), ours), chain(median(&near.cosign), cosign));
    row("requests one after another", format!("{own:.1}"), format!("{theirs:.1}"), None);
    println!("  (wall at {0} ms less wall at 0 ms, divided by {0} ms)", LATENCY.as_millis());
    let program = std::fs::read(env!("CARGO_BIN_EXE_supply-action")).unwrap();
    println!(
        "\nsupply-action: {:.1} MB, {:.1} MB compressed\n",
        megabytes(program.len()),
        megabytes(compressed(&program))
    );

    let certificates =
        near.ours.iter().chain(&far.ours).map(Run::certificates).max().unwrap_or_default();
    let bars = [
        (
            faster >= FASTER,
            format!(
                "at {} ms a request ours takes 1/{faster:.1} of cosign's time; the bar is 1/{FASTER}",
                LATENCY.as_millis()
            ),
        ),
        (certificates == 1, format!("a run asks for {certificates} certificate; the bar is 1")),
        (own <= CHAIN, format!("{own:.1} requests wait for one another; the bar is {CHAIN}")),
    ];
    for (met, text) in &bars {
        println!("{} {text}", if *met { "✓" } else { "✗" });
    }
    bars.iter().all(|(met, _)| *met)
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// As a registry keeps a layer.
fn compressed(bytes: &[u8]) -> usize {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap().len()
}
