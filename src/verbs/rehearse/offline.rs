//! The inputs of a release → those of its rehearsal: what reaches beyond this machine is moved to
//! the sandbox or left out, and said. Pure.

use crate::build::bake::Definition;
use crate::environment::Environment;
use crate::inputs::Inputs;
use crate::metadata;

const NOWHERE_ELSE: &str = "a rehearsal reaches nothing beyond this machine";

/// Inputs that are the sandbox's to answer, or that name what a rehearsal does not reach.
const OF_THE_WORLD: [&str; 18] = [
    "CACHE-FROM",
    "CACHE-TO",
    "CHECK-RUNNERS",
    "EPSS",
    "FAIL-ON-KEV",
    "GITHUB-TOKEN",
    "KEV",
    "OSV-URL",
    "PASSWORD",
    "REGISTRY",
    "REGISTRY-AUTH",
    "SIGNING-CONFIG",
    "SOURCE-IMAGES",
    "TRUSTED-ROOT",
    "TUF-MIRROR",
    "TUF-ROOT",
    "USERNAME",
    "ALLOW-PUBLIC-LOG",
];

/// Whether a rehearsal has no use for an input; why, for the one who set it.
pub(super) fn left_out(name: &str) -> Option<String> {
    let name = name.to_uppercase().replace('_', "-");
    OF_THE_WORLD
        .contains(&name.as_str())
        .then(|| format!("input `{}` is left out: {NOWHERE_ELSE}", name.to_lowercase()))
}

/// Moves names to the sandbox's registry, and remembers what it says of it.
struct NameMover<'a> {
    registry: &'a str,
    notices: Vec<String>,
}

impl NameMover<'_> {
    fn moved(&mut self, name: &str) -> String {
        let moved = format!("{}/{}", self.registry, path_of(name));
        let notice = format!("`{moved}` replaces `{name}` in this rehearsal");
        if moved != name && !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
        moved
    }
}

/// Moves every name of the image to the sandbox's registry, and says so.
pub(super) fn moved(inputs: &mut Inputs, registry: &str) -> anyhow::Result<Vec<String>> {
    let mut mover = NameMover { registry, notices: Vec::new() };
    inputs.names.metadata.images =
        metadata::renamed_images(&inputs.names.metadata.images, &mut |name| mover.moved(name))?;
    for reference in &mut inputs.names.metadata.references {
        let moved = mover.moved(&reference.image);
        reference.text = reference.text.replacen(&reference.image, &moved, 1);
        reference.image = moved;
    }
    Ok(mover.notices)
}

/// The same for the targets of bake files.
pub(super) fn moved_definition(definition: &mut Definition, registry: &str) -> Vec<String> {
    let mut mover = NameMover { registry, notices: Vec::new() };
    let without_caches = definition.move_names(&mut |name| mover.moved(name));
    let told = without_caches
        .iter()
        .map(|target| format!("the caches of target `{target}` are left out: {NOWHERE_ELSE}"));
    mover.notices.into_iter().chain(told).collect()
}

/// A name without its registry.
fn path_of(name: &str) -> &str {
    match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        _ => name,
    }
}

/// The variables of a run without the inputs of the user's shell, and without what a rehearsal must
/// not use.
pub(super) fn without_the_world(env: &Environment, key: &str) -> Environment {
    let is_of_a_run = |name: &str| {
        ["INPUT_", "GITHUB_", "ACTIONS_", key].iter().any(|prefix| name.starts_with(prefix))
    };
    env.iter()
        .filter(|(name, _)| !is_of_a_run(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stays_at_its_registry() {
        for (name, path) in [
            ("ghcr.io/octo/app", "octo/app"),
            ("octo/app", "octo/app"),
            ("localhost/app", "app"),
            ("registry:5000/a/b", "a/b"),
            ("app", "app"),
            ("docker.io/library/x", "library/x"),
        ] {
            assert_eq!(path_of(name), path);
        }
    }

    #[test]
    fn what_reaches_out_is_left_out_however_it_is_spelt() {
        for name in ["cache-to", "CACHE_TO", "Registry-Auth", "signing-config"] {
            assert!(
                left_out(name).unwrap().ends_with("reaches nothing beyond this machine"),
                "{name}"
            );
        }
        assert_eq!(left_out("tags"), None);
    }
}
