//! `supply-action sign-bundle`: signs a file, or an in-toto statement, and writes the Sigstore
//! bundle, by the client protocol of sigstore-conformance. It never tells the token, and never
//! writes a bundle that it could check and that does not hold.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use secrecy::SecretString;
use sigstore_types::{ArtifactDigest, HashAlgorithm, Sha256Hash, Statement};

use crate::environment::Environment;
use crate::error::{OrRemedy as _, Remedy as _, WithExit, exit};
use crate::files;
use crate::github::network::Network;
use crate::report::Report;
use crate::sigstore::artifact::{CheckedBundle, SignedArtifact, Trusted};
use crate::sigstore::identity::{OidcToken, claims};
use crate::sigstore::session::Session;
use crate::sigstore::verifier::BundleVerifier;
use crate::sigstore::{Services, load_trusted_root, staging_trusted_root};

/// Where the token may stand instead of on the command line, which other users of a machine can
/// see.
const TOKEN: &str = "SIGSTORE_ID_TOKEN";

/// How the type of a statement begins, in every version.
const STATEMENT: &str = "https://in-toto.io/Statement/";

/// Arguments of `supply-action sign-bundle`.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub struct SignBundleArguments {
    /// The OIDC token that says who signs, for audience "sigstore". Better in the variable
    /// SIGSTORE_ID_TOKEN: a command line can be seen
    #[arg(long, value_name = "JWT", value_parser = secret)]
    pub identity_token: Option<SecretString>,
    /// Where to write the bundle, version 0.3
    #[arg(long, value_name = "OUT")]
    pub bundle: PathBuf,
    /// The trusted root with which the bundle is checked before it is written
    #[arg(long, value_name = "FILE")]
    pub trusted_root: Option<PathBuf>,
    /// The services to sign with; by default the public-good instance, whose log is public for ever
    #[arg(long, value_name = "FILE")]
    pub signing_config: Option<PathBuf>,
    /// Sign with Sigstore's staging instance, whose log is public and forgotten
    #[arg(long, conflicts_with_all = ["trusted_root", "signing_config"])]
    pub staging: bool,
    /// FILE is an in-toto statement: sign it in a DSSE envelope
    #[arg(long)]
    pub in_toto: bool,
    /// What to sign
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

const NOTES: &str =
    "The program makes a key for this one signature and forgets it. Fulcio certifies it for the identity in the token. The log and the
timestamp authority of the signing config prove the time. The bundle is checked before it is written, unless --signing-config is
given without --trusted-root.

In a job with \"permissions: id-token: write\":
  SIGSTORE_ID_TOKEN=$(curl -sH \"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\" \\
    \"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sigstore\" | jq -r .value) supply-action sign-bundle --bundle app.sigstore.json app.tar.gz

Exit codes: 0 signed, 1 not, 2 the arguments are wrong";

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}

