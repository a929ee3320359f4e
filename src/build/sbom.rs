//! The input `sbom` → who makes the SBOMs. A user's own files are read and checked here, before
//! anything is built; it changes none of them.

use std::path::Path;

use serde::Serialize;

use crate::error::{WithExit, exit};
use crate::image::Platform;
use crate::sbom::foreign::{self, ForeignFormat};

/// Who makes the SBOMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sbom {
    /// Our own scanner in the build.
    Ours(Otherwise),
    /// This program, of the layers that the build left in the registry.
    Registry(ForeignFormat),
    /// BuildKit's generator, or one that the user names in `sbom` or `attests`.
    Generator,
    /// The user, one for each platform.
    Files(Vec<UserSbom>),
    Off,
}

/// What makes them where the builder cannot run our scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// This program, of the layers in the registry.
    Registry,
    /// BuildKit's generator: of what is pushed for `merge`, nothing is read here.
    Generator,
    /// Nothing: the user insists on the scanner.
    Refused,
}

/// A user's SBOM of one platform, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserSbom {
    pub platform: Platform,
    pub path: String,
    #[serde(skip)]
    pub format: ForeignFormat,
    #[serde(skip)]
    pub text: String,
}

/// What SBOMs say, and in which words.
#[derive(Debug, Clone, Default)]
pub struct WrittenSboms {
    pub format: ForeignFormat,
    /// Whether they list the files that packages brought.
    pub files: bool,
    /// Who supplies the images, in place of what they inherited from their bases.
    pub supplier: Option<String>,
}

impl Sbom {
    /// Reads the inputs `sbom` and `sbom-format`. `attests` may name a generator of its own; what
    /// is `for_merge` is not attested in this run.
    pub(crate) fn of(
        input: &str,
        format: Option<ForeignFormat>,
        attests: &str,
        platforms: &[Platform],
        for_merge: bool,
    ) -> Result<Self, WithExit> {
        let sbom = Self::of_input(input.trim(), attests, platforms, for_merge)?;
        let written = match (&sbom, format) {
            // What scanners hand to BuildKit is SPDX, so what is to be CycloneDX is made of the
            // layers, unless somebody insists.
            (Self::Ours(otherwise), Some(ForeignFormat::CycloneDx))
                if *otherwise != Otherwise::Refused =>
            {
                return Ok(Self::Registry(ForeignFormat::CycloneDx));
            }
            (Self::Registry(_), Some(format)) => return Ok(Self::Registry(format)),
            (Self::Off, _) | (_, None) => return Ok(sbom),
            (Self::Files(documents), Some(_)) => {
                documents.first().map_or(ForeignFormat::Spdx, |first| first.format)
            }
            _ => ForeignFormat::Spdx,
        };
        match (format == Some(written), &sbom) {
            (true, _) => Ok(sbom),
            (false, Self::Files(documents)) => {
                let path = documents.first().map(|first| first.path.as_str()).unwrap_or_default();
                refuse_format(&format!("`{path}` is attested as it is, in {}", written.name()))
            }
            _ => refuse_format(
                "generators in the build write SPDX for BuildKit, which takes nothing else; `sbom: registry` makes CycloneDX",
            ),
        }
    }

    fn of_input(
        input: &str,
        attests: &str,
        platforms: &[Platform],
        for_merge: bool,
    ) -> Result<Self, WithExit> {
        match input.to_ascii_lowercase().as_str() {
            "" if attests.contains("type=sbom") => Ok(Self::Generator),
            "" | "auto" | "true" => {
                Ok(Self::Ours(if for_merge { Otherwise::Generator } else { Otherwise::Registry }))
            }
            "scanner" => Ok(Self::Ours(Otherwise::Refused)),
            "registry" => Ok(Self::Registry(ForeignFormat::Spdx)),
            "buildkit" => Ok(Self::Generator),
            "false" => Ok(Self::Off),
            _ if is_attributes(input) => Ok(Self::Generator),
            _ if !input.contains(['/', '.']) => refuse(&format!(
                "`{input}` is none of `auto`, `scanner`, `registry`, `buildkit`, `true`, `false`, `generator=IMAGE` and a path such as `./sbom.spdx.json`"
            )),
            _ => Ok(Self::Files(documents(input, platforms)?)),
        }
    }

    /// What buildx is told, where the generator is not ours.
    pub(crate) fn flag(&self, input: &str) -> String {
        match self {
            Self::Ours(_) => String::new(), // its generator is known only when it lies in the registry
            Self::Generator if input.trim().eq_ignore_ascii_case("buildkit") => "true".to_owned(),
            Self::Generator => input.to_owned(),
            Self::Registry(_) | Self::Files(_) | Self::Off => "false".to_owned(),
        }
    }

