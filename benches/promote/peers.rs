//! Who copies, and the words that each is told to carry as much as it can. It runs nobody.

use std::path::{Path, PathBuf};

use crate::process::MeasuredCommand;

/// What is needed, from `tools/with-tools --promote`.
pub(crate) struct BenchTools {
    pub(crate) python: PathBuf,
    pub(crate) regctl: PathBuf,
    oras: PathBuf,
    crane: PathBuf,
    cosign: PathBuf,
    buildx: PathBuf,
}

impl BenchTools {
    pub(crate) fn found() -> Option<Self> {
        let path = |name: &str| {
            let found = std::env::var_os(name).map(PathBuf::from);
            if found.is_none() {
                println!("{name} is not set: run this with `make bench-promote`");
            }
            found
        };
        Some(Self {
            python: path("SUPPLY_ACTION_TOOLS_PYTHON")?,
            regctl: path("SUPPLY_ACTION_TOOLS_REGCTL")?,
            oras: path("SUPPLY_ACTION_TOOLS_ORAS")?,
            crane: path("SUPPLY_ACTION_TOOLS_CRANE")?,
            cosign: path("SUPPLY_ACTION_TOOLS_COSIGN3")?,
            buildx: path("SUPPLY_ACTION_TOOLS_BUILDX")?,
        })
    }
}

/// One that copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Copier {
    Ours,
    Regctl,
    Oras,
    Imagetools,
    Cosign,
    Crane,
    Limit,
}

impl Copier {
    pub(crate) const ALL: [Self; 7] = [
        Self::Ours,
        Self::Regctl,
        Self::Oras,
        Self::Imagetools,
        Self::Cosign,
        Self::Crane,
        Self::Limit,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours, verified twice",
            Self::Regctl => "regctl image copy",
            Self::Oras => "oras cp -r",
            Self::Imagetools => "buildx imagetools",
            Self::Cosign => "cosign copy",
            Self::Crane => "crane copy",
            Self::Limit => "limit: SHA-256 alone",
        }
    }

    /// Whether it is somebody else's.
    pub(crate) fn is_peer(self) -> bool {
        !matches!(self, Self::Ours | Self::Limit)
    }
}

/// From where to where.
pub(crate) struct CopyPlaces<'a> {
    /// `host/name@digest`.
    pub(crate) from: &'a str,
    /// `host/name`.
    pub(crate) to: &'a str,
    pub(crate) trusted_root: &'a Path,
    pub(crate) issuer: &'a str,
    /// Lines of the limit: digest and size of each blob.
    pub(crate) blobs: &'a str,
}

/// The tag that all set.
pub(crate) const TAG: &str = "v1.2.3";

impl BenchTools {
    pub(crate) fn command(&self, copier: Copier, places: &CopyPlaces<'_>) -> MeasuredCommand {
        let (from, to) = (places.from, places.to);
        let tagged = format!("{to}:{TAG}");
        match copier {
            Copier::Ours => {
                let (root, issuer) = (
                    format!("trusted-root={}", places.trusted_root.display()),
                    format!("certificate-oidc-issuer={}", places.issuer),
                );
                let (tags, repo) = (format!("tags={TAG}"), "repo=example/hello");
                let formats = "signature-formats=bundle,legacy";
                let program = Path::new(env!("CARGO_BIN_EXE_supply-action"));
                #[rustfmt::skip]
                let words = [
                    "promote", "-i", repo, "-i", &root, "-i", &issuer, "-i", &tags, "-i", formats, "--source", from, "--to", to,
                ];
                MeasuredCommand::new(program, &words)
            }
            Copier::Regctl => MeasuredCommand::new(
                &self.regctl,
                &["image", "copy", "--referrers", "--digest-tags", from, &tagged],
            ),
            Copier::Oras => MeasuredCommand::new(
                &self.oras,
                &["cp", "-r", "--no-tty", "--from-plain-http", "--to-plain-http", from, &tagged],
            ),
            Copier::Imagetools => MeasuredCommand::new(
                &self.buildx,
                &["imagetools", "create", "--tag", &tagged, from],
            ),
            Copier::Cosign => MeasuredCommand::new(
                &self.cosign,
                &["copy", "-f", "--allow-http-registry", from, &tagged],
            ),
            Copier::Crane => {
                MeasuredCommand::new(&self.crane, &["copy", "--insecure", from, &tagged])
            }
            Copier::Limit => {
                let program = std::env::current_exe().unwrap();
                let from = from.split('@').next().unwrap();
                let mut command = MeasuredCommand::new(&program, &["limit", from, to]);
                places.blobs.clone_into(&mut command.input);
                command
            }
        }
    }

    /// What regctl has to be told once of hosts that speak plain HTTP.
    pub(crate) fn settle(&self, hosts: &[&str], home: &Path) {
        for host in hosts {
            let words = ["registry", "set", host, "--tls", "disabled"];
            let run = MeasuredCommand::new(&self.regctl, &words).run(&self.python, home);
            assert!(run.ended_well, "{}", run.said);
        }
    }
}
