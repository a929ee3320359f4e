//! `Build` → the arguments of `buildx build`. Pure; secrets appear as the paths of files only.

use std::path::Path;

use crate::image::{ImageRef, Repository};
use crate::inputs::Provenance;
use crate::plan::Build;

/// Where a build's result goes.
pub enum Destination<'a> {
    /// Nowhere: the build itself is the check.
    Cache,
    /// To these repositories, under its digest alone.
    ByDigest { repositories: &'a [Repository], metadata: &'a Path, scanner: Option<&'a ImageRef> },
}

/// A secret's id and the file that holds it.
pub struct SecretFile<'a> {
    pub id: &'a str,
    pub file: &'a Path,
}

/// Reference: <https://docs.docker.com/reference/cli/docker/buildx/build/>.
pub fn build(build: &Build, builder: &str, destination: &Destination<'_>, secrets: &[SecretFile<'_>]) -> Vec<String> {
    let mut arguments: Vec<String> = vec!["build".into(), "--builder".into(), builder.into()];
    let mut push = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    let platforms: Vec<String> = build.platforms.iter().map(ToString::to_string).collect();
    push("--platform", platforms.join(","));
    if let Some(file) = &build.file {
        push("--file", file.clone());
    }
    if let Some(target) = &build.target {
        push("--target", target.clone());
    }
    for argument in &build.build_args {
        push("--build-arg", argument.clone());
    }
    for label in &build.labels {
        push("--label", label.clone());
    }
    for annotation in &build.annotations {
        push("--annotation", annotation.clone());
    }
    for secret in secrets {
        push("--secret", csv_row(&[format!("id={}", secret.id), format!("src={}", secret.file.display())]));
    }
    push("--attest", provenance(build.provenance));
    match destination {
        Destination::Cache => push("--output", "type=cacheonly".to_owned()),
        Destination::ByDigest { repositories, metadata, scanner } => {
            push(
                "--attest",
                match scanner {
                    Some(scanner) => csv_row(&["type=sbom".to_owned(), format!("generator={scanner}")]),
                    None => "type=sbom,disabled=true".to_owned(),
                },
            );
            push("--metadata-file", metadata.display().to_string());
            let names: Vec<String> = repositories.iter().map(ToString::to_string).collect();
            push(
                "--output",
                csv_row(&[
                    "type=image".to_owned(),
                    format!("name={}", names.join(",")),
                    "push=true".to_owned(),
                    "push-by-digest=true".to_owned(),
                    "name-canonical=true".to_owned(),
                    "oci-mediatypes=true".to_owned(),
                ]),
            );
        }
    }
    arguments.push(build.context.clone());
    arguments
}

fn provenance(provenance: Provenance) -> String {
    match provenance {
        // v1 is what verifiers read today; BuildKit's default has changed over time.
        Provenance::Max => "type=provenance,mode=max,version=v1".to_owned(),
        Provenance::Min => "type=provenance,mode=min,version=v1".to_owned(),
        Provenance::Off => "type=provenance,disabled=true".to_owned(),
    }
}

/// One row of CSV, which is how buildx splits attributes; fields with commas or quotes get quotes.
fn csv_row(fields: &[String]) -> String {
    let quote = |field: &String| {
        if field.contains([',', '"', '\n']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.clone() }
    };
    fields.iter().map(quote).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Build {
        Build {
            context: ".".into(),
            file: Some("a/Dockerfile".into()),
            target: Some("run".into()),
            platforms: vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()],
            build_args: vec!["A=1,2".into()],
            labels: vec!["l=1".into()],
            annotations: vec!["index:a=b".into()],
            provenance: Provenance::Max,
            sbom: true,
        }
    }

    #[test]
    fn pushes_by_digest_to_every_repository_and_never_by_tag() {
        let repositories = ["ghcr.io/o/a".parse().unwrap(), "docker.io/o/a".parse().unwrap()];
        let scanner: ImageRef = format!("ghcr.io/o/a@{}", crate::image::Digest::of(b"")).parse().unwrap();
        let destination = Destination::ByDigest { repositories: &repositories, metadata: Path::new("/p/md.json"), scanner: Some(&scanner) };
        let secrets = [SecretFile { id: "tok", file: Path::new("/p/s,0") }];
        let arguments = build(&plain(), "b", &destination, &secrets);
        assert_eq!(
            arguments,
            [
                "build",
                "--builder",
                "b",
                "--platform",
                "linux/amd64,linux/arm64",
                "--file",
                "a/Dockerfile",
                "--target",
                "run",
                "--build-arg",
                "A=1,2",
                "--label",
                "l=1",
                "--annotation",
                "index:a=b",
                "--secret",
                "id=tok,\"src=/p/s,0\"",
                "--attest",
                "type=provenance,mode=max,version=v1",
                "--attest",
                &format!("type=sbom,generator={scanner}"),
                "--metadata-file",
                "/p/md.json",
                "--output",
                "type=image,\"name=ghcr.io/o/a,docker.io/o/a\",push=true,push-by-digest=true,name-canonical=true,oci-mediatypes=true",
                ".",
            ]
        );
        assert!(!arguments.iter().any(|argument| argument == "--tag" || argument == "-t" || argument == "--push"));
    }

    #[test]
    fn a_build_that_publishes_nothing_leaves_nothing() {
        let arguments = build(&Build { provenance: Provenance::Off, sbom: false, ..plain() }, "b", &Destination::Cache, &[]);
        assert!(
            arguments.contains(&"type=cacheonly".to_owned()) && !arguments.iter().any(|argument| argument.contains("push")),
            "{arguments:?}"
        );
    }
}