    /// Whether BuildKit attaches one to each platform, where ours are read from.
    pub fn is_made_in_the_build(&self) -> bool {
        matches!(self, Self::Ours(_) | Self::Generator)
    }

    /// Whether they are, or may turn out to be, made of the layers in the registry.
    pub fn may_be_of_layers(&self) -> bool {
        matches!(self, Self::Registry(_) | Self::Ours(Otherwise::Registry))
    }

    /// What those are written in.
    pub fn format_of_layers(&self) -> ForeignFormat {
        if let Self::Registry(format) = self { *format } else { ForeignFormat::Spdx }
    }

    /// The predicate types that the image of each platform gets.
    pub fn predicate_types(&self) -> Vec<&'static str> {
        let mut types: Vec<&str> = match self {
            Self::Off => Vec::new(),
            Self::Ours(_) | Self::Generator => vec![ForeignFormat::Spdx.predicate_type()],
            Self::Registry(format) => vec![format.predicate_type()],
            Self::Files(documents) => {
                documents.iter().map(|document| document.format.predicate_type()).collect()
            }
        };
        types.dedup();
        types
    }
}

/// `generator=IMAGE,KEY=VALUE`, and what else buildx takes: no path begins so.
fn is_attributes(input: &str) -> bool {
    let first = input.split(',').next().unwrap_or_default();
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    first.split_once('=').is_some_and(|(key, _)| is_word(key))
        || ["0", "1", "t", "f"].contains(&first.to_ascii_lowercase().as_str())
}

fn documents(input: &str, platforms: &[Platform]) -> Result<Vec<UserSbom>, WithExit> {
    let documents: Vec<UserSbom> =
        platforms.iter().map(|platform| document(input, platform)).collect::<Result<_, _>>()?;
    match documents
        .iter()
        .find(|document| Some(document.format) != documents.first().map(|first| first.format))
    {
        Some(other) => {
            refuse(&format!("`{}` has another format than `{}`", other.path, documents[0].path))
        }
        None => Ok(documents),
    }
}

fn document(input: &str, platform: &Platform) -> Result<UserSbom, WithExit> {
    let path = input
        .replace("{platform}", &platform.to_string().replace('/', "-"))
        .replace("{os}", &platform.os)
        .replace("{arch}", &platform.architecture);
    if path.contains(['{', '}']) {
        return refuse(&format!(
            "`{input}` may have `{{platform}}`, `{{os}}` and `{{arch}}`, and nothing else in braces"
        ));
    }
    let unread =
        |why: String| refuse(&format!("`{path}` cannot be attested to `{platform}`: {why}"));
    let size = match std::fs::metadata(Path::new(&path)) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return unread("it is not a file".to_owned()),
        Err(error) => return unread(error.to_string()),
    };
    if size > foreign::LARGEST as u64 {
        return unread(format!(
            "it has {size} bytes, and more than {} are not read",
            foreign::LARGEST
        ));
    }
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(error) => return unread(error.to_string()),
    };
    match foreign::check(text.as_bytes()) {
        Ok(format) => Ok(UserSbom { platform: platform.clone(), path, format, text }),
        Err(error) => unread(error.to_string()),
    }
}

fn refuse_format<T>(message: &str) -> Result<T, WithExit> {
    Err(WithExit { code: exit::BAD_INPUT, message: format!("input `sbom-format`: {message}") })
}

