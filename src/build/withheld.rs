//! Variables of the job that bake files read and do not get: those that the files declare, and, as
//! Compose files declare none, those whose value makes a difference, tried with values of our own.
//! So no file is silently built with a default. It never tells buildx a value of the job.

use serde::Deserialize;

use crate::command::Program;
use crate::environment::Environment;
use crate::error::{Remedy as _, WithExit, exit};
use crate::page::RefusalPage;

/// Variables that steer a program rather than a build: buildx may fail over a value that is none.
const OF_PROGRAMS: [&str; 8] =
    ["LD_", "GODEBUG", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK", "OTEL_", "XDG_", "KUBE"];

/// Refuses when what `buildx bake --print` made of the files, `printed`, depends on a variable that
/// the job sets and the program does not have.
pub(super) async fn refuse(
    program: &Program,
    arguments: &[String],
    printed: &str,
    env: &Environment,
) -> anyhow::Result<()> {
    let is_withheld = |name: &str| {
        !program.variables().has(name) && !OF_PROGRAMS.iter().any(|start| name.starts_with(start))
    };
    let withheld: Vec<&str> =
        env.keys().map(String::as_str).filter(|name| is_withheld(name)).collect();
    let mut found = declared(program, arguments).await;
    found.retain(|name| withheld.contains(&name.as_str()) && !is_given(name, arguments));
    if found.is_empty() {
        let trial = WithheldTrial { program, arguments, printed, salt: rand::random::<u32>() };
        found = trial.read(&withheld).await;
    }
    if found.is_empty() {
        return Ok(());
    }
    let listed = found.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let message = format!(
        "the bake files read {listed} from the environment, but bake files do not get the value \
         that this job sets"
    );
    let first = found.first().cloned().unwrap_or_default();
    Err(WithExit { code: exit::BAD_INPUT, message }).hint(format!(
        "name it with `build-env: {}` if the bake files may have its value, or give another with `vars: {first}=…`",
        found.join(",")
    ))
    .see(RefusalPage::BakeVariableWithheld)
}

/// Whether the user gives a value with `vars`.
fn is_given(name: &str, arguments: &[String]) -> bool {
    let mut pairs = arguments.windows(2);
    pairs.any(|pair| {
        pair[0] == "--var" && pair[1].split_once('=').is_some_and(|(given, _)| given == name)
    })
}

/// The variables that the files declare; of a buildx that cannot list them, none.
async fn declared(program: &Program, arguments: &[String]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Variable {
        name: String,
    }
    let list = |argument: &String| {
        if argument == "--print" {
            "--list=type=variables,format=json".to_owned()
        } else {
            argument.clone()
        }
    };
    let text =
        program.capture(&arguments.iter().map(list).collect::<Vec<_>>()).await.unwrap_or_default();
    let listed: Option<Vec<Variable>> = serde_json::from_str(&text).unwrap_or_default();
    listed.unwrap_or_default().into_iter().map(|variable| variable.name).collect()
}

struct WithheldTrial<'a> {
    program: &'a Program,
    arguments: &'a [String],
    printed: &'a str,
    salt: u32,
}

impl WithheldTrial<'_> {
    /// Those of these variables on which the result depends; where only several together do, all of
    /// them.
    async fn read(&self, names: &[&str]) -> Vec<String> {
        self.narrowed(names).await.into_iter().map(str::to_owned).collect()
    }

    async fn narrowed<'n>(&self, names: &[&'n str]) -> Vec<&'n str> {
        match self.with(names).await {
            Some(text) if text == self.printed => return Vec::new(),
            Some(text) => {
                let found: Vec<&str> = names
                    .iter()
                    .copied()
                    .filter(|name| text.contains(&self.value(name, names)))
                    .collect();
                // Files that say something else each time, such as the time of day, tell nothing.
                if !found.is_empty() || self.with(&[]).await.as_deref() != Some(self.printed) {
                    return found;
                }
            }
            None => {}
        }
        let mut candidates = names.to_vec();
        while candidates.len() > 1 {
            let (one, other) = candidates.split_at(candidates.len() / 2);
            candidates = match (self.differs(one).await, self.differs(other).await) {
                (true, _) => one.to_vec(),
                (false, true) => other.to_vec(),
                (false, false) => return candidates,
            };
        }
        candidates
    }

    async fn differs(&self, names: &[&str]) -> bool {
        self.with(names).await.as_deref() != Some(self.printed)
    }

    /// What buildx makes of the files when these variables have values of ours; nothing where it
    /// fails over them.
    async fn with(&self, names: &[&str]) -> Option<String> {
        let told = |program: Program, name: &&str| {
            program.with_env(name, self.value(name, names).as_ref())
        };
        names.iter().fold(self.program.clone(), told).capture(self.arguments).await.ok()
    }

    /// Digits, which are a text and a number, and nobody else's.
    fn value(&self, name: &str, names: &[&str]) -> String {
        let at = names.iter().position(|known| *known == name).unwrap_or_default();
        format!("7{:010}{at:04}", self.salt)
    }
}
