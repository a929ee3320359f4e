//! `Build` → the arguments of `buildx build`: the user's flags, less what says where the image
//! goes, plus where it goes with us. Pure; secrets appear as the paths of files only.

use std::path::Path;

use super::checks::CALL;
use super::flags::{Flag, FlagValue, Flags};
use super::outputs;
use crate::build::recipe::Build;
use crate::build::sbom::Sbom;
use crate::image::{ImageRef, Repository};

/// Where a build's result goes.
pub enum Destination<'a> {
    /// Nowhere but where the user's own `outputs` and `load` say: the build itself is the check.
    Check,
    /// To these repositories, under its digest alone.
    ByDigest { repositories: &'a [Repository], metadata: &'a Path, generator: &'a Generator },
}

/// What makes the SBOMs in the build, where the plan leaves that open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generator {
    /// Our scanner.
    Scanner(ImageRef),
    BuildKits,
    /// None: they are made of what was pushed.
    Nothing,
}

impl Generator {
    /// What buildx is told.
    pub(super) fn attest(&self, build: &Build) -> Option<String> {
        match self {
            Self::Scanner(scanner) => {
                let supplier = build.supplier.iter().map(|supplier| format!("SUPPLIER={supplier}"));
                let files = build.files.then(|| "FILES=owned".to_owned());
                Some(csv_row(
                    &["type=sbom".to_owned(), format!("generator={scanner}")]
                        .into_iter()
                        .chain(supplier)
                        .chain(files)
                        .collect::<Vec<_>>(),
                ))
            }
            Self::BuildKits => Some("type=sbom".to_owned()),
            Self::Nothing => None,
        }
    }
}

/// Reference: <https://docs.docker.com/reference/cli/docker/buildx/build/>. `secrets` holds the
/// files of `Flags::secrets`, in their order.
pub fn build<P: AsRef<Path>>(
    build: &Build,
    builder: &str,
    destination: &Destination<'_>,
    secrets: &[P],
) -> Vec<String> {
    let mut arguments: Vec<String> = vec!["build".into(), "--builder".into(), builder.into()];
    for flag in &build.flags.flags {
        if let Some(value) = value(flag, &build.flags, destination, secrets) {
            arguments.push(flag.name.to_owned());
            arguments.extend(value);
        }
    }
    let mut push = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    match destination {
        Destination::Check => {
            let goes_somewhere =
                build.flags.flags.iter().any(|flag| {
                    flag.name == "--load" || flag.name == "--call" || is_kept_output(flag)
                });
            if !goes_somewhere {
                push("--output", "type=cacheonly".to_owned());
            }
        }
        Destination::ByDigest { repositories, metadata, generator } => {
            if let (Sbom::Ours(_), Some(attest)) = (&build.sbom, generator.attest(build)) {
                push("--attest", attest);
            }
            push("--metadata-file", metadata.display().to_string());
            push(
                "--output",
                pushed_by_digest(
                    repositories,
                    &outputs::kept_of_images(build.flags.values("--output")),
                ),
            );
        }
    }
    arguments.push(build.flags.context.clone());
    arguments
}

/// Asks for the checks of the Dockerfile, with what it takes to read that: of several platforms one,
/// as all have one Dockerfile.
pub fn checks<P: AsRef<Path>>(build: &Build, builder: &str, secrets: &[P]) -> Vec<String> {
    const TAKEN: [&str; 8] = [
        "--add-host",
        "--allow",
        "--build-arg",
        "--build-context",
        "--file",
        "--secret",
        "--ssh",
        "--target",
    ];
    let mut arguments = ["build", "--builder", builder, "--call", CALL].map(str::to_owned).to_vec();
    for flag in build.flags.flags.iter().filter(|flag| TAKEN.contains(&flag.name)) {
        if let Some(value) = value(flag, &build.flags, &Destination::Check, secrets) {
            arguments.push(flag.name.to_owned());
            arguments.extend(value);
        }
    }
    if let Some(platform) = build.platforms.first() {
        arguments.extend(["--platform".to_owned(), platform.to_string()]);
    }
    arguments.push(build.flags.context.clone());
    arguments
}

