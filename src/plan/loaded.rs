//! A build that publishes nothing and loads its image → the names that the image has on this
//! machine, and the one platform that is loaded. Pure; no name leaves the machine.

use crate::build::flags::{Flag, FlagValue};
use crate::build::outputs;
use crate::build::recipe::Build;
use crate::image::Platform;
use crate::metadata::ImageMetadata;

/// Names what is loaded, and says what was chosen.
pub(super) fn name(
    build: &mut Build,
    metadata: &ImageMetadata,
    tags_are_legal: bool,
) -> Vec<String> {
    let is_loaded = |flag: &Flag| match &flag.value {
        FlagValue::None => flag.name == "--load",
        FlagValue::Text(text) => {
            flag.name == "--output" && outputs::kind(text).as_deref() == Some("docker")
        }
        FlagValue::Secret(_) => false,
    };
    if !build.flags.flags.iter().any(is_loaded) {
        return Vec::new();
    }
    let mut notices = Vec::new();
    if tags_are_legal {
        let tags = metadata
            .tags()
            .into_iter()
            .map(|tag| Flag { name: "--tag", value: FlagValue::Text(tag) });
        build.flags.flags.extend(tags);
    }
    if build.platforms.len() > 1 {
        let chosen = one(&build.platforms, std::env::consts::ARCH).clone();
        notices.push(format!("`{chosen}` alone is built and loaded: Docker holds one platform of an image; name another with `platforms`"));
        for flag in build.flags.flags.iter_mut().filter(|flag| flag.name == "--platform") {
            flag.value = FlagValue::Text(chosen.to_string());
        }
        build.platforms = vec![chosen];
    }
    notices
}

/// The platform of this machine where it is among them, since what is loaded is run here; else the
/// first.
fn one<'a>(platforms: &'a [Platform], machine: &str) -> &'a Platform {
    let ours = match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    platforms
        .iter()
        .find(|platform| platform.os == "linux" && platform.architecture == ours)
        .unwrap_or(&platforms[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_platform_is_loaded() {
        let platforms = ["linux/arm64", "linux/amd64", "windows/amd64"]
            .map(|platform| platform.parse().unwrap());
        for (machine, chosen) in
            [("x86_64", "linux/amd64"), ("aarch64", "linux/arm64"), ("s390x", "linux/arm64")]
        {
            assert_eq!(one(&platforms, machine).to_string(), chosen);
        }
    }
}
