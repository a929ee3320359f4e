//! Rows for forges, registries of packages and images, and what builds. It reads nothing.

use super::{Proof, SecretRule, token};
use crate::secrets::proofs;

pub(super) const ROWS: &[SecretRule] = &[
    token(
        "github-token",
        "GitHub token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        r"gh[opsur]_[0-9A-Za-z]{36}",
    )
    .proved(Proof::Checksum(proofs::crc32_in_base62)),
    token(
        "github-fine-grained-token",
        "GitHub token with chosen permissions",
        &["github_pat_"],
        r"github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}",
    ),
    token(
        "gitlab-token",
        "GitLab token",
        &[
            "glpat-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glsoat-", "glimt-",
            "glagent-", "gloas-", "glffct-",
        ],
        r"gl[a-z]{2,5}-(?:[0-9A-Za-z_-]{27,300}(?:\.[0-9a-z]{2})?\.[0-9a-z]{9}|[0-9A-Za-z_-]{20,64})",
    ),
    token("npm-token", "npm token", &["npm_"], r"npm_[0-9A-Za-z]{36}")
        .proved(Proof::Checksum(proofs::crc32_in_base62)),
    token(
        "npmrc-token",
        "token in the settings of npm",
        &[":_authToken="],
        r#":_authToken=["']?([0-9A-Za-z_.+/=-]{20,})"#,
    )
    .loose(),
    token(
        "npmrc-password",
        "password in the settings of npm",
        &[":_password=", ":_auth=", "_auth="],
        r#":?_(?:auth|password)=["']?([0-9A-Za-z+/]{8,}={0,2})"#,
    )
    .only_in(&["npmrc"])
    .loose()
    .guessable()
    .told(),
    token("pypi-token", "PyPI token", &["pypi-AgE"], r"pypi-(AgE[0-9A-Za-z_-]{60,})")
        .proved(Proof::Structure(proofs::is_macaroon)),
    token("cratesio-token", "crates.io token", &["cio"], r"cio[0-9A-Za-z]{32}")
        .proved(Proof::Entropy(4.0)),
    token("rubygems-token", "RubyGems key", &["rubygems_"], r"rubygems_[0-9a-f]{48}")
        .proved(Proof::Entropy(3.0)),
    token("nuget-key", "NuGet key", &["oy2"], r"oy2[a-z0-9]{43}").proved(Proof::Entropy(4.0)),
    token(
        "docker-hub-token",
        "Docker Hub token",
        &["dckr_pat_", "dckr_oat_"],
        r"dckr_(?:pat_[0-9A-Za-z_-]{27}|oat_[0-9A-Za-z_-]{32})",
    ),
    token("jfrog-key", "Artifactory key", &["AKCp"], r"AKCp[0-9A-Za-z]{69}"),
    token(
        "jfrog-reference",
        "Artifactory reference token",
        &["cmVmdGtu"],
        r"cmVmdGtu[0-9A-Za-z]{56}",
    ),
    token(
        "bitbucket-password",
        "Bitbucket app password",
        &["ATBB"],
        r"ATBB[0-9A-Za-z]{24}[0-9A-F]{8}",
    ),
    token(
        "atlassian-token",
        "Atlassian token",
        &["ATATT3", "ATCTT3"],
        r"AT[AC]TT3[0-9A-Za-z_=-]{170,250}=[0-9A-F]{8}",
    ),
    token(
        "azure-devops-token",
        "Azure DevOps token",
        &["AZDO"],
        r"[0-9A-Za-z]{76}AZDO[0-9A-Za-z]{4}",
    )
    .reaching(super::Reach::Back(76)),
    token(
        "circleci-token",
        "CircleCI token",
        &["CCIPAT_", "CCIPRJ_"],
        r"CCIP(?:AT|RJ)_[0-9A-Za-z]{22}_[0-9a-f]{40}",
    ),
    token("buildkite-token", "Buildkite token", &["bkua_"], r"bkua_[0-9a-f]{40}")
        .proved(Proof::Entropy(3.0)),
    token(
        "sourcegraph-token",
        "Sourcegraph token",
        &["sgp_"],
        r"sgp_(?:(?:[0-9a-fA-F]{16}|local)_)?[0-9a-fA-F]{40}",
    )
    .proved(Proof::Entropy(3.0)),
    token(
        "terraform-token",
        "HCP Terraform token",
        &[".atlasv1."],
        r"[0-9A-Za-z]{14}\.atlasv1\.[0-9A-Za-z_-]{60,70}",
    )
    .reaching(super::Reach::Back(14)),
    token("pulumi-token", "Pulumi token", &["pul-"], r"pul-[0-9a-f]{40}")
        .proved(Proof::Entropy(3.0)),
    token("postman-key", "Postman key", &["PMAK-"], r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}")
        .proved(Proof::Entropy(3.0)),
    token("linear-key", "Linear key", &["lin_api_"], r"lin_api_[0-9A-Za-z]{40}"),
    token("figma-token", "Figma token", &["figd_"], r"figd_[0-9A-Za-z_-]{40}"),
    token("notion-token", "Notion token", &["ntn_"], r"ntn_[0-9]{11}[0-9A-Za-z]{35}"),
];