pub async fn run(
    arguments: &SignBundleArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<()> {
    let token = token(arguments, env)?;
    let (signed, checked) =
        signed(arguments, token, &Network::of(env)).await.context("nothing was signed")?;
    let out = arguments.bundle.display();
    files::write_named(&arguments.bundle, &signed)
        .remedied()
        .with_context(|| format!("bundle `{out}` cannot be written"))?;
    let file = arguments.file.display();
    let told = match checked {
        Some(CheckedBundle { identity, checked, .. }) => {
            format!(
                "signed: {file}, by {}, bundle {out}; checked: {}",
                identity.unwrap_or_default(),
                checked.join(", ")
            )
        }
        None => format!("signed: {file}, bundle {out}; not checked, as there is no --trusted-root"),
    };
    report.answer(&[told]);
    Ok(())
}

async fn signed(
    arguments: &SignBundleArguments,
    token: OidcToken,
    network: &Network,
) -> anyhow::Result<(Vec<u8>, Option<CheckedBundle>)> {
    let subject = BundleSubject::read(&arguments.file, arguments.in_toto)?;
    let (services, root) = if arguments.staging {
        (Services::staging()?, Some(staging_trusted_root()?))
    } else {
        let services = Services::load(arguments.signing_config.as_deref())?;
        // Nobody said whom a signing config of one's own may be believed by.
        let believed = arguments.trusted_root.is_some() || arguments.signing_config.is_none();
        (
            services,
            believed.then(|| load_trusted_root(arguments.trusted_root.as_deref())).transpose()?,
        )
    };
    let verifier = root.as_ref().map(BundleVerifier::new).transpose()?;
    let session = Session::open(&network.client()?, &services, &token).await.remedied()?;
    let (signed, artifact) = match subject {
        BundleSubject::Bytes(digest) => {
            (session.sign_blob(&digest).await.remedied()?, digest.into())
        }
        BundleSubject::Statement { text, about } => {
            (session.sign(&text).await.remedied()?.bundle, about)
        }
    };
    let checked = verifier
        .map(|verifier| {
            verifier
                .check_artifact(&signed, &SignedArtifact::Digest(artifact), &Trusted::AnyoneUnsafe)
                .remedied()
        })
        .transpose()
        .context("the new bundle does not verify")?;
    Ok((signed, checked))
}

/// What is signed, read once.
enum BundleSubject {
    Bytes(Sha256Hash),
    Statement { text: Vec<u8>, about: ArtifactDigest },
}

impl BundleSubject {
    fn read(path: &Path, in_toto: bool) -> anyhow::Result<Self> {
        let shown = path.display();
        let unread = || format!("`{shown}` cannot be read");
        if !in_toto {
            let file = File::open(path).with_context(unread)?;
            return sigstore_crypto::sha256_reader(file).map(Self::Bytes).with_context(unread);
        }
        let text = std::fs::read(path).with_context(unread)?;
        let statement = serde_json::from_slice(&text)
            .map_err(anyhow::Error::new)
            .and_then(|statement: Statement| {
                anyhow::ensure!(
                    statement.type_.starts_with(STATEMENT),
                    "its `_type` is `{}` and not `{STATEMENT}v1`",
                    statement.type_
                );
                Ok(statement)
            })
            .with_context(|| format!("`{shown}` is not an in-toto statement"))
            .hint("leave out --in-toto to sign the file itself")?;
        let about = statement.subject.iter().find_map(|subject| {
            let sha256 = subject.digest.sha256.map(ArtifactDigest::sha256);
            sha256.or_else(|| {
                ArtifactDigest::new(HashAlgorithm::Sha2512, subject.digest.sha512?).ok()
            })
        });
        let about = about
            .with_context(|| format!("statement `{shown}` has no subject with a SHA-256 or SHA-512 digest, so it is about nothing"))
            .hint("see https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md")?;
        Ok(Self::Statement { text, about })
    }
}

fn token(arguments: &SignBundleArguments, env: &Environment) -> anyhow::Result<OidcToken> {
    use secrecy::ExposeSecret as _;
    let from_env = || {
        env.get(TOKEN)
            .filter(|token| !token.is_empty())
            .map(|token| SecretString::from(token.trim()))
    };
    let Some(jwt) = arguments.identity_token.clone().or_else(from_env) else {
        let message = "nothing was signed: there is no OIDC token".to_owned();
        return Err(WithExit { code: exit::BAD_INPUT, message }).hint(format!(
            "set the variable {TOKEN} to a token for audience \"sigstore\", or pass \
             --identity-token"
        ));
    };
    let unverified = claims(jwt.expose_secret()).context("nothing was signed")?;
    let age = jiff::Timestamp::now().as_second() - unverified.exp;
    if age >= 0 {
        return Err(anyhow::anyhow!(
            "nothing was signed: the OIDC token of issuer `{}` expired {age} s ago",
            unverified.iss
        ))
        .hint("get a new token: each is valid for minutes only");
    }
    Ok(OidcToken { jwt, unverified })
}
