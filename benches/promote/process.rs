//! One run of a program, measured by the kernel. It never looks into what was done.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program with its words, variables and standard input.
#[derive(Clone)]
pub(crate) struct MeasuredCommand {
    pub(crate) program: PathBuf,
    pub(crate) words: Vec<String>,
    pub(crate) input: String,
}

/// What a run took, and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct MeasuredRun {
    pub(crate) ended_well: bool,
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    /// At its largest.
    pub(crate) memory: u64,
    pub(crate) said: String,
}

impl MeasuredCommand {
    pub(crate) fn new(program: &Path, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { program: program.to_owned(), words, input: String::new() }
    }

    /// Runs to the end with nothing of this process's environment; `home` is where peers have their
    /// settings.
    pub(crate) fn run(&self, python: &Path, home: &Path) -> MeasuredRun {
        let measure = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sbom/measure.py");
        let input = home.join("input");
        std::fs::write(&input, &self.input).unwrap();
        let output = Command::new(python)
            .arg(measure)
            .arg(&self.program)
            .args(&self.words)
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/bin:/bin")
            .env("TMPDIR", home)
            .stdin(Stdio::from(std::fs::File::open(&input).unwrap()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{} could not be run: {said}", self.program.display());
        let took: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let number = |name: &str| took[name].as_f64().unwrap();
        MeasuredRun {
            ended_well: took["code"] == 0,
            wall: number("wall"),
            cpu: number("cpu"),
            memory: took["rss"].as_u64().unwrap(),
            said,
        }
    }
}

/// Of several the one in the middle.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
