//! SARIF files of other tools in the workspace → their runs, and what the rules say of them. It
//! follows no link of a checkout, and takes no file that it cannot read for one without findings.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use jiff::civil::Date;

use super::TermsAuthor;
use super::lists::accepted;
use super::search::waivers::is_about_secrets;
use crate::error::{OrRemedy as _, Remedy as _, SeveralFailures, WithExit, exit};
use crate::files::OpenFolder;
use crate::report::text::visible;
use crate::scan::accepted::{AcceptedRisk, AcceptedRisks};
use crate::scan::tools::gate::{ToolRefusal, ToolRules, ToolTally, judge};
use crate::scan::tools::{self, ToolRun, told_apart};
use crate::text::plural;

/// Which files, and what of them refuses an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolTerms {
    /// Relative to the workspace.
    pub files: Vec<PathBuf>,
    /// `None`: nothing does, and the results are only listed.
    pub gate: Option<ToolRules>,
    /// Files of accepted risks.
    pub ignore_files: Vec<PathBuf>,
}

/// What the files hold, read once.
#[derive(Debug, Default)]
pub struct ToolFindings {
    runs: Vec<ToolRun>,
    gate: Option<ToolRules>,
    accepted: AcceptedRisks,
}

/// What of it people are told.
#[derive(Debug, Default)]
pub struct ToolsOutcome {
    pub tallies: Vec<ToolTally>,
    pub refusal: Option<ToolRefusal>,
    /// The places of rules that accept a result.
    pub met: BTreeSet<String>,
    /// Each with the place of the rule that it is about, where it is about one.
    pub remarks: Vec<(Option<String>, String)>,
}

impl ToolFindings {
    /// Reads the files; `own` are beginnings of the categories of this step's own findings. Nothing
    /// is accepted yet.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn open(terms: &ToolTerms, workspace: &Path, own: &[String]) -> anyhow::Result<Self> {
        let (mut runs, mut wrong) = (Vec::new(), Vec::new());
        for file in &terms.files {
            match runs_of(file, workspace) {
                Ok(of_file) => runs.extend(of_file),
                Err(error) => wrong.push(error),
            }
        }
        if let Some(failed) = runs.iter().find(|run| run.has_failed && terms.gate.is_some()) {
            let why = format!(
                "`{}` cannot be judged: `{}` says that it failed, so that what it missed is not known",
                visible(&failed.file),
                visible(&failed.tool)
            );
            wrong.push(bad(why));
        }
        if let Err(error) = told_apart(&runs, own) {
            let refused: anyhow::Result<()> = Err(bad(error));
            let refused = refused
                .hint("give each an `automationDetails.id` of its own that ends with `/`")
                .err();
            wrong.extend(refused);
        }
        match (wrong.len(), wrong.pop()) {
            (_, None) => Ok(Self { runs, gate: terms.gate, accepted: AcceptedRisks::default() }),
            (1, Some(only)) => Err(only),
            (_, Some(last)) => {
                wrong.push(last);
                Err(SeveralFailures::of(wrong).into())
            }
        }
    }

    /// Reads what is accepted of them.
    ///
    /// # Errors
    /// When a file cannot be followed to the letter.
    pub fn accepting(self, terms: &ToolTerms) -> anyhow::Result<Self> {
        if terms.gate.is_none() {
            return Ok(self);
        }
        Ok(Self { accepted: accepted(&terms.ignore_files, TermsAuthor::Action)?, ..self })
    }

    pub fn runs(&self) -> &[ToolRun] {
        &self.runs
    }

    /// What the rules say. `scans`: whether a scan says as well which rules accept nothing.
    pub fn judged(&self, today: Date, scans: bool) -> ToolsOutcome {
        let verdict = judge(&self.runs, self.gate.as_ref(), &self.accepted, today);
        let mut remarks = Vec::new();
        let mut say = |risk: &AcceptedRisk, what: String| {
            remarks.push((Some(risk.place.clone()), what));
        };
        for risk in &verdict.expired {
            let (place, reason) = (visible(&risk.place), visible(&risk.reason));
            say(risk, format!("`{place}` has expired: {reason}"));
        }
        let unused = verdict.unused.iter().filter(|risk| !scans && !is_about_secrets(risk));
        for risk in unused {
            say(risk, format!("`{}` accepts nothing that was found", visible(&risk.place)));
        }
        if self.gate.is_some() && verdict.unrated > 0 {
            let count = usize::try_from(verdict.unrated).unwrap_or(usize::MAX);
            let count = plural(count, "finding");
            remarks.push((None, format!("{count} of other tools without a severity, so `fail-on` does not meet them; `fail-on-unknown` does")));
        }
        let failed = self.runs.iter().filter(|run| run.has_failed);
        remarks.extend(failed.map(|run| {
            let (file, tool) = (visible(&run.file), visible(&run.tool));
            (None, format!("`{file}` may not be complete: `{tool}` says that it failed"))
        }));
        let (tallies, refusal, met) = (verdict.tallies, verdict.refusal, verdict.met);
        ToolsOutcome { tallies, refusal, met, remarks }
    }
}

