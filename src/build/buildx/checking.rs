//! Asks a builder for BuildKit's checks of Dockerfiles, while it builds. It waits for none that takes
//! as long as a build.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::{Buildx, remove, write_private};
use crate::build::arguments;
use crate::build::checks::{CALL, DockerfileChecks};
use crate::build::recipe::Build;

impl Buildx {
    /// What BuildKit's checks say of the Dockerfile. The build may run meanwhile.
    pub async fn checks(&self, build: &Build) -> DockerfileChecks {
        let printed = async {
            let files = self.secret_files(build, "checked")?;
            let arguments = arguments::checks(build, &self.builder, &files);
            let printed = self.program.capture(&arguments).await;
            remove(&files);
            printed
        };
        DockerfileChecks::of_build(in_time(printed).await)
    }

    /// The same of each of these targets of a bake file, in their order.
    pub async fn bake_checks(
        &self,
        (folder, file): (&Path, &Value),
        allow: &[String],
        targets: impl Iterator<Item = &str>,
    ) -> Vec<DockerfileChecks> {
        let printed = async {
            let definition = self.folder.join("checked.json");
            write_private(&definition, file.to_string().as_bytes())?;
            let mut arguments = ["bake", "--call", CALL, "--builder"].map(str::to_owned).to_vec();
            arguments.extend([self.builder.clone(), "--file".to_owned()]);
            arguments.push(definition.display().to_string());
            arguments.extend(allow.iter().flat_map(|it| ["--allow".to_owned(), it.clone()]));
            self.program.clone().in_folder(folder).capture(&arguments).await
        };
        DockerfileChecks::of_bake(in_time(printed).await, targets)
    }
}

/// Checks build nothing: no run waits for them longer than that.
async fn in_time(printed: impl Future<Output = anyhow::Result<String>>) -> anyhow::Result<String> {
    const LONGEST: Duration = Duration::from_secs(60);
    let late = || anyhow::anyhow!("they took more than `{}` s", LONGEST.as_secs());
    tokio::time::timeout(LONGEST, printed).await.unwrap_or_else(|_| Err(late()))
}