/// The flag's value as an argument; `None` when the flag is set aside.
fn value<P: AsRef<Path>>(
    flag: &Flag,
    flags: &Flags,
    destination: &Destination<'_>,
    secrets: &[P],
) -> Option<Option<String>> {
    let publishes = matches!(destination, Destination::ByDigest { .. });
    let text = match &flag.value {
        FlagValue::None => return (flag.name != "--load" || !publishes).then_some(None),
        FlagValue::Text(text) => text.clone(),
        FlagValue::Secret(at) => csv_row(&[
            format!("id={}", flags.secrets[*at].id),
            format!("src={}", secrets[*at].as_ref().display()),
        ]),
    };
    match flag.name {
        "--output"
            if !is_kept_output(flag)
                || (publishes && outputs::kind(&text).as_deref() == Some("docker")) =>
        {
            None
        }
        "--attest" if publishes => Some(Some(for_publishing(&text))),
        // Evidence of an image that nobody gets is none.
        "--attest" => None,
        _ => Some(Some(text)),
    }
}

/// An image's output, to these repositories and under its digest alone, with what the user says of
/// it (`outputs::kept_of_images`).
pub(super) fn pushed_by_digest(repositories: &[Repository], own: &[(String, String)]) -> String {
    const MEDIA_TYPES: &str = "oci-mediatypes";
    let names: Vec<String> = repositories.iter().map(ToString::to_string).collect();
    let mut fields: Vec<String> = [
        "type=image",
        &format!("name={}", names.join(",")),
        "push=true",
        "push-by-digest=true",
        "name-canonical=true",
    ]
    .map(str::to_owned)
    .to_vec();
    if !own.iter().any(|(key, _)| key == MEDIA_TYPES) {
        fields.push(format!("{MEDIA_TYPES}=true"));
    }
    fields.extend(own.iter().map(|(key, value)| format!("{key}={value}")));
    csv_row(&fields)
}

/// An attestation's attributes as verifiers need it: they read provenance v1, and builders before
/// BuildKit 0.28 write 0.2 unless told.
pub(super) fn for_publishing(attest: &str) -> String {
    let of_old = outputs::kind(attest).as_deref() == Some("provenance")
        && outputs::value(attest, "version").is_none()
        && outputs::switch(attest, "disabled") != Some(true);
    if of_old { format!("{attest},version=v1") } else { attest.to_owned() }
}

fn is_kept_output(flag: &Flag) -> bool {
    let FlagValue::Text(text) = &flag.value else { return false };
    flag.name == "--output" && outputs::is_kept(text)
}