fn bad(why: impl std::fmt::Display) -> anyhow::Error {
    let message = format!("input `sarif-files`: {why}");
    WithExit { code: exit::BAD_INPUT, message }.into()
}

fn runs_of(file: &Path, workspace: &Path) -> anyhow::Result<Vec<ToolRun>> {
    let named = file.display().to_string();
    let path = within(file, workspace)
        .ok_or_else(|| bad(format_args!("`{}` does not lie in the workspace", visible(&named))));
    let path = path.hint("name it as it lies in the workspace, such as `reports/tool.sarif`")?;
    let bytes = bytes(&path, workspace).map_err(|error| {
        let message = format!("input `sarif-files`: `{}` was not read", visible(&named));
        error.context(WithExit { code: exit::BAD_INPUT, message })
    })?;
    let Some(bytes) = bytes else {
        let missing: anyhow::Result<()> =
            Err(bad(format_args!("`{}` is not there", visible(&named))));
        missing.hint("the step that writes it runs before this one, in the same job")?;
        return Ok(Vec::new());
    };
    let shown = path.strip_prefix(workspace).unwrap_or(&path).display().to_string();
    tools::read(&shown, &bytes).map_err(bad)
}

/// Where a file lies in the workspace; `None` where it would lie elsewhere.
fn within(file: &Path, workspace: &Path) -> Option<PathBuf> {
    let mut path = workspace.to_owned();
    let below = match file.is_absolute() {
        true => file.strip_prefix(workspace).ok()?,
        false => file,
    };
    let mut depth = 0_usize;
    for part in below.components() {
        match part {
            Component::Normal(name) => {
                depth += 1;
                path.push(name);
            }
            Component::CurDir => {}
            Component::ParentDir => {
                depth = depth.checked_sub(1)?;
                path.pop();
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (depth > 0).then_some(path)
}

/// One byte more than a file may have says that it is too large.
fn bytes(path: &Path, workspace: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    if !folder.exists() {
        return Ok(None);
    }
    let folder = OpenFolder::open(folder, workspace).remedied()?;
    let Some(file) = folder.file(Path::new(name)).remedied()? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(tools::LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_in_the_workspace_whatever_it_is_called() {
        let of = |file: &str| {
            within(Path::new(file), Path::new("/w")).map(|it| it.display().to_string())
        };
        for (file, path) in [
            ("a.sarif", Some("/w/a.sarif")),
            ("./a/../b.sarif", Some("/w/b.sarif")),
            ("/w/a.sarif", Some("/w/a.sarif")),
            ("../a.sarif", None),
            ("a/../../w/a.sarif", None),
            ("/etc/passwd", None),
            ("/w/../etc/passwd", None),
            ("/w", None),
            (".", None),
        ] {
            assert_eq!(of(file).as_deref(), path, "{file}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let world = tempfile::tempdir().unwrap();
        let workspace = world.path();
        std::fs::write(workspace.join("a"), "{").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", workspace.join("link")).unwrap();
        let files = ["a", "link", "none", "no/none", "../b"].map(PathBuf::from).to_vec();
        let terms = ToolTerms { files, gate: None, ignore_files: Vec::new() };
        let error = ToolFindings::open(&terms, workspace, &[]).unwrap_err();
        let told = crate::error::message(&error);
        for part in [
            "`a` cannot be used: it is no JSON",
            "is a symbolic link",
            "`none` is not there",
            "`no/none` is not there",
            "`../b` does not lie in the workspace",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
