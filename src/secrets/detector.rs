//! The bytes of one file, piece by piece → the secrets in it. It holds a window and no more, and
//! keeps no value.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};

use super::anchors::{Sighting, anchors};
use super::leak::{Confidence, Fingerprint, Leak, LeakPlace, LeakSpot};
use super::placeholder::{entropy, is_placeholder};
use super::rules::{
    Around, Capture, CompiledRule, Form, MOST_SPAN, NEAR, Proof, Reach, SecretRule,
};

/// Held at once.
const WINDOW: usize = 256 << 10;
/// A zero within it makes a file a binary one.
const HEAD: usize = 8 << 10;
/// Kept of one file, of each confidence; the others are counted.
const MOST_LEAKS: usize = 1_000;
/// Of the anchor's letters that a leak shows.
const MOST_SHOWN: usize = 8;
const LONGEST_PATH: usize = 4_096;

/// The secrets of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileLeaks {
    /// In the order of the file; the same secret once.
    pub leaks: Vec<Leak>,
    /// Those beyond what is kept.
    pub left_out: u64,
}

/// Takes a file's bytes in pieces of any size.
pub struct Detector {
    path: String,
    held: Vec<u8>,
    /// Kept for its room alone.
    seen: Vec<Sighting>,
    /// Of the first byte that is held, in the file.
    base: u64,
    /// The first byte that no search began at.
    from: usize,
    /// Lines before `counted`.
    lines: u64,
    counted: usize,
    is_binary: Option<bool>,
    /// The end of the last match in the file: what lies within it is part of it.
    covered: u64,
    known: HashMap<(&'static str, Fingerprint), usize>,
    counts: [usize; 2],
    found: FileLeaks,
}

/// What is held may be a secret.
impl fmt::Debug for Detector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Detector").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A whole file.
pub fn read(path: &str, mut file: impl Read) -> io::Result<FileLeaks> {
    let mut detector = Detector::new(path);
    while detector.fill(&mut file)? {}
    Ok(detector.finish())
}

/// A whole text that is in memory.
pub fn read_bytes(path: &str, bytes: &[u8]) -> FileLeaks {
    let mut detector = Detector::new(path);
    detector.feed(bytes);
    detector.finish()
}

impl Detector {
    pub fn new(path: &str) -> Self {
        let path: String = path.chars().take(LONGEST_PATH).collect();
        Self {
            path,
            held: Vec::new(),
            seen: Vec::new(),
            base: 0,
            from: 0,
            lines: 0,
            counted: 0,
            is_binary: None,
            covered: 0,
            known: HashMap::new(),
            counts: [0; 2],
            found: FileLeaks::default(),
        }
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(self.room()));
            self.held.extend_from_slice(now);
            rest = later;
            self.search_if_full();
        }
    }

    /// Reads once; says whether there may be more.
    fn fill(&mut self, file: &mut impl Read) -> io::Result<bool> {
        let (length, room) = (self.held.len(), self.room());
        self.held.resize(length + room, 0);
        let read = loop {
            match file.read(self.held.get_mut(length..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.held.truncate(length + read.as_ref().copied().unwrap_or_default());
        self.search_if_full();
        read.map(|read| read > 0)
    }

    pub fn finish(mut self) -> FileLeaks {
        self.search(self.held.len());
        self.found
    }

    fn room(&self) -> usize {
        WINDOW - self.held.len()
    }

    fn search_if_full(&mut self) {
        if self.held.len() < WINDOW {
            return;
        }
        self.search(WINDOW - MOST_SPAN);
        let gone = self.from.saturating_sub(NEAR);
        self.count_lines(gone);
        self.held.drain(..gone);
        self.base += gone as u64;
        (self.from, self.counted) = (self.from - gone, self.counted - gone);
    }

    /// Looks at all anchors that begin before `limit`.
    fn search(&mut self, limit: usize) {
        if self.is_binary.is_none() {
            let head = self.held.get(..HEAD).unwrap_or(&self.held);
            self.is_binary = Some(memchr::memchr(0, head).is_some());
        }
        let held = std::mem::take(&mut self.held);
        let mut seen = std::mem::take(&mut self.seen);
        anchors().sightings(&held, self.from, limit, &mut seen);
        for sighting in &seen {
            let mut rules = anchors().rules(*sighting);
            if let Some((rule, start, taken)) =
                rules.find_map(|rule| self.at(rule, &held, sighting.start))
            {
                self.add(&held, rule, start, &taken);
            }
        }
        self.seen = seen;
        self.held = held;
        self.from = self.from.max(limit);
    }

    /// Whether a rule's secret begins where its anchor says.
    fn at(
        &self,
        ready: &'static CompiledRule,
        held: &[u8],
        anchor: usize,
    ) -> Option<(&'static SecretRule, usize, Capture)> {
        let rule = ready.rule;
        let is_such =
            |end: &&str| self.path.ends_with(*end) || end.strip_prefix('/') == Some(&self.path);
        if !rule.only_in.is_empty() && !rule.only_in.iter().any(is_such) {
            return None;
        }
        let start = match rule.reach {
            Reach::Here => anchor,
            Reach::Back(length) => anchor.checked_sub(length)?,
            Reach::Digits => {
                let before = held.get(..anchor)?.iter().rev();
                anchor - before.take(20).take_while(|byte| byte.is_ascii_digit()).count()
            }
        };
        if self.base + (start as u64) < self.covered
            || !(rule.is_loose || begins(held, start, rule.reach))
        {
            return None;
        }
        let around = Around { bytes: held, at: start };
        let taken = match &rule.form {
            Form::Read(read) => read(&around)?,
            Form::Text(_) => {
                let found = ready.shape()?.captures(around.ahead())?;
                let value = found.get(1).or_else(|| found.get(0))?.as_bytes().to_vec();
                let length = found.get(0)?.end();
                let is_whole =
                    matches!(rule.proof, Proof::Checksum(_)) || ends(held, start + length);
                Some(Capture { length, value }).filter(|_| is_whole)?
            }
        };
        let is_proved = match rule.proof {
            Proof::Checksum(holds) | Proof::Structure(holds) => holds(&taken.value),
            Proof::Context(holds) => holds(&around, &taken.value),
            Proof::Entropy(least) => {
                entropy(&taken.value) >= least && !is_placeholder(&taken.value)
            }
            Proof::Form => true,
        };
        is_proved.then_some((rule, start, taken))
    }

    fn add(&mut self, held: &[u8], rule: &'static SecretRule, start: usize, taken: &Capture) {
        self.covered = self.base + (start + taken.length) as u64;
        let offset = self.base + start as u64;
        let fingerprint = match rule.is_guessable {
            true => Fingerprint::of_place(rule.id, &self.path),
            false => Fingerprint::of_value(&taken.value),
        };
        if let Some(known) = self.known.get(&(rule.id, fingerprint)) {
            if let Some(leak) = self.found.leaks.get_mut(*known) {
                leak.times = leak.times.saturating_add(1);
            }
            return;
        }
        let kind = usize::from(rule.confidence == Confidence::Verifiable);
        match self.counts.get_mut(kind) {
            Some(count) if *count < MOST_LEAKS => *count += 1,
            _ => {
                self.found.left_out += 1;
                return;
            }
        }
        let spot = match self.is_binary {
            Some(true) => LeakSpot::Byte(offset),
            _ => LeakSpot::Line(self.line(held, start)),
        };
        self.known.insert((rule.id, fingerprint), self.found.leaks.len());
        self.found.leaks.push(Leak {
            rule,
            place: LeakPlace::File { path: self.path.clone(), spot },
            offset,
            times: 1,
            layer: None,
            shown: shown(rule, &taken.value),
            fingerprint,
            confidence: rule.confidence,
            excuse: None,
        });
    }

    /// Counted from one. Starts may step back a little, so that lines are counted from the last
    /// one before.
    fn line(&mut self, held: &[u8], start: usize) -> u64 {
        match held.get(self.counted..start) {
            Some(between) => {
                self.lines += count(between);
                self.counted = start;
                self.lines + 1
            }
            None => self.lines + 1 - count(held.get(start..self.counted).unwrap_or_default()),
        }
    }

    fn count_lines(&mut self, to: usize) {
        match self.held.get(self.counted..to) {
            Some(between) => self.lines += count(between),
            None => self.lines -= count(self.held.get(to..self.counted).unwrap_or_default()),
        }
        self.counted = to;
    }
}

fn count(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// The letters of the anchor that everybody knows, and how long the value is.
fn shown(rule: &SecretRule, value: &[u8]) -> String {
    if rule.is_guessable {
        return "…".to_owned();
    }
    let known = rule.anchors.iter().filter(|anchor| value.starts_with(anchor.as_bytes()));
    let known: String = known
        .max_by_key(|it| it.len())
        .into_iter()
        .flat_map(|it| it.chars())
        .take(MOST_SHOWN)
        .collect();
    format!("{known}… ({} bytes)", value.len())
}

/// Whether no other word goes on where a secret begins.
fn begins(held: &[u8], start: usize, reach: Reach) -> bool {
    let before = held.get(start.saturating_sub(6)..start).unwrap_or_default();
    // Telegram's addresses have it so.
    if reach == Reach::Digits && before.ends_with(b"bot") {
        return true;
    }
    match before {
        [] => true,
        [.., b'\\', b'n' | b'r' | b't'] | [.., b'/', b'/'] => true,
        [.., b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => true,
        [b'\\', b'u', ..] => true,
        [.., last] => !is_word(*last) && !b"-+/.".contains(last),
    }
}

fn ends(held: &[u8], end: usize) -> bool {
    held.get(end).is_none_or(|next| !is_word(*next) && !b"+/".contains(next))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
