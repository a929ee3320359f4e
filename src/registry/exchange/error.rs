//! Why no login could be exchanged, as situations with a remedy each. It never holds a body, only
//! codes and messages.

use crate::error::Remedied;

/// Who was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeService {
    AwsSts,
    Ecr,
    EcrPublic,
    GoogleSts,
    GoogleIam,
    Entra,
    Acr,
}

impl std::fmt::Display for ExchangeService {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::AwsSts => "AWS STS",
            Self::Ecr => "Amazon ECR",
            Self::EcrPublic => "Amazon ECR Public",
            Self::GoogleSts => "Google's token service",
            Self::GoogleIam => "Google IAM",
            Self::Entra => "Microsoft Entra",
            Self::Acr => "Azure Container Registry",
        })
    }
}

/// A failed exchange. `told` is `: code: message` as the service's documented error format has
/// them, or empty.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("no OIDC token for `{audience}`, which a login at `{registry}` needs")]
    NoToken { audience: String, registry: String, source: anyhow::Error },
    #[error("{service} `{url}` refused {subject}: HTTP {status}{told}")]
    Refused {
        service: ExchangeService,
        url: String,
        subject: String,
        status: u16,
        code: String,
        told: String,
    },
    #[error("{service} `{url}` did not give {subject} in {attempts} attempts: HTTP {status}{told}")]
    Unwell {
        service: ExchangeService,
        url: String,
        subject: String,
        attempts: u32,
        status: u16,
        told: String,
    },
    #[error("{service} `{url}` gave no answer in {attempts} attempts: {cause}")]
    Unreachable { service: ExchangeService, url: String, attempts: u32, cause: String },
    #[error("{service} `{url}` answered the request for {subject} with {what}")]
    Unusable { service: ExchangeService, url: String, subject: String, what: &'static str },
}

impl Remedied for ExchangeError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            // Its source brings its own.
            Self::NoToken { .. } => return None,
            Self::Refused { service, code, .. } => refused(*service, code),
            Self::Unwell { .. } | Self::Unreachable { .. } => {
                "look at the service's status page and run the workflow again; check that this runner can reach the service"
            }
            Self::Unusable { .. } => {
                "check the runner's proxy: something may answer in place of the service"
            }
        };
        Some(remedy.to_owned())
    }
}

fn refused(service: ExchangeService, code: &str) -> &'static str {
    match (service, code) {
        (ExchangeService::AwsSts, "InvalidIdentityToken") => {
            "add the identity provider `https://token.actions.githubusercontent.com` with audience `sts.amazonaws.com` (in China `sts.amazonaws.com.cn`) to the AWS account of the role: IAM, Identity providers"
        }
        (ExchangeService::AwsSts, "ExpiredTokenException" | "ExpiredToken") => {
            "the OIDC token was too old when AWS saw it; check the clock of the runner and run the workflow again"
        }
        (ExchangeService::AwsSts, "RegionDisabledException") => {
            "activate STS in this region: IAM, Account settings"
        }
        (ExchangeService::AwsSts, "ValidationError") => "check the ARN in `aws-role`",
        (ExchangeService::AwsSts, _) => {
            "the trust policy of the role must allow `sts:AssumeRoleWithWebIdentity` to `oidc-provider/token.actions.githubusercontent.com`, with the `aud` `sts.amazonaws.com` (in China `sts.amazonaws.com.cn`) and a `sub` of this repository such as `repo:octo/app:*`"
        }
        (ExchangeService::Ecr | ExchangeService::EcrPublic, "AccessDeniedException") => {
            match service {
                ExchangeService::EcrPublic => {
                    "allow `ecr-public:GetAuthorizationToken` and `sts:GetServiceBearerToken` to the role or user, on resource `*`, and pushing to the repository"
                }
                _ => {
                    "allow `ecr:GetAuthorizationToken` to the role or user, on resource `*`, and pushing to the repository"
                }
            }
        }
        (ExchangeService::Ecr | ExchangeService::EcrPublic, _) => {
            "check `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` of the job, or give `aws-role`; check the clock of the runner"
        }
        (ExchangeService::GoogleSts, _) => {
            "the provider in `gcp-workload-identity-provider` must exist (with the project's number, not its name), trust the issuer `https://token.actions.githubusercontent.com`, and its attribute condition must admit this repository"
        }
        (ExchangeService::GoogleIam, _) => {
            "grant `roles/iam.workloadIdentityUser` on the service account to this repository's principals of the workload identity pool, and enable the IAM Service Account Credentials API; changes take up to 5 minutes"
        }
        (ExchangeService::Entra, "invalid_client") => {
            "the application needs a federated credential with issuer `https://token.actions.githubusercontent.com`, audience `api://AzureADTokenExchange` and the subject of this run, in exactly its letter case"
        }
        (ExchangeService::Entra, _) => "check `azure-client-id` and `azure-tenant-id`",
        (ExchangeService::Acr, _) => "give the application the role `AcrPush` on the registry",
    }
}
