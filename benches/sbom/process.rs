//! One run of a program, measured by the kernel. It never looks into what was written.

use std::path::Path;
use std::process::Command;

/// What a run took, and its document.
pub(crate) struct Run {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    /// Of the largest process, at its largest.
    pub(crate) memory: u64,
    pub(crate) read: u64,
    pub(crate) written: u64,
    pub(crate) document: Vec<u8>,
}

impl Run {
    /// Bytes that came by network, as the registry counted them before and after.
    pub(crate) fn received(mut self, before: Option<u64>, after: Option<u64>) -> Self {
        if let (Some(before), Some(after)) = (before, after) {
            self.read = after - before;
        }
        self
    }
}

/// Runs a program to its end; `out` is the document it writes.
pub(crate) fn run(
    python: &Path,
    program: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    out: &Path,
) -> Run {
    run_to(0, python, program, arguments, environment, out)
}

/// The same, with the code that the program ends with.
pub(crate) fn run_to(
    code: i32,
    python: &Path,
    program: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    out: &Path,
) -> Run {
    let measure = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sbom/measure.py");
    let output = Command::new(python)
        .arg(measure)
        .arg(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} could not be run: {said}", program.display());
    let took: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(took["code"], code, "{} {arguments:?} failed: {said}", program.display());
    let number = |name: &str| took[name].as_f64().unwrap();
    let bytes = |name: &str| took[name].as_u64().unwrap();
    let document = std::fs::read(out).unwrap();
    std::fs::remove_file(out).unwrap();
    Run {
        wall: number("wall"),
        cpu: number("cpu"),
        memory: bytes("rss"),
        read: bytes("read"),
        written: bytes("written"),
        document,
    }
}

/// The run of median time, with the largest memory of them all.
pub(crate) fn median(mut runs: Vec<Run>) -> Run {
    let memory = runs.iter().map(|run| run.memory).max().unwrap();
    runs.sort_by(|one, other| one.wall.total_cmp(&other.wall));
    let middle = runs.len() / 2;
    Run { memory, ..runs.swap_remove(middle) }
}
