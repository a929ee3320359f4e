//! What a person sees while a run goes on: stages with their times, notices, the failure at the
//! end. Everything goes to standard error; standard output is for data alone. It lets no text of
//! others through as it is.

pub mod log;
pub mod shell;
pub mod text;

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error;
use crate::github::workflow;

/// Where the report is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReportReader {
    /// A workflow runner's log: groups and annotations.
    Workflow,
    /// A terminal; colours unless `NO_COLOR` is set.
    Terminal { colour: bool },
    /// A file or a pipe.
    Plain,
}

/// The report of one run.
pub struct Report {
    reader: ReportReader,
    /// Whether a person at a terminal wants to see all.
    verbose: bool,
    started: Instant,
    stages: Mutex<Vec<Stage>>,
    /// The stage that failed.
    failed: Mutex<Option<Stage>>,
    serving: AtomicBool,
}

/// One finished stage.
#[derive(Debug, Clone)]
pub struct Stage {
    pub name: &'static str,
    pub took: Duration,
    pub outcome: String,
}

impl Report {
    pub fn new(in_actions: bool, no_colour: bool, verbose: bool) -> Self {
        let reader = match (in_actions, std::io::stderr().is_terminal()) {
            (true, _) => ReportReader::Workflow,
            (false, true) => ReportReader::Terminal { colour: !no_colour },
            (false, false) => ReportReader::Plain,
        };
        log::open(in_actions);
        let (stages, failed) = (Mutex::default(), Mutex::default());
        Self {
            reader,
            verbose,
            started: Instant::now(),
            stages,
            failed,
            serving: AtomicBool::new(false),
        }
    }

