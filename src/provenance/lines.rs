//! The provenance of a build with `mode=max` → which line of which file made a layer. Pure; it is for
//! people alone, so what cannot be read is no line, and nothing is refused by it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::scan::report::SourceLine;

/// Which line of the build's own file made what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildLines {
    /// By the digest of a layer as the build exported it.
    layers: BTreeMap<String, SourceLine>,
}

/// What BuildKit tells beside SLSA, in both versions.
const METADATA: [&str; 2] = [
    "/runDetails/metadata/buildkit_metadata",
    "/metadata/https:~1~1mobyproject.org~1buildkit@v1#metadata",
];

impl BuildLines {
    pub fn read(predicate: &str) -> Self {
        let whole: Value = serde_json::from_str(predicate).unwrap_or_default();
        let Some(metadata) = METADATA.iter().find_map(|place| whole.pointer(place)) else {
            return Self::default();
        };
        let steps = metadata.get("layers").and_then(Value::as_object).into_iter().flatten();
        let mut layers = BTreeMap::new();
        for (output, chains) in steps {
            let step = output.split(':').next().unwrap_or_default();
            let Some(line) = line(metadata, step) else { continue };
            for chain in chains.as_array().into_iter().flatten() {
                // A chain begins with the layers of the steps before.
                let last = chain.as_array().and_then(|chain| chain.last());
                if let Some(digest) = last.and_then(|last| last["digest"].as_str()) {
                    layers.insert(digest.to_owned(), line.clone());
                }
            }
        }
        Self { layers }
    }

    /// The line that made a layer, or the `FROM` that brought it as the highest one.
    pub fn of_layer(&self, digest: &str) -> Option<&SourceLine> {
        self.layers.get(digest)
    }

    #[cfg(test)]
    pub(crate) fn of(layers: impl IntoIterator<Item = (String, SourceLine)>) -> Self {
        Self { layers: layers.into_iter().collect() }
    }

    pub fn add(&mut self, other: Self) {
        self.layers.extend(other.layers);
    }
}

/// The first line of a step, in the file below the repository that has it.
fn line(metadata: &Value, step: &str) -> Option<SourceLine> {
    let location = &metadata["source"]["locations"][step]["locations"][0];
    let line = location["ranges"][0]["start"]["line"].as_u64()?;
    let at = usize::try_from(location["sourceIndex"].as_u64().unwrap_or_default()).ok()?;
    let name = metadata["source"]["infos"].get(at)?["filename"].as_str()?;
    // Files of a client lie in a folder that it named; those of a repository are named whole.
    let folder = metadata["vcs"]["localdir:dockerfile"].as_str().unwrap_or_default();
    let steps = folder.split('/').chain(name.split('/')).filter(|step| !["", "."].contains(step));
    let path = steps.collect::<Vec<_>>().join("/");
    Some(SourceLine { path, line: u32::try_from(line).ok().filter(|line| *line > 0)? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata() -> Value {
        let layer = |name: &str| json!({ "mediaType": "m", "digest": name, "size": 1 });
        let at = |line: u32| json!({ "locations": [{ "ranges": [{ "start": { "line": line }, "end": { "line": line } }] }] });
        json!({
            "vcs": { "localdir:dockerfile": "services/./api" },
            "source": {
                "locations": { "step0": at(3), "step1": at(5), "step3": at(0) },
                "infos": [{ "filename": "Dockerfile", "language": "Dockerfile" }],
            },
            "layers": {
                "step0:0": [[layer("sha256:aa"), layer("sha256:bb")]],
                "step1:0": [[layer("sha256:aa"), layer("sha256:bb"), layer("sha256:cc")]],
                "step2:0": [[layer("sha256:dd")]],
                "step3:0": [[layer("sha256:ee")]],
                "step4:0": "nonsense",
            },
        })
    }

    #[test]
    fn each_layer_has_the_line_of_the_step_that_ends_with_it() {
        let lines_of = |predicate: Value| BuildLines::read(&predicate.to_string());
        let version_1 =
            json!({ "runDetails": { "metadata": { "buildkit_metadata": metadata() } } });
        let version_02 =
            json!({ "metadata": { "https://mobyproject.org/buildkit@v1#metadata": metadata() } });
        let lines = lines_of(version_1);
        assert_eq!(lines, lines_of(version_02));
        let line = |digest: &str| lines.of_layer(digest).map(|it| (it.path.as_str(), it.line));
        assert_eq!(line("sha256:bb"), Some(("services/api/Dockerfile", 3)));
        assert_eq!(line("sha256:cc"), Some(("services/api/Dockerfile", 5)));
        for nowhere in ["sha256:aa", "sha256:dd", "sha256:ee"] {
            assert_eq!(line(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn what_says_nothing_of_lines_has_none() {
        for predicate in ["", "[]", "{}", r#"{"runDetails":{"metadata":{"buildkit_metadata":7}}}"#]
        {
            assert_eq!(BuildLines::read(predicate), BuildLines::default(), "{predicate}");
        }
    }
}