/// One row of CSV, which is how buildx splits attributes; fields with commas or quotes get quotes.
pub(super) fn csv_row(fields: &[String]) -> String {
    let quote = |field: &String| {
        if field.contains([',', '"', '\n']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.clone()
        }
    };
    fields.iter().map(quote).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::flags::{self, BuildTexts, FlagFacts};
    use crate::build::sbom::Otherwise;
    use crate::environment::Environment;

    fn made(texts: BuildTexts, sbom: Sbom) -> Build {
        let facts = FlagFacts {
            env: &Environment::new(),
            event: &serde_json::Value::Null,
            file_exists: &|_| true,
            private: true,
        };
        let platforms = vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()];
        Build {
            flags: flags::flags(&texts, &facts).unwrap(),
            platforms,
            sbom,
            supplier: Some("Octo, Inc".into()),
            files: true,
            allowed: crate::oci::Allowed::default(),
        }
    }

    fn everything() -> BuildTexts {
        BuildTexts {
            context: ".".into(),
            file: "a/Dockerfile".into(),
            target: "run".into(),
            platforms: "linux/amd64,linux/arm64".into(),
            build_args: "A=1,2".into(),
            labels: "l=1".into(),
            annotations: "index:a=b".into(),
            secrets: Some("tok=x".to_owned().into()),
            outputs: "type=image,name=evil,push=true,compression=zstd\ntype=local,dest=out\ntype=registry\ntype=docker".into(),
            load: true,
            ..BuildTexts::default()
        }
    }

    #[test]
    fn pushes_by_digest_to_every_repository_and_never_by_tag() {
        let repositories = ["ghcr.io/o/a".parse().unwrap(), "docker.io/o/a".parse().unwrap()];
        let scanner: ImageRef =
            format!("ghcr.io/o/a@{}", crate::image::Digest::of(b"")).parse().unwrap();
        let generator = Generator::Scanner(scanner.clone());
        let destination = Destination::ByDigest {
            repositories: &repositories,
            metadata: Path::new("/p/md.json"),
            generator: &generator,
        };
        let arguments = build(
            &made(BuildTexts { load: false, ..everything() }, Sbom::Ours(Otherwise::Registry)),
            "b",
            &destination,
            &["/p/s,0"],
        );
        #[rustfmt::skip]
        assert_eq!(arguments, [
            "build", "--builder", "b", "--annotation", "index:a=b", "--build-arg", "A=1,2", "--file", "a/Dockerfile", "--label", "l=1",
            "--output", "type=local,dest=out", "--platform", "linux/amd64,linux/arm64", "--secret", "id=tok,\"src=/p/s,0\"", "--target", "run",
            "--attest", &format!("type=sbom,generator={scanner},\"SUPPLIER=Octo, Inc\",FILES=owned"), "--metadata-file", "/p/md.json",
            "--output", "type=image,\"name=ghcr.io/o/a,docker.io/o/a\",push=true,push-by-digest=true,name-canonical=true,oci-mediatypes=true,compression=zstd", ".",
        ]);
    }

    #[test]
    fn checks_are_told_what_the_dockerfile_needs_and_where_nothing_goes() {
        let arguments =
            checks(&made(everything(), Sbom::Ours(Otherwise::Registry)), "b", &["/p/s0"]);
        #[rustfmt::skip]
        assert_eq!(arguments, [
            "build", "--builder", "b", "--call", "check,format=json,ignorestatus=true", "--build-arg", "A=1,2", "--file", "a/Dockerfile",
            "--secret", "id=tok,src=/p/s0", "--target", "run", "--platform", "linux/amd64", ".",
        ]);
    }

    #[test]
    fn no_spelling_of_an_output_gets_past() {
        for (output, kept) in [
            ("type=local,dest=o", true),
            ("./out", true),
            ("type=oci,dest=o.tar", true),
            ("type=image,push=true,name=x:latest", false),
            (" TYPE = image ,name=x:latest,push=true", false),
            ("\"type=image\",\"name=x:latest\",push=true", false),
            ("type=local,type=registry,name=x:latest", false),
            ("name=x:latest,push=true", false),
            ("type=registry", false),
            ("type=something-new", false),
        ] {
            let flag = Flag { name: "--output", value: FlagValue::Text(output.to_owned()) };
            assert_eq!(is_kept_output(&flag), kept, "{output}");
        }
    }

    #[test]
    fn provenance_is_of_the_version_that_verifiers_read() {
        let destination = Destination::ByDigest {
            repositories: &[],
            metadata: Path::new("/p/md.json"),
            generator: &Generator::Nothing,
        };
        for (given, attest) in [
            ("", "type=provenance,mode=max,version=v1"),
            ("mode=min,version=v1", "type=provenance,mode=min,version=v1"),
            (
                "mode=min,builder-id=https://x/?version=2",
                "type=provenance,mode=min,builder-id=https://x/?version=2,version=v1",
            ),
            ("false", "type=provenance,disabled=true"),
        ] {
            let texts = BuildTexts {
                context: ".".into(),
                provenance: given.into(),
                ..BuildTexts::default()
            };
            let arguments = build(&made(texts, Sbom::Off), "b", &destination, &[] as &[&str]);
            assert!(arguments.contains(&attest.to_owned()), "{arguments:?}");
        }
    }

    #[test]
    fn a_build_that_publishes_nothing_pushes_nothing_whatever_its_outputs_say() {
        let arguments = build(
            &made(everything(), Sbom::Ours(Otherwise::Registry)),
            "b",
            &Destination::Check,
            &["/p/s0"],
        );
        assert!(
            !arguments.iter().any(|argument| argument.contains("push")
                || argument.contains("registry")
                || argument == "--attest"),
            "{arguments:?}"
        );
        assert!(
            arguments.contains(&"type=local,dest=out".to_owned())
                && arguments.contains(&"--load".to_owned())
        );
        let plain = build(
            &made(BuildTexts { context: ".".into(), ..BuildTexts::default() }, Sbom::Off),
            "b",
            &Destination::Check,
            &[] as &[&str],
        );
        assert_eq!(plain, ["build", "--builder", "b", "--output", "type=cacheonly", "."]);
    }
}