    /// Whether child programs may draw on the terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(self.reader, ReportReader::Terminal { .. })
    }

    /// Whether a person reads, and wants colours.
    pub fn has_colour(&self) -> bool {
        matches!(self.reader, ReportReader::Terminal { colour: true })
    }

    /// How many columns a line may have; a log has no end.
    pub fn width(&self) -> Option<usize> {
        match self.reader {
            ReportReader::Terminal { .. } => terminal_size::terminal_size_of(std::io::stderr())
                .map(|(width, _)| usize::from(width.0)),
            ReportReader::Workflow | ReportReader::Plain => None,
        }
    }

    /// The text cut to what is left of a line after `used` columns.
    fn fitted(&self, text: &str, used: usize) -> String {
        self.width().map_or_else(|| text.to_owned(), |width| cut(text, width.saturating_sub(used)))
    }

    /// Runs one stage: says that it begins, and how it ended and when.
    pub async fn stage<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = anyhow::Result<(T, String)>>,
    ) -> anyhow::Result<T> {
        self.begin(name);
        let began = Instant::now();
        let result = work.await;
        let took = began.elapsed();
        self.end(name, took, result.as_ref().map(|(_, outcome)| outcome.as_str()).ok());
        if let (Err(_), Ok(mut failed)) = (&result, self.failed.lock()) {
            *failed = Some(Stage { name, took, outcome: "failed".to_owned() });
        }
        let (value, outcome) = result?;
        if let Ok(mut stages) = self.stages.lock() {
            stages.push(Stage { name, took, outcome });
        }
        Ok(value)
    }

    fn begin(&self, name: &str) {
        match self.reader {
            ReportReader::Workflow => log::begin_group(name),
            ReportReader::Terminal { .. } | ReportReader::Plain => {
                log::painted(format!("{} {name}", self.paint("▸", 2)))
            }
        }
    }

    fn end(&self, name: &str, took: Duration, outcome: Option<&str>) {
        if self.reader == ReportReader::Workflow {
            log::end_group();
        }
        let (mark, text) = match outcome {
            Some(outcome) => (self.paint("✓", 32), outcome),
            None => (self.paint("✗", 31), "failed"),
        };
        log::painted(format!(
            "{mark} {name:<12} {:>7}  {}",
            seconds(took),
            self.fitted(&log::inert(text), 25)
        ));
    }

    /// From here on the work is done and services stay up: being interrupted is then how it ends.
    pub fn serve(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    pub fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    /// What was asked for, for a person to read: to standard output, a line each.
    pub fn answer(&self, lines: &[String]) {
        let lines: Vec<String> = lines.iter().map(|line| log::inert(line)).collect();
        let _ = writeln!(std::io::stdout().lock(), "{}", lines.join("\n"));
    }

    /// The same for a program: a JSON document, alone on standard output.
    pub fn json(&self, document: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{}", text::json(document));
    }

    /// One line of fact.
    pub fn say(&self, text: &str) {
        log::line(text);
    }

    /// What few look for: folded in a runner's log, shown at a terminal when it is asked for.
    pub fn details(&self, name: &str, lines: &[String]) {
        match self.reader {
            ReportReader::Terminal { .. } if !self.verbose => {}
            ReportReader::Terminal { .. } | ReportReader::Plain => {
                lines.iter().for_each(|line| self.say(line))
            }
            ReportReader::Workflow => {
                log::begin_group(name);
                lines.iter().for_each(|line| self.say(line));
                log::end_group();
            }
        }
    }

    /// One line that the next one takes the place of, for a person at a terminal; an empty one
    /// leaves nothing there.
    pub fn progress(&self, text: &str) {
        if self.is_terminal() {
            self.raw(&format!("\r\x1b[2K{}", self.fitted(&log::inert(text), 1)));
        }
    }

    /// Something a user should know that stops nothing.
    pub fn notice(&self, text: &str) {
        match self.reader {
            ReportReader::Workflow => log::command(workflow::annotation(
                "notice",
                "supply-action",
                &log::inert_lines(text).join("\n"),
            )),
            _ => log::painted(format!(
                "{} {}",
                self.paint("note:", 33),
                log::inert_lines(text).join("\n")
            )),
        }
    }

    /// Hides secrets in every log from here on.
    pub fn mask(&self, secrets: &[String]) {
        let hidden = log::hide(secrets);
        if self.reader == ReportReader::Workflow {
            hidden.iter().for_each(|secret| log::command(workflow::mask(secret)));
        }
    }

    /// The failure that ends a run: consequence and cause, then what to do.
    pub fn failure(&self, failure: &anyhow::Error) {
        let told = |text: String| log::inert_lines(&text).join("\n");
        let message = told(error::message(failure));
        let hints = error::hints(failure).into_iter().map(told);
        match self.reader {
            ReportReader::Workflow => {
                log::end_group();
                let remedy: String = hints.map(|hint| format!("\nhint: {hint}")).collect();
                let page = error::see(failure).map(|page| format!("\nsee: {page}"));
                log::command(workflow::annotation(
                    "error",
                    "supply-action",
                    &format!("{message}{remedy}{}", page.unwrap_or_default()),
                ));
            }
            _ => {
                log::painted(format!("{} {message}", self.paint("error:", 31)));
                hints.for_each(|hint| log::painted(format!("{} {hint}", self.paint("hint:", 36))));
                if let Some(page) = error::see(failure) {
                    log::painted(format!("{} {page}", self.paint("see:", 36)));
                }
            }
        }
    }

    /// The stage in which the run failed.
    pub fn failed(&self) -> Option<Stage> {
        self.failed.lock().ok().and_then(|failed| failed.clone())
    }

    /// The finished stages, for a picture of the run.
    pub fn stages(&self) -> Vec<Stage> {
        self.stages.lock().map(|stages| stages.clone()).unwrap_or_default()
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn paint(&self, text: &str, code: u8) -> String {
        match self.reader {
            ReportReader::Terminal { colour: true } => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }

    fn raw(&self, text: &str) {
        // A closed log is no reason to stop publishing.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

/// At most `columns` letters, the last an ellipsis when something is missing.
pub fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// `0.42 s`, `12.3 s`, `3 min 05 s`.
pub fn seconds(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match seconds {
        ..10.0 => format!("{seconds:.2} s"),
        10.0..60.0 => format!("{seconds:.1} s"),
        _ => format!("{} min {:02} s", took.as_secs() / 60, took.as_secs() % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_by_letters_and_not_by_bytes() {
        assert_eq!(
            (cut("größer", 6).as_str(), cut("größer", 4).as_str(), cut("x", 0).as_str()),
            ("größer", "grö…", "…")
        );
    }

    #[test]
    fn times_read_well() {
        for (millis, text) in [(420, "0.42 s"), (12_340, "12.3 s"), (185_000, "3 min 05 s")] {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }
}