fn refuse<T>(message: &str) -> Result<T, WithExit> {
    Err(WithExit { code: exit::BAD_INPUT, message: format!("input `sbom`: {message}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPDX: &str = r#"{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","name":"x","documentNamespace":"https://x.example/1",
        "creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: x"]},"packages":[{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE"}]}"#;
    const CYCLONEDX: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"a"}]}"#;

    fn platforms() -> Vec<Platform> {
        ["linux/amd64", "linux/arm/v7"].map(|platform| platform.parse().unwrap()).to_vec()
    }

    #[test]
    fn words_attributes_and_paths_are_told_apart() {
        let check = |input: &str, attests: &str, expected: Sbom, flag: &str| {
            let sbom = Sbom::of(input, None, attests, &platforms(), false).unwrap();
            assert_eq!((sbom.flag(input), &sbom), (flag.to_owned(), &expected), "{input}");
        };
        check("", "", Sbom::Ours(Otherwise::Registry), "");
        check("auto", "type=sbom,generator=x", Sbom::Ours(Otherwise::Registry), "");
        check("True", "", Sbom::Ours(Otherwise::Registry), "");
        check("scanner", "", Sbom::Ours(Otherwise::Refused), "");
        check("", "type=sbom,generator=x", Sbom::Generator, "");
        check("Registry", "type=sbom,generator=x", Sbom::Registry(ForeignFormat::Spdx), "false");
        check("buildkit", "", Sbom::Generator, "true");
        check(
            "generator=docker.io/a/b:1,X=y",
            "",
            Sbom::Generator,
            "generator=docker.io/a/b:1,X=y",
        );
        check("FALSE", "", Sbom::Off, "false");
        assert_eq!(
            Sbom::of("", None, "", &platforms(), true).unwrap(),
            Sbom::Ours(Otherwise::Generator)
        );
        let told = Sbom::of("layers", None, "", &platforms(), false).unwrap_err().message;
        assert!(
            told.starts_with(
                "input `sbom`: `layers` is none of `auto`, `scanner`, `registry`, `buildkit`"
            ),
            "{told}"
        );
    }

    #[test]
    fn cyclonedx_is_made_of_layers_and_never_of_what_a_generator_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json").display().to_string();
        std::fs::write(&path, SPDX).unwrap();
        let of = |input: &str, format, for_merge| {
            Sbom::of(input, Some(format), "", &platforms(), for_merge)
                .map_err(|error| error.message)
        };
        for (input, for_merge) in
            [("", false), ("true", false), ("auto", true), ("registry", false)]
        {
            let sbom = of(input, ForeignFormat::CycloneDx, for_merge).unwrap();
            assert_eq!(
                (&sbom, sbom.predicate_types()),
                (&Sbom::Registry(ForeignFormat::CycloneDx), vec!["https://cyclonedx.org/bom"]),
                "{input}"
            );
            assert_eq!(
                (sbom.flag(input), sbom.is_made_in_the_build(), sbom.may_be_of_layers()),
                ("false".to_owned(), false, true)
            );
        }
        assert_eq!(of("", ForeignFormat::Spdx, false), Ok(Sbom::Ours(Otherwise::Registry)));
        assert_eq!(
            of("registry", ForeignFormat::Spdx, false),
            Ok(Sbom::Registry(ForeignFormat::Spdx))
        );
        assert_eq!(of("buildkit", ForeignFormat::Spdx, false), Ok(Sbom::Generator));
        assert_eq!(of("false", ForeignFormat::CycloneDx, false), Ok(Sbom::Off));
        assert!(of(&path, ForeignFormat::Spdx, false).is_ok());
        assert_eq!(
            of(&path, ForeignFormat::CycloneDx, false).unwrap_err(),
            format!("input `sbom-format`: `{path}` is attested as it is, in SPDX")
        );
        for input in ["scanner", "buildkit", "generator=a/b"] {
            let told = of(input, ForeignFormat::CycloneDx, false).unwrap_err();
            assert!(
                told.starts_with(
                    "input `sbom-format`: generators in the build write SPDX for BuildKit"
                ),
                "{told}"
            );
        }
    }

    #[test]
    fn a_file_is_one_for_all_platforms_or_one_for_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("all.json"), format!("\u{feff}{SPDX}")).unwrap();
        let of = |input: &str| Sbom::of(input, None, "", &platforms(), false);
        let shared = of(&path("all.json")).unwrap();
        let documents = |sbom: &Sbom| match sbom {
            Sbom::Files(documents) => documents.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            documents(&shared).iter().map(|document| document.text.as_str()).collect::<Vec<_>>(),
            [SPDX, SPDX]
        );
        assert_eq!(
            (shared.predicate_types(), shared.is_made_in_the_build()),
            (vec!["https://spdx.dev/Document"], false)
        );
        for platform in ["linux-amd64", "linux-arm-v7"] {
            std::fs::write(path(&format!("{platform}.cdx.json")), CYCLONEDX).unwrap();
        }
        let each = of(&path("{platform}.cdx.json")).unwrap();
        assert_eq!(documents(&each)[1].path, path("linux-arm-v7.cdx.json"));
        assert_eq!(each.predicate_types(), ["https://cyclonedx.org/bom"]);
        std::fs::write(path("linux-arm-v7.cdx.json"), SPDX).unwrap();
        let says = |input: &str, words: &str| {
            let told = of(&path(input)).unwrap_err().message;
            assert!(told.starts_with("input `sbom`: ") && told.contains(words), "{told}");
        };
        says("{platform}.cdx.json", "has another format than");
        says("{name}.json", "nothing else in braces");
        says("{os}-{arch}.json", "cannot be attested to `linux/amd64`: No such file");
        says("", "it is not a file");
        std::fs::write(path("bad.json"), SPDX.replace("Tool: x", "")).unwrap();
        std::fs::write(path("broken.json"), SPDX.replace("SPDX-2.3", "SPDX-3.0")).unwrap();
        says("broken.json", "its `spdxVersion` is `SPDX-3.0`, and only");
    }
}
